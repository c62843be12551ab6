import numpy as np
import pytest

from omni.packaged.speaking.search import Vector, minimise

TARGET = np.array([0.3, -1.2, 0.8])


def _search(rounds: int, low: float = -2, high: float = 2) -> tuple[Vector, list[Vector]]:
    tried: list[Vector] = []

    def costs(candidates: list[Vector]) -> list[float]:
        tried.extend(candidates)
        # a long, slanted valley: no coordinate can be found by itself
        slanted = [candidate - TARGET for candidate in candidates]
        return [float(20 * (at[0] + at[1]) ** 2 + (at[0] - at[1]) ** 2 + at[2] ** 2) for at in slanted]

    bounds = {"low": np.full(3, low), "high": np.full(3, high)}
    found = minimise(costs, np.zeros(3), step=np.full(3, 0.5), **bounds, rounds=rounds, per_round=8)
    return found, tried


def test_it_finds_the_bottom_of_a_slanted_valley() -> None:
    found, tried = _search(40)
    assert found == pytest.approx(TARGET, abs=0.05)
    assert len(tried) == 1 + 40 * 8


def test_it_is_the_same_each_time() -> None:
    assert np.array_equal(_search(5)[0], _search(5)[0])


def test_no_candidate_leaves_the_bounds() -> None:
    _, tried = _search(10, -1, 0.5)
    assert min(one.min() for one in tried) >= -1
    assert max(one.max() for one in tried) <= 0.5


def test_where_nothing_is_better_the_start_stays() -> None:
    start = np.zeros(2)
    bounds = {"step": np.ones(2), "low": np.full(2, -1.0), "high": np.ones(2)}
    found = minimise(lambda tried: [float(np.abs(one).sum()) for one in tried], start, **bounds, rounds=3, per_round=6)
    assert np.array_equal(found, start)
