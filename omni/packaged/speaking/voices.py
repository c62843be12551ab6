"""Voices made of hibari's one: its source-filter parameters, changed before they become sound.

The network gives a pitch curve and spectral envelopes. Scaling the pitch is what a longer or shorter larynx does,
stretching the envelopes along frequency is what a longer or shorter vocal tract does; the words stay as they were.
"""

from dataclasses import dataclass, replace

import numpy as np
from hibari import dsp

from omni.packaged.speaking.timbre import Floats, Timbre, coefficients
from omni.text.manner import Manner
from omni.types import Pcm, Voice

_VOICED_HZ = 40.0
"""hibari's own border between pitch and no pitch"""

PITCHES, MELODIES, FORMANTS, PACES = (0.4, 2.0), (0.0, 2.0), (0.73, 1.32), (0.25, 2.0)
"""what stays intelligible, each alone and at the corners (BENCHMARKS.md, "Voices")"""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a voice differs from the built-in one. All as below: not at all."""

    pitch: float = 1.0
    """factor on the pitch, within PITCHES"""
    melody: float = 1.0
    """factor on how far the pitch moves around its median, in octaves, within MELODIES; 0 is a monotone"""
    formants: float = 1.0
    """factor on the resonances' frequencies, within FORMANTS; below 1 is a longer vocal tract"""
    pace: float = 1.0
    """factor on the speed, within PACES"""
    breath: float = 0.0
    """more noise in the voice, in dB"""

    @classmethod
    def of(cls, voice: Voice) -> "Shape":
        """Read a shape out of a voice's state; one that was saved before breath was known has four numbers.

        Raises:
            ValueError: the state is not one that shaped() writes.
        """
        numbers = voice.state.get("shape")
        if numbers is None or numbers.shape not in {(4,), (5,)} or not np.isfinite(numbers).all():
            raise ValueError(f"voice {voice.name!r} was not made for this synthesizer; choose one of its own")
        return cls(*map(float, numbers))

    def spoken(self, manner: Manner) -> "Shape":
        """The same voice in this manner, as far as it stays intelligible."""
        return replace(
            self,
            pitch=float(np.clip(self.pitch * manner.pitch, *PITCHES)),
            melody=float(np.clip(self.melody * manner.melody, *MELODIES)),
            pace=float(np.clip(self.pace * manner.pace, *PACES)),
        )


def shaped(name: str, shape: Shape, timbre: Timbre | None = None) -> Voice:
    """A voice of this synthesizer, ready for Shape.of and Timbre.of."""
    numbers = np.array([shape.pitch, shape.melody, shape.formants, shape.pace, shape.breath], np.float32)
    return Voice(name, state={"shape": numbers} | ({} if timbre is None else {"timbre": timbre.table}))


BUILT_IN = (
    shaped("heart", Shape()),
    shaped("oak", Shape(pitch=0.56, formants=0.86)),
    shaped("brook", Shape(pitch=0.85, melody=1.15, formants=0.95, pace=0.86)),
    shaped("wren", Shape(pitch=1.15, formants=1.07, pace=1.04)),
    shaped("pip", Shape(pitch=1.4, melody=1.1, formants=1.2)),
)
"""the one of the package, deep, slow narrator, light, child-like"""


@dataclass(frozen=True, slots=True, eq=False)
class Spectra:
    """What the network says of a text: B frequency bins up to half of Timing.output_rate, F frames of 12.5 ms."""

    harmonics: Floats
    """[B, F], as the other two: logarithm of the amplitude"""
    phases: Floats
    noise: Floats
    free: Floats
    """a part whose phases are free_phases, for what is neither a tone nor noise"""
    free_phases: Floats
    pitch: Floats
    """[F] in Hz, 0 where there is none"""

    def paced(self, factor: float) -> "Spectra":
        """The same in F / factor frames, on straight lines between these."""
        n_frames = len(self.pitch)
        at = np.linspace(0, n_frames - 1, max(round(n_frames / factor), 2))
        low = np.minimum(at.astype(np.intp), n_frames - 2)
        high_share = (at - low).astype(np.float32)
        nearest = np.round(at).astype(np.intp)

        def between(part: Floats) -> Floats:
            drawn: Floats = part[:, low] * (1 - high_share) + part[:, low + 1] * high_share
            return drawn

        # between an angle and another, and between a pitch and none, there is nothing sensible
        angles, pitch = self.free_phases[:, nearest], self.pitch[nearest]
        harmonics, phases, noise, free = map(between, (self.harmonics, self.phases, self.noise, self.free))
        return Spectra(harmonics, phases, noise, free, angles, pitch)


def render(spectra: Spectra, shape: Shape, timbre: Timbre | None = None) -> tuple[Pcm, Floats]:
    """The sound [S] at Timing.output_rate that a vocal tract of this shape makes of it, and its pitch [F] in Hz."""
    moved = in_shape(spectra, shape)
    if timbre is None:
        return sound(moved), moved.pitch
    return sound(moved, timbre.gain(told(moved))), moved.pitch


def in_shape(spectra: Spectra, shape: Shape) -> Spectra:
    """What a vocal tract of this shape makes of the spectra; a pace is taken by Spectra.paced alone."""
    harmonics, phases, noise, free = (
        stretch(part, shape.formants) for part in (spectra.harmonics, spectra.phases, spectra.noise, spectra.free)
    )
    pitch = shape_pitch(spectra.pitch, shape)
    return Spectra(harmonics, phases, breathed(noise, shape), free, spectra.free_phases, pitch)


def told(spectra: Spectra) -> Floats:
    """Coefficients [F, K] of the spectra, for Timbre.gain."""
    return coefficients(spectra.harmonics, spectra.noise, spectra.free, spectra.pitch)


def sound(spectra: Spectra, gain: Floats | None = None) -> Pcm:
    """The sound [S] at Timing.output_rate of spectra, with a gain [B, F] as a natural logarithm of the amplitude."""
    harmonics, noise, free = (
        part if gain is None else part + gain for part in (spectra.harmonics, spectra.noise, spectra.free)
    )
    # the same noise each time: the same words are the same sound
    rng = np.random.default_rng(0)
    pcm: Pcm = dsp.synth(harmonics, spectra.phases, noise, free, spectra.free_phases, spectra.pitch, rng)
    return pcm


def breathed(noise: Floats, shape: Shape) -> Floats:
    """The noise [B, F] of a voice that is more breathy, or less."""
    return noise if shape.breath == 0 else noise + np.float32(shape.breath * np.log(10) / 20)


def shape_pitch(f0: Floats, shape: Shape) -> Floats:
    """Pitch curve [F] in Hz (0: unvoiced) of another larynx."""
    voiced = f0 > _VOICED_HZ
    if not voiced.any():
        return f0
    median = np.median(f0[voiced])
    moved = shape.pitch * median * (np.maximum(f0, _VOICED_HZ) / median) ** shape.melody
    # a scaled pitch must not fall under the border and lose its voice
    return np.where(voiced, np.maximum(moved, _VOICED_HZ + 1), 0).astype(np.float32)


def stretch(spectrum: Floats, formants: float) -> Floats:
    """Stretch a spectral quantity [B, F] along its B frequency bins; beyond the top the last bin repeats."""
    if formants == 1:
        return spectrum
    n_bins = len(spectrum)
    source = np.minimum(np.arange(n_bins, dtype=np.float32) / formants, n_bins - 1)
    low = np.minimum(source.astype(np.intp), n_bins - 2)
    high_share = (source - low)[:, None].astype(np.float32)
    stretched: Floats = spectrum[low] * (1 - high_share) + spectrum[low + 1] * high_share
    return stretched
