"""A voice of the synthesizer made more like a recorded one: measured first, then searched for.

What can be measured of a voice is set outright: its pitch, how far that moves, its pace, the mean and the covariance
of its spectra. The rest (the length of the vocal tract, how breathy it is, how much of what was measured to take over)
is found by trying, with the speaker encoder as the judge, and taken back where a recogniser loses words. It stays one
voice of the synthesizer in a new shape: the accent and the manner of speaking are not the recorded person's.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr

from omni.packaged.speaking.likeness import WINDOW, Likeness
from omni.packaged.speaking.pitch import pitches
from omni.packaged.speaking.rhythm import syllables_per_s
from omni.packaged.speaking.search import Vector, minimise
from omni.packaged.speaking.synthesizer import Synthesizer
from omni.packaged.speaking.timbre import Floats, Timbre, between, coefficients, heard, loud
from omni.packaged.speaking.understood import SENTENCES, Listener
from omni.packaged.speaking.voices import (
    BUILT_IN,
    FORMANTS,
    MELODIES,
    PITCHES,
    Shape,
    Spectra,
    breathed,
    render,
    shape_pitch,
    shaped,
    stretch,
)
from omni.timing import Timing
from omni.types import Pcm, Voice

_SAMPLE = (
    "ði ˈOld mˈæn wˈɔkt slˈOli əlˈɔŋ ðə ɹˈɪvəɹ, wˌIl sˈɛvən ʧˈɪldɹᵊn wɜɹ plˈAɪŋ wɪð ɐ jˈɛlO bˈɔl. "
    "plˈiz ʧˈuz ɐ ɡˈʊd pˈɛɹ ʌv θˈɪk ʃˈuz."
)
"""what candidates say: "The old man walked slowly along the river, …", in the synthesizer's alphabet"""

_SHORTEST_S = 1.0
"""of voiced speech, to measure a voice by"""
_FORMANTS, _COLOURS = (0.76, 0.83, 0.9, 0.98, 1.07, 1.17), (1.0, 0.3)
"""vocal tracts that are tried first, with shares of the usual start's change of colour"""
_MELODIES, _PACES = (0.5, 1.5), (0.85, 1.2)
"""bounds of what is measured: some seconds of speech tell of a mood as well as of a voice"""
_N_MORE = 6
"""of the timbre's coefficients, the broadest, are searched for as well"""
_START, _STEP, _LOW, _HIGH = np.array(
    [
        (0, 0.06, -0.2, 0.2),  # pitch, octaves off the measured one
        (0, 0.2, -0.5, 0.5),  # melody, the same
        (0, 0.06, *np.log2(FORMANTS)),  # formants, octaves
        (0, 2, -6, 8),  # breath, dB
        (0.7, 0.15, 0, 1),  # share of the change in how spectra vary
        (0.8, 0.15, 0, 1.1),  # share of the change in their mean
        *[(0, 1.5, -6, 6)] * _N_MORE,
    ]
).T
"""what is searched for: where from, how far at first, and within which bounds"""
_IS_FORMANTS = np.arange(len(_START)) == 2
_ROUNDS, _PER_ROUND = 10, 12
_SHARES, _MAY_MISS = (1.0, 0.7, 0.4), 1
"""of what was found, tried until a recogniser misses no more than this many words beyond those of the own voice"""
_FAR = 0.0002
"""cost of a number that is one step away from where it was measured, in similarity"""


@dataclass(frozen=True, slots=True, eq=False)
class _Wanted:
    """What was measured of the reference."""

    print: Floats
    told: Floats
    """[G, K] coefficients of its spectra, in the terms of the synthesizer's"""
    pitch: float
    melody: float
    pace: float
    """factors that make the synthesizer's pitch, melody and pace its own"""


