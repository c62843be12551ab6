"""Time that moves only when told."""

import asyncio

from streaming.tdm.clock import ManualClock, SystemClock, settle


async def test_sleepers_wake_in_order_each_at_its_time() -> None:
    clock = ManualClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, until_s: float) -> None:
        await clock.sleep_until(until_s)
        woken.append((name, clock.now_s()))

    tasks = [asyncio.ensure_future(sleeper(name, at_s)) for name, at_s in (("b", 2.0), ("a", 1.0), ("c", 9.0))]
    await clock.advance(3.0)
    assert woken == [("a", 1.0), ("b", 2.0)]
    assert clock.now_s() == 3.0
    await clock.advance(6.0)
    await asyncio.gather(*tasks)


async def test_a_sleeper_woken_may_sleep_again_within_the_same_advance() -> None:
    clock = ManualClock()

    async def walk() -> float:
        for _ in range(5):
            await clock.sleep_until(clock.now_s() + 0.5)
        return clock.now_s()

    task = asyncio.ensure_future(walk())
    await settle()
    await clock.advance(10.0)
    assert await task == 2.5


async def test_the_past_is_not_waited_for() -> None:
    clock = SystemClock()
    before = clock.now_s()
    await clock.sleep_until(before - 100)
    assert clock.now_s() >= before
