"""A voice of the synthesizer made more like a recorded one: measured first, then searched for.

What can be measured of a voice is set outright: its pitch, how far that moves, its pace, the mean and the covariance
of its spectra. The rest (the length of the vocal tract, how breathy it is, how much of what was measured to take over)
is found by trying, with the speaker encoder as the judge, and taken back where a recogniser loses words. It stays one
voice of the synthesizer in a new shape: the accent and the manner of speaking are not the recorded person's.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr

from omni.packaged.speaking.likeness import WINDOW, Likeness
from omni.packaged.speaking.pitch import pitches
from omni.packaged.speaking.rhythm import syllables_per_s
from omni.packaged.speaking.search import Vector, approach
from omni.packaged.speaking.synthesizer import Synthesizer
from omni.packaged.speaking.timbre import Floats, Timbre, between, heard, loud
from omni.packaged.speaking.understood import SENTENCES, Listener
from omni.packaged.speaking.voices import (
    BUILT_IN,
    FORMANTS,
    MELODIES,
    PITCHES,
    Shape,
    Spectra,
    in_shape,
    render,
    shaped,
    sound,
    told,
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
_ROUNDS = 8
_MAY_MISS = 1
"""words that a recogniser may miss beyond those that it misses in the own voice"""
_N_APART, _APART = 4, 2.0
"""candidates that it listens to, and the steps that lie between them at least"""
_SHARES = (0.7, 0.4)
"""of the best one, where none of them is understood"""
_FAR = 0.0006
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

    @cached_property
    def _built_in(self) -> list[Floats]:
        """Prints of the built-in voices; no start of a server waits for them."""
        return self._likeness.prints_of([_input(self._spectra, Shape.of(voice)) for voice in BUILT_IN])

    def voice(self, name: str, reference: Pcm) -> Voice:
        """The synthesizer's voice, made as like the reference [S] at Timing.input_rate as can be; some 5 s.

        Its state tells, besides "shape" and "timbre", its "likeness" [2]: the similarity to the reference of the
        most similar built-in voice, and its own, which is no less (1: the same voice; two clips of one person: above
        .8).

        Raises:
            ValueError: there is not enough speech in the reference.
            MissingModelError: the packaged recogniser, which listens to the result, is not installed.
        """
        wanted = self._measured(reference)
        alike = [float(wanted.print @ one) for one in self._built_in]
        before = max(alike)

        def answers(candidates: list[Vector]) -> list[Floats]:
            sounds = [self._tried(candidate, wanted) for candidate in candidates]
            return self._likeness.means_of(sounds, WINDOW)

        tracts = [
            np.where(_IS_FORMANTS, np.log2(formants), colour * _START) for formants in _FORMANTS for colour in _COLOURS
        ]
        alike_tracts = [float(wanted.print @ one / np.linalg.norm(one)) for one in answers(tracts)]
        away = np.square((np.array(tracts) - _START) / _STEP).sum(axis=1)
        start = tracts[int(np.argmax(alike_tracts - _FAR * away))]
        found = approach(answers, wanted.print, start, step=_STEP, low=_LOW, high=_HIGH, rounds=_ROUNDS, far=_FAR)
        shape, timbre = self._made(self._understood(found, start, wanted), wanted)
        after = float(wanted.print @ self._likeness.print_of(_input(self._spectra, shape, timbre)))
        # where nothing that was found is as like the reference as a built-in voice is, that one is taken
        better = after >= before
        shape = shape if better else Shape.of(BUILT_IN[alike.index(before)])
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
        own = in_shape(self._spectra, shape)
        offset = heard(_at_input_rate(sound(own))).mean(axis=0) - told(own)[_loud(own)].mean(axis=0)
        return _Wanted(
            self._likeness.print_of(reference),
            heard(reference) - offset,
            shape.pitch,
            float(np.clip(spread / own_spread, *_MELODIES)),
            float(np.clip(syllables_per_s(reference) / self._syllables_per_s, *_PACES)),
        )

    def _understood(self, tried: list[Vector], start: Vector, wanted: _Wanted) -> Vector:
        """The most alike that leaves the words intelligible; the judge of likeness hears no words."""
        plain = np.where(_IS_FORMANTS, start, 0)
        candidates = [*_apart(tried), *(plain + share * (tried[0] - plain) for share in _SHARES)]
        # both are large, and few servers make voices often: neither is kept
        listener, sentences = Listener(), [self._synthesizer.spectra(phonemes, 1.0)[0] for _, phonemes in SENTENCES]
        own = None
        for candidate in candidates:
            shape, timbre = self._made(candidate, wanted)
            missed = listener.missed([_input(spectra, shape, timbre) for spectra in sentences])
            # most voices miss so few words that nobody needs to know how many the own voice does
            if missed > _MAY_MISS and own is None:
                own = listener.missed([_input(spectra, Shape()) for spectra in sentences])
            if missed <= _MAY_MISS + (own or 0):
                return candidate
        return plain

    def _made(self, candidate: Vector, wanted: _Wanted) -> tuple[Shape, Timbre]:
        shape = _shape(candidate, wanted)
        return shape, _timbre(candidate, wanted, in_shape(self._spectra, shape))[0]

    def _tried(self, candidate: Vector, wanted: _Wanted) -> Pcm:
        spectra = in_shape(self._spectra, _shape(candidate, wanted))
        timbre, own = _timbre(candidate, wanted, spectra)
        return _at_input_rate(sound(spectra, timbre.gain(own)))


def _apart(tried: list[Vector]) -> list[Vector]:
    """The first of them, and of the others the first that are not much like those before."""
    chosen = [tried[0]]
    for one in tried:
        if len(chosen) < _N_APART and all(np.linalg.norm((one - other) / _STEP) > _APART for other in chosen):
            chosen.append(one)
    return chosen


def _shape(candidate: Vector, wanted: _Wanted) -> Shape:
    pitch, melody, formants, breath = candidate[:4]
    return Shape(
        pitch=float(np.clip(wanted.pitch * 2**pitch, *PITCHES)),
        melody=float(np.clip(wanted.melody * 2**melody, *MELODIES)),
        formants=float(2**formants),
        breath=float(breath),
    )


def _timbre(candidate: Vector, wanted: _Wanted, spectra: Spectra) -> tuple[Timbre, Floats]:
    """The timbre, and the coefficients [F, K] of the spectra that it is for."""
    strength, shift, *more = candidate[4:]
    own = told(spectra)
    broad = np.zeros(own.shape[1], np.float32)
    broad[: len(more)] = more
    return between(own[_loud(spectra)], wanted.told, strength, shift, broad), own


def _loud(spectra: Spectra) -> npt.NDArray[np.bool_]:
    """Which frames [F] are loud enough to tell of the voice."""
    return loud(np.exp(2 * spectra.harmonics).sum(axis=0) + np.exp(2 * spectra.noise).sum(axis=0))


def _input(spectra: Spectra, shape: Shape, timbre: Timbre | None = None) -> Pcm:
    """The sound of it at Timing.input_rate."""
    return _at_input_rate(render(spectra, shape, timbre)[0])


def _at_input_rate(pcm: Pcm) -> Pcm:
    timing = Timing()
    return np.asarray(soxr.resample(pcm, timing.output_rate, timing.input_rate), np.float32)


def _pitch_and_spread(voiced_hz: npt.NDArray[Any]) -> tuple[float, float]:
    """The median in Hz, and how far the middle half lies apart, in octaves."""
    low, middle, high = np.quantile(np.log2(voiced_hz), (0.25, 0.5, 0.75))
    return float(2**middle), float(high - low)
