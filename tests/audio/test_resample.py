import numpy as np
import pytest

from omni.audio.resample import Resampler
from omni.timing import Timing
from tests.chunks import Samples, assert_cutting_is_invisible, assert_future_is_invisible

WIRE, INPUT = Timing().wire_rate, Timing().input_rate
RATES = [(WIRE, INPUT), (INPUT, WIRE), (44_100, INPUT), (8_000, INPUT), (INPUT, INPUT)]


def noise(n_samples: int, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, n_samples).astype(np.float32)


def tone(hz: float, rate: int, seconds: float = 0.5) -> Samples:
    return np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate).astype(np.float32)


def converted(pieces: list[Samples], from_rate: int, to_rate: int, flushed: bool = True) -> Samples:
    resampler = Resampler(from_rate, to_rate)
    out = [resampler.push(piece) for piece in pieces]
    return np.concatenate([*out, resampler.flush()] if flushed else out)


@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
def test_cutting_is_invisible(from_rate: int, to_rate: int) -> None:
    assert_cutting_is_invisible(lambda pieces: converted(pieces, from_rate, to_rate), noise(9_001))


@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
def test_future_is_invisible(from_rate: int, to_rate: int) -> None:
    assert_future_is_invisible(
        lambda pieces: converted(pieces, from_rate, to_rate, flushed=False),
        noise(3_000),
        [noise(2_000, 1), noise(1, 2)],
    )


@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
def test_length_is_the_ratio_rounded_up(from_rate: int, to_rate: int) -> None:
    for n_samples in (0, 1, 5, 1_000, 9_999):
        assert len(converted([noise(n_samples)], from_rate, to_rate)) == -(-n_samples * to_rate // from_rate)


@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
def test_speech_band_keeps_its_shape_and_place(from_rate: int, to_rate: int) -> None:
    for hz in (100.0, 1_000.0, 3_200.0):
        out = converted([tone(hz, from_rate)], from_rate, to_rate)
        inside = slice(len(out) // 5, -len(out) // 5)
        np.testing.assert_allclose(out[inside], tone(hz, to_rate)[inside], atol=2e-3)


def test_what_the_lower_rate_cannot_carry_is_removed() -> None:
    out = converted([tone(9_500.0, WIRE)], WIRE, INPUT)
    assert np.abs(out[500:-500]).max() < 1e-3


def test_it_keeps_back_at_most_three_milliseconds() -> None:
    n_out = len(Resampler(WIRE, INPUT).push(noise(WIRE)))
    assert 0.0 <= (INPUT - n_out) / INPUT <= 0.003


def test_a_flushed_resampler_starts_anew() -> None:
    resampler, pcm = Resampler(WIRE, INPUT), noise(2_000)
    first = np.concatenate([resampler.push(pcm), resampler.flush()])
    again = np.concatenate([resampler.push(pcm), resampler.flush()])
    np.testing.assert_array_equal(first, again)


def test_memory_is_bounded() -> None:
    resampler = Resampler(WIRE, INPUT)
    for _ in range(50):
        resampler.push(noise(480))
    assert len(resampler._pending) < 480


def test_impossible_rates_are_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        Resampler(0, INPUT)
