"""The laws of streaming (design law 12), as checks that any stage with a state can be put through.

1. How the input was cut must not show.
2. What else was in the batch must not show.
3. Later input must not change earlier output.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
StateT = TypeVar("StateT")


def cuts(n_samples: int, sizes: Sequence[int], seed: int = 0) -> list[tuple[int, int]]:
    """Cut n_samples into pieces whose lengths are drawn from `sizes`; the last may be shorter. Zero is a length."""
    random = np.random.default_rng(seed)
    edges = [0]
    while edges[-1] < n_samples:
        edges.append(min(n_samples, edges[-1] + int(random.choice(sizes))))
    return list(pairwise(edges))


def assert_cutting_is_invisible(
    run: Callable[[list[Samples]], Samples], pcm: Samples, sizes: Sequence[int] = (0, 1, 7, 160, 480, 4000)
) -> None:
    """Law 1. `run` feeds the pieces to a fresh stream and returns all that came out, flushed."""
    whole = run([pcm])
    for seed in range(3):
        pieces = run([pcm[start:end] for start, end in cuts(len(pcm), sizes, seed)])
        np.testing.assert_array_equal(pieces, whole)


def assert_batch_is_invisible(
    run: Callable[[list[Samples]], list[Samples]], streams: list[Samples], atol: float = 0.0
) -> None:
    """Law 2. `run` takes a batch of streams and returns a row for each; alone, each must give the same row."""
    together = run(streams)
    for stream, row in zip(streams, together, strict=True):
        np.testing.assert_allclose(run([stream])[0], row, rtol=0, atol=atol)
    backwards = run(streams[::-1])
    for row, other in zip(together, backwards[::-1], strict=True):
        np.testing.assert_allclose(other, row, rtol=0, atol=atol)


def assert_future_is_invisible(
    run: Callable[[list[Samples]], Samples], past: Samples, futures: Sequence[Samples]
) -> None:
    """Law 3. `run` returns what came out without flushing; it must stay, whatever is heard next."""
    earlier = run([past])
    assert len(earlier), "nothing came out: the check would pass for any stage"
    for future in futures:
        later = run([past, future])
        np.testing.assert_array_equal(later[: len(earlier)], earlier)
