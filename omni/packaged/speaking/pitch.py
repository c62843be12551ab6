"""How high somebody speaks: the pitch of recorded speech, by how like itself it is a period later."""

import numpy as np
import numpy.typing as npt

from omni.timing import Timing
from omni.types import Pcm

LOWEST_HZ, HIGHEST_HZ = 60, 500
_WINDOW_S = 0.04
_HOP_S = 0.01
_VOICED = 0.55
"""self-similarity of a window that has a pitch"""
_AS_GOOD = 0.96
"""share of the greatest similarity at which a shorter period is preferred: two periods are one, too"""
_QUIET = 10 ** (-25 / 10)


def pitches(pcm: Pcm) -> npt.NDArray[np.float64]:
    """Pitch in Hz of every 10 ms of speech [S] at Timing.input_rate that has one [V]."""
    rate = Timing().input_rate
    size, hop = round(_WINDOW_S * rate), round(_HOP_S * rate)
    if len(pcm) < size:
        return np.zeros(0)
    windows = np.lib.stride_tricks.sliding_window_view(pcm, size)[::hop].astype(np.float64)
    windows = windows - windows.mean(axis=1, keepdims=True)
    power = np.mean(np.square(windows), axis=1)
    windows = windows[power > np.quantile(power, 0.95) * _QUIET]
    spectrum = np.fft.rfft(windows, 2 * size)
    similar = np.fft.irfft(spectrum.real**2 + spectrum.imag**2)[:, : rate // LOWEST_HZ + 2]
    # the longer the period, the less of the window is compared
    similar /= np.maximum(similar[:, :1], 1e-12) * (1 - np.arange(similar.shape[1]) / size)
    lags = np.arange(rate // HIGHEST_HZ, rate // LOWEST_HZ + 1)
    middle, before, after = similar[:, lags], similar[:, lags - 1], similar[:, lags + 1]
    peaks = np.where((middle >= before) & (middle >= after), middle, 0)
    best = peaks.max(axis=1, initial=0)
    first = np.argmax(peaks >= best[:, None] * _AS_GOOD, axis=1)
    found: npt.NDArray[np.float64] = rate / lags[first][best > _VOICED]
    return found
