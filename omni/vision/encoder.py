"""SigLIP over pictures of any shape (NaViT): patches of a strip in, one vector for each patch out.

Written here although transformers has the layers: its position buckets differ from the checkpoint's in training
for some sizes, and slices of different shapes must share a batch without seeing one another.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from omni.configs import VisionConfig
from omni.vision.slicing import Strip


class VisionEncoder(nn.Module):
    """The transformer behind the released `vpm.` names. Holds no state: a strip's vectors depend on it alone."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = PatchEmbeddings(config)
        self.encoder = _Layers(config)
        self.post_layernorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)

    def forward(self, strips: Sequence[Strip]) -> list[Tensor]:
        """Encode strips, vision_batch_size at a time.

        Args:
            strips: of any shapes and any number.

        Returns:
            for each strip [P, D], its patches in reading order.
        """
        size = self.config.vision_batch_size
        return [row for start in range(0, len(strips), size) for row in self._encode(strips[start : start + size])]

    def _encode(self, strips: Sequence[Strip]) -> list[Tensor]:
        patches, positions, lengths = self._batch(strips)
        hidden: Tensor = self.embeddings(patches, positions)
        mask = padding_mask(lengths, hidden.device)
        for layer in self.encoder.layers:
            hidden = layer(hidden, mask)
        hidden = self.post_layernorm(hidden)
        return [row[:length] for row, length in zip(hidden, lengths, strict=True)]

    def _batch(self, strips: Sequence[Strip]) -> tuple[Tensor, Tensor, list[int]]:
        """Pad strips to the longest: pixels [B, 3, p, p·P], positions [B, P] (0 in the padding), lengths."""
        weight = self.embeddings.patch_embedding.weight
        lengths = [strip.rows * strip.columns for strip in strips]
        longest = max(lengths)
        pixels = [
            functional.pad(torch.from_numpy(strip.pixels), (0, self.config.patch_size * (longest - length)))
            for strip, length in zip(strips, lengths, strict=True)
        ]
        positions = [
            functional.pad(
                position_ids(strip.rows, strip.columns, self.config.positions_per_side), (0, longest - length)
            )
            for strip, length in zip(strips, lengths, strict=True)
        ]
        return torch.stack(pixels).to(weight), torch.stack(positions).to(weight.device), lengths


def padding_mask(lengths: Sequence[int], device: torch.device) -> Tensor | None:
    """Which patches of a padded batch are keys [B, 1, 1, P]; None when all are: attention is fastest without a mask."""
    longest = max(lengths)
    if min(lengths) == longest:
        return None
    place = torch.arange(longest, device=device)
    return (place < torch.tensor(lengths, device=device)[:, None])[:, None, None, :]


class PatchEmbeddings(nn.Module):
    """A vector for the look of a patch, and one for its place in the picture."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        width, patch = config.hidden_size, config.patch_size
        self.patch_embedding = nn.Conv2d(config.num_channels, width, patch, stride=patch)
        self.position_embedding = nn.Embedding(config.positions_per_side**2, width)

    def forward(self, pixels: Tensor, positions: Tensor) -> Tensor:
        """Pixels [B, 3, p, p·P] and rows of the position table [B, P] to [B, P, D]."""
        looks: Tensor = self.patch_embedding(pixels)
        places: Tensor = self.position_embedding(positions)
        return looks.squeeze(2).transpose(1, 2) + places


class _Layers(nn.Module):
    """Nothing but a level of the released names."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(VisionLayer(config) for _ in range(config.n_layers))


class VisionLayer(nn.Module):
    """Pre-norm attention and MLP."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.self_attn = VisionAttention(config)
        self.layer_norm1 = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.mlp = VisionMlp(config)
        self.layer_norm2 = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """[B, P, D] to the same; mask [B, 1, 1, P] is True where a key may be seen."""
        hidden = hidden + self.self_attn(self.layer_norm1(hidden), mask)
        mixed: Tensor = self.mlp(self.layer_norm2(hidden))
        return hidden + mixed


class VisionAttention(nn.Module):
    """Every patch of a strip sees every other."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.n_heads = config.num_attention_heads
        self.q_proj, self.k_proj = nn.Linear(width, width), nn.Linear(width, width)
        self.v_proj, self.out_proj = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """[B, P, D] to the same; mask as in VisionLayer."""
        q, k, v = (
            projection(hidden).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        seen = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        mixed: Tensor = self.out_proj(seen.transpose(1, 2).flatten(2))
        return mixed


class VisionMlp(nn.Module):
    """Two linear maps around the tanh approximation of GELU, which training used."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., D] to the same."""
        mixed: Tensor = self.fc2(functional.gelu(self.fc1(hidden), approximate="tanh"))
        return mixed


def position_ids(rows: int, columns: int, per_side: int) -> Tensor:
    """Which row of the square position table each patch takes [rows · columns], in reading order, on the CPU."""
    down, across = position_buckets(rows, per_side), position_buckets(columns, per_side)
    return (down[:, None] * per_side + across[None, :]).flatten()


@lru_cache(maxsize=256)
def position_buckets(n: int, per_side: int) -> Tensor:
    """Where n patches fall on a side of the position table [n], int64 in 0…per_side − 1.

    Nearly floor(i · per_side / n), but for n of 25, 49, 50, 55 and 58 (per_side 70) rounding in float32 puts some
    patches one place lower. The model was trained on these places, so the same operations are repeated here: the
    step is rounded to float32, and everything happens on the CPU whatever the default device is.
    """
    with torch.device("cpu"):
        step = float(1 / torch.tensor(n, dtype=torch.int32))
        fractions = torch.arange(0, 1 - 1e-6, step, dtype=torch.float32)
        boundaries = torch.arange(1 / per_side, 1.0, 1 / per_side, dtype=torch.float32)
        return torch.bucketize(fractions, boundaries, right=True)
