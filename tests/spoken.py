"""Spoken material for tests, synthesised when it is needed: no recordings in the repository."""

from functools import lru_cache

import numpy as np
from hibari import SAMPLE_RATE, Hibari

from omni.audio.resample import Resampler
from omni.timing import Timing
from tests.chunks import Samples


@lru_cache
def say(text: str) -> Samples:
    """A sentence [S] at Timing.input_rate with its loudest sample at 0.5; the same every time."""
    pcm = np.asarray(_speaker()(text, seed=0), np.float32)
    resampler = Resampler(SAMPLE_RATE, Timing().input_rate)
    spoken = np.concatenate([resampler.push(pcm), resampler.flush()])
    loud = np.flatnonzero(np.abs(spoken) > 0.01 * np.abs(spoken).max())
    trimmed = spoken[loud[0] : loud[-1] + 1]
    return np.asarray(0.5 * trimmed / np.abs(trimmed).max(), np.float32)


@lru_cache
def _speaker() -> Hibari:
    return Hibari()
