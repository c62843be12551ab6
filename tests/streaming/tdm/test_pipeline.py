"""The line to the engine: who asked gets the answer, and nobody else."""

import asyncio

import pytest

from omni.model import Capabilities
from omni.timing import Timing
from omni.types import TextDelta
from streaming.tdm.clock import ManualClock, settle
from streaming.tdm.jobs import Close, Done, Failed, Job, MarkState, Rewind
from streaming.tdm.pipeline import EngineError, Pipeline


class Recorder:
    timing = Timing()
    capabilities = Capabilities("none", (), sees=False, transcribes=False)

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.cancelled: list[int] = []

    def submit(self, job: Job) -> None:
        self.jobs.append(job)

    def cancel(self, session_id: str, before_turn: int) -> None:
        self.cancelled.append(before_turn)


def line() -> tuple[Recorder, Pipeline]:
    engine = Recorder()
    return engine, Pipeline("s", engine, ManualClock(), lost=lambda: None)


async def test_results_find_their_question_in_any_order() -> None:
    engine, pipeline = line()
    first, second = pipeline.ask(MarkState("a")), pipeline.ask(MarkState("b"))
    pipeline.deliver(Done(engine.jobs[1], (TextDelta("two"),)))
    pipeline.deliver(Done(engine.jobs[0], (TextDelta("one"),)))
    assert await first == (TextDelta("one"),)
    assert await second == (TextDelta("two"),)


async def test_a_failure_is_raised_where_it_was_asked() -> None:
    engine, pipeline = line()
    future = pipeline.ask(MarkState("a"))
    pipeline.deliver(Failed(engine.jobs[0], "no memory"))
    with pytest.raises(EngineError, match="no memory"):
        await future


async def test_what_was_given_up_is_dropped_when_it_comes() -> None:
    engine, pipeline = line()
    task = asyncio.ensure_future(pipeline.ask(MarkState("a")))
    task.cancel()
    pipeline.next_turn()
    pipeline.deliver(Done(engine.jobs[0], (TextDelta("late"),)))
    await settle()
    assert task.cancelled()
    assert engine.cancelled == [1]
    assert pipeline.ask(Rewind("a"))
    assert [job.turn for job in engine.jobs] == [0, 1]


async def test_closing_gives_everything_up() -> None:
    engine, pipeline = line()
    future = pipeline.ask(MarkState("a"))
    pipeline.close()
    assert future.cancelled()
    assert isinstance(engine.jobs[-1].work, Close)
