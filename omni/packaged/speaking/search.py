"""A search for the best of many numbers where only trying tells: CMA-ES, as in Hansen's tutorial (arXiv 1604.00772).

Each round draws candidates around a mean, and moves the mean, and the directions in which it draws, to the better half.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]


def minimise(
    costs: Callable[[list[Vector]], Sequence[float]],
    start: Vector,
    *,
    step: Vector,
    low: Vector,
    high: Vector,
    rounds: int,
    per_round: int,
) -> Vector:
    """The best of rounds times per_round candidates and the start. The same each time.

    Args:
        costs: of the candidates of one round.
        start: [N], where the search begins.
        step: [N], how far it looks at first.
        low: [N], bounds that no candidate leaves.
        high: [N].
    """
    n, n_better = len(start), per_round // 2
    rng = np.random.default_rng(0)
    weights = np.log(n_better + 0.5) - np.log(np.arange(1, n_better + 1))
    weights /= weights.sum()
    n_effective = 1 / np.square(weights).sum()
    # the tutorial's defaults: how fast the step, the path and the directions learn
    learn_step = (n_effective + 2) / (n + n_effective + 5)
    damp = 1 + learn_step + 2 * max(0.0, np.sqrt((n_effective - 1) / (n + 1)) - 1)
    learn_path = (4 + n_effective / n) / (n + 4 + 2 * n_effective / n)
    learn_one = 2 / ((n + 1.3) ** 2 + n_effective)
    learn_many = min(1 - learn_one, 2 * (n_effective - 2 + 1 / n_effective) / ((n + 2) ** 2 + n_effective))
    usual = np.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2))

    mean, covariance, scale = np.zeros(n), np.eye(n), 1.0
    step_path, path = np.zeros(n), np.zeros(n)
    best, least = start, costs([start])[0]
    for round_ in range(rounds):
        values, vectors = np.linalg.eigh(covariance)
        lengths = np.sqrt(np.maximum(values, 1e-12))
        draws = (rng.standard_normal((per_round, n)) * lengths) @ vectors.T
        candidates = [np.clip(start + step * (mean + scale * draw), low, high) for draw in draws]
        found = costs(candidates)
        order = np.argsort(found)
        if found[order[0]] < least:
            best, least = candidates[order[0]], found[order[0]]
        better = draws[order[:n_better]]
        move = weights @ better
        mean = mean + scale * move
        white = vectors @ ((vectors.T @ move) / lengths)
        step_path = (1 - learn_step) * step_path + np.sqrt(learn_step * (2 - learn_step) * n_effective) * white
        faded = np.sqrt(1 - (1 - learn_step) ** (2 * round_ + 2))
        steady = float(np.linalg.norm(step_path) / faded < (1.4 + 2 / (n + 1)) * usual)
        path = (1 - learn_path) * path + steady * np.sqrt(learn_path * (2 - learn_path) * n_effective) * move
        covariance = (
            (1 - learn_one - learn_many) * covariance
            + learn_one * np.outer(path, path)
            + learn_many * (better.T * weights) @ better
        )
        scale *= np.exp(learn_step / damp * (np.linalg.norm(step_path) / usual - 1))
    return best
