import numpy as np
import pytest

from omni.packaged.speaking.pitch import pitches
from omni.timing import Timing
from omni.types import Pcm

RATE = Timing().input_rate


def _voice(hertz: float, seconds: float = 1.0) -> Pcm:
    """Harmonics that grow weaker, the fundamental missing as on a telephone."""
    at = np.arange(round(seconds * RATE)) / RATE
    tones = [np.sin(2 * np.pi * hertz * number * at + number) / number for number in range(2, 9)]
    return np.asarray(0.1 * np.sum(tones, axis=0), np.float32)


@pytest.mark.parametrize("hertz", [70, 110, 190, 320, 480])
def test_the_pitch_of_a_voice_is_found(hertz: float) -> None:
    found = pitches(_voice(hertz))
    assert len(found) > 90
    assert np.median(found) == pytest.approx(hertz, rel=0.03)


def test_noise_and_silence_have_none() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    assert len(pitches(noise)) < 5
    assert len(pitches(np.zeros(RATE, np.float32))) == 0
    assert len(pitches(np.zeros(10, np.float32))) == 0


def test_pauses_do_not_count() -> None:
    hiss = np.random.default_rng(0).normal(0, 1e-4, RATE).astype(np.float32)
    assert len(pitches(np.concatenate([_voice(150), hiss]))) == pytest.approx(len(pitches(_voice(150))), abs=8)
