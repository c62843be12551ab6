"""Sample-rate conversion of a live stream, with little delay. One Resampler per stream."""

from functools import lru_cache
from math import gcd

import numpy as np
import numpy.typing as npt

from omni.types import Pcm

HALF_WIDTH = 32
"""input samples (of the slower rate) on either side of an output sample: 1.3 ms at 24 kHz"""
KAISER_BETA = 7.0
"""images lie about 70 dB below the sound: less than a telephone's own noise"""
CUTOFF = 0.9
"""of the lower Nyquist frequency, so that the slope ends near it"""


class Resampler:
    """Convert a stream piece by piece; how it was cut does not change a bit of the output.

    Args:
        from_rate: Hz, of what is pushed.
        to_rate: Hz, of what comes out.

    Raises:
        ValueError: a rate is not positive.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        if from_rate <= 0 or to_rate <= 0:
            raise ValueError(f"cannot convert {from_rate} Hz to {to_rate} Hz; rates must be positive")
        common = gcd(from_rate, to_rate)
        self._up, self._down = to_rate // common, from_rate // common
        self._half = 0 if self._up == self._down else -(-HALF_WIDTH * self._down // min(self._up, self._down))
        self._kernels = polyphase(self._up, self._down, self._half)
        self._pending: Pcm = self._silence_before()
        self._n_pushed = 0
        self._n_emitted = 0

    def push(self, pcm: Pcm) -> Pcm:
        """Take samples [S] at from_rate; return what can be computed of the output at to_rate."""
        if self._up == self._down:
            return pcm
        self._pending = np.concatenate([self._pending, pcm])
        self._n_pushed += len(pcm)
        # Output n lies at input n * down / up and hears `half` samples on either side.
        n_ready = -(-(self._n_pushed - self._half) * self._up // self._down)
        return self._emit(max(n_ready, self._n_emitted))

    def flush(self) -> Pcm:
        """The rest of the output, then start anew: in all ceil(S * to_rate / from_rate) samples."""
        if self._up == self._down:
            return np.zeros(0, np.float32)
        self._pending = np.concatenate([self._pending, np.zeros(self._half, np.float32)])
        rest = self._emit(-(-self._n_pushed * self._up // self._down))
        self._pending = self._silence_before()
        self._n_pushed = self._n_emitted = 0
        return rest

    def _silence_before(self) -> Pcm:
        return np.zeros(max(0, self._half - 1), np.float32)

    def _emit(self, until: int) -> Pcm:
        if until == self._n_emitted:
            return np.zeros(0, np.float32)
        # self._pending starts where the next output's kernel starts.
        base = self._n_emitted * self._down // self._up
        output = np.empty(until - self._n_emitted, np.float32)
        for first in range(self._n_emitted, min(until, self._n_emitted + self._up)):
            # Every `up`-th output has the same kernel, `down` samples further on.
            start, phase = divmod(first * self._down, self._up)
            rows = output[first - self._n_emitted :: self._up]
            heard: Pcm = np.ndarray(
                (len(rows), 2 * self._half), np.float32, self._pending, (start - base) * 4, (self._down * 4, 4)
            )
            # A product for each row, not one of matrices: there BLAS adds in an order that depends on the shape.
            np.vecdot(heard, self._kernels[phase], out=rows)
        self._n_emitted = until
        self._pending = self._pending[until * self._down // self._up - base :]
        return output


@lru_cache
def polyphase(up: int, down: int, half: int) -> npt.NDArray[np.float32]:
    """Kernels [up, 2 half]: a Kaiser-windowed sinc for each position between two input samples."""
    distance = np.arange(1 - half, half + 1) - np.arange(up)[:, None] / up
    cutoff = CUTOFF * min(1.0, up / down)
    inside = np.clip(1.0 - (distance / half) ** 2, 0.0, None)
    kernels = cutoff * np.sinc(cutoff * distance) * np.i0(KAISER_BETA * np.sqrt(inside)) / np.i0(KAISER_BETA)
    # Each phase passes constant input unchanged, or the phases would hum.
    return np.asarray(kernels / kernels.sum(1, keepdims=True), np.float32)
