"""What a person who listens to a page understands."""

from difflib import SequenceMatcher
from functools import cache

import numpy as np

from omni.audio.resample import Resampler
from omni.packaged.hearing.recogniser import Recogniser
from omni.timing import Timing
from tests.browser.chromium import Recording


@cache
def recogniser() -> Recogniser:
    """Loaded once."""
    return Recogniser()


def understood(recording: Recording) -> str:
    """What a listener understands of a recording."""
    resampler = Resampler(recording.rate, Timing().input_rate)
    utterance = recogniser().open()
    utterance.add(np.concatenate([resampler.push(recording.samples), resampler.flush()]))
    return utterance.transcribe()


def likeness(one: str, other: str) -> float:
    """0 to 1: how far two texts are the same words."""
    words = ["".join(c for c in text.lower() if c.isalnum() or c == " ").split() for text in (one, other)]
    return SequenceMatcher(a=words[0], b=words[1]).ratio()
