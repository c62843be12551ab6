"""What the listener decides by itself: where a turn begins, whose word interrupts, when it may be committed."""

from dataclasses import replace

import pytest

from streaming.commands import AppendAudio, Commit, Respond
from streaming.events import (
    Fault,
    OverlapEnded,
    ResponseEnded,
    SpeechStarted,
    SpeechStopped,
    TurnDetection,
    UserTranscript,
)
from streaming.tdm.conversation import opening_settings
from streaming.tdm.listener import INTERRUPTION_S, KEPT_S
from tests.fakes import TIMING, Client, ScriptedModel, Stage, ended, noise, say, silence, transcripts

LONG = "the answer goes on and on for a good while and then some more words come until it is over"


async def called(detection: TurnDetection) -> tuple[Stage, Client]:
    model = ScriptedModel(lambda state, text: LONG)
    stage = Stage(model)
    return stage, await stage.join(settings=replace(opening_settings(model.capabilities), turn_detection=detection))


async def test_a_turn_begins_as_long_before_its_onset_as_is_asked() -> None:
    starts: list[float] = []
    heard: list[float] = []
    for padding_s in (0.0, 0.2, 0.6):
        stage, client = await called(TurnDetection(prefix_padding_s=padding_s))
        await stage.hear((client, silence(2.0)))
        await stage.hear((client, say("hello there")))
        await stage.wait(1.0)
        starts += [event.at_s for event in client.events if isinstance(event, SpeechStarted)]
        heard += [event.duration_s for event in client.events if isinstance(event, UserTranscript) and event.final][:1]
    # where the onset itself lies is decided in turns.py
    assert [starts[0] - start_s for start_s in starts] == pytest.approx([0.0, 0.2, 0.6])
    # and so much more of it the model has heard
    assert [heard_s - heard[0] for heard_s in heard] == pytest.approx([0.0, 0.2, 0.6], abs=TIMING.window_s)


async def test_a_turn_cannot_begin_before_the_call() -> None:
    stage, client = await called(TurnDetection(prefix_padding_s=KEPT_S))
    await stage.hear((client, say("hello there")))
    assert [event.at_s for event in client.of(SpeechStarted) if isinstance(event, SpeechStarted)] == [0.0]


async def test_who_may_not_interrupt_is_not_heard_over_an_answer_and_then_again() -> None:
    stage, client = await called(TurnDetection(interrupts_response=False))
    await stage.hear((client, say("tell me")))
    await stage.wait(0.6)
    await stage.hear((client, say("please stop it now")))
    await stage.wait(6.0)
    assert [end.status for end in ended(client)] == ["completed"]
    assert len(client.of(SpeechStarted)) == 1
    await stage.hear((client, say("and now")))
    await stage.wait(1.0)
    assert transcripts(client)[-2] == ("user", "and now")


async def test_sound_that_lasts_interrupts_whatever_it_says() -> None:
    for seconds, interrupts in ((INTERRUPTION_S - 0.15, False), (INTERRUPTION_S + 0.15, True)):
        stage, client = await called(TurnDetection())
        await stage.hear((client, say("tell me")))
        await stage.wait(0.8)
        await stage.hear((client, noise(seconds)))
        assert bool(client.of(ResponseEnded)) is interrupts
        await stage.wait(1.0)
        assert bool(client.of(OverlapEnded)) is not interrupts


async def test_every_start_of_speech_has_its_stop() -> None:
    stage, client = await called(TurnDetection())
    for sound in (noise(0.4), say("tell me"), noise(0.3), say("no wait")):
        await stage.hear((client, sound))
        await stage.wait(1.2)
    starts = [event.item_id for event in client.events if isinstance(event, SpeechStarted)]
    assert len(starts) == 4
    assert [event.item_id for event in client.events if isinstance(event, SpeechStopped)] == starts


async def test_a_commit_over_an_answer_is_refused_and_loses_nothing() -> None:
    model = ScriptedModel(lambda state, text: LONG)
    stage = Stage(model)
    client = await stage.join(settings=replace(opening_settings(model.capabilities), turn_detection=None))
    await client.do(Commit())
    await client.do(Respond())
    await client.do(AppendAudio(say("one more thing")))
    await client.do(Commit())
    codes = [event.code for event in client.events if isinstance(event, Fault)]
    assert codes == ["input_audio_buffer_commit_empty", "conversation_already_has_active_response"]
    await stage.wait(7.0)
    await client.do(Commit())
    await stage.run()
    assert ("user", "one more thing") in transcripts(client)
