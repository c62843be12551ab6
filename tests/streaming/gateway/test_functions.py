"""The official client and the functions that it offers, against nano with a scripted language model."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
from openai import AsyncOpenAI

from omni.model import OmniModel
from omni.text.chat import Message
from omni.types import ToolOutput
from streaming.config import Config
from streaming.gateway.listening import listening
from streaming.gateway.server import Gateway
from streaming.tdm.clock import SystemClock
from tests.fakes_nano import FakeChat, FakeParts
from tests.grammar import check
from tests.streaming.gateway.place import Loudness

WEATHER: Any = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}


def script(messages: Sequence[Message]) -> str:
    tool = messages[-1].tool
    if isinstance(tool, ToolOutput):
        return f"I was told: {tool.output}"
    return "Wait." if messages[-1].text == "politely" else ""


class Talk:
    """A call, and what came of it."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.trace: list[dict[str, Any]] = []

    async def until(self, kind: str) -> Any:
        """Read on to the next event of this type."""
        async with asyncio.timeout(20):
            while True:
                raw = await self.connection.recv_bytes()
                self.trace.append(orjson.loads(raw))
                if self.trace[-1]["type"] == kind:
                    return self.connection.parse_event(raw)

    async def create(self, **item: Any) -> None:
        await self.connection.conversation.item.create(item=item)

    async def write(self, text: str) -> None:
        await self.create(type="message", role="user", content=[{"type": "input_text", "text": text}])

    async def respond(self, **response: Any) -> Any:
        """The response, done."""
        await self.connection.response.create(response=response)
        return (await self.until("response.done")).response


@asynccontextmanager
async def talking(model: OmniModel[Any] | None = None) -> AsyncIterator[Talk]:
    """A call in which a function is offered; without a model, with nano."""
    gateway = Gateway(Config(), None, SystemClock())
    async with listening(gateway, "127.0.0.1", 0) as address:
        gateway.start(model or FakeParts(FakeChat(script)).nano(), Loudness())
        client = AsyncOpenAI(api_key="none", base_url=f"{address}/v1")
        async with client.realtime.connect(model="any") as connection:
            talk = Talk(connection)
            await talk.until("session.created")
            await connection.session.update(session={"type": "realtime", "tools": [WEATHER]})
            await talk.until("session.updated")
            yield talk
            check(talk.trace)


async def test_a_function_is_asked_for_and_its_output_is_answered() -> None:
    async with talking() as talk:
        await talk.write("Does it rain?")
        (call,) = (await talk.respond(output_modalities=["text"])).output
        assert (call.type, call.name, call.arguments) == ("function_call", "weather", "{}")
        await talk.create(type="function_call_output", call_id=call.call_id, output="It rains.")
        (answer,) = (await talk.respond(tools=[], output_modalities=["text"])).output
        assert answer.content[0].text == "I was told: It rains."


async def test_a_spoken_answer_may_end_with_a_call() -> None:
    async with talking() as talk:
        await talk.write("politely")
        answer, call = (await talk.respond()).output
        assert answer.content[0].transcript.strip() == "Wait."
        await talk.create(type="function_call_output", call_id=call.call_id, output="It rains.")
        (answer,) = (await talk.respond(tools=[])).output
        assert answer.content[0].transcript.strip() == "I was told: It rains."


async def test_an_answer_with_a_call_that_is_cut_late_keeps_its_call() -> None:
    """A client that plays what it has got says only then how far it was heard: perhaps while the next answer begins."""
    async with talking() as talk:
        await talk.write("politely")
        answer, call = (await talk.respond()).output
        truncate = talk.connection.conversation.item.truncate
        await truncate(item_id=answer.id, content_index=0, audio_end_ms=60_000)
        assert (await talk.until("conversation.item.truncated")).audio_end_ms < 60_000
        await talk.create(type="function_call_output", call_id=call.call_id, output="It rains.")
        await talk.connection.response.create(response={"tools": []})
        await talk.until("response.created")
        await truncate(item_id=answer.id, content_index=0, audio_end_ms=0)
        (told,) = (await talk.until("response.done")).response.output
        assert told.content[0].transcript.strip() == "I was told: It rains."
        await talk.connection.conversation.item.retrieve(item_id=answer.id)
        assert (await talk.until("conversation.item.retrieved")).item.content[0].transcript == ""
        await talk.create(type="function_call_output", call_id=call.call_id, output="It snows.")
        (told,) = (await talk.respond(tools=[])).output
        assert told.content[0].transcript.strip() == "I was told: It snows.", "the call is still known"


async def test_an_output_that_nobody_asked_for_is_refused() -> None:
    async with talking() as talk:
        await talk.create(type="function_call_output", call_id="call_unknown", output="It rains.")
        refused = await talk.until("error")
        assert refused.error.code == "invalid_tool_call_id"


async def test_a_call_outlives_the_telling_anew_of_the_conversation() -> None:
    async with talking() as talk:
        await talk.write("Does it rain?")
        (call,) = (await talk.respond(output_modalities=["text"])).output
        await talk.connection.session.update(session={"type": "realtime", "instructions": "Be brief."})
        await talk.until("session.updated")
        await talk.create(type="function_call_output", call_id=call.call_id, output="It rains.")
        (answer,) = (await talk.respond(tools=[], output_modalities=["text"])).output
        assert answer.content[0].text == "I was told: It rains."
