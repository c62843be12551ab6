"""Calls with a character: who speaks first, changes of voice and pace, and what is asked for in vain."""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import orjson
import pytest

from streaming.commands import CreateItem, DeleteItem, Respond, Update
from streaming.company.catalogue import Character
from streaming.events import (
    Fault,
    Item,
    Opened,
    ReplyOptions,
    ResponseStarted,
    Settings,
    SpeechStarted,
    TextPart,
    TurnDetection,
)
from streaming.gateway.wire.fields import WireError
from streaming.gateway.wire.realtime import RealtimeCodec
from streaming.gateway.wire.session_object import SessionObject
from tests import grammar
from tests.cast import Cast
from tests.fakes import Client, ScriptedModel, Stage, ended, history, read, say, silence, transcripts

pytestmark = pytest.mark.usefixtures("traces_keep_the_grammar")

GREETING = "one two three four five six seven eight nine ten"
SID = Settings("You are Sid .", greeting=GREETING)
LONG = "eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen"


def scene(**can: Any) -> Stage:
    model = ScriptedModel(answer=lambda state, text: LONG)
    model.capabilities = replace(model.capabilities, **can)
    return Stage(model)


def faults(client: Client) -> list[str]:
    return [event.code for event in client.of(Fault) if isinstance(event, Fault)]


def replies(stage: Stage) -> list[tuple[float, str | None]]:
    """Pace and voice of each answer that was begun."""
    return [(reply.speed, None if reply.voice is None else reply.voice.name) for reply in stage.model.replies]


# ---------------------------------------------------------------- who speaks first


async def test_a_call_that_begins_with_a_character_is_greeted_once_it_can_be_heard() -> None:
    stage = scene()
    client = await stage.join(settings=SID)
    await stage.wait(1.0)
    assert not client.of(ResponseStarted), "nobody would hear it"
    client.session.greet()
    await stage.wait(4.0)
    assert read(client.sound()) == GREETING
    assert history(stage) == [("assistant", GREETING)]
    client.session.greet()
    await stage.hear((client, np.concatenate([silence(0.3), say("hello there")])))
    await stage.wait(4.0)
    assert [role for role, _ in transcripts(client)] == ["assistant", "user", "assistant"]
    assert [event.status for event in ended(client)] == ["completed", "completed"]


async def test_nobody_is_greeted_without_a_greeting() -> None:
    stage = scene()
    client = await stage.join(settings=Settings("You are Sid ."))
    client.session.greet()
    await stage.wait(1.0)
    assert not client.of(ResponseStarted)


async def test_a_greeting_is_interrupted_like_any_answer() -> None:
    stage = scene()
    client = await stage.join(settings=SID)
    client.session.greet()
    await stage.wait(0.9)
    await stage.hear((client, say("stop I want to ask you something else")))
    await stage.wait(4.0)
    greeting, answer = ended(client)
    assert (greeting.status, greeting.reason) == ("cancelled", "turn_detected")
    (_, heard), (_, asked), _ = transcripts(client)
    assert heard
    assert GREETING.startswith(heard)
    assert heard != GREETING
    assert asked == "stop I want to ask you something else"
    assert answer.status == "completed"
    assert history(stage)[0] == ("assistant", heard)


async def test_the_greeting_is_the_answer_to_who_has_the_assistant_begin() -> None:
    """A client that knows of no greeting asks for an answer at once, and gets this one."""
    stage = scene()
    client = await stage.join()
    client.session.greet()
    await client.do(Update(SID))
    await client.do(Respond())
    await stage.wait(0.5)
    await client.do(Respond())
    await stage.wait(4.0)
    assert faults(client) == []
    assert read(client.sound()) == GREETING
    assert [event.status for event in ended(client)] == ["completed"]
    await client.do(Respond())
    await stage.wait(4.0)
    assert len(ended(client)) == 2, "once it is over, an answer is another answer"


@pytest.mark.parametrize("after_s", [0.0, 1.0])
@pytest.mark.parametrize("role", ["user", "system"])
async def test_the_greeting_gives_way_to_what_the_client_asks(after_s: float, role: Literal["user", "system"]) -> None:
    stage = scene()
    client = await stage.join(settings=SID)
    client.session.greet()
    await stage.wait(after_s)
    await client.do(CreateItem(Item("item_1", role, (TextPart("hello"),))))
    await client.do(Respond())
    await stage.wait(6.0)
    assert faults(client) == []
    assert [(event.status, event.reason) for event in ended(client)] == [
        ("cancelled", "client_cancelled"),
        ("completed", None),
    ]
    assert transcripts(client)[-1] == ("assistant", LONG)


