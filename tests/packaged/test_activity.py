import asyncio

import numpy as np
import pytest

from omni.packaged.activity import SileroActivity
from omni.timing import Timing
from streaming.gateway.media import DirectActivity
from tests.chunks import Samples, assert_batch_is_invisible, assert_cutting_is_invisible, assert_future_is_invisible
from tests.spoken import say

pytestmark = pytest.mark.models
N = Timing().window_samples


@pytest.fixture(scope="module")
def activity() -> SileroActivity:
    return SileroActivity()


def listen(activity: SileroActivity, streams: list[Samples]) -> list[Samples]:
    """Probabilities of every whole window of each stream; all have the same length."""
    states = [activity.open() for _ in streams]
    starts = range(0, len(streams[0]) - N + 1, N)
    columns = [activity.probabilities([stream[at : at + N] for stream in streams], states) for at in starts]
    return list(np.array(columns, np.float32).T)


def noise(n_samples: int, seed: int = 0) -> Samples:
    return (0.01 * np.random.default_rng(seed).standard_normal(n_samples)).astype(np.float32)


def test_speech_is_found_and_its_end(activity: SileroActivity) -> None:
    spoken = say("What is the capital of France?")
    silence = 0.1 * noise(Timing().input_rate // 2)
    (row,) = listen(activity, [np.concatenate([silence, spoken, silence, silence])])
    first, last = len(silence) // N, (len(silence) + len(spoken)) // N
    assert row[: first - 1].max() < 0.4
    assert np.mean(row[first + 2 : last - 3] > 0.5) > 0.9
    assert row[last + 8 :].max() < 0.3


def test_batch_is_invisible(activity: SileroActivity) -> None:
    spoken = say("How many days are there in a week?")
    streams = [spoken, noise(len(spoken)), spoken[::-1].copy()]
    # onnxruntime adds in another order for another batch
    assert_batch_is_invisible(lambda rows: listen(activity, rows), streams, atol=1e-4)


def test_what_comes_later_is_invisible_and_so_is_the_cut(activity: SileroActivity) -> None:
    spoken = say("How many days are there in a week?")[: 40 * N]

    def run(pieces: list[Samples]) -> Samples:
        return np.array(asyncio.run(_probabilities(activity, pieces)), np.float32)

    assert_future_is_invisible(run, spoken[: 20 * N], [spoken[20 * N :], noise(10 * N)])
    assert_cutting_is_invisible(run, spoken)


async def _probabilities(activity: SileroActivity, pieces: list[Samples]) -> list[float]:
    stream = DirectActivity(activity, Timing())
    return [value for piece in pieces for value in await stream.probabilities(piece)]


def test_a_clone_goes_its_own_way(activity: SileroActivity) -> None:
    spoken = say("How many days are there in a week?")
    windows = [spoken[at : at + N] for at in range(0, 20 * N, N)]
    state = activity.open()
    for window in windows[:10]:
        activity.probabilities([window], [state])
    clone = state.clone()
    expected = [activity.probabilities([window], [state]) for window in windows[10:]]
    for _ in range(5):
        activity.probabilities([noise(N)], [state])
    assert [activity.probabilities([window], [clone]) for window in windows[10:]] == expected


def test_context_and_memory_are_used(activity: SileroActivity) -> None:
    spoken = say("How many days are there in a week?")
    (row,) = listen(activity, [spoken])
    fresh = [activity.probabilities([spoken[at : at + N]], [activity.open()])[0] for at in range(0, len(row) * N, N)]
    assert np.abs(row - np.array(fresh)).max() > 0.2


def test_nothing_to_do(activity: SileroActivity) -> None:
    assert activity.probabilities([], []) == []


def test_wrong_input_is_named(activity: SileroActivity) -> None:
    with pytest.raises(ValueError, match="hears"):
        activity.probabilities([noise(N - 1)], [activity.open()])
    with pytest.raises(ValueError, match="one to each"):
        activity.probabilities([noise(N)], [])
