"""Mel to waveform: the Vocos network, and the cross-fade that joins what it made of successive pieces.

Module names are those of `assets/Vocos.pt`. Siuzdak 2023, https://arxiv.org/abs/2306.00814.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from omni.configs import VocosConfig
from omni.speech.convnext import ConvNeXt
from omni.timing import exact_div

_LARGEST_MAGNITUDE = 100.0
"""the network's logarithms may run away; the released vocoder clips here"""


class _Backbone(nn.Module):
    def __init__(self, config: VocosConfig) -> None:
        super().__init__()
        self.embed = nn.Conv1d(config.input_channels, config.dim, 7, padding=3)
        self.norm = nn.LayerNorm(config.dim, eps=1e-6)
        self.convnext = nn.ModuleList(
            ConvNeXt(config.dim, config.intermediate_dim, scale="gamma") for _ in range(config.num_layers)
        )
        self.final_layer_norm = nn.LayerNorm(config.dim, eps=1e-6)

    def forward(self, mel: Tensor) -> Tensor:
        """Log-mel [B, M, F] → features [B, F, D]."""
        x = self.norm(self.embed(mel).transpose(1, 2)).transpose(1, 2)
        for block in self.convnext:
            x = block(x)
        features: Tensor = self.final_layer_norm(x.transpose(1, 2))
        return features


class _InverseStft(nn.Module):
    """Overlap-add of windowed inverse FFTs, trimmed so that F frames give exactly F hops ("same" padding)."""

    def __init__(self, config: VocosConfig) -> None:
        super().__init__()
        self.hop = config.hop_length
        self.register_buffer("window", torch.hann_window(config.n_fft))

    def forward(self, spectrum: Tensor) -> Tensor:
        """Complex spectrum [B, n_fft / 2 + 1, F] → waveform [B, S] with S = F * hop."""
        window = self.get_buffer("window")
        n_fft, n_frames = len(window), spectrum.shape[-1]
        frames = torch.fft.irfft(spectrum, n_fft, dim=1) * window[:, None]
        envelope = window.square().expand(1, n_frames, -1).transpose(1, 2)
        trim = exact_div(n_fft - self.hop, 2)
        kept = slice(trim, trim + n_frames * self.hop)
        return self._overlap_add(frames)[:, kept] / self._overlap_add(envelope)[:, kept]

    def _overlap_add(self, frames: Tensor) -> Tensor:
        n_fft, n_frames = frames.shape[1:]
        length = n_fft + self.hop * (n_frames - 1)
        summed = functional.fold(frames, (1, length), kernel_size=(1, n_fft), stride=(1, self.hop))
        return summed[:, 0, 0]


class _Head(nn.Module):
    def __init__(self, config: VocosConfig) -> None:
        super().__init__()
        self.out = nn.Linear(config.dim, config.n_fft + 2)
        self.istft = _InverseStft(config)

    def forward(self, features: Tensor) -> Tensor:
        """Features [B, F, D] → waveform [B, S]."""
        log_magnitude, phase = self.out(features).transpose(1, 2).chunk(2, dim=1)
        magnitude = log_magnitude.exp().clamp(max=_LARGEST_MAGNITUDE)
        waveform: Tensor = self.istft(torch.polar(magnitude, phase))
        return waveform


class _Spectrogram(nn.Module):
    def __init__(self, config: VocosConfig) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(config.n_fft))


class _MelScale(nn.Module):
    def __init__(self, config: VocosConfig) -> None:
        super().__init__()
        self.register_buffer("fb", torch.zeros(config.n_fft // 2 + 1, config.input_channels))


class _MelSpectrogram(nn.Module):
    def __init__(self, config: VocosConfig) -> None:
        super().__init__()
        self.spectrogram = _Spectrogram(config)
        self.mel_scale = _MelScale(config)


class _Features(nn.Module):
    # the analysis side is not needed for speaking; its tensors are there because the file is loaded strictly
    def __init__(self, config: VocosConfig) -> None:
        super().__init__()
        self.mel_spec = _MelSpectrogram(config)


class Vocoder(nn.Module):
    """Vocos. Nothing is remembered between calls; a stream's memory is its VocoderState."""

    def __init__(self, config: VocosConfig) -> None:
        super().__init__()
        self.config = config
        self.feature_extractor = _Features(config)
        self.backbone = _Backbone(config)
        self.head = _Head(config)

    def forward(self, mel: Tensor) -> Tensor:
        """Log-mel [B, M, F] in float32 → waveform [B, S] at Timing.output_rate, S = F * hop_length."""
        waveform: Tensor = self.head(self.backbone(mel))
        return waveform


def cross_fade(before: Tensor, after: Tensor, overlap: int) -> Tensor:
    """Join [A] and [B] over `overlap` samples into [A + B - overlap].

    The released code weighs both with one triangle over the whole length and divides by the sum; what comes out is
    this straight line, whatever the lengths.

    Raises:
        ValueError: one of them is shorter than the overlap.
    """
    if min(len(before), len(after)) < overlap:
        raise ValueError(f"pieces of {len(before)} and {len(after)} samples cannot overlap by {overlap}")
    rising = torch.arange(1, overlap + 1, device=after.device) / (overlap + 1)
    kept = len(before) - overlap
    faded = before[kept:] * (1 - rising) + after[:overlap] * rising
    return torch.cat([before[:kept], faded, after[overlap:]])


@dataclass(slots=True)
class VocoderState:
    """One stream's end, held back until what follows it can be faded in."""

    overlap: int
    """samples by which every waveform repeats the one before it"""
    whole: bool = False
    """hold back whole waveforms, as the released loop does from the second one on, instead of the overlap alone:
    the same sound in other pieces, half a second later"""
    held: Tensor | None = None
    """[S]"""

    def clone(self) -> "VocoderState":
        """An equal state; what is held is never written to."""
        return replace(self)

    def push(self, waveform: Tensor) -> Tensor:
        """Take the next waveform [S], at least `overlap` long; return what can be played [S'].

        Raises:
            ValueError: it is shorter.
        """
        if self.held is None:
            joined, n_ready = waveform, len(waveform) - self.overlap
            if n_ready < 0:
                raise ValueError(f"a first waveform of {len(waveform)} samples is shorter than {self.overlap}")
        else:
            joined = cross_fade(self.held, waveform, self.overlap)
            n_ready = len(self.held) if self.whole else len(joined) - self.overlap
        self.held = joined[n_ready:]
        return joined[:n_ready]

    def flush(self) -> Tensor:
        """Nothing follows: return what is held, and be ready for another stream."""
        held = torch.zeros(0) if self.held is None else self.held
        self.held = None
        return held
