"""Two calls at once with one MiniCPM-o: computed together, and each gets the answer that it gets alone."""

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="MiniCPM-o needs torch: pip install -e '.[minicpm-o]'")

import torch
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from omni.checkpoint import find
from omni.families.minicpm_o import MiniCpmO, load_minicpm_o
from omni.families.minicpm_o_state import State
from omni.model import Phase
from omni.nn.sampling import Draw, by_chance
from omni.types import Delta
from streaming.config import Config
from streaming.gateway.server import Gateway, listening
from streaming.tdm.clock import SystemClock
from tests.fakes import say, silence
from tests.streaming.gateway.place import RATE, Loudness, encoded

N_TOKENS = 20


def seeded() -> Draw:
    return by_chance(torch.Generator().manual_seed(5))


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> MiniCpmO:
    loaded = load_minicpm_o(find(str(tiny_folder)), device="cpu", mode="omni", language="en")
    loaded._new_draw = seeded
    return loaded


@pytest.fixture
async def server(model: MiniCpmO) -> AsyncIterator[AsyncOpenAI]:
    gateway = Gateway(Config(), None, SystemClock())
    async with listening(gateway, "127.0.0.1", 0) as address:
        gateway.start(model, Loudness())
        yield AsyncOpenAI(api_key="none", base_url=f"{address}/v1")


@dataclass(frozen=True, slots=True)
class Said:
    """What came back of one answer."""

    text: str
    n_samples: int
    status: str


async def answer(connection: AsyncRealtimeConnection) -> Said:
    text, n_samples = "", 0
    async with asyncio.timeout(60):
        async for event in connection:
            assert event.type != "error", event
            if event.type == "response.output_audio_transcript.delta":
                text += event.delta
            elif event.type == "response.output_audio.delta":
                n_samples += len(base64.b64decode(event.delta)) // 2
            elif event.type == "response.done":
                return Said(text, n_samples, str(event.response.status))
    raise AssertionError("the server hung up")


async def writes(server: AsyncOpenAI) -> Said:
    async with server.realtime.connect(model="tiny") as connection:
        await connection.session.update(session={"type": "realtime", "max_output_tokens": N_TOKENS})
        content = [{"type": "input_text", "text": "What is that?"}]
        item = {"type": "message", "role": "user", "content": content}
        await connection.conversation.item.create(item=item)  # type: ignore[arg-type]
        await connection.response.create()
        return await answer(connection)


async def speaks(server: AsyncOpenAI) -> Said:
    async with server.realtime.connect(model="tiny") as connection:
        await connection.session.update(session={"type": "realtime", "max_output_tokens": N_TOKENS})
        sound = np.concatenate([silence(0.4, RATE), say("one two three four five six", RATE), silence(1.0, RATE)])
        for begin in range(0, len(sound), RATE // 10):
            await connection.input_audio_buffer.append(audio=encoded(sound[begin : begin + RATE // 10]))
        return await answer(connection)


async def test_calls_at_once_get_the_answers_that_they_get_alone(
    server: AsyncOpenAI, model: MiniCpmO, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [await writes(server), await speaks(server)]
    batches: list[int] = []
    step = model.step

    def counted(phase: Phase, states: Sequence[State]) -> list[list[Delta]]:
        batches.append(len(states))
        return step(phase, states)

    monkeypatch.setattr(model, "step", counted)
    together = list(await asyncio.gather(writes(server), speaks(server)))
    assert together == alone
    assert all(said.text.strip() and said.n_samples for said in alone)
    assert alone[0] != alone[1]
    assert max(batches) == 2