class Shaping:
    """Voices towards references. May be used on any thread, beside the synthesizer's own."""

    def __init__(self, synthesizer: Synthesizer) -> None:
        """Load the speaker encoder.

        Raises:
            MissingModelError: its package is not installed, or is another version.
            CacheError: its graph cannot be kept.
        """
        self._synthesizer = synthesizer
        self._likeness = Likeness()
        self._spectra, _ = synthesizer.spectra(_SAMPLE, 1.0)
        self._syllables_per_s = syllables_per_s(_input(self._spectra, Shape()))

    def voice(self, name: str, reference: Pcm) -> Voice:
        """The synthesizer's voice, made as like the reference [S] at Timing.input_rate as can be; some 10 s.

        Its state tells, besides "shape" and "timbre", its "likeness" [2]: the similarity to the reference of the
        most similar built-in voice, and its own, which is no less (1: the same voice; two clips of one person: above
        .8).

        Raises:
            ValueError: there is not enough speech in the reference.
            MissingModelError: the packaged recogniser, which listens to the result, is not installed.
        """
        wanted = self._measured(reference)
        built_in = [Shape.of(voice) for voice in BUILT_IN]
        prints = self._likeness.prints_of([_input(self._spectra, shape) for shape in built_in])
        alike = [float(wanted.print @ one) for one in prints]
        before = max(alike)

        def costs(candidates: list[Vector]) -> list[float]:
            sounds = [_input(self._spectra, *self._made(candidate, wanted)) for candidate in candidates]
            far = [float(np.square((candidate - start) / _STEP).sum()) for candidate in candidates]
            prints = self._likeness.prints_of(sounds, WINDOW)
            return [_FAR * away - float(wanted.print @ one) for away, one in zip(far, prints, strict=True)]

        start = _START
        tracts = [
            np.where(_IS_FORMANTS, np.log2(formants), colour * _START) for formants in _FORMANTS for colour in _COLOURS
        ]
        start = tracts[int(np.argmin(costs(tracts)))]
        found = minimise(costs, start, step=_STEP, low=_LOW, high=_HIGH, rounds=_ROUNDS, per_round=_PER_ROUND)
        shape, timbre = self._made(self._understood(found, start, wanted), wanted)
        after = float(wanted.print @ self._likeness.print_of(_input(self._spectra, shape, timbre)))
        # where nothing that was found is as like the reference as a built-in voice is, that one is taken
        better = after >= before
        shape = shape if better else built_in[alike.index(before)]
        # the judge hears no pace, so it is not searched for
        voice = shaped(name, replace(shape, pace=wanted.pace), timbre if better else None)
        return Voice(name, state={**voice.state, "likeness": np.array([before, max(before, after)], np.float32)})

    def _measured(self, reference: Pcm) -> _Wanted:
        voiced = pitches(reference)
        if len(voiced) < _SHORTEST_S * 100:
            raise ValueError(
                "there is too little speech in the recording to make a voice of; speak for some ten seconds, "
                "close to the microphone, in a quiet room"
            )
        own_pitch, own_spread = _pitch_and_spread(self._spectra.pitch[self._spectra.pitch > 0])
        pitch, spread = _pitch_and_spread(voiced)
        shape = Shape(pitch=float(np.clip(pitch / own_pitch, *PITCHES)))
        # the two analyses differ by as much as they do for one and the same sound
        told, loud_frames = _told(self._spectra, shape)
        offset = heard(_input(self._spectra, shape)).mean(axis=0) - told[loud_frames].mean(axis=0)
        return _Wanted(
            self._likeness.print_of(reference),
            heard(reference) - offset,
            shape.pitch,
            float(np.clip(spread / own_spread, *_MELODIES)),
            float(np.clip(syllables_per_s(reference) / self._syllables_per_s, *_PACES)),
        )

    def _understood(self, found: Vector, start: Vector, wanted: _Wanted) -> Vector:
        """As much of what was found as leaves the words intelligible; the judge of likeness hears no words."""
        plain = np.where(_IS_FORMANTS, start, 0)
        # both are large, and few servers make voices often: neither is kept
        listener, sentences = Listener(), [self._synthesizer.spectra(phonemes, 1.0)[0] for _, phonemes in SENTENCES]
        own = listener.missed([_input(spectra, Shape()) for spectra in sentences])
        for share in _SHARES:
            candidate = plain + share * (found - plain)
            shape, timbre = self._made(candidate, wanted)
            if listener.missed([_input(spectra, shape, timbre) for spectra in sentences]) <= own + _MAY_MISS:
                return np.asarray(candidate)
        return plain

    def _made(self, candidate: Vector, wanted: _Wanted) -> tuple[Shape, Timbre]:
        pitch, melody, formants, breath, strength, shift, *more = candidate
        shape = Shape(
            pitch=float(np.clip(wanted.pitch * 2**pitch, *PITCHES)),
            melody=float(np.clip(wanted.melody * 2**melody, *MELODIES)),
            formants=float(2**formants),
            breath=float(breath),
        )
        told, loud_frames = _told(self._spectra, shape)
        broad = np.zeros(told.shape[1], np.float32)
        broad[: len(more)] = more
        return shape, between(told[loud_frames], wanted.told, strength, shift, broad)


def _told(spectra: Spectra, shape: Shape) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Coefficients [F, K] of the spectra in a shape, and which frames are loud."""
    harmonics, noise, free = (
        stretch(part, shape.formants) for part in (spectra.harmonics, spectra.noise, spectra.free)
    )
    power = np.exp(2 * harmonics).sum(axis=0) + np.exp(2 * noise).sum(axis=0)
    return coefficients(harmonics, breathed(noise, shape), free, shape_pitch(spectra.pitch, shape)), loud(power)


def _input(spectra: Spectra, shape: Shape, timbre: Timbre | None = None) -> Pcm:
    """The sound of it at Timing.input_rate."""
    timing = Timing()
    pcm, _ = render(spectra, shape, timbre)
    return np.asarray(soxr.resample(pcm, timing.output_rate, timing.input_rate), np.float32)


def _pitch_and_spread(voiced_hz: npt.NDArray[Any]) -> tuple[float, float]:
    """The median in Hz, and how far the middle half lies apart, in octaves."""
    low, middle, high = np.quantile(np.log2(voiced_hz), (0.25, 0.5, 0.75))
    return float(2**middle), float(high - low)