async def test_the_greeting_gives_way_to_an_answer_of_the_clients_own() -> None:
    stage = scene()
    client = await stage.join(settings=SID)
    client.session.greet()
    await stage.wait(0.3)
    await client.do(Respond(ReplyOptions(instructions="Greet them.", metadata={"mine": "1"})))
    await stage.wait(0.3)
    await client.do(Respond())
    assert faults(client) == ["conversation_already_has_active_response"], "that is no greeting"
    await stage.wait(6.0)
    started = [event.metadata for event in client.of(ResponseStarted) if isinstance(event, ResponseStarted)]
    assert started == [None, {"mine": "1"}]
    assert [event.status for event in ended(client)] == ["cancelled", "completed"]


async def test_a_character_chosen_before_anybody_spoke_greets_once() -> None:
    stage = scene()
    client = await stage.join()
    client.session.greet()
    await client.do(Update(SID))
    await stage.wait(1.0)
    await client.do(Update(replace(SID, speed=1.25)))
    await stage.wait(4.0)
    assert len(client.of(ResponseStarted)) == 1
    assert read(client.sound()) == GREETING
    assert stage.model.states[0].instructions == "You are Sid ."


async def test_a_character_chosen_in_an_ongoing_conversation_does_not_greet_unless_it_is_emptied() -> None:
    stage = scene()
    client = await stage.join()
    client.session.greet()
    await stage.hear((client, np.concatenate([silence(0.3), say("hello there")])))
    await stage.wait(4.0)
    await client.do(Update(SID))
    await stage.wait(1.0)
    assert len(client.of(ResponseStarted)) == 1
    for item in client.session.items:
        await client.do(DeleteItem(item.id))
    await client.do(Update(replace(SID, greeting="ahoy")))
    await stage.wait(2.0)
    assert [text for _, text in transcripts(client)] == ["ahoy"]


async def test_what_the_model_was_told_is_nothing_that_was_said() -> None:
    stage = scene()
    client = await stage.join()
    client.session.greet()
    await client.do(CreateItem(Item("item_1", "system", (TextPart("It is noon ."),))))
    await client.do(Update(SID))
    await stage.wait(4.0)
    assert history(stage) == [("system", "It is noon ."), ("assistant", GREETING)]


async def test_who_is_already_speaking_is_not_greeted() -> None:
    stage = scene()
    client = await stage.join()
    client.session.greet()
    await stage.hear((client, np.concatenate([silence(0.3), say("good morning")])))
    assert client.of(SpeechStarted)
    await client.do(Update(SID))
    await stage.hear((client, say("to you all")))
    await stage.wait(5.0)
    assert transcripts(client)[0] == ("user", "good morning to you all")
    assert len(ended(client)) == 1


async def test_a_microphone_that_is_committed_by_hand_does_not_keep_the_greeting_back() -> None:
    stage = scene()
    client = await stage.join(settings=Settings(turn_detection=None))
    client.session.greet()
    await stage.wait(0.5)
    await client.do(Update(replace(SID, turn_detection=None)))
    await stage.wait(4.0)
    assert read(client.sound()) == GREETING


async def test_a_greeting_can_be_read_and_needs_no_turn_detection() -> None:
    stage = scene()
    client = await stage.join(settings=replace(SID, speaks=False, turn_detection=TurnDetection(creates_response=False)))
    client.session.greet()
    await stage.wait(1.0)
    (event,) = ended(client)
    assert event.full_text.strip() == GREETING


async def test_words_that_are_given_are_not_cut_and_call_nothing() -> None:
    stage = scene(calls_tools=True)
    client = await stage.join(settings=replace(SID, max_tokens=3))
    client.session.greet()
    await stage.wait(4.0)
    (reply,) = stage.model.replies
    assert (reply.says, reply.max_tokens, reply.tools) == (GREETING, None, ())


# ---------------------------------------------------------------- pace and voice


