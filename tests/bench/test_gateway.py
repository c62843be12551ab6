"""What the bench of the gateway makes of what it saw."""

import pytest

from scripts.bench_suite.gateway import Load, _rows


def load(n_sessions: int, event_p99_ms: float, cores: float) -> Load:
    return Load(n_sessions, True, event_p50_ms=1, event_p99_ms=event_p99_ms, turn_p50_ms=2, turn_p99_ms=3, cores=cores)


def test_figures_are_those_of_the_highest_load_within_the_aim() -> None:
    rows = _rows([load(10, 4, 0.2), load(50, 9, 0.4), load(75, 30, 0.9)], "on")
    assert [row.value for row in rows] == pytest.approx([50, 9, 3, 8, 125])
    assert {row.n for row in rows} == {50}
    assert [row.verdict for row in rows] == ["MISSED", "met", "", "", "met"]


def test_where_no_load_is_within_the_aim_the_lowest_says_by_how_much() -> None:
    rows = _rows([load(10, 12, 0.2)], "on")
    assert [row.value for row in rows] == pytest.approx([0, 12, 3, 20, 50])
    assert [row.verdict for row in rows] == ["MISSED", "MISSED", "", "", "MISSED"]
