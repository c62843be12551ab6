"""The present, asked of one object and waited for on the same object (law 2)."""

import asyncio
import heapq
import time
from typing import Protocol


class Clock(Protocol):
    """Seconds since an origin of the clock's own; never goes back."""

    def now_s(self) -> float:
        """The present."""
        ...

    async def sleep_until(self, time_s: float) -> None:
        """Return once now_s() ≥ time_s; at once if that is past, after other tasks had a turn."""
        ...


class SystemClock:
    """The machine's monotonic time."""

    def now_s(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()

    async def sleep_until(self, time_s: float) -> None:
        """Sleep on the event loop."""
        await asyncio.sleep(max(0.0, time_s - self.now_s()))


class ManualClock:
    """Time that moves only when told: for tests, and for conversations that run faster than real time."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now_s(self) -> float:
        """Seconds that were advanced so far."""
        return self._now_s

    async def sleep_until(self, time_s: float) -> None:
        """Wait until advance() has passed time_s."""
        if time_s <= self._now_s:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (time_s, self._count, future))
        await future

    async def advance(self, seconds: float) -> None:
        """Move on by seconds, waking sleepers in order, each at its own time."""
        target_s = self._now_s + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= target_s:
            time_s, _, future = heapq.heappop(self._sleepers)
            self._now_s = max(self._now_s, time_s)
            if not future.done():
                future.set_result(None)
            await settle()
        self._now_s = target_s
        await settle()


async def settle(turns: int = 10) -> None:
    """Let every task that can run do so. A chain of callbacks longer than `turns` needs a larger number."""
    for _ in range(turns):
        await asyncio.sleep(0)
