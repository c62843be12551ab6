"""The engine's thread and its faults."""

import logging
import threading
import weakref
from collections.abc import Sequence

import numpy as np
import pytest

from omni.model import Phase, RowsError
from omni.types import Delta, Reply, TextDelta, Unit
from streaming.tdm.jobs import (
    Begin,
    Close,
    Done,
    Failed,
    Job,
    Listen,
    MarkState,
    Open,
    Result,
    Rewind,
    Step,
    Truncate,
    Work,
)
from streaming.tdm.worker import Worker
from tests.fakes import ScriptedModel, ScriptedState, say


class Bench:
    def __init__(self, model: ScriptedModel) -> None:
        self.results: list[Result] = []
        self.worker: Worker[ScriptedState] = Worker(model, self.results.append)
        self._count = 0

    def run(self, *works: tuple[str, Work]) -> list[Result]:
        del self.results[:]
        for session_id, work in works:
            self._count += 1
            self.worker.submit(Job(session_id, self._count, 0, work))
        while self.worker.step():
            pass
        return list(self.results)


def test_a_fault_harms_its_own_session_alone() -> None:
    model = ScriptedModel()
    bench = Bench(model)
    bench.run(("a", Open("", None)), ("b", Open("", None)))
    model.fail = ValueError("broken")
    first, second = bench.run(("a", Step(Phase.THINK)), ("b", Listen(Unit(audio=say("hello")))))
    assert isinstance(first, Failed)
    assert first.message == "ValueError: broken"
    assert isinstance(second, Done)


def test_work_for_a_session_that_is_not_open_fails_with_words() -> None:
    (result,) = Bench(ScriptedModel()).run(("ghost", Begin(Reply())))
    assert isinstance(result, Failed)
    assert "ghost is not open" in result.message


def test_what_else_is_in_the_batch_does_not_show() -> None:
    script: list[Work] = [Listen(Unit(audio=say("red sky"))), Begin(Reply(speaks=False)), Step(Phase.THINK)]
    alone = Bench(ScriptedModel())
    expected = [r.deltas for r in alone.run(("a", Open("", None)), *(("a", w) for w in script)) if isinstance(r, Done)]
    together = Bench(ScriptedModel(max_batch=8))
    together.run(*((name, Open("", None)) for name in "abc"))
    results = together.run(*((name, work) for work in script for name in "abc"))
    found = [r.deltas for r in results if isinstance(r, Done) and r.job.session_id == "a"]
    assert found == expected[1:]


def test_what_one_session_cannot_take_in_is_no_matter_of_the_others() -> None:
    class Choosy(ScriptedModel):
        def listen(self, units: Sequence[Unit], states: Sequence[ScriptedState]) -> list[list[Delta]]:
            rows = super().listen(units, states)
            if any(unit.text == "bad" for unit in units):
                raise ValueError("cannot be read")
            return rows

    model = Choosy(max_batch=8)
    bench = Bench(model)
    bench.run(*((name, Open("", None)) for name in "abc"))
    words = {"a": "good", "b": "bad", "c": "fine"}
    results = bench.run(*((name, Listen(Unit(text=text))) for name, text in words.items()))
    assert {result.job.session_id: type(result) for result in results} == {"a": Done, "b": Failed, "c": Done}
    assert [model.states[index].typed for index in (0, 2)] == [["good"], ["fine"]]


@pytest.mark.parametrize("phase", [Phase.THINK, Phase.SPEAK])
def test_what_one_answer_cannot_have_the_others_of_its_batch_get(phase: Phase) -> None:
    class Narrow(ScriptedModel):
        """Has no room for one of its sessions, nor for any other beside it."""

        def step(self, phase: Phase, states: Sequence[ScriptedState]) -> list[list[Delta]]:
            if any(state.instructions == "huge" for state in states):
                raise MemoryError("no room")
            return super().step(phase, states)

    alone, bench = Bench(ScriptedModel()), Bench(Narrow(max_batch=8))
    for each in (alone, bench):
        each.run(*((name, Open("huge" if name == "b" else "", None)) for name in "abc"))
        each.run(*((name, Begin(Reply())) for name in "abc"))
    results = {result.job.session_id: result for result in bench.run(*((name, Step(phase)) for name in "abc"))}
    assert {name: type(result) for name, result in results.items()} == {"a": Done, "b": Failed, "c": Done}
    (expected,) = alone.run(("c", Step(phase)))
    found = results["c"]
    assert isinstance(found, Done)
    assert isinstance(expected, Done)
    assert found.deltas == expected.deltas


def test_before_a_session_is_tried_alone_the_error_has_let_go_of_what_was_computed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL, "streaming.tdm.worker")  # what pytest captures of the log holds the error, too
    alive: list[weakref.ref[object]] = []
    seen: list[bool] = []

    class Leaky(ScriptedModel):
        def step(self, phase: Phase, states: Sequence[ScriptedState]) -> list[list[Delta]]:
            if len(states) > 1:
                large = np.zeros(1)
                alive.append(weakref.ref(large))
                raise MemoryError("no room")
            seen.append(alive[0]() is not None)
            return super().step(phase, states)

    bench = Bench(Leaky(max_batch=8))
    bench.run(*((name, Open("", None)) for name in "ab"), *((name, Begin(Reply())) for name in "ab"))
    bench.run(*((name, Step(Phase.THINK)) for name in "ab"))
    assert seen == [False, False]


