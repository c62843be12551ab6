"""The official Python client against the server on a real port: every kind of turn that people write with it."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from omni.types import Delta, Pcm, Unit
from streaming.config import Config
from tests.fakes import ScriptedModel, ScriptedState, read, say, silence
from tests.grammar import check
from tests.streaming.gateway.place import RATE, Place, encoded, serving

PACKET = RATE // 50
LONG = "one two three four five six seven eight nine ten"


def rounded(pcm: Pcm) -> Pcm:
    """Spelled sound with its levels as they were before resampling and 16 bits."""
    return pcm.round(3).astype(np.float32)


class Hearing(ScriptedModel):
    """Reads spelled sound that came over the wire, and keeps the order in which it is told of a conversation."""

    def _listen(self, unit: Unit, state: ScriptedState) -> list[Delta]:
        if unit.text is not None and unit.role != "user":
            state.history += [("user", text) for text in state.typed]
            state.typed = []
        return super()._listen(unit if unit.audio is None else replace(unit, audio=rounded(unit.audio)), state)


def model(answer: Callable[[str], str] = lambda text: f"You said {text} .") -> Hearing:
    return Hearing(answer=lambda state, text: answer(text))


class Talker:
    """What an application makes of the client: it keeps what it was sent, and speaks in packets."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.connection = connection
        self.trace: list[dict[str, Any]] = []
        self.sound = np.zeros(0, np.float32)

    async def next(self) -> Any:
        async with asyncio.timeout(20):
            raw = await self.connection.recv_bytes()
        self.trace.append(orjson.loads(raw))
        event = self.connection.parse_event(raw)
        if event.type == "response.output_audio.delta":
            pcm = np.frombuffer(base64.b64decode(event.delta), "<i2") / np.float32(32_768)
            self.sound = np.concatenate([self.sound, pcm])
        return event

    async def until(self, *types: str) -> Any:
        """Read on to the next event of these types."""
        while (event := await self.next()).type not in types:
            pass
        return event

    async def speak(self, sound: Pcm) -> None:
        """Send sound, faster than anybody speaks."""
        for begin in range(0, len(sound), PACKET):
            await self.connection.input_audio_buffer.append(audio=encoded(sound[begin : begin + PACKET]))

    async def write(self, text: str, role: str = "user") -> None:
        kind = "output_text" if role == "assistant" else "input_text"
        item: Any = {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
        await self.connection.conversation.item.create(item=item)

    async def detect(self, turn_detection: Any) -> None:
        audio: Any = {"input": {"turn_detection": turn_detection}}
        await self.connection.session.update(session={"type": "realtime", "audio": audio})
        await self.until("session.updated")

    async def transcript(self, item_id: str) -> str:
        """What the server keeps of a spoken item."""
        await self.connection.conversation.item.retrieve(item_id=item_id)
        retrieved = await self.until("conversation.item.retrieved")
        return str(retrieved.item.content[0].transcript).strip()

    def types(self) -> list[str]:
        return [message["type"] for message in self.trace]


def sdk(place: Place, key: str = "none") -> AsyncOpenAI:
    return AsyncOpenAI(api_key=key, base_url=f"{place.address}/v1")


@asynccontextmanager
async def talking(place: Place) -> AsyncIterator[Talker]:
    """A call, whose events are checked when it is over."""
    async with sdk(place).realtime.connect(model="gpt-realtime") as connection:
        talker = Talker(connection)
        await talker.until("session.created")
        yield talker
        check(talker.trace)
    await place.empty()


async def test_a_text_turn() -> None:
    async with serving(model=model()) as place, talking(place) as talker:
        await talker.connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        await talker.write("Hello there")
        await talker.connection.response.create()
        done = await talker.until("response.done")
        assert done.response.status == "completed"
        assert done.response.output[0].content[0].text.strip() == "You said Hello there ."
        deltas = [message["delta"] for message in talker.trace if message["type"] == "response.output_text.delta"]
        assert "".join(deltas).strip() == "You said Hello there ."


async def test_a_spoken_turn_is_found_by_the_server_and_answered_in_sound() -> None:
    async with serving(model=model()) as place, talking(place) as talker:
        await talker.speak(np.concatenate([silence(0.3, RATE), say("what time is it", RATE), silence(1.0, RATE)]))
        heard = await talker.until("conversation.item.input_audio_transcription.completed")
        done = await talker.until("response.done")
        assert heard.transcript == "what time is it"
        assert done.response.status == "completed"
        assert done.response.output[0].content[0].transcript.strip() == "You said what time is it ."
        assert read(rounded(talker.sound)) == "You said what time is it ."
        started, stopped, committed = (
            talker.types().index(f"input_audio_buffer.{name}")
            for name in ("speech_started", "speech_stopped", "committed")
        )
        assert started < stopped < committed < talker.types().index("response.created")


async def test_a_turn_by_hand() -> None:
    async with serving(model=model()) as place, talking(place) as talker:
        await talker.detect(None)
        await talker.speak(np.concatenate([say("what time", RATE), silence(1.0, RATE), say("is it", RATE)]))
        await talker.connection.input_audio_buffer.commit()
        await talker.until("conversation.item.input_audio_transcription.completed")
        assert "response.created" not in talker.types()
        assert "input_audio_buffer.speech_started" not in talker.types()
        await talker.connection.response.create()
        done = await talker.until("response.done")
        assert done.response.output[0].content[0].transcript.strip() == "You said what time is it ."
        assert read(rounded(talker.sound)) == "You said what time is it ."


async def test_speech_over_the_answer_leaves_what_was_played() -> None:
    scripted = model(lambda text: LONG if text == "count" else "Fine .")
    async with serving(model=scripted) as place, talking(place) as talker:
        await talker.speak(np.concatenate([say("count", RATE), silence(1.0, RATE)]))
        answer = await talker.until("response.created")
        while len(talker.sound) < 0.7 * RATE:
            await talker.next()
        n_played = round(0.64 * RATE)
        interruption = np.concatenate([say("no stop now", RATE), silence(1.0, RATE)])
        await talker.speak(interruption[: round(0.3 * RATE)])
        await talker.until("input_audio_buffer.speech_started")
        item_id = next(
            message["item"]["id"] for message in talker.trace if message["type"] == "response.output_item.added"
        )
        await talker.connection.conversation.item.truncate(
            item_id=item_id, content_index=0, audio_end_ms=n_played * 1000 // RATE
        )
        await talker.until("conversation.item.truncated")
        await talker.speak(interruption[round(0.3 * RATE) :])
        cancelled = await talker.until("response.done")
        assert cancelled.response.id == answer.response.id
        assert cancelled.response.status == "cancelled"
        assert cancelled.response.status_details.reason == "turn_detected"
        played = read(rounded(talker.sound[:n_played]))
        assert played == "one two three"
        done = await talker.until("response.done")
        assert done.response.output[0].content[0].transcript.strip() == "Fine ."
        assert await talker.transcript(item_id) == played
        assert ("assistant", played) in scripted.states[0].history


async def test_truncating_beyond_the_end_keeps_everything_and_is_no_error() -> None:
    async with serving(model=model()) as place, talking(place) as talker:
        await talker.write("hi")
        await talker.connection.response.create()
        done = await talker.until("response.done")
        item_id = done.response.output[0].id
        await talker.connection.conversation.item.truncate(item_id=item_id, content_index=0, audio_end_ms=3_600_000)
        truncated = await talker.until("conversation.item.truncated", "error")
        assert truncated.type == "conversation.item.truncated"
        assert truncated.audio_end_ms == round(len(talker.sound) / RATE * 1000)
        assert await talker.transcript(item_id) == "You said hi ."


async def test_after_a_dropped_connection_the_conversation_is_told_anew_and_goes_on() -> None:
    scripted = Hearing(
        answer=lambda state, text: f"Answer {sum(role == 'user' for role, _ in state.history)} to {text}"
    )
    drops: list[int] = []
    async with serving(Config(resume_within_s=0.2), scripted) as place:
        async with sdk(place).realtime.connect(
            model="gpt-realtime", on_reconnecting=lambda event: drops.append(event.close_code)
        ) as connection:
            before, after = Talker(connection), Talker(connection)
            await before.until("session.created")
            await before.write("one")
            await before.connection.response.create()
            done = await before.until("response.done")
            answer = done.response.output[0].content[0].transcript.strip()
            assert answer == "Answer 1 to one"
            check(before.trace)
            connection._connection.transport.abort()
            async for event in connection:
                assert event.type == "session.created"
                after.trace.append(event.to_dict())
                break
            assert drops == [1006]
            await after.write("one")
            await after.write(answer, "assistant")
            await after.write("two")
            await after.connection.response.create()
            done = await after.until("response.done")
            assert done.response.output[0].content[0].transcript.strip() == "Answer 2 to two"
            assert before.trace[0]["session"]["id"] != after.trace[0]["session"]["id"]
            check(after.trace)
        await place.empty()


async def test_tools_are_refused_in_words_and_the_call_goes_on() -> None:
    async with serving(model=model()) as place, talking(place) as talker:
        tools: Any = [{"type": "function", "name": "clock", "parameters": {"type": "object", "properties": {}}}]
        await talker.connection.session.update(session={"type": "realtime", "tools": tools}, event_id="event_tools")
        refused = await talker.until("error")
        assert refused.error.event_id == "event_tools"
        assert "functions" in refused.error.message
        await talker.connection.conversation.item.create(
            item={"type": "function_call_output", "call_id": "call_1", "output": "noon"}
        )
        assert "functions" in (await talker.until("error")).error.message
        await talker.write("hi")
        await talker.connection.response.create()
        done = await talker.until("response.done")
        assert done.response.output[0].content[0].transcript.strip() == "You said hi ."


@pytest.mark.parametrize("protocol", ["openai-insecure-api-key.secret", "openai-insecure-api-key.guess"])
async def test_a_key_may_come_as_a_subprotocol(protocol: str) -> None:
    async with serving(Config(api_keys=("secret",)), model()) as place:
        options: Any = {"subprotocols": ["realtime", protocol]}
        connecting = sdk(place, "wrong").realtime.connect(model="gpt-realtime", websocket_connection_options=options)
        async with connecting as connection:
            first = await connection.recv()
            if protocol.endswith("secret"):
                assert first.type == "session.created"
                assert connection._connection.subprotocol == "realtime"
            else:
                assert first.type == "error"
                assert first.error.code == "invalid_api_key"
        await place.empty()
