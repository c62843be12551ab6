"""Pipecat's service for OpenAI Realtime in a pipeline with its aggregators, as its own examples use it.

python pipecat_client.py ADDRESS SPEECH
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from loguru import logger
from pipecat.adapters.schemas.function_schema import FunctionSchema
from pipecat.adapters.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMRunFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.realtime.events import AudioConfiguration, AudioInput, SessionProperties
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.workers.runner import WorkerRunner
from scenarios import play

RATE = 24_000
PACKET_S = 0.02


class Ear(FrameProcessor):  # type: ignore[misc]  # seen by mypy only where Pipecat is installed
    """Keeps what comes by."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: asyncio.Queue[Frame] = asyncio.Queue()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.frames.put_nowait(frame)
        await self.push_frame(frame, direction)


class Talk:
    """A pipeline around the service."""

    def __init__(self, worker: Any, service: Any, context: Any, downstream: Ear, upstream: Ear) -> None:
        self.worker = worker
        self.service = service
        self.context = context
        self.downstream = downstream
        self.upstream = upstream

    async def write(self, text: str) -> None:
        self.context.add_message({"role": "user", "content": text})
        await self.worker.queue_frame(LLMRunFrame())

    async def speak(self, sound: bytes) -> None:
        """In real time, as its transports would."""
        n_bytes = round(PACKET_S * RATE) * 2
        for begin in range(0, len(sound) // n_bytes * n_bytes, n_bytes):
            packet = sound[begin : begin + n_bytes]
            await self.worker.queue_frame(InputAudioRawFrame(packet, RATE, 1))
            await asyncio.sleep(PACKET_S)

    async def answer(self) -> tuple[str, float]:
        """The words and the seconds of sound of the next answer."""
        words, seconds = "", 0.0
        while not isinstance(frame := await self.downstream.frames.get(), LLMFullResponseEndFrame):
            if isinstance(frame, TTSTextFrame):
                words += frame.text
            elif isinstance(frame, TTSAudioRawFrame):
                seconds += len(frame.audio) / 2 / RATE
        return words, seconds


async def text(talk: Talk, _: bytes) -> None:
    await talk.write("Why is the sky blue?")
    words, seconds = await talk.answer()
    assert words and seconds > 0.3, (words, seconds)


async def voice(talk: Talk, sound: bytes) -> None:
    speaking = asyncio.create_task(talk.speak(sound + bytes(RATE * 6)))
    words, seconds = await talk.answer()
    assert words and seconds > 0.3, (words, seconds)
    await speaking
    heard = [frame for frame in _all(talk.upstream) if isinstance(frame, TranscriptionFrame)]
    assert heard and heard[-1].text


async def interrupt(talk: Talk, sound: bytes) -> None:
    """The service hears its user, cuts off what it plays, and goes on."""
    await talk.write("Tell me a long story about the sea and the ships on it.")
    while not isinstance(await talk.downstream.frames.get(), TTSAudioRawFrame):
        pass
    speaking = asyncio.create_task(talk.speak(sound + bytes(RATE * 6)))
    while not isinstance(await talk.downstream.frames.get(), InterruptionFrame):
        pass
    await speaking
    seconds = 0.0
    while not seconds:
        _, seconds = await talk.answer()


async def weather(call: FunctionCallParams) -> None:
    await call.result_callback(f"It rains in {call.arguments['city']}.")


async def tools(talk: Talk, _: bytes) -> None:
    """The service calls the function and lets the model answer."""
    city = {"city": {"type": "string"}}
    schema = FunctionSchema("weather", "The weather in a city.", city, required=["city"])
    talk.service.register_function("weather", weather)
    talk.context.set_tools(ToolsSchema([schema]))
    await talk.write("What is the weather in Paris?")
    words = ""
    while "It rains in Paris." not in words:
        words += (await talk.answer())[0]


Scenario = Callable[[Talk, bytes], Awaitable[None]]

SCENARIOS: dict[str, Scenario] = {"text": text, "voice": voice, "interrupt": interrupt}


def _all(ear: Ear) -> list[Frame]:
    return [ear.frames.get_nowait() for _ in range(ear.frames.qsize())]


async def run(address: str, scenario: Scenario, sound: bytes) -> None:
    properties = SessionProperties(instructions="Answer briefly.", audio=AudioConfiguration(input=AudioInput()))
    service = OpenAIRealtimeLLMService(
        api_key="none",
        base_url=f"{address.replace('http', 'ws', 1)}/realtime",
        settings=OpenAIRealtimeLLMService.Settings(model="gpt-realtime", session_properties=properties),
    )
    context, upstream, downstream = LLMContext(), Ear(), Ear()
    aggregators = LLMContextAggregatorPair(context)
    line = [aggregators.user(), upstream, service, downstream, aggregators.assistant()]
    worker = PipelineWorker(Pipeline(line), cancel_on_idle_timeout=False)
    started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")  # type: ignore[untyped-decorator]
    async def _on_started(_worker: Any, _frame: Frame) -> None:
        started.set()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    try:
        await started.wait()
        await scenario(Talk(worker, service, context, downstream, upstream), sound)
        errors = [frame.error for frame in _all(upstream) if isinstance(frame, ErrorFrame)]
        assert not errors, errors
    finally:
        await worker.queue_frame(EndFrame())
        await running


if __name__ == "__main__":
    logger.remove()
    asyncio.run(play(run, SCENARIOS, tools))
