"""A causal transformer decoder of the Llama kind: Qwen2 for the language model, Llama for the talker, Qwen3 in view.

Written here, not taken from transformers, because its caches belong to one batch, while ours belong to one session
each: rows of a batch come and go, differ in length, are cut back, and the talker overwrites slots in the middle.
Parameter names are the released ones, so a checkpoint loads strictly.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from omni.configs import DecoderConfig
from omni.nn.cache import KvCache

Rotation = tuple[Tensor, Tensor]
"""cosines and sines [B, 1, T, D], or of one row [T, D], D the width of a head"""


class Decoder(nn.Module):
    """Layers and final norm, with an embedding table where the configuration names a vocabulary."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        if config.vocab_size is not None:
            self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(_Layer(config, index) for index in range(config.num_hidden_layers))
        self.norm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)

    def new_cache(self, capacity: int) -> KvCache:
        """An empty cache for one session, on the device and in the dtype of the weights."""
        weight = self.norm.weight
        config = self.config
        return KvCache(
            config.num_hidden_layers,
            config.num_key_value_heads,
            config.head_dim,
            capacity,
            device=weight.device,
            dtype=weight.dtype,
        )

    def forward(
        self, inputs: Tensor, starts: Sequence[int], caches: Sequence[KvCache], mask: Tensor | None = None
    ) -> Tensor:
        """Feed T positions of every row, and remember them in the row's cache.

        Rows that have fewer than T positions are padded at the end and their caches truncated afterwards: attention
        looks back only, so padding at the end touches nothing.

        Args:
            inputs: [B, T, D] embeddings.
            starts: the position, and cache slot, of each row's first input. Slots before it must have been written.
            caches: one for each row, written in place.
            mask: [B, T, K], added to the attention scores, in place of the causal mask. Row b reads its first
                starts[b] + T columns. Rows or positions that share a mask may broadcast with size 1.

        Returns:
            [B, T, D], after the final norm.

        Raises:
            ValueError: the rows, starts and caches are not equally many, or a cache is full.
        """
        n_rows, n_positions, _ = inputs.shape
        if not n_rows == len(starts) == len(caches):
            raise ValueError(f"{n_rows} rows, {len(starts)} starts and {len(caches)} caches: there must be one of each")
        if mask is None:
            masks = [_causal(start, n_positions, inputs.device) for start in starts]
        else:
            rows = mask.to(inputs.dtype).expand(n_rows, n_positions, -1)
            masks = [row[:, : start + n_positions] for row, start in zip(rows, starts, strict=True)]
        rotation = _rotation(starts, n_positions, self.config, inputs)
        hidden = inputs
        for layer in self.layers:
            hidden = layer(hidden, rotation, starts, caches, masks)
        output: Tensor = self.norm(hidden)
        return output

    @torch.inference_mode()
    def forget(self, cache: KvCache, start: int, end: int) -> None:
        """Drop the slots [start, end) of a cache; what lies behind moves forward, in place and in position.

        Keys are turned back by the positions that they move, in float32, and stored in the cache's dtype. What they
        and the values say stays as it was: in every layer but the first they keep what attention brought them of the
        dropped slots. Only their distance from what lies before `start` shrinks.

        In bfloat16 keys are 0.4 % beside those of a fresh feed after one such move and 0.5 % after four, but 3 % after
        sixty: turns too small for its digits are lost, time and again. So do it seldom and drop much.

        Raises:
            ValueError: these are not slots in use.
        """
        cache.forget(start, end)
        positions = torch.arange(start, cache.length, device=cache.keys.device)
        # The angles as both positions have them, then their difference: float32 knows an angle of 30,000 to a
        # thousandth only, and other roundings than theirs would add up with every move.
        before, after = (_angles(at, self.config).double() for at in (positions + (end - start), positions))
        rotation = (after - before).cos().float(), (after - before).sin().float()
        for keys in cache.keys:
            moved = keys[:, start : cache.length]
            moved.copy_(_rotate(moved.float(), rotation))


class _Layer(nn.Module):
    def __init__(self, config: DecoderConfig, index: int) -> None:
        super().__init__()
        self.self_attn = _Attention(config, index)
        self.mlp = _Mlp(config)
        self.input_layernorm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self,
        hidden: Tensor,
        rotation: Rotation,
        starts: Sequence[int],
        caches: Sequence[KvCache],
        masks: Sequence[Tensor | None],
    ) -> Tensor:
        hidden = hidden + self.self_attn(self.input_layernorm(hidden), rotation, starts, caches, masks)
        output: Tensor = hidden + self.mlp(self.post_attention_layernorm(hidden))
        return output


