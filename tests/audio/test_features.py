import numpy as np
import pytest

from omni.audio.features import FRAMES_PER_S, log_mel, mel_filters, normalise
from omni.timing import Timing
from tests.chunks import Samples

RATE = Timing().input_rate


def slow_filters() -> np.ndarray:
    """Slaney's triangles, one bin at a time."""

    def hz(mel: float) -> float:
        return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)

    top_mel = 15 + 27 * np.log(8) / np.log(6.4)
    edges = [hz(top_mel * i / 81) for i in range(82)]
    filters = np.zeros((80, 201))
    for band in range(80):
        low, centre, high = edges[band : band + 3]
        for index in range(201):
            f = index * 40.0
            if low < f <= centre:
                filters[band, index] = (f - low) / (centre - low)
            elif centre < f < high:
                filters[band, index] = (high - f) / (high - centre)
        filters[band] *= 2 / (high - low)
    return filters


def slow_log_mel(pcm: Samples, frames: list[int]) -> np.ndarray:
    """The definition: one frame, one frequency at a time, over sound with a mirrored start and silence behind it."""

    def sample(n: int) -> float:
        n = abs(n)
        return float(pcm[n]) if n < len(pcm) else 0.0

    window = [np.sin(np.pi * n / 400) ** 2 for n in range(400)]
    columns = []
    for frame in frames:
        heard = np.array([window[n] * sample(160 * frame + n - 200) for n in range(400)])
        waves = np.exp(-2j * np.pi * np.outer(np.arange(201), np.arange(400)) / 400)
        columns.append(slow_filters() @ np.abs(waves @ heard) ** 2)
    return np.asarray(np.log10(np.maximum(np.array(columns).T, 1e-10)))


def sound(seconds: float) -> Samples:
    t = np.arange(int(seconds * RATE)) / RATE
    chirp = np.sin(2 * np.pi * (200 + 900 * t) * t) * np.exp(-t)
    return (0.3 * chirp + 0.01 * np.random.default_rng(3).standard_normal(len(t))).astype(np.float32)


@pytest.mark.parametrize("seconds", [0.02, 0.4, 0.4013])
def test_equals_the_definition(seconds: float) -> None:
    pcm = sound(seconds)
    fast = log_mel(pcm)
    frames = sorted({0, 1, fast.shape[1] // 2, fast.shape[1] - 1})
    np.testing.assert_allclose(fast[:, frames], slow_log_mel(pcm, frames), atol=2e-3)


def test_filters_equal_the_definition() -> None:
    np.testing.assert_allclose(mel_filters(), slow_filters(), atol=1e-6)


@pytest.mark.parametrize("n_samples", [0, 1, 159, 160, 200, 201, 399, 400, 16_000])
def test_every_frame_that_hears_a_sample_is_there(n_samples: int) -> None:
    pcm = np.ones(n_samples, np.float32)
    mel = log_mel(pcm)
    assert mel.shape == (80, -(-(n_samples + 200) // 160))
    assert np.isfinite(mel).all()
    assert abs(mel.shape[1] - n_samples / RATE * FRAMES_PER_S) <= 2.5


def test_frames_that_lie_inside_stay_when_more_is_heard() -> None:
    pcm = sound(0.5)
    n_inside = (len(pcm) - 200) // 160
    more = log_mel(np.concatenate([pcm, sound(0.2)]))
    np.testing.assert_allclose(log_mel(pcm)[:, :n_inside], more[:, :n_inside], atol=1e-4)


def test_normalised_span() -> None:
    scaled = normalise(log_mel(sound(0.5)))
    assert scaled.max() - scaled.min() <= 2.0 + 1e-6
    louder = normalise(log_mel(10 * sound(0.5)))
    np.testing.assert_allclose(louder.max() - scaled.max(), 2 / 4, atol=1e-3)


def test_silence_is_finite() -> None:
    assert np.isfinite(normalise(log_mel(np.zeros(1000, np.float32)))).all()
