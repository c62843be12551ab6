"""A picture's patches, however many, as a fixed number of vectors for the language model: one cross-attention."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from omni.configs import ResamplerConfig
from omni.vision.encoder import padding_mask

_LN_EPS = 1e-6
_BASE = 10_000.0
"""the slowest of the position table's waves turns once in about this many patches, times 2π"""
_TABLE_STEP = 70
"""tables grow by this many patches, so that few of them serve every shape"""


class VisionResampler(nn.Module):
    """Learned queries that read a picture. Released names below `resampler.`; it holds no state."""

    def __init__(self, config: ResamplerConfig) -> None:
        super().__init__()
        width = config.embed_dim
        self.query = nn.Parameter(torch.randn(config.num_queries, width) / width**0.5)
        self.proj = nn.Parameter(torch.randn(width, width) / width**0.5)
        self.kv_proj = nn.Linear(config.kv_dim, width, bias=False)
        self.attn = CrossAttention(width, config.num_heads)
        self.ln_q = nn.LayerNorm(width, _LN_EPS)
        self.ln_kv = nn.LayerNorm(width, _LN_EPS)
        self.ln_post = nn.LayerNorm(width, _LN_EPS)

    def forward(self, patches: Sequence[Tensor], shapes: Sequence[tuple[int, int]]) -> Tensor:
        """Read slices of any shapes as one batch.

        Args:
            patches: for each slice [P, C] in reading order, as the vision encoder gives them.
            shapes: for each slice its patches from top to bottom and from left to right; their product is P.

        Returns:
            [B, Q, D], which depends for each slice on that slice alone.
        """
        values = self.ln_kv(self.kv_proj(nn.utils.rnn.pad_sequence(list(patches), batch_first=True)))
        width = self.proj.shape[0]
        places = [position_table(rows, columns, width, values.device, values.dtype) for rows, columns in shapes]
        # Places tell keys apart; the values that are read carry none.
        keys = values + nn.utils.rnn.pad_sequence(places, batch_first=True)
        mask = padding_mask([len(rows) for rows in patches], values.device)
        read = self.attn(self.ln_q(self.query), keys, values, mask)
        # proj is used from the right, as a plain matrix
        vectors: Tensor = self.ln_post(read) @ self.proj
        return vectors


class CrossAttention(nn.Module):
    """nn.MultiheadAttention's parameters; queries that every row of the batch shares are projected once."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.in_proj_weight = nn.Parameter(torch.randn(3 * width, width) / width**0.5)
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """Queries [Q, D], keys and values [B, P, D], mask [B, 1, 1, P] True where a key may be seen: [B, Q, D]."""
        q, k, v = (
            functional.linear(rows, weight, bias).view(*rows.shape[:-1], self.n_heads, -1).transpose(-3, -2)
            for rows, weight, bias in zip(
                (queries, keys, values), self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3), strict=True
            )
        )
        read = functional.scaled_dot_product_attention(q.expand(len(k), -1, -1, -1), k, v, attn_mask=mask)
        mixed: Tensor = self.out_proj(read.transpose(1, 2).flatten(2))
        return mixed


def position_table(rows: int, columns: int, width: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Places of a slice's patches [rows · columns, width]: the first half tells the column, the second the row."""
    longest = -(-max(rows, columns) // _TABLE_STEP) * _TABLE_STEP
    waves = _waves(longest, width // 2, device, dtype)
    across = waves[:columns].expand(rows, -1, -1)
    down = waves[:rows, None].expand(-1, columns, -1)
    return torch.cat([across, down], dim=-1).flatten(0, 1)


@lru_cache(maxsize=16)
def _waves(n: int, width: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Sines, then cosines, of places 0…n − 1 [n, width]. Computed in float32, then rounded to dtype."""
    frequencies = 1.0 / _BASE ** (np.arange(width // 2, dtype=np.float32) / np.float32(width / 2))
    angles = np.arange(n, dtype=np.float32)[:, None] * frequencies
    waves = np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)
    return torch.from_numpy(waves).to(device, dtype)
