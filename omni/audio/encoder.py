"""Whisper's encoder as MiniCPM-o uses it: whole clips with attention by chunks, or a live stream unit by unit.

Written here although transformers has the layers: theirs insist on 30 s and know neither chunks nor a cache.

What streaming keeps and what it does not: frames of a unit see all earlier ones of the turn and each other, in both
directions, and the convolutions see nothing before the unit. So later input never changes earlier output, and other
sessions in the batch never show, but how a stream was cut into units does, and streamed output differs from that of
whole clips. In a batch of whole clips the padding shows as well (see `forward`). All of it is as in training.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from omni.audio.features import FRAMES_PER_S
from omni.configs import AudioConfig
from omni.nn.cache import KvCache
from omni.timing import exact_div

ENCODED_PER_S = exact_div(FRAMES_PER_S, 2)
"""encoder frames: the second convolution takes every other mel frame"""

_LARGEST_HALF = torch.finfo(torch.float16).max - 1000

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries, keys and values [..., H, T, d] to what was read [..., H, T, d]"""


@dataclass(slots=True, eq=False)
class AudioState:
    """What the encoder remembers of one session's turn."""

    cache: KvCache | None = None
    """None before the first unit of a turn: a session that only listens to itself speak holds nothing"""

    @property
    def length(self) -> int:
        """Encoder frames held."""
        return self.cache.length if self.cache else 0

    def clear(self) -> None:
        """Begin anew. The cache is let go, not overwritten, so that a mark on it stays good."""
        self.cache = None

    def mark(self) -> tuple[KvCache | None, int]:
        """A place to return to. Going back to an earlier mark makes the later ones void."""
        return self.cache, self.length

    def rewind(self, mark: tuple[KvCache | None, int]) -> None:
        """Return to a mark."""
        self.cache, length = mark
        if self.cache:
            self.cache.truncate(length)


