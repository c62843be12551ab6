from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain, repeat
from types import SimpleNamespace

import numpy as np
import pytest
import soxr

from omni.packaged.speaking import shaping
from omni.packaged.speaking.likeness import Likeness
from omni.packaged.speaking.shaping import Shaping
from omni.packaged.speaking.synthesizer import Synthesizer
from omni.packaged.speaking.understood import Listener
from omni.packaged.speaking.voices import Shape, shaped
from omni.timing import Timing
from omni.types import Pcm, Voice

RATE = Timing().input_rate
pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def synthesizer() -> Synthesizer:
    return Synthesizer()


@pytest.fixture(scope="module")
def quick(synthesizer: Synthesizer) -> Iterator[Shaping]:
    """A search that is too short to be good, and long enough to be better; whatever it finds is understood."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shaping, "Listener", _hears(repeat(0)))
        patch.setattr(shaping, "_ROUNDS", 1)
        patch.setattr(shaping, "_FORMANTS", (0.75, 0.9))
        patch.setattr(shaping, "_COLOURS", (1.0,))
        patch.setattr(shaping, "_SAMPLE", shaping._SAMPLE.partition(".")[0])
        yield Shaping(synthesizer)


@pytest.fixture(scope="module")
def clips(synthesizer: Synthesizer) -> tuple[Pcm, Pcm]:
    """Two clips of somebody larger than any built-in voice, who speaks with little melody."""
    voice = shaped("stranger", Shape(pitch=0.9, melody=0.6))
    texts = (
        "My sister has lived in a small town near the coast for years.",
        "He bought some bread and a bottle of milk.",
    )
    first, second = (soxr.resample(_said(synthesizer, voice, text), RATE, round(1.5 * RATE)) for text in texts)
    return np.asarray(first, np.float32), np.asarray(second, np.float32)


@pytest.fixture(scope="module")
def voice(quick: Shaping, clips: tuple[Pcm, Pcm]) -> Voice:
    return quick.voice("stranger", clips[0])


def _hears(missed: Iterator[int]) -> Callable[[], SimpleNamespace]:
    """Somebody else than the recogniser who listens to the sentences."""
    return lambda: SimpleNamespace(missed=lambda sounds: next(missed))


def _said(synthesizer: Synthesizer, voice: Voice, text: str) -> Pcm:
    pcm = synthesizer.speak(text, voice).pcm
    return np.asarray(soxr.resample(pcm, Timing().output_rate, RATE), np.float32)


def test_a_shaped_voice_is_more_like_its_reference_in_other_words(
    voice: Voice, clips: tuple[Pcm, Pcm], synthesizer: Synthesizer
) -> None:
    before, after = voice.state["likeness"]
    assert after > before
    likeness, text = Likeness(), "There are seven days in a week, and four weeks in a month."
    wanted = likeness.print_of(clips[1])
    best = max(float(wanted @ likeness.print_of(_said(synthesizer, one, text))) for one in synthesizer.voices)
    assert float(wanted @ likeness.print_of(_said(synthesizer, voice, text))) > best + 0.03


def test_pitch_and_melody_are_the_measured_ones(voice: Voice) -> None:
    shape = Shape.of(voice)
    assert shape.pitch == pytest.approx(0.6, rel=0.2)
    assert shape.melody < 0.9


def test_the_same_reference_makes_the_same_voice(quick: Shaping, clips: tuple[Pcm, Pcm], voice: Voice) -> None:
    again = quick.voice("stranger", clips[0])
    assert again.state.keys() == voice.state.keys() == {"shape", "timbre", "likeness"}
    for name in again.state:
        assert np.array_equal(again.state[name], voice.state[name])


def test_what_makes_words_unintelligible_is_taken_back(
    quick: Shaping, clips: tuple[Pcm, Pcm], voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the second that is heard is the synthesizer's own voice
    monkeypatch.setattr(shaping, "Listener", _hears(chain([9, 0], repeat(2))))
    plain = quick.voice("stranger", clips[0])
    # measured pitch and pace stay; nothing that was searched for does
    assert Shape.of(plain).pace == Shape.of(voice).pace
    assert Shape.of(plain).breath == 0
    assert not plain.state["timbre"].any()


@pytest.mark.parametrize(("missed", "taken"), [((1,), 0), ((2, 1), 0), ((2, 0, 2, 1), 2)])
def test_the_first_that_is_understood_as_well_as_the_own_voice_is_taken(
    quick: Shaping, clips: tuple[Pcm, Pcm], monkeypatch: pytest.MonkeyPatch, missed: tuple[int, ...], taken: int
) -> None:
    heard = iter(missed)
    monkeypatch.setattr(shaping, "Listener", _hears(heard))
    start = shaping._START
    tried = [start, start + shaping._STEP, start - shaping._STEP]
    assert quick._understood(tried, start, quick._measured(clips[0])) is tried[taken]
    assert list(heard) == []


def test_the_recogniser_understands_the_own_voice(
    quick: Shaping, clips: tuple[Pcm, Pcm], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shaping, "Listener", Listener)
    monkeypatch.setattr(shaping, "_SHARES", ())
    plain = np.zeros(len(shaping._START))
    assert quick._understood([plain], plain, quick._measured(clips[0])) is plain


def test_candidates_that_are_listened_to_are_not_much_alike() -> None:
    near, far = shaping._START + 0.1 * shaping._STEP, shaping._START + shaping._STEP
    chosen = shaping._apart([shaping._START, near, far, far + 0.1 * shaping._STEP])
    assert len(chosen) == 2
    assert chosen[1] is far


def test_it_is_never_less_like_than_a_built_in_voice(
    quick: Shaping, synthesizer: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # nothing that is found is understood
    monkeypatch.setattr(shaping, "Listener", _hears(chain([9, 0], repeat(2))))
    oak = synthesizer.voices[1]
    voice = quick.voice("like oak", _said(synthesizer, oak, "My sister has lived in a small town near the coast."))
    before, after = voice.state["likeness"]
    assert after == before
    assert replace(Shape.of(voice), pace=1.0) == Shape.of(oak)
    assert "timbre" not in voice.state


@pytest.mark.parametrize("seconds", [0, 1, 10])
def test_without_speech_no_voice_can_be_made(quick: Shaping, seconds: int) -> None:
    with pytest.raises(ValueError, match="too little speech in the recording"):
        quick.voice("nobody", np.zeros(seconds * RATE, np.float32))
