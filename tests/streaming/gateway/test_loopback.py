"""A recording played to the real session, with a scripted model."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streaming.gateway.loopback import PlayResult, RecordingError, play, read_recording, write_sound
from streaming.tdm.dialogue import text_of
from tests.fakes import TIMING, ScriptedModel, read, say, silence
from tests.streaming.gateway.place import Loudness


def spoken(result: PlayResult) -> list[str]:
    return [text_of(item.parts).strip() for item in result.items]


async def test_a_recorded_question_is_answered() -> None:
    model = ScriptedModel()
    result = await play(model, Loudness(), recording=say("what time is it"))
    assert spoken(result) == ["what time is it", "You said what time is it ."]
    assert read(result.pcm) == "You said what time is it ."
    answer = result.answers[0]
    assert answer.status == "completed"
    assert answer.speech_ended_s is not None
    assert answer.decided_s is not None
    assert answer.speech_ended_s == pytest.approx(4 * 0.24, abs=0.1)
    assert answer.decided_s > answer.speech_ended_s
    assert answer.first_audio_compute_s is not None
    assert {"hear", "listen", "think", "speak"} <= set(result.compute_s)
    assert not result.faults
    assert not model.states


async def test_two_questions_in_one_recording_are_two_turns() -> None:
    recording = np.concatenate((say("one"), silence(6), say("two"), silence(1)))
    result = await play(ScriptedModel(), Loudness(), recording=recording)
    assert spoken(result) == ["one", "You said one .", "two", "You said two ."]
    assert read(result.pcm) == "You said one . You said two ."
    assert len(result.answers) == 2


async def test_a_typed_question_and_a_picture() -> None:
    model = ScriptedModel(answer=lambda state, text: f"{text} {state.n_images}")
    result = await play(model, Loudness(), text="look", image=np.zeros((4, 4, 3), np.uint8))
    assert spoken(result) == ["look", "look 1"]
    assert result.answers[0].speech_ended_s is None


async def test_the_camera_shows_its_picture_while_the_recording_lasts() -> None:
    model = ScriptedModel(answer=lambda state, text: f"{state.n_images} images")
    question = say("what do you see here now that it is day")
    result = await play(model, Loudness(), recording=question, image=np.zeros((4, 4, 3), np.uint8))
    assert int(spoken(result)[1].split()[0]) >= 2


async def test_silence_is_answered_by_nobody_and_ends() -> None:
    result = await play(ScriptedModel(), Loudness(), recording=silence(2))
    assert (result.items, result.answers, len(result.pcm)) == ((), (), 0)
    assert result.media_s < 10


async def test_a_model_that_fails_is_told_as_a_fault() -> None:
    model = ScriptedModel()
    model.fail = RuntimeError("the model stumbled")
    result = await play(model, Loudness(), text="hello")
    assert result.answers[0].status == "failed"


async def test_the_result_can_be_printed() -> None:
    result = await play(ScriptedModel(), Loudness(), text="hello")
    assert json.loads(json.dumps(result.as_dict()))["items"][0]["text"] == "hello"
    assert result.as_text() == "user: hello\nassistant: You said hello ."


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (16_000, 2), (44_100, 2), (48_000, 1)])
def test_any_rate_and_any_channels_are_read(tmp_path: Path, rate: int, channels: int) -> None:
    path = tmp_path / "a.wav"
    tone = 0.5 * np.sin(2 * np.pi * 220 * np.arange(rate) / rate)
    soundfile.write(path, np.stack([tone] * channels, axis=1), rate)
    pcm = read_recording(path, TIMING)
    assert pcm.dtype == np.float32
    assert len(pcm) == pytest.approx(TIMING.input_rate, rel=0.01)
    spectrum = np.abs(np.fft.rfft(pcm[: TIMING.input_rate]))
    assert np.argmax(spectrum) == pytest.approx(220, abs=2)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"RIFF\x24\x00\x00\x00WAVEfmt ", b"\xff" * 5_000, "hé".encode()])
def test_what_is_no_recording_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "question.wav"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"question\.wav"):
        read_recording(path, TIMING)


def test_an_absent_or_empty_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no file"):
        read_recording(tmp_path / "absent.wav", TIMING)
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, np.float32), TIMING.input_rate)
    with pytest.raises(RecordingError, match="no sound"):
        read_recording(tmp_path / "empty.wav", TIMING)


def test_what_was_said_can_be_written_and_read_again(tmp_path: Path) -> None:
    pcm = say("hello", TIMING.output_rate)
    write_sound(tmp_path / "answer.wav", pcm, TIMING)
    sound, rate = soundfile.read(tmp_path / "answer.wav", dtype="float32")
    assert rate == TIMING.output_rate
    assert np.allclose(sound, pcm, atol=1e-4)
    with pytest.raises(OSError, match="answer"):
        write_sound(tmp_path / "no" / "answer.wav", pcm, TIMING)
