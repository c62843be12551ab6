"""What a client may ask for in the middle of a turn or of an answer: nothing is lost, nothing hangs."""

from collections.abc import Sequence

import numpy as np
import pytest

from omni.types import Delta, Unit, Voice
from streaming.commands import Cancel, Clear, Command, Commit, CreateItem, DeleteItem, Respond, TruncateItem, Update
from streaming.events import (
    AudioPart,
    Fault,
    Item,
    OverlapEnded,
    ResponseEnded,
    ResponseStarted,
    ResponseText,
    Settings,
    SpeechStarted,
    TextPart,
    TurnDetection,
)
from tests.fakes import Client, ScriptedModel, ScriptedState, Stage, noise, read, say, silence
from tests.grammar import check_events

LONG = "one two three four five six seven eight nine ten eleven twelve"
BY_HAND = Settings(turn_detection=None)


def typed(text: str, *parts: AudioPart) -> CreateItem:
    return CreateItem(Item("item_typed", "user", (TextPart(text), *parts)))


def said(client: Client) -> list[tuple[str, str]]:
    texts = [
        (item.role, part.text if isinstance(part, TextPart) else part.transcript or "")
        for item in client.session.items
        for part in item.parts
        if isinstance(part, AudioPart | TextPart)
    ]
    return [(role, text.strip()) for role, text in texts]


async def ask_in_writing(stage: Stage, client: Client, text: str = "hi") -> None:
    await client.do(typed(text))
    await client.do(Respond())
    await stage.wait(1.0)


async def at_once(stage: Stage, client: Client, *commands: Command) -> None:
    """Commands that arrive together, before the engine has done anything."""
    for command in commands:
        await client.session.handle(command)
    await stage.run()


async def test_an_answer_that_is_asked_for_while_the_user_speaks_is_the_only_one_that_sounds() -> None:
    stage = Stage(ScriptedModel(answer=lambda state, text: LONG))
    client = await stage.join()
    await stage.hear((client, np.concatenate([silence(0.5), say("well I think")])))
    await client.do(typed("stop"))
    await client.do(Respond())
    await stage.wait(6.0)
    assert len(client.of(ResponseStarted)) == len(client.of(ResponseEnded)) == 1
    assert read(client.sound()) == LONG
    assert said(client) == [("user", "stop"), ("user", "well I think"), ("assistant", LONG)]
    assert stage.model.states[0].history == [("user", "stop well I think"), ("assistant", LONG)]
    check_events(client.events)


async def test_speech_goes_on_over_an_answer_that_was_asked_for_meanwhile() -> None:
    stage = Stage(ScriptedModel(answer=lambda state, text: LONG))
    client = await stage.join()
    await stage.hear((client, np.concatenate([silence(0.5), say("well I think")])))
    await client.do(Respond())
    await stage.hear((client, say("what time is it")))
    await stage.wait(8.0)
    statuses = [event.status for event in client.events if isinstance(event, ResponseEnded)]
    assert statuses == ["cancelled", "completed"]
    assert ("user", "what time is it") in stage.model.states[0].history
    check_events(client.events)


async def test_an_answer_that_sounds_cannot_be_deleted() -> None:
    stage = Stage(ScriptedModel(answer=lambda state, text: LONG))
    client = await stage.join()
    await ask_in_writing(stage, client)
    await client.do(DeleteItem(client.session.items[-1].id))
    await stage.wait(5.0)
    assert [event.code for event in client.events if isinstance(event, Fault)] == ["item_in_progress"]
    assert client.session.idle
    await client.do(DeleteItem(client.session.items[-1].id))
    assert said(client) == [("user", "hi")]


async def test_truncating_the_answer_before_leaves_the_prepared_one_alone() -> None:
    stage = Stage()
    client = await stage.join()
    await ask_in_writing(stage, client)
    await stage.wait(2.0)
    before = client.session.items[-1].id
    await stage.hear((client, say("what time is it")))
    await stage.wait(0.25)
    await client.do(TruncateItem(before, 0.3))
    await stage.wait(5.0)
    told = [
        ("user", "hi"),
        ("assistant", "You"),
        ("user", "what time is it"),
        ("assistant", "You said what time is it ."),
    ]
    assert said(client) == told
    await stage.hear((client, say("why")))
    await stage.wait(3.0)
    assert "You said hi ." not in [text.strip() for _, text in stage.model.states[0].history]


