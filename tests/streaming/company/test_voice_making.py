"""From bytes to a voice, and every reason why not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from omni.audio.reference import Checks, Reference
from omni.packaged.files import MissingModelError
from omni.types import Pcm, Voice
from streaming.company import voice_making
from streaming.company.voice_making import (
    LIMITS,
    Made,
    Recording,
    VoiceMaker,
    check_recording,
    checks_object,
    similarity_object,
)
from streaming.company.voices import VoiceError, Voices, Wish
from tests.fakes import ScriptedModel
from tests.recordings import RATE, hum, loudness, wav


class Cloner(ScriptedModel):
    """Remembers what it was given."""

    def __init__(self, name: str = "scripted") -> None:
        super().__init__()
        self.capabilities = replace(self.capabilities, name=name, makes_voices="clones")
        self.given: list[Pcm] = []
        self.refuses: Exception | None = None

    def prepare_voice(self, name: str, reference: Pcm) -> Voice:
        if self.refuses:
            raise self.refuses
        self.given.append(reference)
        return Voice(name, state={"length": np.array([len(reference)], np.float32)})


@pytest.fixture
def library(tmp_path: Path) -> Voices:
    return Voices(tmp_path, Cloner().capabilities)


def one(pcm: Pcm) -> bool:
    """One person speaks."""
    return False


def make(model: ScriptedModel, library: Voices, name: str = "New", data: bytes | None = None) -> Made:
    recording = check_recording(wav(hum(8.0)) if data is None else data, loudness, one)
    return VoiceMaker(model).make(library.of(None).record_of(Wish(name, "self", language="de")), recording)


def problem(data: bytes) -> str:
    with pytest.raises(VoiceError) as refused:
        check_recording(data, loudness, one)
    return refused.value.code


def test_a_recording_becomes_a_voice(library: Voices) -> None:
    model = Cloner()
    made = make(model, library)
    assert (made.voice.name, made.voice.language) == ("New", "de")
    pcm, rate = made.reference
    assert rate == RATE
    assert made.record.seconds == pytest.approx(len(pcm) / RATE)
    assert len(model.given[0]) == pytest.approx(made.record.seconds * model.timing.input_rate, abs=2)
    assert set(checks_object(made.checks)) == {
        "speech_s",
        "trimmed_before_s",
        "trimmed_after_s",
        "level_db",
        "above_noise_db",
    }


def test_the_longest_recording_is_no_sample_too_long_for_a_family(library: Voices) -> None:
    model = Cloner()
    longest = hum(LIMITS["longest_s"] + 1 / 11_025, rate=11_025)
    recording = Recording(Reference(longest, Checks(20.0, 0.0, 0.0, -20.0, 40.0)), 11_025)
    VoiceMaker(model).make(library.of(None).record_of(Wish("New", "self")), recording)
    assert len(model.given[0]) == LIMITS["longest_s"] * model.timing.input_rate


def test_a_model_may_tell_how_like_its_recording_a_voice_is() -> None:
    assert similarity_object(Voice("plain")) is None
    shaped = Voice("shaped", state={"likeness": np.array([0.61234, 0.8], np.float32)})
    assert similarity_object(shaped) == {"before": 0.612, "after": 0.8}


def test_every_reason_has_a_code(library: Voices) -> None:
    assert problem(b"no sound") == "invalid_audio"
    assert problem(wav(hum(2.0))) == "voice_too_short"
    assert problem(wav(hum(LIMITS["longest_s"] + 5))) == "voice_too_long"
    assert problem(wav(hum(2 * LIMITS["longest_s"] + 5))) == "voice_too_long"
    assert problem(wav(np.zeros(8 * RATE, np.float32))) == "voice_silent"
    assert problem(wav(np.clip(hum(8.0, level=2.0), -1, 1))) == "voice_clipped"
    assert problem(wav(hum(8.0, hush=0.05))) == "voice_noisy"
    with pytest.raises(VoiceError) as refused:
        check_recording(wav(hum(8.0)), loudness, lambda _: True)
    assert refused.value.code == "voice_several_speakers"


def test_what_a_model_says_of_a_recording_is_told(library: Voices) -> None:
    model = Cloner()
    model.refuses = ValueError("it hums")
    with pytest.raises(VoiceError, match="it hums") as refused:
        make(model, library)
    assert refused.value.code == "invalid_audio"
    plain = ScriptedModel()
    plain.capabilities = replace(plain.capabilities, makes_voices=None)
    with pytest.raises(VoiceError) as refused:
        make(plain, library)
    assert refused.value.code == "voices_not_made"


def test_voices_of_another_model_are_prepared_for_this_one(library: Voices, tmp_path: Path) -> None:
    for name in ("One", "Two", "Broken"):
        made = make(Cloner(), library, name)
        entry = library.add(made.record, made.reference, made.voice)
    (tmp_path / entry.id / "reference.flac").write_bytes(b"junk")
    model = Cloner("another")
    other = Voices(tmp_path, model.capabilities)
    other.look()
    assert other.of(None).voices() == ("plain", "other")
    for entry in other.unprepared():
        VoiceMaker(model).prepare(other, entry)
    assert len(model.given) == 2
    assert set(other.of(None).voices()) == {"plain", "other", "One", "Two"}
    assert "reference.flac" in (next(one.problem for one in other.kept() if one.name == "Broken") or "")
    # the first model finds its own as they were
    again = Voices(tmp_path, Cloner().capabilities)
    again.look()
    assert len(again.of(None).voices()) == 5


@pytest.mark.parametrize("error", [ValueError("it is too short"), RuntimeError("out of memory")])
def test_a_model_that_fails_with_one_voice_is_not_asked_again(
    library: Voices, tmp_path: Path, error: Exception
) -> None:
    made = make(Cloner(), library, "One")
    library.add(made.record, made.reference, made.voice)
    model = Cloner("another")
    model.refuses = error
    other = Voices(tmp_path, model.capabilities)
    other.look()
    for entry in other.unprepared():
        VoiceMaker(model).prepare(other, entry)
    assert not other.unprepared()
    assert str(error) in (other.kept()[0].problem or "")


def test_without_the_model_that_tells_people_apart_voices_are_made_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing() -> None:
        raise MissingModelError("resemblyzer is not installed")

    monkeypatch.setattr(voice_making, "_likeness", missing)
    assert voice_making.several_speakers(hum(4.0)) is False
    assert "resemblyzer is not installed" in caplog.text
