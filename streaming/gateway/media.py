"""Voice activity of many sessions in a thread beside the event loop, for which it is too heavy.

The thread sees one call's arguments and nothing shared. Only the event loop touches what is kept between calls.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from omni.timing import Timing
from omni.types import Pcm
from streaming.tdm.clock import Clock

_MAX_ROUNDS = 8
"""windows of one session that a call to the pool takes, so that a long append does not hold up the others"""
_REST = 4.0
"""times as long as a call took, the thread rests after it: what comes meanwhile shares the next, so that the more
sessions there are, or the busier the machine is, the less each costs. For a session alone it never rests: nobody would
share, and a file would be held up by it at every step"""
_LONGEST_REST_S = 0.005
"""what a window may wait for that, at most"""

StateT = TypeVar("StateT")


class ActivityModel(Protocol[StateT]):
    """A voice-activity network for one window each of many streams."""

    def open(self) -> StateT:
        """A fresh stream."""
        ...

    def probabilities(self, windows: list[Pcm], states: list[StateT]) -> list[float]:
        """Chance of speech in one window each; the states move on."""
        ...


def probabilities_of(model: ActivityModel[Any], pcm: Pcm, timing: Timing) -> list[float]:
    """Chances of speech in a whole recording [S] at Timing.input_rate, one for each full window. Blocks."""
    state = model.open()
    return [model.probabilities([window], [state])[0] for window in _Cutter(timing).push(pcm)]


class _Cutter:
    """Cuts a stream of any packets into windows."""

    def __init__(self, timing: Timing) -> None:
        self._length = timing.window_samples
        self._rest: Pcm = np.zeros(0, np.float32)

    def push(self, pcm: Pcm) -> list[Pcm]:
        whole = np.concatenate((self._rest, pcm))
        n_windows = len(whole) // self._length
        self._rest = whole[n_windows * self._length :]
        return [whole[i * self._length : (i + 1) * self._length] for i in range(n_windows)]


class DirectActivity(Generic[StateT]):
    """One session's voice activity, computed where it is asked for: for media that is fed faster than real time."""

    def __init__(self, model: ActivityModel[StateT], timing: Timing) -> None:
        self._model = model
        self._state = model.open()
        self._cutter = _Cutter(timing)

    async def probabilities(self, pcm: Pcm) -> list[float]:
        """One value for each window that [S] samples complete."""
        return [self._model.probabilities([window], [self._state])[0] for window in self._cutter.push(pcm)]


@dataclass(slots=True, eq=False)
class _Request:
    """The windows of one session that wait for their probabilities."""

    state: Any
    windows: deque[Pcm]
    answer: asyncio.Future[list[float]]
    found: list[float] = field(default_factory=list)


class PooledActivity(Generic[StateT]):
    """Voice activity of all sessions: windows that wait at the same moment share one call of the network."""

    def __init__(self, model: ActivityModel[StateT], timing: Timing, pool: Executor, clock: Clock) -> None:
        self._model = model
        self._timing = timing
        self._pool = pool
        self._clock = clock
        self._waiting: list[_Request] = []
        self._served: set[int] = set()
        """sessions of the last call, by the ids of their states"""
        self._task: asyncio.Task[None] | None = None

    def open(self) -> "PooledStream[StateT]":
        """One session's share."""
        return PooledStream(self, self._model.open(), _Cutter(self._timing))

    async def compute(self, state: StateT, windows: list[Pcm]) -> list[float]:
        """Probabilities of consecutive windows of one stream."""
        request = _Request(state, deque(windows), asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="voice activity")
        return await request.answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                requests = list(self._waiting)  # more may come while these are computed
                began_s = self._clock.now_s()
                await self._call(requests)
                ended_s = self._clock.now_s()
                before, self._served = self._served, {id(request.state) for request in requests}
                if len(self._served | before) > 1:
                    await self._clock.sleep_until(ended_s + min(_REST * (ended_s - began_s), _LONGEST_REST_S))
        finally:
            self._task = None

    async def _call(self, requests: list[_Request]) -> None:
        """Compute the next windows of each, and answer those of which that were all."""
        rounds = [[r.windows.popleft() for _ in range(min(_MAX_ROUNDS, len(r.windows)))] for r in requests]
        loop = asyncio.get_running_loop()
        error: Exception | None = None
        try:
            rows = await loop.run_in_executor(self._pool, self._rounds, [r.state for r in requests], rounds)
        except Exception as reason:
            error = reason
        else:
            for request, row in zip(requests, rows, strict=True):
                request.found += row
        for request in requests:
            if request.answer.done():  # its session has gone
                continue
            if error is not None:
                request.answer.set_exception(error)
            elif not request.windows:
                request.answer.set_result(request.found)
        self._waiting = [r for r in self._waiting if not r.answer.done()]

    def _rounds(self, states: Sequence[StateT], queues: list[list[Pcm]]) -> list[list[float]]:
        """Runs in the pool: the first window of every stream together, then the second of those that have one, …"""
        rows: list[list[float]] = [[] for _ in queues]
        for number in range(max(map(len, queues))):
            chosen = [i for i, queue in enumerate(queues) if number < len(queue)]
            values = self._model.probabilities([queues[i][number] for i in chosen], [states[i] for i in chosen])
            for i, value in zip(chosen, values, strict=True):
                rows[i].append(value)
        return rows


class PooledStream(Generic[StateT]):
    """One session's voice activity in the pool."""

    def __init__(self, activity: PooledActivity[StateT], state: StateT, cutter: _Cutter) -> None:
        self._activity = activity
        self._state = state
        self._cutter = cutter

    async def probabilities(self, pcm: Pcm) -> list[float]:
        """One value for each window that [S] samples complete."""
        windows = self._cutter.push(pcm)
        return await self._activity.compute(self._state, windows) if windows else []
