"""What the bench of calls makes of what it saw."""

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from scripts.bench_suite import visits
from scripts.bench_suite.calls import pacing_errors_ms
from scripts.bench_suite.client import GoneError
from scripts.bench_suite.rtc_client import Arrival
from scripts.bench_suite.server import Server
from scripts.bench_suite.visits import Weight


def test_packets_are_late_by_the_one_that_came_earliest() -> None:
    late_s = [0.03, 0.0, 0.01, 0.25]
    first = 2**32 - 960  # the timestamps wrap around
    arrivals = [Arrival(7 + 0.02 * n + late, n, (first + 960 * n) % 2**32, b"") for n, late in enumerate(late_s)]
    assert pacing_errors_ms(arrivals) == pytest.approx([30, 0, 10, 250])


def test_what_short_calls_leave_is_counted_from_the_warm_server_on() -> None:
    weights = [Weight(200, 0, 100.0, 3, 9, 4), Weight(600, 0, 108.0, 3, 9, 4), Weight(1000, 1, 104.5, 5, 9, 4)]
    rows = visits.findings("WebSocket", weights).rows
    assert [row.value for row in rows] == [1, 4.5, 2, 0, 0]
    assert [row.verdict for row in rows] == ["MISSED", "met", "MISSED", "met", "met"]
    assert [row.n for row in rows] == [1000, 800, 800, 800, 800]


async def test_as_many_visits_are_made_as_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0

    async def visit() -> None:
        nonlocal made
        made += 1
        number = made
        await asyncio.sleep(0)
        if number == 50:
            raise GoneError("hung up")

    async def weight(_server: Server, n_visits: int, n_broken: int) -> Weight:
        assert n_visits == made
        return Weight(n_visits, n_broken, 1.0, 1, 1, 1)

    monkeypatch.setattr(visits, "_weight", weight)
    monkeypatch.setattr(visits, "QUIET_S", 0.0)
    weights = await visits.weighed(cast(Server, SimpleNamespace()), visit, 103)
    assert [weight.n_visits for weight in weights] == [21, 37, 53, 70, 86, 103]
    assert [weight.n_broken for weight in weights] == [0, 0, 1, 1, 1, 1]
