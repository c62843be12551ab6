"""A recording played to the real session, with a scripted model."""

import json

import numpy as np
import pytest

from streaming.gateway.loopback import PlayResult, play
from streaming.tdm.dialogue import text_of
from tests.fakes import ScriptedModel, read, say, silence
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


async def test_what_is_typed_follows_the_answer_to_the_recording() -> None:
    result = await play(ScriptedModel(), Loudness(), recording=say("one"), text="and two")
    assert spoken(result) == ["one", "You said one .", "and two", "You said and two ."]


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
