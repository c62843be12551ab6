import numpy as np
import pytest
import soxr

from omni.packaged.speaking.synthesizer import Synthesizer
from omni.packaged.speaking.understood import SENTENCES, Listener
from omni.packaged.speaking.voices import Shape, render
from omni.timing import Timing
from omni.types import Pcm

RATE = Timing().input_rate
pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def sounds() -> list[Pcm]:
    synthesizer, timing = Synthesizer(), Timing()
    spoken = [render(synthesizer.spectra(phonemes, 1.0)[0], Shape())[0] for _, phonemes in SENTENCES]
    return [np.asarray(soxr.resample(pcm, timing.output_rate, RATE), np.float32) for pcm in spoken]


def test_what_is_heard_wrongly_is_counted(sounds: list[Pcm]) -> None:
    listener = Listener()
    assert listener.missed(sounds) <= 1
    n_words = [len(text.split()) for text, _ in SENTENCES]
    silent = [np.zeros(RATE, np.float32)] * len(SENTENCES)
    assert listener.missed(silent) == sum(n_words)
    swapped = [sounds[1], sounds[0], *sounds[2:]]
    assert listener.missed(swapped) >= min(n_words[:2])
