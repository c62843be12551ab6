"""Conversations in which the client steers: by hand, in writing, with settings and an edited history."""

import numpy as np
import pytest

from omni.types import Voice
from streaming.commands import (
    AppendAudio,
    Cancel,
    Clear,
    Commit,
    CreateItem,
    DeleteItem,
    Respond,
    Update,
)
from streaming.events import (
    AudioPart,
    Fault,
    IdleTimedOut,
    Item,
    ResponseSpeech,
    ResponseStarted,
    ResponseText,
    Settings,
    SpeechStarted,
    TextPart,
    TurnDetection,
)
from tests.cast import Cast
from tests.fakes import ScriptedModel, Stage, ended, history, read, say, silence, transcripts

pytestmark = pytest.mark.usefixtures("traces_keep_the_grammar")

LONG = "one two three four five six seven eight nine ten eleven twelve"


async def test_push_to_talk() -> None:
    stage = Stage()
    client = await stage.join(settings=Settings(turn_detection=None))
    await client.do(Commit())
    await stage.hear((client, np.concatenate([say("good morning to you all my friends"), silence(1.0)])))
    assert not client.of(SpeechStarted, ResponseStarted)
    await client.do(Commit())
    await client.do(Respond())
    await stage.wait(5.0)
    assert [event.code for event in client.of(Fault) if isinstance(event, Fault)] == ["input_audio_buffer_commit_empty"]
    assert transcripts(client)[0] == ("user", "good morning to you all my friends")
    assert read(client.sound()) == "You said good morning to you all my friends ."


async def test_cleared_sound_is_forgotten() -> None:
    stage = Stage()
    client = await stage.join(settings=Settings(turn_detection=None))
    await stage.hear((client, say("this is a secret that nobody may know")))
    await client.do(Clear())
    await stage.hear((client, say("hello")))
    await client.do(Commit())
    assert transcripts(client) == [("user", "hello")]


async def test_text_in_and_text_out() -> None:
    stage = Stage()
    client = await stage.join(settings=Settings(speaks=False))
    await client.do(CreateItem(Item("item_1", "user", (TextPart("good evening"),))))
    await client.do(Respond())
    await stage.wait(0.5)
    assert (
        "".join(e.text for e in client.of(ResponseText) if isinstance(e, ResponseText)).strip()
        == "You said good evening ."
    )
    assert not client.of(ResponseSpeech)
    assert ended(client)[0].item.parts == (TextPart(" You said good evening ."),)


async def test_a_second_response_is_refused_and_cancel_stops_the_first() -> None:
    stage = Stage(ScriptedModel(answer=lambda state, text: LONG))
    client = await stage.join()
    await client.do(Cancel())
    await client.do(CreateItem(Item("item_1", "user", (TextPart("count"),))))
    await client.do(Respond())
    await stage.wait(0.5)
    await client.do(Respond())
    await client.do(Cancel())
    codes = [event.code for event in client.of(Fault) if isinstance(event, Fault)]
    assert codes == ["response_cancel_not_active", "conversation_already_has_active_response"]
    assert (ended(client)[0].status, ended(client)[0].reason) == ("cancelled", "client_cancelled")


async def test_history_is_replayed_when_it_was_edited() -> None:
    stage = Stage()
    client = await stage.join()
    await client.do(CreateItem(Item("item_1", "user", (TextPart("first"),))))
    await client.do(CreateItem(Item("item_2", "assistant", (TextPart("second"),))))
    await client.do(CreateItem(Item("item_0", "system", (TextPart("zeroth"),)), after="root"))
    await client.do(DeleteItem("item_1"))
    assert stage.model.states[-1].history == [("system", "zeroth"), ("assistant", "second")]
    assert len(stage.model.states) == 1


async def test_settings_change_between_turns_and_bad_ones_are_refused() -> None:
    stage = Stage()
    client = await stage.join()
    await client.do(Update(Settings(voice="nobody")))
    await client.do(Update(Settings(instructions="be brief", voice="other")))
    assert [event.code for event in client.of(Fault) if isinstance(event, Fault)] == ["voice_not_found"]
    assert stage.model.states[-1].instructions == "be brief"
    assert stage.model.log[-1] == "open other"


async def test_a_failing_model_is_told_and_the_conversation_goes_on() -> None:
    stage = Stage()
    client = await stage.join()
    stage.model.fail = RuntimeError("out of memory")
    await stage.hear((client, np.concatenate([silence(0.5), say("hello")])))
    await stage.wait(2.0)
    assert ended(client)[0].status == "failed"
    assert "out of memory" in (ended(client)[0].error or "")
    await stage.hear((client, say("again")))
    await stage.wait(4.0)
    assert ended(client)[1].status == "completed"
    assert history(stage)[0] == ("user", "hello again")  # what was said before the failure is remembered


