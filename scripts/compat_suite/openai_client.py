"""What people do with the official Python client, in whatever version of it runs this file. Needs nothing else.

python openai_client.py ADDRESS SPEECH [--old] [--tools]: says on its output, as a line of JSON, which scenario passed,
or why not, and writes what the server sent beside SPEECH for the grammar's checker.
"""

import asyncio
import base64
import inspect
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import openai
from scenarios import TOOL, arguments, tell

RATE = 24_000
"""Hz of PCM in this protocol"""
PACKET = RATE // 25 * 2
"""bytes of 40 ms"""
OLD_NAMES = {
    "response.output_text.delta": "response.text.delta",
    "response.output_audio.delta": "response.audio.delta",
    "conversation.item.added": "conversation.item.created",
}


class Talk:
    """One connection, and all that came over it."""

    def __init__(self, connection: Any, old: bool) -> None:
        self.connection = connection
        self.old = old
        self.trace: list[dict[str, Any]] = []

    def name(self, today: str) -> str:
        return OLD_NAMES.get(today, today) if self.old else today

    async def next(self) -> Any:
        raw = await self.connection.recv_bytes()
        self.trace.append(json.loads(raw))
        return self.connection.parse_event(raw)

    async def until(self, *types: str) -> Any:
        wanted = {self.name(one) for one in types}
        while True:
            event = await self.next()
            if event.type in wanted:
                return event
            if event.type == "error" and event.error.type != "server_error":
                raise AssertionError(f"error: {event.error.message}")

    async def update(self, **session: Any) -> Any:
        """Today's fields; an old client gets them flat."""
        if self.old:
            audio = session.pop("audio", {})
            session |= audio.get("input", {})
            if "output_modalities" in session:
                session["modalities"] = session.pop("output_modalities")
        else:
            session["type"] = "realtime"
        await self.connection.session.update(session=session)
        return await self.until("session.updated")

    async def write(self, text: str) -> None:
        content = [{"type": "input_text", "text": text}]
        await self.connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
        await self.until("conversation.item.added")

    async def speak(self, sound: bytes) -> None:
        for begin in range(0, len(sound), PACKET):
            packet = sound[begin : begin + PACKET]
            await self.connection.input_audio_buffer.append(audio=base64.b64encode(packet).decode())

    def seen(self, today: str) -> list[dict[str, Any]]:
        return [message for message in self.trace if message["type"] == self.name(today)]

    def keep(self, path: Path) -> None:
        path.write_text(json.dumps(self.trace))

    def sound_s(self) -> float:
        sounds = self.seen("response.output_audio.delta")
        return sum(len(base64.b64decode(one["delta"])) for one in sounds) / 2 / RATE


class Client:
    """The client as somebody would set it up for this server."""

    def __init__(self, address: str, old: bool) -> None:
        self.old = old
        # versions before 2.36 turn http into wss, unless told otherwise
        websocket = {"websocket_base_url": address.replace("http", "ws", 1)}
        self.client = openai.AsyncOpenAI(api_key="none", base_url=address, **websocket)  # type: ignore[arg-type]

    @property
    def realtime(self) -> Any:
        client: Any = self.client
        return (client.beta if self.old else client).realtime

    def connect(self, **options: Any) -> Any:
        return self.realtime.connect(model="gpt-realtime", **options)


async def update(talk: Talk, _: bytes) -> None:
    updated = await talk.update(instructions="Answer briefly.")
    assert updated.session.instructions == "Answer briefly."


async def text_turn(talk: Talk, _: bytes) -> None:
    await talk.update(output_modalities=["text"])
    await talk.write("Why is the sky blue?")
    await talk.connection.response.create()
    done = await talk.until("response.done")
    assert done.response.status == "completed", done.response.status
    said = "".join(one["delta"] for one in talk.seen("response.output_text.delta"))
    assert said and said == done.response.output[0].content[0].text


async def voice_turn(talk: Talk, sound: bytes) -> None:
    await talk.speak(sound + bytes(RATE * 4))
    for step in ("speech_started", "speech_stopped", "committed"):
        await talk.until(f"input_audio_buffer.{step}")
    done = await talk.until("response.done")
    assert done.response.status == "completed", done.response.status
    assert talk.sound_s() > 0.3
    assert talk.seen("conversation.item.input_audio_transcription.completed")


async def manual_turn(talk: Talk, sound: bytes) -> None:
    await talk.update(audio={"input": {"turn_detection": None}})
    await talk.speak(sound)
    await talk.connection.input_audio_buffer.commit()
    await talk.until("input_audio_buffer.committed")
    await talk.connection.response.create()
    done = await talk.until("response.done")
    assert done.response.status == "completed", done.response.status
    assert not talk.seen("input_audio_buffer.speech_started")


