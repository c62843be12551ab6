"""LiveKit's model for OpenAI Realtime as its agents use it, without a room.

python livekit_client.py ADDRESS SPEECH
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from livekit import rtc
from livekit.agents import llm
from livekit.plugins.openai import realtime
from scenarios import play

RATE = 24_000
PACKET_S = 0.02


class Talk:
    """One session of the model, and what it said of itself."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.errors: list[str] = []
        self.transcripts: list[str] = []
        self.generations: asyncio.Queue[Any] = asyncio.Queue()
        session.on("error", lambda event: self.errors.append(str(event.error)))
        session.on("generation_created", self.generations.put_nowait)
        session.on("input_audio_transcription_completed", lambda event: self.transcripts.append(event.transcript))

    async def write(self, text: str) -> None:
        context = self.session.chat_ctx.copy()
        context.add_message(role="user", content=text)
        await self.session.update_chat_ctx(context)

    async def speak(self, sound: bytes) -> None:
        """In real time, as a room would."""
        n_bytes = round(PACKET_S * RATE) * 2
        for begin in range(0, len(sound) // n_bytes * n_bytes, n_bytes):
            packet = sound[begin : begin + n_bytes]
            self.session.push_audio(rtc.AudioFrame(packet, RATE, 1, n_bytes // 2))
            await asyncio.sleep(PACKET_S)


async def answer(generation: Any) -> tuple[str, float]:
    """The words and the seconds of sound of an answer."""
    words, seconds = "", 0.0
    async for message in generation.message_stream:
        async for piece in message.text_stream:
            words += piece
        async for frame in message.audio_stream:
            seconds += frame.duration
    return words, seconds


async def text(talk: Talk, _: bytes) -> None:
    await talk.write("Why is the sky blue?")
    words, seconds = await answer(await talk.session.generate_reply())
    assert words and seconds > 0.3, (words, seconds)


async def voice(talk: Talk, sound: bytes) -> None:
    speaking = asyncio.create_task(talk.speak(sound + bytes(RATE * 6)))
    words, seconds = await answer(await talk.generations.get())
    assert words and seconds > 0.3, (words, seconds)
    await speaking
    assert talk.transcripts


async def interrupt(talk: Talk, _: bytes) -> None:
    await talk.write("Tell me a long story about the sea and the ships on it.")
    generation = await talk.session.generate_reply()
    async for message in generation.message_stream:
        async for _frame in message.audio_stream:
            break
        talk.session.interrupt()
        talk.session.truncate(message_id=message.message_id, modalities=["audio", "text"], audio_end_ms=100)
        break
    await talk.write("Why is the sky blue?")
    words, _seconds = await answer(await talk.session.generate_reply())
    assert words


async def update(talk: Talk, _: bytes) -> None:
    await talk.session.update_instructions("Answer briefly.")
    talk.session.update_options(turn_detection=None)
    await text(talk, b"")


@llm.function_tool  # type: ignore[untyped-decorator]  # seen by mypy only where LiveKit is installed
async def weather(city: str) -> str:
    """The weather in a city."""
    return f"It rains in {city}."


async def tools(talk: Talk, _: bytes) -> None:
    """What an agent does with a call: run it, tell the model, let it answer."""
    await talk.session.update_tools([weather])
    await talk.write("What is the weather in Paris?")
    generation = await talk.session.generate_reply()
    async for call in generation.function_stream:
        output = await weather(**json.loads(call.arguments))
        context = talk.session.chat_ctx.copy()
        context.items.append(
            llm.FunctionCallOutput(call_id=call.call_id, name=call.name, output=output, is_error=False)
        )
        await talk.session.update_chat_ctx(context)
    words, _seconds = await answer(await talk.session.generate_reply())
    assert "It rains in Paris." in words, words


Scenario = Callable[[Talk, bytes], Awaitable[None]]

SCENARIOS: dict[str, Scenario] = {"update": update, "text": text, "voice": voice, "interrupt": interrupt}


async def run(address: str, scenario: Scenario, sound: bytes) -> None:
    model: Any = realtime.RealtimeModel(base_url=address, api_key="none", model="gpt-realtime")
    talk = Talk(model.session())
    try:
        await scenario(talk, sound)
        assert not talk.errors, talk.errors
    finally:
        await talk.session.aclose()
        await model.aclose()


if __name__ == "__main__":
    asyncio.run(play(run, SCENARIOS, tools))
