import numpy as np
import pytest

from omni.packaged.speaking.search import Vector, approach

N, D = 5, 40
RNG = np.random.default_rng(3)
MIXING = RNG.normal(size=(N, D))
HIDDEN = np.array([0.8, -1.0, 0.4, 1.2, -0.6])


def _answer(candidate: Vector) -> Vector:
    """Many numbers, each of which changes with all that is searched for, and not evenly."""
    return np.asarray(1 + np.tanh(candidate @ MIXING / 3))


WANTED = _answer(HIDDEN) / np.linalg.norm(_answer(HIDDEN))


def _likeness(candidate: Vector) -> float:
    answer = _answer(candidate)
    return float(WANTED @ answer / np.linalg.norm(answer))


def _search(rounds: int, bound: float = 2, far: float = 0.0) -> tuple[Vector, list[list[Vector]]]:
    tried: list[list[Vector]] = []

    def answers(candidates: list[Vector]) -> list[Vector]:
        tried.append(candidates)
        return [_answer(candidate) for candidate in candidates]

    bounds = {"low": np.full(N, -bound), "high": np.full(N, bound)}
    found = approach(answers, WANTED, np.zeros(N), step=np.full(N, 0.5), **bounds, rounds=rounds, far=far)
    assert len(found) == sum(map(len, tried))
    return found[0], tried


def test_it_finds_in_a_few_dozen_trials_what_answers_as_is_wanted() -> None:
    found, tried = _search(6)
    assert _likeness(np.zeros(N)) < 0.93
    assert _likeness(found) > 0.995
    assert [len(one) for one in tried] == [1 + 8, *[4] * 6]


def test_what_it_returns_is_the_best_that_was_tried() -> None:
    found, tried = _search(3)
    assert _likeness(found) == max(_likeness(one) for round_ in tried for one in round_)


def test_it_is_the_same_each_time() -> None:
    assert np.array_equal(_search(3)[0], _search(3)[0])


def test_no_candidate_leaves_the_bounds() -> None:
    _, tried = _search(6, bound=0.6)
    assert max(np.abs(one).max() for round_ in tried for one in round_) <= 0.6


def test_what_is_far_costs() -> None:
    assert np.linalg.norm(_search(6, far=0.01)[0]) < 0.9 * np.linalg.norm(_search(6)[0])
    assert np.array_equal(_search(3, far=100.0)[0], np.zeros(N))


@pytest.mark.parametrize("answer", [np.zeros(D), WANTED])
def test_where_nothing_is_better_the_start_stays(answer: Vector) -> None:
    ones = np.ones(N)

    def answers(tried: list[Vector]) -> list[Vector]:
        return [answer] * len(tried)

    found = approach(answers, WANTED, np.zeros(N), step=ones, low=-ones, high=ones, rounds=2)
    assert np.array_equal(found[0], np.zeros(N))