class AudioEncoder(nn.Module):
    """The transformer behind the released `apm.` names."""

    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        self.config = config
        width = config.d_model
        self.conv1 = nn.Conv1d(config.num_mel_bins, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(config.max_source_positions, width)
        self.layers = nn.ModuleList(AudioLayer(config) for _ in range(config.encoder_layers))
        self.layer_norm = nn.LayerNorm(width, config.layer_norm_eps)

    def forward(self, mels: Sequence[Tensor]) -> Tensor:
        """Encode whole clips as one batch.

        Args:
            mels: for each clip [M, F]; F may differ.

        A frame sees its own chunk of audio_chunk_length and all before it, with a length of 0 or less everything.

        Returns:
            [B, T, D] with T = ceil(longest F / 2). Of a clip the first ceil(F / 2) rows count.

        Clips shorter than the longest are heard with zeros after them, which are no silence, and their frames may
        look there. The original hides padding by comparing encoder frames with a length in mel frames, twice as
        many, so it is hidden only beyond twice the clip's end. The model has learnt with it.
        """
        lengths = torch.tensor([mel.shape[1] for mel in mels], device=mels[0].device)
        padded = nn.utils.rnn.pad_sequence([mel.T for mel in mels], batch_first=True).transpose(1, 2)
        hidden = self._embed(padded, 0)
        place = torch.arange(hidden.shape[1], device=hidden.device)
        mask = (place < lengths[:, None])[:, None, None, :]
        chunk_frames = int(self.config.audio_chunk_length * ENCODED_PER_S)
        if chunk_frames > 0:
            horizon = (place // chunk_frames + 1) * chunk_frames
            mask = mask & (place < horizon[:, None])

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)

        for layer in self.layers:
            hidden = layer(hidden, attend)
        encoded: Tensor = self.layer_norm(hidden)
        return encoded

    def stream(self, mels: Sequence[Tensor], states: Sequence[AudioState]) -> list[Tensor]:
        """Encode one unit of each session, after what its state remembers, and remember it.

        Args:
            mels: for each session [M, F], F at least 1; it may differ.
            states: for each session its own. One that would reach the last position forgets everything and starts
                again at position 0, as the original does.

        Returns:
            for each session [T, D], T = ceil(F / 2).
        """
        n_frames = [(mel.shape[1] + 1) // 2 for mel in mels]
        for n, state in zip(n_frames, states, strict=True):
            if state.length + n >= self.config.max_source_positions:
                state.clear()
        starts = [state.length for state in states]
        # Sessions lie one after another, without padding; only attention needs to tell them apart.
        hidden = torch.cat([self._embed(mel[None], start)[0] for mel, start in zip(mels, starts, strict=True)])
        caches = [self._room(state, start + n) for state, start, n in zip(states, starts, n_frames, strict=True)]
        for index, layer in enumerate(self.layers):
            hidden = layer(hidden, _attend_by_session(index, caches, starts, n_frames))
        return list(self.layer_norm(hidden).split(n_frames))

    def _embed(self, mel: Tensor, start: int) -> Tensor:
        """Mel frames [B, M, F] to encoder frames [B, T, D] at places start…start + T − 1."""
        weight = self.conv1.weight
        hidden = functional.gelu(self.conv2(functional.gelu(self.conv1(mel.to(weight))))).transpose(1, 2)
        end = start + hidden.shape[1]
        if end > self.config.max_source_positions:
            raise ValueError(
                f"a clip of {end} encoder frames is longer than the {self.config.max_source_positions} places that the "
                "encoder knows; cut it into shorter clips"
            )
        placed: Tensor = hidden + self.embed_positions.weight[start:end]
        return placed

    def _room(self, state: AudioState, n: int) -> KvCache:
        """The session's cache with room for n frames. It doubles as the turn goes on: most turns are short."""
        held = state.cache
        if held is not None and held.capacity >= n:
            return held
        config, weight = self.config, self.conv1.weight
        capacity = min(max(n, 2 * held.capacity if held else 0), config.max_source_positions)
        n_heads = config.encoder_attention_heads
        cache = KvCache(
            config.encoder_layers,
            n_heads,
            config.d_model // n_heads,
            capacity,
            device=weight.device,
            dtype=weight.dtype,
        )
        if held is not None:
            cache.keys[:, :, : held.length] = held.keys[:, :, : held.length]
            cache.values[:, :, : held.length] = held.values[:, :, : held.length]
            cache.length = held.length
        state.cache = cache
        return cache


def _attend_by_session(layer: int, caches: Sequence[KvCache], starts: Sequence[int], n_frames: Sequence[int]) -> Attend:
    """Attention in which each session reads its own cache, to which its new frames are added first."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        parts = (torch.split(tensor, list(n_frames), dim=1) for tensor in (q, k, v))
        read = []
        for cache, start, queries, keys, values in zip(caches, starts, *parts, strict=True):
            cache.write(layer, start, keys, values)
            seen = cache.read(layer, start + keys.shape[1])
            read.append(functional.scaled_dot_product_attention(queries[None], seen[0][None], seen[1][None])[0])
        return torch.cat(read, dim=1)

    return attend


class AudioLayer(nn.Module):
    """Pre-norm attention and MLP."""

    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        width = config.d_model
        self.self_attn = AudioAttention(width, config.encoder_attention_heads)
        self.self_attn_layer_norm = nn.LayerNorm(width, config.layer_norm_eps)
        self.fc1 = nn.Linear(width, config.encoder_ffn_dim)
        self.fc2 = nn.Linear(config.encoder_ffn_dim, width)
        self.final_layer_norm = nn.LayerNorm(width, config.layer_norm_eps)

    def forward(self, hidden: Tensor, attend: Attend) -> Tensor:
        """[..., T, D] to the same."""
        hidden = hidden + self.self_attn(self.self_attn_layer_norm(hidden), attend)
        hidden = hidden + self.fc2(functional.gelu(self.fc1(self.final_layer_norm(hidden))))
        # Whisper's largest channels overflow in float16 alone; the original clamps them there as well.
        return hidden.clamp(-_LARGEST_HALF, _LARGEST_HALF) if hidden.dtype is torch.float16 else hidden


class AudioAttention(nn.Module):
    """Projections of Whisper's attention; keys have no bias. Who sees whom is the caller's matter."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.q_proj, self.k_proj = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.v_proj, self.out_proj = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, hidden: Tensor, attend: Attend) -> Tensor:
        """[..., T, D] to the same."""
        q, k, v = (
            projection(hidden).unflatten(-1, (self.n_heads, -1)).transpose(-3, -2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed: Tensor = self.out_proj(attend(q, k, v).transpose(-3, -2).flatten(-2))
        return mixed


class AudioProjector(nn.Module):
    """Encoder frames into the language model's space: the released `audio_projection_layer.`, then pooling."""

    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        self.pool_step = config.audio_pool_step
        self.linear1 = nn.Linear(config.projection_dim, config.output_dim)
        self.linear2 = nn.Linear(config.output_dim, config.output_dim)

    def forward(self, encoded: Tensor) -> Tensor:
        """[T, C] of one clip to [n_audio_tokens, D]: means over pool_step frames; what is left over is dropped."""
        projected: Tensor = self.linear2(functional.relu(self.linear1(encoded)))
        n_frames, width = projected.shape
        n_tokens = n_frames // self.pool_step
        return projected[: n_tokens * self.pool_step].view(n_tokens, self.pool_step, width).mean(1)