async def truncate(talk: Talk, _: bytes) -> None:
    await talk.write("Tell me about the sea.")
    await talk.connection.response.create()
    done = await talk.until("response.done")
    # beyond the end first: players count what they were sent, and round
    for asked_ms in (3_600_000, 400):
        await talk.connection.conversation.item.truncate(
            item_id=done.response.output[0].id, content_index=0, audio_end_ms=asked_ms
        )
        truncated = await talk.until("conversation.item.truncated")
        assert truncated.audio_end_ms <= asked_ms
        assert abs(truncated.audio_end_ms - min(asked_ms, talk.sound_s() * 1_000)) < 50


async def cancel(talk: Talk, _: bytes) -> None:
    await talk.write("Tell me about the sea.")
    await talk.connection.response.create()
    await talk.until("response.output_audio.delta")
    await talk.connection.response.cancel()
    done = await talk.until("response.done")
    assert done.response.status == "cancelled", done.response.status


async def interrupt(talk: Talk, sound: bytes) -> None:
    await talk.write("Tell me a long story about the sea and the ships on it.")
    await talk.connection.response.create()
    await talk.until("response.output_audio.delta")
    await talk.speak(sound + bytes(RATE * 4))
    done = await talk.until("response.done")
    assert done.response.status == "cancelled", done.response.status
    assert done.response.status_details.reason == "turn_detected"
    again = await talk.until("response.done")
    assert again.response.status == "completed", again.response.status


async def tools(talk: Talk, _: bytes) -> None:
    await talk.update(output_modalities=["text"], tools=[TOOL])
    await talk.write("What is the weather in Paris?")
    await talk.connection.response.create()
    done = await talk.until("response.done")
    called = next(item for item in done.response.output if item.type == "function_call")
    assert (called.name, json.loads(called.arguments)) == ("weather", {"city": "Paris"})
    output = {"type": "function_call_output", "call_id": called.call_id, "output": "It rains."}
    await talk.connection.conversation.item.create(item=output)
    await talk.until("conversation.item.added")
    await talk.connection.response.create()
    done = await talk.until("response.done")
    assert "It rains." in done.response.output[0].content[0].text


async def no_tools(talk: Talk, _: bytes) -> None:
    session: Any = {"tools": [TOOL]} if talk.old else {"type": "realtime", "tools": [TOOL]}
    await talk.connection.session.update(session=session)
    while (event := await talk.next()).type != "error":
        pass
    assert event.error.code == "unsupported_tools", event.error
    await text_turn(talk, b"")


Scenario = Callable[[Talk, bytes], Awaitable[None]]

SCENARIOS: dict[str, Scenario] = {
    "update": update,
    "text": text_turn,
    "voice": voice_turn,
    "by hand": manual_turn,
    "truncate": truncate,
    "cancel": cancel,
    "interrupt": interrupt,
}


async def reconnect(client: Client) -> None:
    """By itself where the client can, else by hand."""
    if "on_reconnecting" not in inspect.signature(client.realtime.connect).parameters:
        async with client.connect() as connection:
            await Talk(connection, client.old).until("session.created")
        async with client.connect() as connection:
            await text_turn(await _greeted(connection, client.old), b"")
        return
    async with client.connect(on_reconnecting=lambda _: None) as connection:
        await Talk(connection, client.old).until("session.created")
        connection._connection.transport.abort()
        async for event in connection:
            assert event.type == "session.created", event.type
            break
        await text_turn(Talk(connection, client.old), b"")


async def speech(client: Client) -> None:
    """A text read out, without a session."""
    create = client.client.audio.speech.with_streaming_response.create
    async with create(model="tts-1", voice="alloy", input="Good morning.", response_format="pcm") as response:
        sound = b"".join([piece async for piece in response.iter_bytes()])
    assert len(sound) / 2 / RATE > 0.3


async def _greeted(connection: Any, old: bool) -> Talk:
    talk = Talk(connection, old)
    await talk.until("session.created")
    return talk


async def run(client: Client, scenario: Scenario, sound: bytes, trace: Path) -> None:
    """A scenario on a connection of its own."""
    async with client.connect() as connection:
        talk = await _greeted(connection, client.old)
        try:
            await scenario(talk, sound)
        finally:
            talk.keep(trace)


async def main() -> None:
    parser = arguments()
    parser.add_argument("--old", action="store_true", help="the client's beta interface")
    options = parser.parse_args()
    client, sound = Client(options.address, options.old), options.speech.read_bytes()
    works: dict[str, Callable[[], Awaitable[None]]] = {}
    for name, scenario in {**SCENARIOS, "tools": tools if options.tools else no_tools}.items():
        trace = options.speech.with_name(f"{name}.trace.json")
        works[name] = lambda scenario=scenario, trace=trace: run(client, scenario, sound, trace)  # type: ignore[misc]
    works["reconnect"] = lambda: reconnect(client)
    works["speech"] = lambda: speech(client)
    await tell(works)


if __name__ == "__main__":
    asyncio.run(main())
