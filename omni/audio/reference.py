"""Is a recording fit to make a voice from? Checked, and said in plain words where it is not; trimmed and made even.

The borders were measured on nine synthetic voices, clean, with noise, in rooms, overdriven, and through Opus.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from omni.audio.resample import Resampler
from omni.timing import Timing
from omni.types import Pcm

SHORTEST_S = 3.0
"""of speech, pauses not counted: from then on a speaker encoder knows the voice nearly as well as after ten"""
LONGEST_S = 30.0
"""between the first word and the last; no family hears more"""

Problem = Literal["too_short", "too_long", "silent", "clipped", "noisy", "several_speakers"]
Activity = Callable[[Pcm], Sequence[float]]
"""sound [S] at Timing.input_rate to the chance of speech in each whole window"""
SeveralSpeakers = Callable[[Pcm], bool]
"""is more than one person heard in speech [S] at Timing.input_rate?"""

_SPEECH = 0.5
"""chance from which a window counts as speech"""
_MARGIN_S = 0.15
"""left before the first word and after the last: voice activity misses soft consonants"""
_FADE_S = 0.01
_SILENCE = 1e-3
"""nothing louder than this is in a recording of nothing"""
_QUIETEST_DB = -45.0
"""of speech: below, 16-bit recorders add a noise of their own"""
_LEVEL_DB = -20.0
"""of speech, once made even"""
_HIGHEST_PEAK = 0.95
_NOISIEST_DB = 17.0
"""least distance of speech from what is heard in its pauses: of pink noise 14 dB below the speech"""
_MOST_FLAT = 0.002
"""share of samples that stay at the loudest; of speech overdriven by 6 dB it is more, of clean speech a hundredth"""
_MOST_LOUD = 0.005
"""share of samples near full scale, by which overdriven speech is known once a codec has made it round again"""
_FRAME_S = 0.02
_QUIET_SHARE = 5
"""percent of the frames, the quietest, in which the background is heard: every speaker pauses for so long"""


class UnfitReferenceError(ValueError):
    """No voice should be made of this recording. The message tells a person why, and what to do."""

    def __init__(self, problem: Problem, message: str) -> None:
        super().__init__(message)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Checks:
    """What was found in a recording."""

    speech_s: float
    """in which somebody speaks"""
    trimmed_before_s: float
    """silence taken away at the beginning"""
    trimmed_after_s: float
    level_db: float
    """of the speech as it was recorded, relative to full scale"""
    above_noise_db: float
    """how far the speech stands out from what is heard in its pauses"""


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A recording that a voice may be made of."""

    pcm: Pcm
    """[S] at the rate of the recording, from the first word to the last, at an even level"""
    checks: Checks


def check_reference(
    sound: Pcm, rate: int, activity: Activity, several_speakers: SeveralSpeakers | None = None
) -> Reference:
    """Check a recording, and take from it what a voice is made of.

    Args:
        sound: [S] at `rate`, of any level.
        rate: Hz.
        activity: hears where somebody speaks.
        several_speakers: hears whether it is one person; None: nobody can tell.

    Raises:
        UnfitReferenceError: it is silent, too short, too long, clipped, noisy, or of several people.
    """
    sound = np.asarray(sound - sound.mean(), np.float32) if len(sound) else sound
    peak = float(np.abs(sound).max(initial=0.0))
    if peak < _SILENCE:
        raise UnfitReferenceError(
            "silent", "The recording is silent. Check that the right microphone is chosen and not muted."
        )
    heard = resampled(sound, rate, Timing().input_rate)
    # voice activity knows speech of ordinary loudness
    spoken = np.asarray(activity(heard * (0.5 / peak))) >= _SPEECH
    if not spoken.any():
        raise UnfitReferenceError("silent", "Nobody is heard speaking in the recording. Record again, and speak aloud.")
    span = _span(spoken, len(heard))
    level_db, above_noise_db = _levels(heard, spoken, span)
    _check_length(spoken, span)
    _check_level(level_db)
    _check_clipping(sound)
    _check_noise(above_noise_db)
    begin, end = (round(edge * rate / Timing().input_rate) for edge in span)
    pcm = _even(sound[begin:end], level_db, rate)
    if several_speakers is not None and several_speakers(resampled(pcm, rate, Timing().input_rate)):
        raise UnfitReferenceError(
            "several_speakers",
            "More than one person seems to speak in the recording. Record the one whose voice it is, alone.",
        )
    before_s, after_s = begin / rate, max(0.0, (len(sound) - end) / rate)
    checks = Checks(_seconds(spoken.sum()), before_s, after_s, level_db, above_noise_db)
    return Reference(pcm, checks)


