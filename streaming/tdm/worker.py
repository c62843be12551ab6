"""The engine: runs the scheduler's batches on the model, in a thread of its own. Tensors without policy."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, cast

from omni.model import Mark, OmniModel, RowsError, StateT
from omni.types import Delta, Unit
from streaming.tdm.jobs import Begin, Close, Done, Failed, Job, Listen, MarkState, Open, Result, Rewind, Step, Truncate
from streaming.tdm.scheduler import Scheduler

LINGER_S = 0.1
"""after work for a call, its next job is waited for so long before work in the background: results cross the event
loop meanwhile, and an answer of many short jobs must not wait for that work at each of them"""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Slot(Generic[StateT]):
    state: StateT
    marks: dict[str, Mark] = field(default_factory=dict)


class Worker(Generic[StateT]):
    """Owns every session's model state; the only one who touches it.

    submit() and cancel() may be called from any thread; deliver is called on the engine's thread.
    """

    def __init__(self, model: OmniModel[StateT], deliver: Callable[[Result], None], linger_s: float = LINGER_S) -> None:
        self.timing = model.timing
        self.capabilities = model.capabilities
        self._model = model
        self._deliver = deliver
        self._scheduler = Scheduler(model.capabilities.max_batch)
        self._slots: dict[str, _Slot[StateT]] = {}
        self._changed = threading.Condition()
        self._linger_s = linger_s
        self._worked_for_call = False
        """the last batch was not in the background"""
        self._running = False
        self._thread: threading.Thread | None = None

    @property
    def n_sessions(self) -> int:
        """Sessions whose state is held."""
        return len(self._slots)

    def submit(self, job: Job) -> None:
        """Queue a job. Its Result is delivered, unless it is Close or is cancelled."""
        with self._changed:
            self._scheduler.add(job)
            self._changed.notify()

    def cancel(self, session_id: str, before_turn: int) -> None:
        """Drop decoding that was queued for older turns."""
        with self._changed:
            self._scheduler.cancel(session_id, before_turn)

    def start(self) -> None:
        """Run in a thread of its own."""
        self._running = True
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish what is queued (closing states, above all) and end the thread."""
        with self._changed:
            self._running = False
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def step(self) -> bool:
        """Run one batch here and now. False: there was nothing to do."""
        with self._changed:
            batch = self._scheduler.next_batch()
            self._worked_for_call = not all(job.background for job in batch)
        if batch and all(job.session_id in self._slots for job in batch):
            self._execute(batch)
        else:  # one is being opened, or is not open and fails alone
            for job in batch:
                self._execute([job])
        return bool(batch)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not self._running or len(self._scheduler) > 0)
                if self._worked_for_call:
                    self._changed.wait_for(self._need_not_linger, self._linger_s)
                if not self._running and not len(self._scheduler):
                    return
            self.step()

    def _need_not_linger(self) -> bool:
        return not self._running or not self._scheduler.only_background

    def _execute(self, batch: list[Job]) -> None:
        marks: list[Mark] = []
        rows: Sequence[list[Delta] | Exception] = ()
        failure = ""
        try:
            if len(batch) > 1 and isinstance(batch[0].work, Listen):
                marks = [self._model.mark(self._slot(job).state) for job in batch]
            rows = self._rows(batch)
        except RowsError as error:
            rows = error.rows
        except Exception as error:
            log.exception("%s failed for %s", batch[0].work, [job.session_id for job in batch])
            failure = f"{type(error).__name__}: {error}"
        if failure:
            # Only here: the error held on to all that was being computed, and memory may be what was short.
            self._failed(batch, marks, failure)
            return
        for job, row in zip(batch, rows, strict=True):
            if isinstance(row, Exception):
                log.error("%s failed for %s alone", job.work, job.session_id, exc_info=row)
                self._deliver(Failed(job, f"{type(row).__name__}: {row}"))
            elif not isinstance(job.work, Close):
                self._deliver(Done(job, tuple(row)))

    def _failed(self, batch: list[Job], marks: list[Mark], failure: str) -> None:
        """One of several may be all that is wrong: each is tried alone, where nothing was changed.

        A step that fails has undone itself (OmniModel.step); who has listened is taken back to the mark.
        """
        undone = self._go_back(batch, marks) if marks else isinstance(batch[0].work, Step)
        for job in batch:
            if len(batch) > 1 and undone:
                self._execute([job])
            else:
                self._deliver(Failed(job, failure))

    def _go_back(self, batch: list[Job], marks: list[Mark]) -> bool:
        """Return every session to its mark; False if one cannot."""
        try:
            for job, mark in zip(batch, marks, strict=True):
                self._model.rewind(self._slot(job).state, mark)
        except Exception:
            log.exception("going back failed for %s", [job.session_id for job in batch])
            return False
        return True

    def _rows(self, batch: list[Job]) -> list[list[Delta]]:
        first = batch[0]
        match first.work:
            case Listen():
                units: list[Unit] = [cast(Listen, job.work).unit for job in batch]
                return self._model.listen(units, [self._slot(job).state for job in batch])
            case Step(phase):
                return self._model.step(phase, [self._slot(job).state for job in batch])
            case Open(instructions, voice, mode, language):
                self._drop(first)
                self._slots[first.session_id] = _Slot(self._model.open(instructions, voice, mode, language))
            case Begin(reply):
                self._model.begin(self._slot(first).state, reply)
            case MarkState(name):
                slot = self._slot(first)
                slot.marks[name] = self._model.mark(slot.state)
            case Rewind(name):
                slot = self._slot(first)
                self._model.rewind(slot.state, slot.marks[name])
            case Truncate(heard_s):
                self._model.truncate(self._slot(first).state, heard_s)
            case Close():
                self._drop(first)
        return [[]]

    def _slot(self, job: Job) -> _Slot[StateT]:
        slot = self._slots.get(job.session_id)
        if slot is None:
            raise RuntimeError(f"session {job.session_id} is not open on this engine")
        return slot

    def _drop(self, job: Job) -> None:
        slot = self._slots.pop(job.session_id, None)
        if slot is not None:
            self._model.close(slot.state)
