"""Speech codes to mel and back: a finite scalar quantiser between two convolutional networks.

One codec step holds `groups * residual` codes and stands for two mel frames. Module names are those of the released
state dict below `tts.dvae.`. FSQ: Mentzer et al. 2023, https://arxiv.org/abs/2309.15505.
"""

from typing import cast

import torch
from torch import Tensor, nn

from omni.configs import DvaeConfig
from omni.speech.convnext import ConvNeXt
from omni.timing import exact_div

FRAMES_PER_STEP = 2
"""mel frames"""
_BOUND_EPS = 1e-3


class _Network(nn.Module):
    """Convolutions, ConvNeXt blocks and a projection: the shape of both encoder and decoder."""

    def __init__(self, inputs: int, outputs: int, config: DvaeConfig) -> None:
        super().__init__()
        self.conv_in = nn.Sequential(
            nn.Conv1d(inputs, config.bn_dim, 3, padding=1),
            nn.GELU(),
            nn.Conv1d(config.bn_dim, config.hidden, 3, padding=1),
        )
        self.decoder_block = nn.ModuleList(
            ConvNeXt(config.hidden, config.intermediate, scale="coef", kernel=config.kernel, dilation=config.dilation)
            for _ in range(config.num_layers)
        )
        self.conv_out = nn.Conv1d(config.hidden, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for block in self.decoder_block:
            x = block(x)
        projected: Tensor = self.conv_out(x)
        return projected


class _Residual(nn.Module):
    """One group's quantiser: every further code refines the one before it by a factor of `levels - 1`."""

    def __init__(self, config: DvaeConfig) -> None:
        super().__init__()
        self.project_in = nn.Linear(config.feature_dim, len(config.levels))
        self.project_out = nn.Linear(len(config.levels), config.feature_dim)
        self._n_codes = config.residual
        # plain numbers, not buffers: the released state dict has none here
        self._levels = config.levels

    def forward(self, codes: Tensor) -> Tensor:
        """Codes [B, R, T] → features [B, T, D]."""
        levels = torch.tensor(self._levels, device=codes.device)
        places = levels.cumprod(0) // levels
        half = levels // 2
        digits = codes.unsqueeze(-1) // places % levels
        values = (digits - half) / half.to(self.project_out.weight.dtype)
        finer = (levels - 1.0) ** -torch.arange(self._n_codes, device=codes.device).view(-1, 1, 1)
        features: Tensor = self.project_out((values * finer.to(values.dtype)).sum(1))
        return features

    def encode(self, features: Tensor) -> Tensor:
        """Features [B, T, D] → codes [B, R, T]."""
        levels = torch.tensor(self._levels, device=features.device)
        places = levels.cumprod(0) // levels
        half = levels // 2
        bound = (levels - 1) * (1 + _BOUND_EPS) / 2
        # An even number of levels has no middle one: there the grid lies half a step lower.
        offset = torch.where(levels % 2 == 0, 0.5, 0.0)
        shift = (offset / bound).atanh()
        rest = self.project_in(features)
        codes = []
        for index in range(self._n_codes):
            finer = (levels - 1.0) ** -index
            digits = (torch.tanh(rest / finer + shift) * bound - offset).round()
            rest = rest - digits / half * finer
            codes.append(((digits.long() + half) * places).sum(-1))
        return torch.stack(codes, 1)


class _Quantizer(nn.Module):
    def __init__(self, config: DvaeConfig) -> None:
        super().__init__()
        self.rvqs = nn.ModuleList(_Residual(config) for _ in range(config.groups))


class _Layer(nn.Module):
    # the released names nest the quantiser once more than needed
    def __init__(self, config: DvaeConfig) -> None:
        super().__init__()
        self.quantizer = _Quantizer(config)


class Codec(nn.Module):
    """Both ways between codes and the log-mel that the vocoder takes. Nothing is remembered between calls."""

    def __init__(self, config: DvaeConfig) -> None:
        super().__init__()
        self.config = config
        features = config.groups * config.feature_dim
        self.coef = nn.Parameter(torch.ones(1, config.num_mel_bins, 1))
        self.downsample_conv = nn.Sequential(
            nn.Conv1d(config.num_mel_bins, config.feature_dim, 3, padding=1),
            nn.GELU(),
            nn.Conv1d(config.feature_dim, config.feature_dim, 4, stride=FRAMES_PER_STEP, padding=1),
            nn.GELU(),
        )
        self.encoder = _Network(config.feature_dim, features, config)
        self.decoder = _Network(config.feature_dim, config.feature_dim, config)
        self.out_conv = nn.Conv1d(config.feature_dim, config.num_mel_bins, 3, padding=1, bias=False)
        self.vq_layer = _Layer(config)

    def dequantise(self, codes: Tensor) -> Tensor:
        """Codes [B, K, T], each below the product of the levels → features [B, groups * D, T]."""
        groups = codes.chunk(self.config.groups, dim=1)
        features = [quantizer(group) for quantizer, group in zip(self._quantizers, groups, strict=True)]
        return torch.cat(features, -1).transpose(1, 2)

    def forward(self, codes: Tensor) -> Tensor:
        """Decode codes [B, K, T] into log-mel [B, M, 2T] (natural logarithm of magnitudes, as the vocoder takes it)."""
        features = self.dequantise(codes)
        batch, _, n_steps = features.shape
        # the groups of a step are its two mel frames, one after the other
        frames = features.view(batch, self.config.groups, -1, n_steps).permute(0, 2, 3, 1).flatten(2)
        mel: Tensor = self.out_conv(self.decoder(frames)) * self.coef
        return mel

    def encode(self, mel: Tensor) -> Tensor:
        """Encode log-mel [B, M, F] into codes [B, K, F / 2].

        Raises:
            ValueError: F is odd.
        """
        exact_div(mel.shape[-1], FRAMES_PER_STEP)
        features = self.encoder(self.downsample_conv(mel / self.coef)).transpose(1, 2)
        groups = features.chunk(self.config.groups, dim=-1)
        codes = [quantizer.encode(group) for quantizer, group in zip(self._quantizers, groups, strict=True)]
        return torch.cat(codes, 1)

    @property
    def _quantizers(self) -> list[_Residual]:
        return [cast(_Residual, quantizer) for quantizer in self.vq_layer.quantizer.rvqs]
