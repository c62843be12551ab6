"""From a recording to a voice: decoded, checked, prepared. Seconds of computing, so it has a thread of its own."""

import logging
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from omni.audio.reference import (
    LONGEST_S,
    SHORTEST_S,
    Activity,
    Checks,
    Reference,
    SeveralSpeakers,
    UnfitReferenceError,
    check_reference,
    resampled,
    too_long,
)
from omni.model import OmniModel
from omni.packaged.files import MissingModelError
from omni.packaged.speaking.likeness import Likeness
from omni.types import Pcm, Voice
from streaming.company.recording import RecordingError, TooLongError, read_recording
from streaming.company.voice_files import DamagedError, Record
from streaming.company.voices import Entry, VoiceError, Voices

MAX_BYTES = 12 * 2**20
"""of a recording: half a minute of the largest files that recorders write"""
LIMITS = {"shortest_s": SHORTEST_S, "longest_s": LONGEST_S, "max_bytes": MAX_BYTES}
_LONGEST_RAW_S = 2 * LONGEST_S
"""with the silence around it"""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A recording that a voice may be made of."""

    reference: Reference
    rate: int
    """Hz"""


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """A voice that can be kept."""

    record: Record
    reference: tuple[Pcm, int]
    """what it was made of [S], and its rate"""
    checks: Checks
    voice: Voice


def check_recording(data: bytes, activity: Activity, several_speakers: SeveralSpeakers) -> Recording:
    """Decode a sound file of any usual format, and see whether a voice may be made of it.

    Raises:
        VoiceError: it may not; the message says what to do.
    """
    try:
        sound, rate = read_recording(data, _LONGEST_RAW_S)
        return Recording(check_reference(sound, rate, activity, several_speakers), rate)
    except TooLongError as error:
        raise VoiceError("voice_too_long", str(too_long(error.length_s)), "audio_sample") from error
    except RecordingError as error:
        raise VoiceError("invalid_audio", str(error), "audio_sample") from error
    except UnfitReferenceError as error:
        raise VoiceError(f"voice_{error.problem}", str(error), "audio_sample") from error


class VoiceMaker:
    """Makes voices for one model. May be used on any thread."""

    def __init__(self, model: OmniModel[Any]) -> None:
        self._model = model

    def check_ability(self) -> None:
        """Whether this model can be given voices at all.

        Raises:
            VoiceError: it cannot.
        """
        can = self._model.capabilities
        if can.makes_voices is None:
            raise VoiceError(
                "voices_not_made", f"{can.name} speaks in its own voices only: no voice can be made for it."
            )

    def make(self, record: Record, recording: Recording) -> Made:
        """Make a voice.

        Args:
            record: what is to be kept of it.
            recording: what it is made of.

        Raises:
            VoiceError: the model can make none of it; the message says what to do.
        """
        self.check_ability()
        pcm, rate = recording.reference.pcm, recording.rate
        try:
            voice = self._prepare(record, pcm, rate)
        except ValueError as error:
            raise VoiceError("invalid_audio", str(error), "audio_sample") from error
        return Made(replace(record, seconds=len(pcm) / rate), (pcm, rate), recording.reference.checks, voice)

    def prepare(self, voices: Voices, entry: Entry) -> None:
        """Give the model a voice that was made for another, or for another version of it."""
        if entry.record is None:
            return
        try:
            voices.prepared(entry, self._prepare(entry.record, *voices.reference(entry)))
        except (DamagedError, ValueError) as error:
            voices.unfit(entry, str(error))
        except Exception as error:  # of any model: one voice must not cost the others
            voices.unfit(entry, f"the model failed: {type(error).__name__}: {error}")

    def _prepare(self, record: Record, reference: Pcm, rate: int) -> Voice:
        input_rate = self._model.timing.input_rate
        # there and back, rates may round to a sample more than a family takes
        heard = resampled(reference, rate, input_rate)[: round(LONGEST_S * input_rate)]
        return replace(self._model.prepare_voice(record.name, heard), language=record.language)


def similarity_object(voice: Voice) -> dict[str, float] | None:
    """How like its recording a voice is, where its model tells, as JSON: the model's own most similar voice, and it."""
    told = voice.state.get("likeness")
    if told is None or told.shape != (2,):
        return None
    before, after = map(float, told)
    return {"before": round(before, 3), "after": round(after, 3)}


def checks_object(checks: Checks) -> dict[str, float]:
    """What was found in a recording, as JSON."""
    return {
        "speech_s": round(checks.speech_s, 1),
        "trimmed_before_s": round(checks.trimmed_before_s, 2),
        "trimmed_after_s": round(checks.trimmed_after_s, 2),
        "level_db": round(checks.level_db, 1),
        "above_noise_db": round(checks.above_noise_db, 1),
    }


def several_speakers(pcm: Pcm) -> bool:
    """Whether more than one person speaks [S] at Timing.input_rate; False where the model that tells is missing."""
    try:
        return _likeness().several_speakers(pcm)
    except MissingModelError as error:
        log.warning("nobody checks that one person alone speaks: %s", error)
        return False


@cache
def _likeness() -> Likeness:
    """Loaded when a first voice is made: most servers never make one."""
    return Likeness()
