"""The colour of a voice: which bands of its spectrum are strong, and how they rise and fall together.

A spectrum is told by coefficients: the cosine transform of the decades of power in mel bands, without the first one,
which is loudness. A timbre is a linear map on them, applied to every 12.5 ms of speech as a gain for each frequency.
That which takes one speaker's mean and covariance to another's and moves each spectrum the least is the optimal
transport between two normal distributions (Monge's map); it needs no knowledge of who says what when.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from omni.audio.features import mel_filters
from omni.packaged.speaking.likeness import mel_power, without_pauses
from omni.timing import Timing, exact_div
from omni.types import Pcm, Voice

Floats = npt.NDArray[np.float32]

N_COEFFICIENTS = 14
_N_MELS = 40
_BIN_HZ = 20
_N_BINS = exact_div(Timing().output_rate, 2 * _BIN_HZ) + 1
"""of the synthesizer's spectra"""
_N_HEARD = exact_div(Timing().input_rate, 2 * _BIN_HZ) + 1
"""of them, those that the bands reach"""
_LARGEST = 2.3
"""bound of the gain, as a natural logarithm of the amplitude: 20 dB"""
_QUIET = 10 ** (-25 / 10)
"""frames this far below the loud ones say little about a voice"""
_FLOOR = 1e-9
_SHRUNK = 0.02
"""share of the mean variance that is added to each: few seconds of speech leave some directions unseen"""


@dataclass(frozen=True, slots=True, eq=False)
class Timbre:
    """A change of colour."""

    table: Floats
    """[K, K + 1]: what each of K coefficients adds to the others; last, what is added always"""

    @classmethod
    def of(cls, voice: Voice) -> "Timbre | None":
        """The timbre in a voice's state; None: the synthesizer's own.

        Raises:
            ValueError: the state is not one that shaped() writes.
        """
        table = voice.state.get("timbre")
        if table is None:
            return None
        if table.shape != (N_COEFFICIENTS, N_COEFFICIENTS + 1) or not np.isfinite(table).all():
            raise ValueError(f"the timbre of voice {voice.name!r} cannot be read; make the voice again")
        return cls(table)

    def gain(self, told: Floats) -> Floats:
        """Gain [B, F] as a natural logarithm of the amplitude, for spectra with these coefficients [F, K]."""
        change = told @ self.table[:, :-1].T + self.table[:, -1]
        decades = np.clip(change @ _cosines() / 2, -_LARGEST, _LARGEST)
        return np.asarray(_spread() @ decades.T, np.float32)


def between(
    own: Floats, other: Floats, strength: float = 1.0, shift: float = 1.0, more: Floats | None = None
) -> Timbre:
    """The timbre that takes spectra told by own [F, K] to those told by other [G, K].

    Args:
        own: the coefficients that gain() will be given.
        other: the same of the wanted voice.
        strength: share of the change in how coefficients vary.
        shift: share of the change in their mean.
        more: [K] added to the mean.
    """
    mean = own.mean(axis=0)
    turn = strength * (_transport(np.cov(own.T), np.cov(other.T)) - np.eye(own.shape[1]))
    always = shift * (other.mean(axis=0) - mean) - turn @ mean + (0 if more is None else more)
    return Timbre(np.concatenate([turn, always[:, None]], axis=1).astype(np.float32))


def _transport(own: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The symmetric matrix that takes one covariance to the other."""
    little = _SHRUNK * np.trace(own) / len(own) * np.eye(len(own))
    root, inverse = _power(own + little, 0.5), _power(own + little, -0.5)
    found: npt.NDArray[np.float64] = inverse @ _power(root @ (other + little) @ root, 0.5) @ inverse
    return found


def _power(matrix: npt.NDArray[np.float64], exponent: float) -> npt.NDArray[np.float64]:
    values, vectors = np.linalg.eigh(matrix)
    raised: npt.NDArray[np.float64] = (vectors * np.maximum(values, 1e-9) ** exponent) @ vectors.T
    return raised


def coefficients(harmonics: Floats, noise: Floats, free: Floats, pitch: Floats) -> Floats:
    """Coefficients [F, K] of the synthesizer's spectra [B, F] with a pitch [F] in Hz."""
    # the fewer harmonics fall into a band, the less power it holds
    density = np.where(pitch > 0, _BIN_HZ / np.maximum(pitch, _BIN_HZ), 0)
    # above e^7 the synthesizer itself flattens
    filters = _filters()[:, :_N_HEARD]
    harmonics, noise, free = (part[:_N_HEARD] for part in (harmonics, noise, free))
    power = np.exp(2 * np.minimum(harmonics, 7)) * density + np.exp(2 * noise) + np.exp(2 * free)
    return _told((filters @ power).T)


def heard(pcm: Pcm) -> Floats:
    """Coefficients [F, K] of the loud frames of speech [S] at Timing.input_rate."""
    power = mel_power(without_pauses(pcm))
    return _told(power)[loud(power.sum(axis=1))]


def loud(power: Floats) -> npt.NDArray[np.bool_]:
    """Which frames [F] are loud enough to tell of the voice."""
    return np.asarray(power > np.quantile(power, 0.95) * _QUIET)


def _told(power: Floats) -> Floats:
    return np.asarray(np.log(power + _FLOOR) @ _cosines().T, np.float32)


@lru_cache
def _cosines() -> Floats:
    """[K, M]: the cosine transform without its first row."""
    places = (np.arange(_N_MELS) + 0.5) / _N_MELS
    rows = np.cos(np.pi * np.arange(1, N_COEFFICIENTS + 1)[:, None] * places) * np.sqrt(2 / _N_MELS)
    return np.asarray(rows, np.float32)


@lru_cache
def _filters() -> Floats:
    """[M, B]: the bands over the synthesizer's bins, each with the sum 1."""
    filters = mel_filters(_N_MELS)
    heard_hz = np.linspace(0, Timing().input_rate / 2, filters.shape[1])
    bins_hz = np.arange(_N_BINS) * _BIN_HZ
    over_bins = np.stack([np.interp(bins_hz, heard_hz, row, right=0) for row in filters])
    return np.asarray(over_bins / over_bins.sum(axis=1, keepdims=True), np.float32)


@lru_cache
def _spread() -> Floats:
    """[B, M]: from bands to bins, on straight lines between the bands' centres."""
    filters = _filters()
    bins_hz = np.arange(_N_BINS) * _BIN_HZ
    centres_hz = filters @ bins_hz
    return np.stack([np.interp(bins_hz, centres_hz, row) for row in np.eye(_N_MELS)], axis=1).astype(np.float32)