async def test_another_pace_holds_from_the_next_answer_on() -> None:
    stage = scene()
    client = await stage.join()
    await client.do(Respond())
    await stage.wait(0.5)
    await client.do(Update(Settings(speed=0.5)))
    assert not ended(client), "the answer under way goes on"
    await stage.wait(4.0)
    await client.do(Respond())
    await stage.wait(4.0)
    assert replies(stage) == [(1.0, None), (0.5, None)]
    assert stage.model.log.count("open default") == 1, "the model's state is the same"


async def test_where_the_model_changes_its_voice_the_next_answer_is_in_the_new_one() -> None:
    stage = scene(changes_voice=True)
    client = await stage.join(settings=Settings(voice="other"))
    for voice in ("plain", None):
        await client.do(Respond())
        await stage.wait(0.5)
        await client.do(Update(Settings(voice=voice)))
        await stage.wait(4.0)
    await client.do(Respond(ReplyOptions(voice="other")))
    await stage.wait(4.0)
    assert [voice for _, voice in replies(stage)] == ["other", "plain", "other"]
    assert [name for name in stage.model.log if name.startswith("open")] == ["open other"]
    voices = [event.voice for event in client.of(ResponseStarted) if isinstance(event, ResponseStarted)]
    assert voices == ["other", "plain", "other"]


async def test_the_default_voice_is_named_to_a_model_that_was_opened_with_another() -> None:
    stage = scene(changes_voice=True)
    client = await stage.join(settings=Settings(voice="other"))
    await client.do(Update(Settings()))
    await client.do(Respond())
    await stage.wait(4.0)
    assert replies(stage) == [(1.0, "plain")]


# ---------------------------------------------------------------- over the wire


class Caller:
    """A client that speaks the protocol: what it sends is decoded, what the session says is encoded."""

    def __init__(self, client: Client, cast: Cast) -> None:
        (opened,) = client.of(Opened)
        assert isinstance(opened, Opened)
        self._client = client
        self._codec = RealtimeCodec("sess_1", begun=SessionObject.opened(opened, (), None, cast))
        self._n_encoded = 0
        self.trace: list[dict[str, Any]] = []

    async def update(self, **session: Any) -> None:
        self.listen()
        for one in self._codec.decode(orjson.dumps({"type": "session.update", "session": session})):
            if isinstance(one, WireError):
                self.trace.append(orjson.loads(self._codec.encode_error(one)))
            elif isinstance(one, Update):
                await self._client.do(one)
        self.listen()

    def listen(self) -> None:
        events = self._client.events[self._n_encoded :]
        self._n_encoded += len(events)
        self.trace += [orjson.loads(frame) for event in events for frame in self._codec.encode(event)]

    def latest(self, kind: str) -> dict[str, Any]:
        return next(message for message in reversed(self.trace) if message["type"] == kind)


async def test_a_character_is_asked_for_by_prompt_and_what_is_unknown_is_said() -> None:
    stage = scene()
    cast = Cast(stage.model.capabilities)
    cast.characters["sid"] = Character("sid", "Sid", "You are Sid .", "ahoy {{name}} !", "other")
    client = await stage.join(catalogue=cast)
    client.session.greet()
    caller = Caller(client, cast)
    await caller.update(prompt={"id": "nobody"})
    await caller.update(audio={"output": {"voice": "nobody"}})
    await caller.update(audio={"output": {"speed": 3}})
    assert [one["error"]["code"] for one in caller.trace if one["type"] == "error"] == [
        "prompt_not_found",
        "voice_not_found",
        "invalid_value",
    ]
    await caller.update(prompt={"id": "sid", "variables": {"name": "Ann"}})
    session = caller.latest("session.updated")["session"]
    assert (session["prompt"]["id"], session["instructions"]) == ("sid", "You are Sid .")
    assert session["audio"]["output"]["voice"] == "other"
    await stage.wait(3.0)
    caller.listen()
    assert caller.latest("response.output_audio_transcript.done")["transcript"].strip() == "ahoy Ann !"
    assert stage.model.log.count("open other") == 1
    await caller.update(prompt=None)
    assert caller.latest("error")["error"]["code"] == "cannot_update_voice"
    await caller.update(prompt=None, audio={"output": {"voice": "other"}})
    assert caller.latest("session.updated")["session"]["instructions"] == ""
    grammar.check(caller.trace)