async def test_a_model_that_fails_to_hear_a_part_is_made_anew_and_hears_all_of_the_turn() -> None:
    stage = Stage()
    client = await stage.join()
    stage.model.n_deaf = 1
    await stage.hear((client, np.concatenate([silence(0.5), say("what did the old man say to the boy")])))
    await stage.wait(6.0)
    assert [event.code for event in client.of(Fault) if isinstance(event, Fault)] == ["model_error"]
    assert transcripts(client)[0] == ("user", "what did the old man say to the boy")
    assert read(client.sound()) == "You said what did the old man say to the boy ."


async def test_new_instructions_in_the_middle_of_a_turn_hold_for_its_answer() -> None:
    stage = Stage()
    client = await stage.join()
    await stage.hear((client, np.concatenate([silence(0.5), say("one two three four five six")])))
    await client.do(Update(Settings(instructions="be brief")))
    await stage.hear((client, say("seven")))
    await stage.wait(5.0)
    assert transcripts(client)[0] == ("user", "one two three four five six seven")
    assert stage.model.states[0].instructions == "be brief"
    assert [event.status for event in ended(client)] == ["completed"]


async def test_a_whole_recording_at_once_is_understood() -> None:
    stage = Stage()
    client = await stage.join()
    await client.do(AppendAudio(np.concatenate([silence(0.4), say("what time is it"), silence(1.0)])))
    await stage.wait(4.0)
    assert transcripts(client)[0] == ("user", "what time is it")
    assert read(client.sound()) == "You said what time is it ."


async def test_no_answer_is_made_unless_wanted() -> None:
    stage = Stage()
    client = await stage.join(settings=Settings(turn_detection=TurnDetection(creates_response=False)))
    await stage.hear((client, np.concatenate([silence(0.5), say("note this")])))
    await stage.wait(2.0)
    assert transcripts(client) == [("user", "note this")]
    assert "begin" not in stage.model.log


async def test_recorded_speech_in_an_item_is_listened_to() -> None:
    stage = Stage()
    client = await stage.join()
    sound = AudioPart(None, 0.0, say("what did the old man say to the boy yesterday"))
    await client.do(CreateItem(Item("item_1", "user", (sound,))))
    await client.do(Respond())
    await stage.wait(5.0)
    assert transcripts(client)[0] == ("user", "what did the old man say to the boy yesterday")
    assert read(client.sound()) == "You said what did the old man say to the boy yesterday ."


async def test_a_silent_user_is_spoken_to_once_if_that_is_wanted() -> None:
    stage = Stage()
    client = await stage.join(settings=Settings(turn_detection=TurnDetection(idle_timeout_s=5.0)))
    await stage.wait(8.0)
    assert not client.of(IdleTimedOut)
    await stage.hear((client, np.concatenate([silence(0.5), say("hello")])))
    await stage.wait(9.0)
    assert len(client.of(IdleTimedOut)) == 1
    assert [event.status for event in ended(client)] == ["completed", "completed"]


async def test_settings_that_come_while_an_answer_is_prepared_hold_for_it() -> None:
    stage = Stage()
    client = await stage.join()
    await stage.hear((client, np.concatenate([say("good morning to you"), silence(0.2)])))
    assert not client.of(ResponseStarted), "the pause is still short: the answer is only a guess"
    await client.do(Update(Settings(speaks=False)))
    await stage.hear((client, silence(1.5)))
    await stage.wait(3.0)
    assert not client.of(ResponseSpeech)
    assert client.of(ResponseText)


async def test_a_voice_made_in_the_call_is_usable_and_one_that_is_removed_goes_on_for_who_uses_it() -> None:
    stage = Stage()
    cast = Cast(stage.model.capabilities)
    client = await stage.join(catalogue=cast)
    await client.do(Update(Settings(voice="Ann")))
    cast.made["voice_1"] = Voice("Ann")
    await client.do(Update(Settings(voice="Ann")))
    cast.made.clear()
    await client.do(Update(Settings(voice="Ann", instructions="be brief")))
    await client.do(Update(Settings(voice="plain")))
    await client.do(Update(Settings(voice="Ann")))
    assert stage.model.log == ["open default", "open Ann", "open Ann", "open plain"]
    faults = [event.code for event in client.of(Fault) if isinstance(event, Fault)]
    assert faults == ["voice_not_found", "voice_not_found"]
