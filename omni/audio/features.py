"""Log-mel spectrogram as Whisper was trained on it. Constants are the checkpoint's, not ours to tune."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from omni.timing import Timing, exact_div
from omni.types import Pcm

Mel = npt.NDArray[np.float32]
"""[M, F]: mel bands, then mel frames"""

N_MELS = 80
N_FFT = 400
"""samples under one Hann window: 25 ms"""
HOP_SAMPLES = 160
"""one mel frame: 10 ms"""
FRAMES_PER_S = exact_div(Timing().input_rate, HOP_SAMPLES)

POWER_FLOOR = 1e-10
RANGE = 8.0
"""decades below the loudest value that are kept"""

# The Slaney mel scale: linear below 1 kHz, logarithmic above.
LINEAR_HZ_PER_MEL = 200.0 / 3.0
LOG_START_HZ = 1_000.0
LOG_STEP = np.log(6.4) / 27.0


def log_mel(pcm: Pcm) -> Mel:
    """Decades of power in each mel band, before Whisper's clamp and scale.

    Args:
        pcm: [S] at Timing.input_rate; silence is taken to follow it.

    Returns:
        [80, F] with F = ceil((S + N_FFT / 2) / HOP_SAMPLES): every frame that hears a sample of it.
    """
    n_frames = -(-(len(pcm) + N_FFT // 2) // HOP_SAMPLES)
    # Whisper mirrors the start (torch.stft's centring) and pads the end with silence.
    before = np.pad(pcm[1 : N_FFT // 2 + 1][::-1], (max(0, N_FFT // 2 + 1 - max(len(pcm), 1)), 0))
    after = np.zeros((n_frames - 1) * HOP_SAMPLES + N_FFT - len(before) - len(pcm), np.float32)
    padded = np.concatenate([before, pcm, after])
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP_SAMPLES]
    spectrum = np.fft.rfft(frames * hann())
    power = spectrum.real**2 + spectrum.imag**2
    mel = mel_filters() @ power.T
    return np.asarray(np.log10(np.maximum(mel, POWER_FLOOR)), np.float32)


def normalise(decades: Mel) -> Mel:
    """Clamp to eight decades below the loudest value and scale, as Whisper's encoder expects.

    Args:
        decades: [80, F] from log_mel.

    Returns:
        [80, F], a span of 2 with its top near 1.
    """
    loudest = decades.max(initial=np.log10(POWER_FLOOR))
    return np.asarray((np.maximum(decades, loudest - RANGE) + 4.0) / 4.0, np.float32)


@lru_cache
def hann() -> npt.NDArray[np.float32]:
    """Periodic Hann window [N_FFT]."""
    return np.asarray(0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(N_FFT) / N_FFT), np.float32)


@lru_cache
def mel_filters(n_mels: int = N_MELS) -> npt.NDArray[np.float32]:
    """Triangles of equal area [n_mels, N_FFT / 2 + 1], evenly spaced on the Slaney mel scale."""
    nyquist_hz = Timing().input_rate / 2
    edges_hz = _mel_to_hz(np.linspace(0.0, _hz_to_mel(nyquist_hz), n_mels + 2))
    bins_hz = np.linspace(0.0, nyquist_hz, N_FFT // 2 + 1)
    lower, centre, upper = (edges_hz[i : i + n_mels, None] for i in range(3))
    rising = (bins_hz - lower) / (centre - lower)
    falling = (upper - bins_hz) / (upper - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return np.asarray(triangles * 2.0 / (upper - lower), np.float32)


def _hz_to_mel(hz: float) -> float:
    if hz < LOG_START_HZ:
        return hz / LINEAR_HZ_PER_MEL
    return float(LOG_START_HZ / LINEAR_HZ_PER_MEL + np.log(hz / LOG_START_HZ) / LOG_STEP)


def _mel_to_hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    log_start = LOG_START_HZ / LINEAR_HZ_PER_MEL
    return np.where(mel < log_start, mel * LINEAR_HZ_PER_MEL, LOG_START_HZ * np.exp(LOG_STEP * (mel - log_start)))