def resampled(pcm: Pcm, from_rate: int, to_rate: int) -> Pcm:
    """All of a recording [S] at another rate."""
    resampler = Resampler(from_rate, to_rate)
    return np.concatenate((resampler.push(pcm), resampler.flush()))


def _seconds(n_windows: int) -> float:
    return int(n_windows) * Timing().window_s


def _span(spoken: npt.NDArray[np.bool_], n_samples: int) -> tuple[int, int]:
    """From where to where speech lasts, in samples at Timing.input_rate, with a margin."""
    timing = Timing()
    where = np.flatnonzero(spoken)
    margin = round(_MARGIN_S * timing.input_rate)
    begin = int(where[0]) * timing.window_samples - margin
    end = (int(where[-1]) + 1) * timing.window_samples + margin
    return max(begin, 0), min(end, n_samples)


def _levels(heard: Pcm, spoken: npt.NDArray[np.bool_], span: tuple[int, int]) -> tuple[float, float]:
    """Level of the speech, and how far it stands above the background, in dB.

    The background is measured between the words alone: before them many a recorder is still muted.
    """
    n_window = Timing().window_samples
    windows = heard[: len(spoken) * n_window].reshape(len(spoken), n_window)
    speech_db = _db(float(np.square(windows[spoken]).mean()))
    n_frame = round(_FRAME_S * Timing().input_rate)
    cut = heard[slice(*span)]
    frames = cut[: len(cut) // n_frame * n_frame].reshape(-1, n_frame)
    quiet = float(np.percentile(np.square(frames).mean(axis=1), _QUIET_SHARE))
    return speech_db, speech_db - _db(quiet)


def _db(power: float) -> float:
    return 10 * float(np.log10(power + 1e-10))


def _check_length(spoken: npt.NDArray[np.bool_], span: tuple[int, int]) -> None:
    speech_s = _seconds(spoken.sum())
    if speech_s < SHORTEST_S:
        raise UnfitReferenceError(
            "too_short",
            f"Only {speech_s:.1f} s of speech are in the recording, and {SHORTEST_S:.0f} s are needed; ten are better. "
            "Record again, and read a few sentences aloud.",
        )
    length_s = (span[1] - span[0]) / Timing().input_rate
    if length_s > LONGEST_S:
        raise too_long(length_s)


def too_long(length_s: float) -> UnfitReferenceError:
    """What is said of a recording of this length."""
    return UnfitReferenceError(
        "too_long",
        f"The recording lasts {length_s:.0f} s, and {LONGEST_S:.0f} s are the most. Cut it: ten good seconds will do.",
    )


def _check_level(level_db: float) -> None:
    if level_db < _QUIETEST_DB:
        raise UnfitReferenceError(
            "silent",
            "The voice is too quiet. Record again, closer to the microphone, or turn the microphone's level up.",
        )


def _check_clipping(sound: Pcm) -> None:
    loud = np.abs(sound)
    top = loud >= 0.99 * loud.max()
    flat = top[:-2] & top[1:-1] & top[2:]
    if flat.mean() > _MOST_FLAT or (loud >= 0.9).mean() > _MOST_LOUD:
        raise UnfitReferenceError(
            "clipped",
            "The recording is distorted, because the voice was too loud for the microphone. Turn the microphone down, "
            "or move a little away from it, and record again.",
        )


def _check_noise(above_noise_db: float) -> None:
    if above_noise_db < _NOISIEST_DB:
        raise UnfitReferenceError(
            "noisy",
            "There is a lot of noise or echo behind the voice. Record again in a quiet room, closer to the microphone.",
        )


def _even(pcm: Pcm, level_db: float, rate: int) -> Pcm:
    """The sound with its speech at an even level, and without a click at either end."""
    gain = min(10 ** ((_LEVEL_DB - level_db) / 20), _HIGHEST_PEAK / float(np.abs(pcm).max()))
    even: Pcm = np.asarray(pcm * gain, np.float32)
    ramp = np.linspace(0, 1, round(_FADE_S * rate), dtype=np.float32)
    even[: len(ramp)] *= ramp
    even[-len(ramp) :] *= ramp[::-1]
    return even
