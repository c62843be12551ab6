"""The network that was built anew gives the numbers of the packaged one, for minutes of all that a microphone hears."""

import numpy as np
import onnxruntime
import pytest

from omni.packaged.activity import CONTEXT_SAMPLES, FILE, SileroActivity
from omni.timing import Timing
from tests.chunks import Samples
from tests.spoken import say

pytestmark = pytest.mark.models
N = Timing().window_samples
N_WINDOWS = 24 * Timing().input_rate // N


def packaged(streams: Samples) -> Samples:
    """Probabilities [B, windows] by the packaged graph."""
    session = onnxruntime.InferenceSession(str(FILE.verified()), providers=["CPUExecutionProvider"])
    memory = np.zeros((2, len(streams), 128), np.float32)
    rate = np.array(Timing().input_rate, np.int64)
    padded = np.pad(streams, ((0, 0), (CONTEXT_SAMPLES, 0)))
    columns = []
    for at in range(0, streams.shape[1], N):
        heard = padded[:, at : at + CONTEXT_SAMPLES + N]
        speech, memory = session.run(None, {"input": heard, "state": memory, "sr": rate})
        columns.append(speech[:, 0])
    return np.array(columns, np.float32).T


def everything() -> Samples:
    """Five streams [5, S]: speech, quiet speech in noise, noise of all levels, clicks and hum, digital silence."""
    rng = np.random.default_rng(5)
    n = N_WINDOWS * N
    spoken = np.resize(np.concatenate([say("What is the capital of France?"), np.zeros(8_000, np.float32)]), n)
    steps = np.repeat(10.0 ** rng.uniform(-5, 0, n // (50 * N) + 1), 50 * N)[:n]
    hum = 0.3 * np.sin(np.arange(n) * 2 * np.pi * 50 / Timing().input_rate) + (rng.random(n) < 1e-4)
    streams = [spoken, 0.05 * spoken + 0.01 * rng.standard_normal(n), steps * rng.standard_normal(n), hum, np.zeros(n)]
    heard: Samples = np.clip(np.array(streams), -1, 1).astype(np.float32)
    return heard


def test_the_numbers_are_those_of_the_packaged_network() -> None:
    streams = everything()
    activity = SileroActivity()
    states = [activity.open() for _ in streams]
    starts = range(0, streams.shape[1], N)
    found = np.array([activity.probabilities(list(streams[:, at : at + N]), states) for at in starts]).T
    expected = packaged(streams)
    assert np.ptp(expected[0]) > 0.9  # else nothing would be compared
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
