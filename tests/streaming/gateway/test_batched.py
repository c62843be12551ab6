"""Two calls at once with one MiniCPM-o: computed together, and each gets the answer that it gets alone."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="MiniCPM-o needs torch: pip install -e '.[minicpm-o]'")

import torch
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from torch import Tensor

from omni.checkpoint import find
from omni.families.minicpm_o.family import MiniCpmO, load_minicpm_o
from omni.families.minicpm_o.network import Prompt
from omni.families.minicpm_o.state import State
from omni.model import Phase
from omni.nn.cache import KvCache
from omni.nn.sampling import Draw, by_chance
from omni.types import Delta, Reply, Unit
from streaming.config import Config
from streaming.gateway.listening import listening
from streaming.gateway.server import Gateway
from streaming.tdm.clock import SystemClock
from streaming.tdm.jobs import Begin, Done, Job, Listen, Open, Result, Step, Work
from streaming.tdm.worker import Worker
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
    batches = [0]
    begun: set[int] = set()
    begin, step, work = model.begin, model.step, Worker.step

    def counted(state: State, reply: Reply) -> None:
        begun.add(id(state))
        begin(state, reply)

    def waiting(phase: Phase, states: Sequence[State]) -> list[list[Delta]]:
        """Like a model that has nothing to say yet, until both are asked: else one might answer before the other."""
        if len(begun) < 2:
            return [[] for _ in states]
        batches.append(len(states))
        return step(phase, states)

    def gathering(worker: Worker[State]) -> bool:
        """Wait until both calls have a step queued, however slowly the event loop brings them: once is enough."""
        until_s = time.monotonic() + 10
        while len(begun) == 2 and max(batches) < 2 and len(worker._scheduler) < 2 and time.monotonic() < until_s:
            time.sleep(0.001)
        return work(worker)

    monkeypatch.setattr(model, "begin", counted)
    monkeypatch.setattr(model, "step", waiting)
    monkeypatch.setattr(Worker, "step", gathering)
    together = list(await asyncio.gather(writes(server), speaks(server)))
    assert together == alone
    assert all(said.text.strip() and said.n_samples for said in alone)
    assert alone[0] != alone[1]
    assert max(batches) == 2


def test_a_fault_late_in_a_batch_is_undone_before_each_listens_alone(
    model: MiniCpmO, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, model.timing.unit_samples).astype(np.float32)
    works: list[Work] = [Listen(Unit(audio=sound)), Listen(Unit(audio=sound[:5_000]))]
    works += [Begin(Reply(max_tokens=N_TOKENS)), Step(Phase.THINK), Step(Phase.THINK)]
    expected = worked(model, works, "a")
    read = model._network.read
    sizes: list[int] = []

    def faulty(prompts: Sequence[Prompt], caches: Sequence[KvCache]) -> list[Tensor]:
        sizes.append(len(prompts))
        states = read(prompts, caches)
        if len(prompts) > 1:
            raise RuntimeError("out of memory, when all was written")
        return states

    monkeypatch.setattr(model._network, "read", faulty)
    found = worked(model, works, "ab")
    assert max(sizes) == 2
    assert found["a"] == found["b"] == expected["a"]


def worked(model: MiniCpmO, works: Sequence[Work], sessions: str) -> dict[str, list[tuple[Delta, ...]]]:
    """What comes of the same work for each session."""
    found: dict[str, list[tuple[Delta, ...]]] = {name: [] for name in sessions}

    def deliver(result: Result) -> None:
        assert isinstance(result, Done), result
        found[result.job.session_id].append(result.deltas)

    worker: Worker[State] = Worker(model, deliver)
    for number, work in enumerate([Open("", None), *works]):
        for name in sessions:
            worker.submit(Job(name, number, 0, work))
    while worker.step():
        pass
    return found