def test_a_session_that_fails_alone_in_a_batch_fails_alone() -> None:
    class Brittle(ScriptedModel):
        def step(self, phase: Phase, states: Sequence[ScriptedState]) -> list[list[Delta]]:
            rows = super().step(phase, states)
            raise RowsError([ArithmeticError("no numbers") if index == 1 else row for index, row in enumerate(rows)])

    bench = Bench(Brittle(max_batch=8))
    bench.run(*((name, Open("", None)) for name in "abc"))
    bench.run(*((name, Begin(Reply())) for name in "abc"))
    results = bench.run(*((name, Step(Phase.THINK)) for name in "abc"))
    assert [type(result) for result in results] == [Done, Failed, Done]
    assert isinstance(results[1], Failed)
    assert results[1].message == "ArithmeticError: no numbers"


def test_a_session_that_is_not_open_spoils_no_batch() -> None:
    bench = Bench(ScriptedModel(max_batch=8))
    bench.run(("a", Open("", None)), ("a", Begin(Reply(speaks=False))))
    results = bench.run(("ghost", Step(Phase.THINK)), ("a", Step(Phase.THINK)))
    assert [(result.job.session_id, type(result)) for result in results] == [("ghost", Failed), ("a", Done)]


def test_marks_belong_to_a_session_and_closing_frees_it() -> None:
    model = ScriptedModel()
    bench = Bench(model)
    bench.run(("a", Open("", None)), ("a", MarkState("m")), ("a", Listen(Unit(text="hi"))), ("a", Rewind("m")))
    assert model.states[0].typed == []
    assert bench.run(("a", Close())) == []
    assert model.states == []
    assert bench.worker.n_sessions == 0


def test_it_runs_in_a_thread_of_its_own_and_stops() -> None:
    arrived = threading.Event()
    results: list[Result] = []

    def deliver(result: Result) -> None:
        results.append(result)
        if len(results) == 3:
            arrived.set()

    worker: Worker[ScriptedState] = Worker(ScriptedModel(), deliver)
    worker.start()
    works: list[Work] = [Open("", None), Begin(Reply()), Step(Phase.THINK)]
    for number, work in enumerate(works):
        worker.submit(Job("a", number, 0, work))
    assert arrived.wait(5)
    worker.stop()
    assert isinstance(results[2], Done)
    assert isinstance(results[2].deltas[0], TextDelta)


def test_what_is_queued_is_done_before_it_stops() -> None:
    model = ScriptedModel()
    worker: Worker[ScriptedState] = Worker(model, lambda result: None)
    for number in range(50):
        worker.submit(Job(str(number), 1, 0, Open("", None)))
        worker.submit(Job(str(number), 2, 0, Close()))
    worker.start()
    worker.stop()
    assert worker.n_sessions == 0
    assert not model.states


class Thread:
    """The engine in its thread, which lingers for as long as a test may take. What it did is noted."""

    def __init__(self, chain: int) -> None:
        self.done: list[str] = []
        self.over = threading.Event()
        self._left = chain
        # a step for nobody in particular; only its order is looked at
        self.worker: Worker[ScriptedState] = Worker(ScriptedModel(), self._deliver, linger_s=20.0)

    def _deliver(self, result: Result) -> None:
        self.done.append(result.job.session_id)
        if result.job.session_id != "call":
            return
        self._left -= 1
        if not self._left:
            self.over.set()
            return
        # as over the event loop: the next job comes a little after the engine has gone on
        threading.Timer(0.02, self.worker.submit, (Job("call", 99, 0, Truncate(0.0)),)).start()


def test_work_in_the_background_does_not_come_between_the_jobs_of_an_answer() -> None:
    thread = Thread(chain=5)
    thread.worker.submit(Job("call", 1, 0, Open("", None)))
    thread.worker.submit(Job("text", 1, 0, Open("", None), 10.0, background=True))
    thread.worker.submit(Job("text", 2, 0, Truncate(0.0), 10.0, background=True))
    thread.worker.start()
    assert thread.over.wait(20)
    thread.worker.stop()
    assert thread.done == [*["call"] * 5, "text", "text"]


def test_work_in_the_background_is_done_when_nobody_calls_and_a_line_that_is_cut_stops_nothing() -> None:
    thread = Thread(chain=2)
    thread.worker.start()
    thread.worker.submit(Job("call", 1, 0, Open("", None)))
    thread.worker.submit(Job("text", 1, 0, Step(Phase.THINK), 10.0, background=True))
    thread.worker.cancel("text", before_turn=1)
    assert thread.over.wait(20)
    thread.worker.submit(Job("call", 3, 0, Close()))
    thread.worker.submit(Job("text", 2, 1, Open("", None), 10.0, background=True))
    thread.worker.stop()
    assert thread.done == ["call", "call", "text"]
