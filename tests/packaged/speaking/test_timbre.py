import numpy as np
import pytest

from omni.packaged.speaking.timbre import N_COEFFICIENTS, Floats, Timbre, between, coefficients, heard
from omni.packaged.speaking.voices import Shape, shaped
from omni.timing import Timing
from omni.types import Voice

N_BINS = 601
RNG = np.random.default_rng


def _told(seed: int, n_frames: int = 4_000) -> Floats:
    """Coefficients that rise and fall together in a way of their own."""
    rng = RNG(seed)
    mixing = np.eye(N_COEFFICIENTS) + 0.3 * rng.normal(size=(N_COEFFICIENTS, N_COEFFICIENTS))
    drawn = rng.normal(size=(n_frames, N_COEFFICIENTS)) @ mixing + 2 * rng.normal(size=N_COEFFICIENTS)
    return drawn.astype(np.float32)


def _changed(timbre: Timbre, told: Floats) -> Floats:
    changed: Floats = told + told @ timbre.table[:, :-1].T + timbre.table[:, -1]
    return changed


def _flat(n_frames: int = 3) -> Floats:
    return np.zeros((N_BINS, n_frames), np.float32)


def test_mean_and_covariance_become_the_others() -> None:
    own, other = _told(0), _told(1)
    became = _changed(between(own, other), own)
    assert became.mean(axis=0) == pytest.approx(other.mean(axis=0), abs=0.02)
    before, after = (np.linalg.norm(np.cov(one.T) - np.cov(other.T)) for one in (own, became))
    assert after < 0.2 * before


def test_a_share_of_the_change_and_more() -> None:
    own, other = _told(0), _told(1)
    same = between(own, own)
    assert np.abs(_changed(same, own) - own).max() < 0.01
    none = between(own, other, strength=0, shift=0, more=np.ones(N_COEFFICIENTS, np.float32))
    assert _changed(none, own) == pytest.approx(own + 1, abs=1e-5)
    half = _changed(between(own, other, strength=0, shift=0.5), own)
    assert half.mean(axis=0) == pytest.approx((own.mean(axis=0) + other.mean(axis=0)) / 2, abs=0.01)


def test_a_gain_makes_the_spectra_what_was_told() -> None:
    bright = np.linspace(-2, 2, N_BINS, dtype=np.float32)[:, None] + _flat()
    pitch = np.full(3, 150, np.float32)
    silent = np.full_like(bright, -20)
    own, wanted = coefficients(_flat(), silent, silent, pitch), coefficients(bright, silent, silent, pitch)
    more = wanted[0] - own[0]
    gain = between(_told(0), _told(0), strength=0, shift=0, more=more).gain(own)
    assert coefficients(gain, silent, silent, pitch) == pytest.approx(wanted, abs=0.5)
    # loudness is no part of it: a gain has no mean over the bands
    assert coefficients(_flat() + 1, silent, silent, pitch) == pytest.approx(own, abs=1e-3)


def test_a_gain_is_bounded() -> None:
    extreme = Timbre(np.full((N_COEFFICIENTS, N_COEFFICIENTS + 1), 50, np.float32))
    assert np.abs(extreme.gain(_told(0, 10))).max() <= 2.31


def test_recorded_speech_is_told_by_its_loud_frames_whatever_its_level() -> None:
    rate = Timing().input_rate
    sound = RNG(0).normal(0, 0.1, rate).astype(np.float32)
    told = heard(sound)
    assert heard(np.concatenate([sound, np.zeros(rate, np.float32)])).mean(axis=0) == pytest.approx(
        told.mean(axis=0), abs=0.2
    )
    assert heard(sound * np.float32(0.1)).mean(axis=0) == pytest.approx(told.mean(axis=0), abs=0.01)


def test_a_timbre_is_kept_in_a_voice() -> None:
    timbre = between(_told(0), _told(1))
    read = Timbre.of(shaped("ada", Shape(), timbre))
    assert read is not None
    assert np.array_equal(read.table, timbre.table)
    assert Timbre.of(shaped("ada", Shape())) is None


@pytest.mark.parametrize("table", [np.zeros((3, 4)), np.full((N_COEFFICIENTS, N_COEFFICIENTS + 1), np.nan)])
def test_a_timbre_that_cannot_be_read_is_refused(table: Floats) -> None:
    with pytest.raises(ValueError, match=r"'ada' cannot be read; make the voice again"):
        Timbre.of(Voice("ada", state={"timbre": table.astype(np.float32)}))