@pytest.mark.parametrize(
    "command", [Clear(), Update(Settings(turn_detection=TurnDetection(silence_s=0.5)))], ids=["clear", "update"]
)
async def test_an_answer_on_hold_goes_on_when_what_held_it_is_cleared(command: Command) -> None:
    stage = Stage(ScriptedModel(answer=lambda state, text: LONG))
    client = await stage.join()
    await ask_in_writing(stage, client)
    await stage.hear((client, noise(0.3)))
    await client.do(command)
    await stage.wait(5.0)
    assert len(client.of(OverlapEnded)) == 1
    assert said(client)[-1] == ("assistant", LONG)


async def test_turns_without_an_answer_keep_their_own_words() -> None:
    stage = Stage()
    client = await stage.join(settings=Settings(turn_detection=TurnDetection(creates_response=False)))
    await stage.hear((client, np.concatenate([silence(0.5), say("hello there")])))
    await stage.wait(3.0)
    await stage.hear((client, say("what time is it")))
    await stage.wait(3.0)
    assert said(client) == [("user", "hello there"), ("user", "what time is it")]
    await client.do(Respond())
    await stage.wait(4.0)
    assert said(client)[-1] == ("assistant", "You said hello there what time is it .")


async def test_new_instructions_do_not_lose_a_question_whose_words_are_not_known_yet() -> None:
    stage = Stage()
    client = await stage.join(settings=BY_HAND)
    await stage.hear((client, say("what time is it")))
    await at_once(stage, client, Commit(), Update(Settings(turn_detection=None, instructions="Be brief.")), Respond())
    await stage.wait(5.0)
    assert said(client) == [("user", "what time is it"), ("assistant", "You said what time is it .")]
    assert stage.model.states[0].instructions == "Be brief."


async def test_new_instructions_in_the_middle_of_a_turn_lose_none_of_it() -> None:
    stage = Stage()
    client = await stage.join(settings=BY_HAND)
    await stage.hear((client, say("one two three four five six")))
    await client.do(Update(Settings(turn_detection=None, instructions="Be brief.")))
    await stage.hear((client, say("seven")))
    await at_once(stage, client, Commit(), Respond())
    await stage.wait(5.0)
    assert said(client)[0] == ("user", "one two three four five six seven")
    assert stage.model.states[0].history[0] == ("user", "one two three four five six seven")


async def test_what_is_not_committed_waits_for_the_end_of_the_answer_that_it_is_no_part_of() -> None:
    stage = Stage()
    client = await stage.join(settings=BY_HAND)
    await stage.hear((client, say("one two three four five six")))
    await client.do(typed("hi"))
    await client.do(Respond())
    await stage.wait(3.0)
    await at_once(stage, client, Commit(), Respond())
    await stage.wait(6.0)
    assert said(client) == [
        ("user", "hi"),
        ("assistant", "You said hi ."),
        ("user", "one two three four five six"),
        ("assistant", "You said one two three four five six ."),
    ]


async def test_clearing_what_is_not_committed_does_not_touch_the_answer() -> None:
    stage = Stage()
    client = await stage.join(settings=BY_HAND)
    await stage.hear((client, say("one two three four five six")))
    await client.do(typed("hi"))
    await client.do(Respond())
    await client.do(Clear())
    await stage.wait(6.0)
    assert said(client) == [("user", "hi"), ("assistant", "You said hi .")]
    assert len(client.of(ResponseEnded)) == 1


async def test_text_beside_recorded_speech_in_an_item_is_kept() -> None:
    stage = Stage()
    client = await stage.join()
    await client.do(typed("Listen:", AudioPart(None, 0.0, say("what time is it"))))
    assert said(client) == [("user", "Listen:"), ("user", "what time is it")]


async def test_an_answer_that_is_cancelled_before_it_was_begun_takes_no_other_with_it() -> None:
    stage = Stage()
    client = await stage.join()
    await ask_in_writing(stage, client)
    await stage.wait(2.0)
    await at_once(stage, client, Respond(), Cancel())
    assert ("assistant", "You said hi .") in [(role, text.strip()) for role, text in stage.model.states[0].history]


async def test_recorded_speech_without_an_answer_keeps_its_own_words() -> None:
    stage = Stage()
    client = await stage.join()
    await client.do(CreateItem(Item("item_recorded", "user", (AudioPart(None, 0.0, say("what time is it")),))))
    await stage.hear((client, say("in Rome")))
    await stage.wait(4.0)
    assert said(client)[:2] == [("user", "what time is it"), ("user", "in Rome")]
    assert said(client)[-1] == ("assistant", "You said what time is it in Rome .")


