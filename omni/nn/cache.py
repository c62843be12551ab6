"""One session's memory of attention: keys and values, written in place, cut back by a number, dropped anywhere."""

from copy import copy

import torch
from torch import Tensor


class KvCache:
    """Keys and values of every layer for one session.

    Attributes:
        keys: [L, H, C, D] with C the capacity; keys carry their rotary position already.
        values: [L, H, C, D].
        length: slots in use, counted from 0.
    """

    def __init__(
        self,
        n_layers: int,
        n_kv_heads: int,
        head_dim: int,
        capacity: int,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        shape = (n_layers, n_kv_heads, capacity, head_dim)
        # Zeros, not garbage: the talker reads slots that were never filled, and a NaN would get past any mask.
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros(shape, device=device, dtype=dtype)
        self.length = 0

    @property
    def capacity(self) -> int:
        """Slots that there is room for."""
        return self.keys.shape[2]

    @property
    def nbytes(self) -> int:
        """Memory held, used or not."""
        return self.keys.nbytes + self.values.nbytes

    def write(self, layer: int, start: int, keys: Tensor, values: Tensor) -> None:
        """Put keys and values [H, T, D] of one layer into the slots from `start` on; `length` grows to cover them.

        Raises:
            ValueError: there is no room; the session must be restarted or its oldest units dropped.
        """
        end = start + keys.shape[1]
        if end > self.capacity:
            raise ValueError(
                f"the cache holds {self.capacity} tokens and {end} are needed; reserve more, or begin anew"
            )
        self.keys[layer, :, start:end] = keys
        self.values[layer, :, start:end] = values
        self.length = max(self.length, end)

    def read(self, layer: int, n: int) -> tuple[Tensor, Tensor]:
        """The first n slots of one layer: keys and values [H, n, D], views into the cache."""
        return self.keys[layer, :, :n], self.values[layer, :, :n]

    def truncate(self, n: int) -> None:
        """Forget everything from slot n on. What lies there is overwritten before it is read again.

        Raises:
            ValueError: n is negative or beyond what is held.
        """
        if not 0 <= n <= self.length:
            raise ValueError(f"cannot cut to {n} tokens: {self.length} are held")
        self.length = n

    def forget(self, start: int, end: int) -> None:
        """Drop the slots [start, end) and move what lies behind them forward; Decoder.forget also turns its keys.

        Raises:
            ValueError: these are not slots in use.
        """
        if not 0 <= start <= end <= self.length:
            raise ValueError(f"cannot forget slots {start} to {end}: {self.length} are held")
        length = self.length - (end - start)
        for layer in (*self.keys, *self.values):
            # From and to overlap, hence the copy; of one layer at a time, so that it takes little memory.
            layer[:, start:length] = layer[:, end : self.length].clone()
        self.length = length

    def reserve(self, n: int) -> None:
        """Make room for n slots, at least doubling, so that a session holds no more memory than it came to need."""
        if n > self.capacity:
            self.keys, self.values = self._copied(max(n, 2 * self.capacity))

    def clone(self) -> "KvCache":
        """An equal cache that shares nothing with this one. Copies only what is in use."""
        twin = copy(self)
        twin.keys, twin.values = self._copied(self.capacity)
        return twin

    def _copied(self, capacity: int) -> tuple[Tensor, Tensor]:
        n_layers, n_kv_heads, _, head_dim = self.keys.shape
        keys, values = (kept.new_zeros(n_layers, n_kv_heads, capacity, head_dim) for kept in (self.keys, self.values))
        keys[:, :, : self.length] = self.keys[:, :, : self.length]
        values[:, :, : self.length] = self.values[:, :, : self.length]
        return keys, values
