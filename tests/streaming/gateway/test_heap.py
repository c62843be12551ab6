"""When memory is given back: after calls, once, and never beside one."""

import asyncio

from streaming.gateway.heap import LOOK_S, _trim, give_back
from streaming.tdm.clock import ManualClock, settle


async def test_memory_is_given_back_once_the_last_call_is_over() -> None:
    clock, n_calls, given = ManualClock(), 0, asyncio.Semaphore(0)
    loop = asyncio.get_running_loop()
    giving = asyncio.create_task(give_back(lambda: n_calls, clock, lambda: _tell(loop, given)))
    await settle()
    await clock.advance(3 * LOOK_S)
    n_calls = 2
    await clock.advance(3 * LOOK_S)
    n_calls = 1
    await clock.advance(3 * LOOK_S)
    assert given.locked(), "somebody calls, or nobody has called"
    n_calls = 0
    await clock.advance(LOOK_S)
    await asyncio.wait_for(given.acquire(), 10)
    await clock.advance(3 * LOOK_S)
    assert given.locked(), "there is nothing more"
    giving.cancel()


def _tell(loop: asyncio.AbstractEventLoop, given: asyncio.Semaphore) -> None:
    loop.call_soon_threadsafe(given.release)


def test_the_systems_own_way_is_harmless() -> None:
    _trim()
