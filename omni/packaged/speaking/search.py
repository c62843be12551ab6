"""A search where each trial is dear, and tells much: by Gauss and Newton, with derivatives learnt from the trials.

What is tried answers with many numbers, of which only the direction counts. How each of them changes with what is
searched for is regressed from all trials so far, so a few dozen are enough where a search that sees one cost for each
needs hundreds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

_FIRST = 0.5
"""how far the first trials lie from the start, in steps"""
_RADII = (0.5, 1.0, 2.0, 3.0)
"""how far from the best so far the trials of a round look, in steps"""
_JITTER = 0.4
"""steps that they are moved by at random, but in the last round: trials on one line tell of that line alone"""
_NEAR = 3.0
"""steps within which a trial tells of the derivatives"""
_RIDGE = 0.3
_MOST_MOVES = 100
"""of the search on what is regressed, which costs nothing"""


@dataclass(frozen=True, slots=True, eq=False)
class _Goal:
    wanted: Vector
    far: float

    def cost(self, at: Vector, answer: Vector) -> float:
        return float(self.far * at @ at - self.wanted @ answer / max(float(np.linalg.norm(answer)), 1e-9))


def approach(
    answers: Callable[[list[Vector]], Sequence[npt.NDArray[np.floating]]],
    wanted: npt.NDArray[np.floating],
    start: Vector,
    *,
    step: Vector,
    low: Vector,
    high: Vector,
    rounds: int,
    far: float = 0.0,
) -> list[Vector]:
    """All that was tried, first what is answered most in the wanted direction. The same each time.

    Args:
        answers: [D] to each of some candidates [N]; N + 2 to 2 N + 2 first, then four in each round.
        wanted: [D], of length 1.
        start: [N], where the search begins, within the bounds.
        step: [N], as far as an answer changes about evenly.
        low: [N], bounds that no candidate leaves.
        high: [N].
        rounds: after the first trials.
        far: cost of a number that is one step from the start, as a cosine; of more, by its square.
    """
    rng = np.random.default_rng(0)
    goal = _Goal(np.asarray(wanted, np.float64), far)
    least, most = (low - start) / step, (high - start) / step
    tried: list[Vector] = []
    heard: list[Vector] = []

    def try_all(places: list[Vector]) -> None:
        tried.extend(places)
        heard.extend(np.asarray(answer, np.float64) for answer in answers([start + step * place for place in places]))

    def costs() -> list[float]:
        return [goal.cost(place, answer) for place, answer in zip(tried, heard, strict=True)]

    first = _FIRST * _signs(len(start))
    try_all([np.zeros(len(start)), *np.clip(first, least, most)])
    for round_ in range(rounds):
        best = int(np.argmin(costs()))
        place, answer = tried[best], heard[best]
        slopes = _slopes(np.array(tried) - place, np.array(heard) - answer)
        jitter = _JITTER * (round_ < rounds - 1)
        places = []
        for radius in _RADII:
            bounds = np.maximum(least, place - radius), np.minimum(most, place + radius)
            found = _descended(goal, place, answer, slopes, bounds)
            places.append(np.clip(found + jitter * rng.standard_normal(len(start)), least, most))
        try_all(places)
    order = np.argsort(costs(), kind="stable")
    return [np.clip(start + step * tried[index], low, high) for index in order]


def _signs(n: int) -> Vector:
    """Rows [R, N] of ones and minus ones whose columns are at right angles (Hadamard, Sylvester's way)."""
    signs = np.ones((1, 1))
    while len(signs) <= n:
        signs = np.block([[signs, signs], [signs, -signs]])
    return signs[:, 1 : n + 1]


def _slopes(moved: Vector, changed: Vector) -> Vector:
    """How answers change [N, D], from trials [T, N] around one, and what they changed [T, D]."""
    weight = np.exp(-np.square(moved).sum(axis=1) / (2 * _NEAR**2))
    weighted = moved.T * weight
    slopes: Vector = np.linalg.solve(weighted @ moved + _RIDGE * np.eye(moved.shape[1]), weighted @ changed)
    return slopes


def _descended(goal: _Goal, place: Vector, answer: Vector, slopes: Vector, bounds: tuple[Vector, Vector]) -> Vector:
    """Down the slope of what is regressed, within bounds."""
    at, least, rate = place, goal.cost(place, answer), 1.0
    for _ in range(_MOST_MOVES):
        told = answer + (at - place) @ slopes
        length = max(float(np.linalg.norm(told)), 1e-9)
        uphill = 2 * goal.far * at - slopes @ (goal.wanted - (goal.wanted @ told) * told / length**2) / length
        further = np.clip(at - rate * uphill / max(float(np.linalg.norm(uphill)), 1e-9), *bounds)
        cost = goal.cost(further, answer + (further - place) @ slopes)
        if cost < least:
            at, least, rate = further, cost, rate * 1.3
        elif rate < 1e-3:
            break
        else:
            rate /= 2
    return at
