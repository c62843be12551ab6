"""Policy: order, deadlines, batches."""

from omni.model import Phase
from omni.types import Unit
from streaming.tdm.jobs import Job, Listen, MarkState, Rewind, Step, Work
from streaming.tdm.scheduler import Scheduler

_count = 0


def job(session: str, work: Work, due_s: float = 0.0, turn: int = 0) -> Job:
    global _count  # noqa: PLW0603
    _count += 1
    return Job(session, _count, turn, work, due_s)


def test_a_session_is_served_in_order() -> None:
    scheduler = Scheduler()
    jobs = [job("a", MarkState("x"), 5.0), job("a", Step(Phase.THINK), 1.0), job("a", Rewind("x"), 0.0)]
    for item in jobs:
        scheduler.add(item)
    assert [scheduler.next_batch()[0] for _ in jobs] == jobs
    assert not scheduler.next_batch()


def test_between_sessions_the_earliest_deadline_goes_first() -> None:
    scheduler = Scheduler()
    late, soon = job("a", Step(Phase.SPEAK), 2.0), job("b", Step(Phase.SPEAK), 1.0)
    scheduler.add(late)
    scheduler.add(soon)
    assert scheduler.next_batch() == [soon]
    assert scheduler.next_batch() == [late]


def test_a_conversation_that_is_told_anew_lets_others_go_between() -> None:
    scheduler = Scheduler()
    for _ in range(3):
        scheduler.add(job("a", Listen(Unit(text="x")), 0.0))
    order = ""
    for due_s in (1.0, 2.0, 3.0):
        # as a speaker does: the next step is asked for when one is done
        scheduler.add(job("b", Step(Phase.SPEAK), due_s))
        while order.count("b") < due_s:
            order += scheduler.next_batch()[0].session_id
    assert order == "ababab"


def test_equal_work_goes_together_up_to_the_limit() -> None:
    scheduler = Scheduler(max_batch=2)
    jobs = [job(name, Step(Phase.SPEAK), due) for name, due in (("a", 1.0), ("b", 3.0), ("c", 2.0))]
    other = job("d", Step(Phase.THINK), 1.5)
    for item in [*jobs, other]:
        scheduler.add(item)
    assert scheduler.next_batch() == [jobs[0], jobs[2]]
    assert scheduler.next_batch() == [other]
    assert scheduler.next_batch() == [jobs[1]]


def test_cancelling_drops_old_decoding_and_nothing_else() -> None:
    scheduler = Scheduler()
    kept = [job("a", Listen(Unit(text="x"))), job("a", Rewind("m")), job("a", Step(Phase.THINK), turn=1)]
    other = job("b", Step(Phase.THINK))
    for item in [job("a", Step(Phase.THINK)), *kept[:2], job("a", Step(Phase.SPEAK)), kept[2], other]:
        scheduler.add(item)
    scheduler.cancel("a", before_turn=1)
    scheduler.cancel("nobody", before_turn=1)
    assert len(scheduler) == 4
    left = [scheduler.next_batch()[0] for _ in range(4)]
    assert [item for item in left if item.session_id == "a"] == kept
    assert other in left
