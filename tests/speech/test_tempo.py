"""Another pace at the same pitch: what must not change, in numbers, and the laws of streaming."""

import numpy as np
import pytest

from omni.speech.tempo import Tempo
from omni.timing import Timing
from tests.chunks import Samples, assert_cutting_is_invisible, assert_future_is_invisible

RATE = Timing().output_rate
SPEEDS = (0.25, 0.6, 0.8, 0.97, 1.3, 1.5)


def vowel(hz: float, seconds: float = 2.0) -> Samples:
    """A voice that holds an open vowel: harmonics that fall off, louder around 700 and 1,100 Hz."""
    t = np.arange(round(seconds * RATE)) / RATE
    harmonics = np.arange(1, int(5_000 / hz))
    loud = sum(np.exp(-(((harmonics * hz - formant) / 300) ** 2)) for formant in (700, 1_100)) + 0.1 / harmonics
    phases = np.random.default_rng(3).uniform(0, 2 * np.pi, len(harmonics))
    sound = np.sin(2 * np.pi * hz * harmonics[:, None] * t + phases[:, None])
    summed = (loud[:, None] * sound).sum(0)
    return np.asarray(0.5 * summed / np.abs(summed).max(), np.float32)


def noise(n_samples: int, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, n_samples).astype(np.float32)


def paced(pieces: list[Samples], speed: float, *, ended: bool = True) -> Samples:
    tempo, out = Tempo(speed), []
    for piece in pieces:
        tempo, sound = tempo.over(piece, last=False)
        out.append(sound)
    if ended:
        out.append(tempo.over(np.zeros(0, np.float32), last=True)[1])
    return np.concatenate(out)


def pitch(sound: Samples) -> float:
    """Of a held vowel, in Hz: the first lag at which it is like itself, between samples."""
    middle = sound[len(sound) // 4 : -len(sound) // 4].astype(np.float64)
    spectrum = np.fft.rfft(middle, 2 * len(middle))
    likeness = np.fft.irfft(np.abs(spectrum) ** 2)[: RATE // 60] / np.arange(len(middle), len(middle) - RATE // 60, -1)
    shortest = RATE // 500
    alike = likeness[shortest:] > 0.9 * likeness[shortest:].max()
    begin = shortest + int(alike.argmax())
    lag = begin + int(likeness[begin : begin + 10].argmax())
    before, here, after = likeness[lag - 1 : lag + 2]
    return float(RATE / (lag + 0.5 * (before - after) / (before - 2 * here + after)))


@pytest.mark.parametrize("speed", SPEEDS)
def test_cutting_is_invisible(speed: float) -> None:
    assert_cutting_is_invisible(lambda pieces: paced(pieces, speed), noise(9_001))
    assert_cutting_is_invisible(lambda pieces: paced(pieces, speed), vowel(140, 0.5))


@pytest.mark.parametrize("speed", SPEEDS)
def test_the_end_may_come_with_the_last_piece(speed: float) -> None:
    sound = vowel(140, 0.5)
    _, whole = Tempo(speed).over(sound, last=True)
    np.testing.assert_array_equal(whole, paced([sound], speed))


@pytest.mark.parametrize("speed", SPEEDS)
def test_future_is_invisible(speed: float) -> None:
    assert_future_is_invisible(
        lambda pieces: paced(pieces, speed, ended=False), noise(6_000), [noise(4_000, 1), noise(1, 2)]
    )


def test_at_its_own_pace_sound_is_not_touched() -> None:
    sound = noise(5_000)
    tempo, out = Tempo(1.0).over(sound, last=False)
    assert out is sound
    assert len(tempo.over(np.zeros(0, np.float32), last=True)[1]) == 0


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("hz", [85, 140, 240])
def test_the_pitch_stays_and_the_length_follows(speed: float, hz: float) -> None:
    sound = vowel(hz, 4.0)
    out = paced([sound], speed)
    assert len(out) * speed == pytest.approx(len(sound), rel=0.01)
    assert pitch(sound) == pytest.approx(hz, rel=0.002)
    assert pitch(out) == pytest.approx(hz, rel=0.002)


@pytest.mark.parametrize("speed", SPEEDS)
def test_there_are_no_clicks_and_no_tremor(speed: float) -> None:
    sound = vowel(140)
    out = paced([sound], speed)
    assert np.abs(np.diff(out)).max() < 1.15 * np.abs(np.diff(sound)).max()
    window = RATE // 50
    for each in (sound, out):
        rows = each[: len(each) // window * window].reshape(-1, window)[2:-2]
        loudness_db = 10 * np.log10((rows**2).mean(1))
        assert np.ptp(loudness_db) < 1.5


@pytest.mark.parametrize("speed", SPEEDS)
def test_what_was_said_in_the_middle_is_heard_there(speed: float) -> None:
    sound = np.zeros(2 * RATE, np.float32)
    sound[RATE : RATE + 2_400] = vowel(200, 0.1)
    out = paced([sound], speed)
    loud = np.flatnonzero(np.abs(out) > 0.05) / RATE
    assert loud[0] == pytest.approx(1.0 / speed, abs=0.025 / speed)
    assert loud[-1] - loud[0] == pytest.approx(0.1 / speed, abs=0.025 / speed)


@pytest.mark.parametrize("n_samples", [0, 1, 479, 480, 481, 1_500])
def test_hardly_any_sound_comes_out_whole(n_samples: int) -> None:
    out = paced([noise(n_samples)], 1.3)
    assert abs(len(out) - n_samples / 1.3) <= 0.035 * RATE
    assert bool(len(out)) == bool(n_samples)


def test_little_is_held_back() -> None:
    for speed in SPEEDS:
        n_out = len(paced([noise(RATE)], speed, ended=False))
        assert RATE / speed - n_out < 0.06 * RATE / speed


def test_a_state_that_was_left_can_be_taken_up_again() -> None:
    tempo, _ = Tempo(0.7).over(noise(3_000), last=False)
    _, first = tempo.over(noise(2_000, 1), last=False)
    tempo.over(noise(2_000, 2), last=True)
    _, again = tempo.over(noise(2_000, 1), last=False)
    np.testing.assert_array_equal(again, first)


def test_a_sound_after_the_end_is_another_one() -> None:
    tempo, first = Tempo(0.7).over(noise(3_000), last=True)
    np.testing.assert_array_equal(tempo.over(noise(3_000), last=True)[1], first)


@pytest.mark.parametrize("speed", [0.0, 0.24, 1.51, -1.0, float("nan")])
def test_a_pace_out_of_range_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match=r"from 0\.25 to 1\.5"):
        Tempo(speed)