class _Attention(nn.Module):
    """Grouped-query attention over each row's own cache."""

    def __init__(self, config: DecoderConfig, index: int) -> None:
        super().__init__()
        width, head_dim = config.hidden_size, config.head_dim
        self.index = index
        self.head_dim = head_dim
        self.q_proj = nn.Linear(width, config.num_attention_heads * head_dim, bias=config.qkv_bias)
        self.k_proj = nn.Linear(width, config.num_key_value_heads * head_dim, bias=config.qkv_bias)
        self.v_proj = nn.Linear(width, config.num_key_value_heads * head_dim, bias=config.qkv_bias)
        self.o_proj = nn.Linear(config.num_attention_heads * head_dim, width, bias=False)
        # Qwen3 normalises each head of queries and keys before they are rotated.
        self.q_norm = nn.RMSNorm(head_dim, config.rms_norm_eps) if config.qk_norm else None
        self.k_norm = nn.RMSNorm(head_dim, config.rms_norm_eps) if config.qk_norm else None

    def forward(
        self,
        hidden: Tensor,
        rotation: Rotation,
        starts: Sequence[int],
        caches: Sequence[KvCache],
        masks: Sequence[Tensor | None],
    ) -> Tensor:
        queries, keys, values = (
            projected.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for projected in (self.q_proj(hidden), self.k_proj(hidden), self.v_proj(hidden))
        )
        if self.q_norm is not None and self.k_norm is not None:
            queries, keys = self.q_norm(queries), self.k_norm(keys)
        queries, keys = _rotate(queries, rotation), _rotate(keys, rotation)
        rows = []
        # Row by row, because caches differ in length and place; gathering them would copy every key at every step.
        for row, (start, cache, mask) in enumerate(zip(starts, caches, masks, strict=True)):
            cache.write(self.index, start, keys[row], values[row])
            rows.append(_attend(queries[row], *cache.read(self.index, start + hidden.shape[1]), mask))
        output: Tensor = self.o_proj(torch.stack(rows).transpose(1, 2).flatten(2))
        return output


class _Mlp(nn.Module):
    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        output: Tensor = self.down_proj(functional.silu(self.gate_proj(hidden)) * self.up_proj(hidden))
        return output


def _attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """Queries [H, T, D] over keys and values [G, K, D], H a multiple of G; mask [T, K] or None. Returns [H, T, D]."""
    n_groups, _, head_dim = keys.shape
    if queries.shape[1] == 1:
        # While an answer is written, reading keys is most of the work: as further positions, the heads of a group
        # share one reading.
        position = queries.reshape(1, n_groups, -1, head_dim)
        attended = functional.scaled_dot_product_attention(position, keys[None], values[None], attn_mask=mask)
        return attended.reshape(queries.shape)
    grouped = queries.reshape(n_groups, -1, *queries.shape[1:])
    # Expanded, not repeated: the heads of a group read the same keys, which stay where they are in the cache.
    shape = (-1, grouped.shape[1], -1, -1)
    attended = functional.scaled_dot_product_attention(
        grouped, keys.unsqueeze(1).expand(shape), values.unsqueeze(1).expand(shape), attn_mask=mask
    )
    return attended.flatten(0, 1)


def _causal(start: int, n_positions: int, device: torch.device) -> Tensor | None:
    """[T, K] bool, True where position start + t may look; None where the only query may look everywhere."""
    if n_positions == 1:
        return None
    return torch.ones(n_positions, start + n_positions, dtype=torch.bool, device=device).tril(start)


def _rotation(starts: Sequence[int], n_positions: int, config: DecoderConfig, like: Tensor) -> Rotation:
    first = torch.tensor(starts, device=like.device).unsqueeze(1)
    angles = _angles(first + torch.arange(n_positions, device=like.device), config).unsqueeze(1)
    return angles.cos().to(like.dtype), angles.sin().to(like.dtype)


def _angles(positions: Tensor, config: DecoderConfig) -> Tensor:
    """Radians [..., D] of positions [...], the same for both halves of a head."""
    # In float32 whatever the weights are: at position 30,000 bfloat16 cannot tell neighbours apart.
    angles = positions.unsqueeze(-1).float() * _frequencies(config.head_dim, config.rope_theta, positions.device)
    return torch.cat([angles, angles], dim=-1)


@lru_cache
def _frequencies(head_dim: int, theta: float, device: torch.device) -> Tensor:
    """Radians per position [D / 2]. Cached outside the module, which holds nothing but released weights."""
    exponents = torch.arange(0, head_dim, 2, dtype=torch.int64).float() / head_dim
    return (1.0 / theta**exponents).to(device)


def _rotate(heads: Tensor, rotation: Rotation) -> Tensor:
    """Turn [..., T, D] by its positions; element i pairs with i + D / 2, as in the released weights."""
    cosines, sines = rotation
    first, second = heads.chunk(2, dim=-1)
    return heads * cosines + torch.cat([-second, first], dim=-1) * sines
