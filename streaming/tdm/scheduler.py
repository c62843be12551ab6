"""Which jobs run next. Policy without tensors (law 10)."""

from collections import deque

from streaming.tdm.jobs import Job, Listen, Step


class Scheduler:
    """In a session, in order; between sessions, earliest deadline first, equal work together.

    Who has many units to listen to (a conversation that is told anew) lets the others go between two of them.

    Bounded by its callers: a session's pipeline lets at most MAX_JOBS wait, and sessions are admitted.
    """

    def __init__(self, max_batch: int = 1) -> None:
        self._queues: dict[str, deque[Job]] = {}
        self._behind: dict[str, float] = {}
        """sessions that have just listened: the deadline of the others behind which the next unit stands"""
        self._max_batch = max_batch

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    @property
    def only_background(self) -> bool:
        """Nothing waits that is for a call."""
        return all(queue[0].background for queue in self._queues.values() if queue)

    def add(self, job: Job) -> None:
        """Queue a job behind the others of its session."""
        self._queues.setdefault(job.session_id, deque()).append(job)

    def cancel(self, session_id: str, before_turn: int) -> None:
        """Drop the session's decoding of older turns. What keeps its state right (marks, rewinds) stays."""
        queue = self._queues.get(session_id)
        if queue is not None:
            kept = [job for job in queue if not isinstance(job.work, Step) or job.turn >= before_turn]
            queue.clear()
            queue.extend(kept)

    def next_batch(self) -> list[Job]:
        """Take the most urgent job, and with it the equal heads of other sessions. Empty: nothing to do."""
        heads = sorted((queue[0] for queue in self._queues.values() if queue), key=self._urgency)
        if not heads:
            return []
        kind = _kind(heads[0])
        batch = [heads[0]] if kind is None else [job for job in heads if _kind(job) == kind][: self._max_batch]
        left_s = [job.due_s for job in heads if job not in batch]
        for job in batch:
            queue = self._queues[job.session_id]
            queue.popleft()
            self._behind.pop(job.session_id, None)
            if not queue:
                del self._queues[job.session_id]
            elif left_s and isinstance(job.work, Listen) and isinstance(queue[0].work, Listen):
                self._behind[job.session_id] = max(left_s)
        return batch

    def _urgency(self, job: Job) -> tuple[float, bool]:
        behind_s = self._behind.get(job.session_id)
        return (job.due_s, False) if behind_s is None else (max(job.due_s, behind_s), True)


def _kind(job: Job) -> object | None:
    """What a job may share a batch with; None: it runs alone."""
    match job.work:
        case Listen():
            return Listen
        case Step(phase):
            return phase
        case _:
            return None
