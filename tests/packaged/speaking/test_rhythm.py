import numpy as np
import pytest

from omni.packaged.speaking.rhythm import syllables_per_s
from omni.timing import Timing
from omni.types import Pcm

RATE = Timing().input_rate


def _babble(per_s: float, seconds: float = 4.0) -> Pcm:
    """A vowel that swells and fades."""
    at = np.arange(round(seconds * RATE)) / RATE
    vowel = np.sin(2 * np.pi * 700 * at) + np.sin(2 * np.pi * 1200 * at)
    return np.asarray(0.1 * vowel * (0.55 - 0.45 * np.cos(2 * np.pi * per_s * at)), np.float32)


@pytest.mark.parametrize("per_s", [3, 5, 7])
def test_syllables_are_counted(per_s: float) -> None:
    assert syllables_per_s(_babble(per_s)) == pytest.approx(per_s, rel=0.2)


def test_loudness_and_pauses_do_not_count() -> None:
    quiet = np.concatenate([_babble(5), np.zeros(4 * RATE, np.float32), _babble(5)]) * np.float32(0.1)
    assert syllables_per_s(quiet) == pytest.approx(syllables_per_s(_babble(5)), rel=0.1)


def test_silence_has_none() -> None:
    assert syllables_per_s(np.zeros(RATE, np.float32)) == 0