async def test_an_answer_is_cut_also_after_the_model_was_told_of_it_anew() -> None:
    stage = Stage()
    client = await stage.join()
    await ask_in_writing(stage, client)
    await stage.wait(2.0)
    await client.do(Update(Settings(instructions="Be brief.")))
    await client.do(TruncateItem(client.session.items[-1].id, 0.3))
    await stage.hear((client, say("why")))
    await stage.wait(3.0)
    kept = [text.strip() for role, text in stage.model.states[0].history if role == "assistant"]
    assert kept == ["You", "You said why ."]


async def test_a_written_answer_is_silent_while_the_user_speaks_over_it() -> None:
    stage = Stage(ScriptedModel(answer=lambda state, text: LONG))
    stage.steps_per_packet = 0
    client = await stage.join(settings=Settings(speaks=False))
    await client.do(typed("hi"))
    await client.do(Respond())
    while not client.of(ResponseText):
        await stage.wait(0.02)
        stage.worker.step()
    await stage.hear((client, noise(0.3)))
    assert len(client.of(SpeechStarted)) == 1
    n_texts = len(client.of(ResponseText))
    stage.steps_per_packet = 1
    await stage.hear((client, noise(0.1)))
    assert len(client.of(ResponseText)) == n_texts
    stage.steps_per_packet = None
    await stage.wait(5.0)
    assert len(client.of(OverlapEnded)) == 1
    assert said(client)[-1] == ("assistant", LONG)
    check_events(client.events)


async def test_a_model_that_cannot_go_back_is_told_the_conversation_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    client = await stage.join()

    def fail(state: object, mark: object) -> None:
        raise ValueError("no such place")

    with monkeypatch.context() as broken:
        broken.setattr(stage.model, "rewind", fail)
        await stage.hear((client, np.concatenate([silence(0.5), noise(0.5)])))
        await stage.wait(2.0)
    assert stage.model.log.count("open default") == 1
    await stage.hear((client, say("what time is it")))
    await stage.wait(3.0)
    assert stage.model.log.count("open default") == 2
    assert said(client)[-1] == ("assistant", "You said what time is it .")


@pytest.mark.parametrize("transcribes", [True, False])
async def test_words_that_waited_for_a_slow_engine_are_heard_before_the_turn_ends(transcribes: bool) -> None:
    stage = Stage(ScriptedModel(transcribes=transcribes))
    client = await stage.join()
    words = " ".join(f"w{index}" for index in range(20))
    await stage.wait(0.4)
    stage.steps_per_packet = 0
    await stage.hear((client, np.concatenate([say(words), silence(0.5)])))
    stage.steps_per_packet = None
    await stage.wait(8.0)
    assert stage.model.states[0].history[0] == ("user", words)
    assert len([event for event in client.events if isinstance(event, ResponseEnded)]) == 1


class Strict(ScriptedModel):
    """Refuses long texts, as a model with a window does."""

    def open(
        self, instructions: str, voice: Voice | None, mode: str | None = None, language: str | None = None
    ) -> ScriptedState:
        self._check(instructions)
        return super().open(instructions, voice)

    def listen(self, units: Sequence[Unit], states: Sequence[ScriptedState]) -> list[list[Delta]]:
        for unit in units:
            self._check(unit.text or "")
        return super().listen(units, states)

    def _check(self, text: str) -> None:
        if len(text) > 100:
            raise ValueError("this text is too long: shorten it")


@pytest.mark.parametrize(
    "command", [typed("x" * 101), Update(Settings(instructions="x" * 101))], ids=["message", "instructions"]
)
@pytest.mark.parametrize("transcribes", [True, False])
async def test_who_sends_what_the_model_cannot_take_is_told_why(command: Command, transcribes: bool) -> None:
    stage = Stage(Strict(transcribes=transcribes))
    client = await stage.join()
    await client.do(command)
    (fault,) = client.of(Fault)
    assert isinstance(fault, Fault)
    assert "shorten it" in fault.message
    mended = DeleteItem("item_typed") if isinstance(command, CreateItem) else Update(Settings(instructions="x"))
    await client.do(mended)
    await client.do(typed("hi") if isinstance(command, Update) else CreateItem(Item("i", "user", (TextPart("hi"),))))
    await client.do(Respond())
    await stage.wait(4.0)
    assert read(client.sound()) == "You said hi ."
    assert client.of(Fault) == [fault]
