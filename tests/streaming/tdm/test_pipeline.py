"""The line to the engine: who asked gets the answer, and nobody else."""

import asyncio

import pytest

from omni.model import Capabilities
from omni.timing import Timing
from omni.types import Delta, Reply, TextDelta, TurnEnd
from streaming.tdm.clock import ManualClock, settle
from streaming.tdm.jobs import Close, Done, Failed, Job, MarkState, Rewind, Step
from streaming.tdm.pipeline import MAX_JOBS, SILENCE_S, Answer, EngineError, Pipeline
from streaming.tdm.playout import Playout


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
    return engine, Pipeline("s", engine, ManualClock(), lost=lambda reason: None)


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


async def test_a_session_cannot_queue_without_end() -> None:
    engine, pipeline = line()
    for _ in range(MAX_JOBS + 5):
        pipeline.tell(MarkState("a"))
    assert len(engine.jobs) == MAX_JOBS
    with pytest.raises(EngineError, match="too much"):
        await pipeline.ask(MarkState("a"))
    pipeline.deliver(Done(engine.jobs[0]))
    pipeline.tell(MarkState("a"))
    pipeline.close()
    assert [len(engine.jobs), type(engine.jobs[-1].work)] == [MAX_JOBS + 2, Close]


async def test_closing_gives_everything_up() -> None:
    engine, pipeline = line()
    future = pipeline.ask(MarkState("a"))
    pipeline.close()
    assert future.cancelled()
    assert isinstance(engine.jobs[-1].work, Close)


class Halting(Recorder):
    """A model that is asked in vain, until `says` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.says: tuple[Delta, ...] = ()
        self.pipeline: Pipeline | None = None

    def submit(self, job: Job) -> None:
        super().submit(job)
        assert self.pipeline is not None
        deltas = self.says if isinstance(job.work, Step) else ()
        asyncio.get_running_loop().call_soon(self.pipeline.deliver, Done(job, deltas))


def answering() -> tuple[Halting, ManualClock, Answer, "asyncio.Task[None]"]:
    engine, clock = Halting(), ManualClock()
    engine.pipeline = Pipeline("s", engine, clock, lost=lambda reason: None)
    answer = Answer(engine.pipeline, clock, Playout(clock, engine.timing, 0.5), Reply(speaks=False))
    return engine, clock, answer, asyncio.create_task(answer.run())


async def test_a_model_that_gives_nothing_is_given_up_in_words() -> None:
    _, clock, _, run = answering()
    await clock.advance(SILENCE_S - 1)
    assert not run.done()
    await clock.advance(2.0)
    with pytest.raises(EngineError, match="gave nothing for"):
        await run


async def test_a_slow_model_and_an_answer_on_hold_are_not_given_up() -> None:
    engine, clock, answer, run = answering()
    await clock.advance(SILENCE_S - 1)
    answer.hold()
    await clock.advance(2 * SILENCE_S)
    answer.resume()
    await clock.advance(SILENCE_S - 1)
    assert not run.done()
    engine.says = (TextDelta("at last", last=True), TurnEnd("completed", 2))
    await clock.advance(1.0)
    await run
    assert answer.text.startswith("at last")
