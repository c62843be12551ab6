"""Voice activity shared by many sessions: batched, apart, and fair."""

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from omni.timing import Timing
from omni.types import Pcm
from streaming.gateway.media import DirectActivity, PooledActivity
from streaming.tdm.clock import SystemClock, settle

TIMING = Timing()


class Counting:
    """A network whose answer tells which stream asked, and for the how manieth time."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.fail = False

    def open(self) -> list[float]:
        return [0.0]

    def probabilities(self, windows: list[Pcm], states: list[list[float]]) -> list[float]:
        self.gate.wait(10)
        if self.fail:
            raise RuntimeError("the network stumbled")
        self.batches.append(len(windows))
        values = []
        for window, state in zip(windows, states, strict=True):
            assert len(window) == TIMING.window_samples
            state[0] += 1
            values.append(float(window[0]) + state[0])
        return values


def sound(level: float, n_windows: float) -> Pcm:
    return np.full(round(n_windows * TIMING.window_samples), level, np.float32)


@pytest.fixture
async def pool() -> AsyncIterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


async def test_how_the_sound_was_cut_does_not_show(pool: ThreadPoolExecutor) -> None:
    rng = np.random.default_rng(1)
    whole = rng.standard_normal(20 * TIMING.window_samples + 99).astype(np.float32)
    expected = await DirectActivity(Counting(), TIMING).probabilities(whole)
    assert len(expected) == 20
    stream = PooledActivity(Counting(), TIMING, pool, SystemClock()).open()
    found: list[float] = []
    for piece in np.split(whole, [1, 512, 700, 3_000, 3_001, 9_999]):
        found += await stream.probabilities(piece)
    assert found == expected


async def test_windows_that_wait_together_share_a_call_and_keep_apart(pool: ThreadPoolExecutor) -> None:
    model = Counting()
    activity = PooledActivity(model, TIMING, pool, SystemClock())
    streams = [activity.open() for _ in range(5)]
    model.gate.clear()
    first = asyncio.create_task(streams[0].probabilities(sound(0, 1)))
    await asyncio.sleep(0)
    others = [asyncio.create_task(stream.probabilities(sound(10, 2))) for stream in streams[1:]]
    await asyncio.sleep(0)
    model.gate.set()
    assert await first == [1]
    assert await asyncio.gather(*others) == [[11, 12]] * 4
    assert model.batches == [1, 4, 4]


class Watch:
    """A clock by which every call of the network takes as long as the test says, and a rest lasts until it says so."""

    def __init__(self, call_s: float) -> None:
        self.rests_s: list[float] = []
        self.rested = asyncio.Event()
        self._call_s = call_s
        self._time_s = 0.0

    def now_s(self) -> float:
        self._time_s += self._call_s
        return self._time_s

    async def sleep_until(self, time_s: float) -> None:
        self.rests_s.append(time_s - self._time_s)
        await self.rested.wait()


@pytest.mark.parametrize(("call_s", "rest_s"), [(0.0005, 0.002), (0.1, 0.005)])
async def test_what_comes_while_the_thread_rests_shares_the_next_call(
    pool: ThreadPoolExecutor, call_s: float, rest_s: float
) -> None:
    model, clock = Counting(), Watch(call_s)
    activity = PooledActivity(model, TIMING, pool, clock)
    assert [await activity.open().probabilities(sound(0, 1)) for _ in range(2)] == [[1], [1]]
    others = [asyncio.create_task(activity.open().probabilities(sound(0, 1))) for _ in range(3)]
    await settle()
    assert clock.rests_s == [pytest.approx(rest_s)]
    assert model.batches == [1, 1]
    clock.rested.set()
    assert await asyncio.gather(*others) == [[1]] * 3
    assert model.batches == [1, 1, 3]


async def test_one_session_alone_never_waits_for_company(pool: ThreadPoolExecutor) -> None:
    clock = Watch(0.1)
    stream = PooledActivity(Counting(), TIMING, pool, clock).open()
    async with asyncio.timeout(10):
        for n_windows in (1, 20, 1):
            assert len(await stream.probabilities(sound(0, n_windows))) == n_windows
    assert clock.rests_s == []


async def test_a_long_recording_does_not_hold_up_the_others(pool: ThreadPoolExecutor) -> None:
    activity = PooledActivity(Counting(), TIMING, pool, SystemClock())
    long = asyncio.create_task(activity.open().probabilities(sound(0, 500)))
    await asyncio.sleep(0)
    short = asyncio.create_task(activity.open().probabilities(sound(0, 1)))
    done, _ = await asyncio.wait({long, short}, return_when=asyncio.FIRST_COMPLETED)
    assert done == {short}
    assert len(await long) == 500


async def test_a_failure_reaches_those_who_asked_and_the_next_call_works(pool: ThreadPoolExecutor) -> None:
    model = Counting()
    stream = PooledActivity(model, TIMING, pool, SystemClock()).open()
    model.fail = True
    with pytest.raises(RuntimeError, match="stumbled"):
        await stream.probabilities(sound(0, 1))
    model.fail = False
    assert await stream.probabilities(sound(0, 1)) == [1]


async def test_a_session_that_goes_leaves_the_others_their_answers(pool: ThreadPoolExecutor) -> None:
    model = Counting()
    activity = PooledActivity(model, TIMING, pool, SystemClock())
    model.gate.clear()
    going = asyncio.create_task(activity.open().probabilities(sound(0, 20)))
    staying = asyncio.create_task(activity.open().probabilities(sound(0, 3)))
    await asyncio.sleep(0)
    going.cancel()
    model.gate.set()
    assert await staying == [1, 2, 3]
