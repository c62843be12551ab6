"""When the user speaks, pauses and has finished. Sans-I/O: voice activity and words in, decisions out.

Endpointing: silence alone cuts people off (pauses inside a turn reach a second), so its length depends on
whether the words sound finished. A first short silence is announced at once, for a speculative answer.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from omni.text.finished import SURE, UNSURE
from omni.timing import Timing
from omni.types import Pcm
from streaming.events import TurnDetection

UNSURE_SILENCE_S = 0.8
"""silence that ends a turn in between"""
PAUSE_WINDOWS = 1
"""windows of silence after which an answer is prepared"""
PAUSE_SHARE = 1 / 3
"""of the silence that ends a turn, after which an answer is prepared where no words say that the turn may be complete:
most gaps within a sentence are shorter, and what is left hides most of the making of an answer"""
TAIL_S = 0.064
"""voice activity falls this much after the last audible sample (measured 70 to 90 ms; see BENCHMARKS.md)"""
ONSET_WINDOWS = 3
"""windows of speech that begin a turn"""
OVERLAP_WINDOWS = 5
"""the same while the assistant is heard: an echo or a click must not pass"""
RELEASE = 0.15
"""below the threshold by this much, a window counts as silence"""


class Activity(Protocol):
    """Voice activity of one session's microphone."""

    async def probabilities(self, pcm: Pcm) -> list[float]:
        """Take sound [S] at Timing.input_rate; one value, 0 to 1, for each window it completed."""
        ...


class Signal(Enum):
    """What has just become true."""

    STARTED = auto()
    """the user has begun to speak"""
    PAUSED = auto()
    """a first short silence: they may be done"""
    CONTINUED = auto()
    """they were not done"""
    ENDED = auto()
    """the turn is over"""


@dataclass(slots=True)
class _Speech:
    """The turn in progress."""

    start_s: float
    end_s: float
    voiced_s: float
    paused: bool = False
    awaiting: bool = False
    """words of this pause are still to come"""
    finished: float | None = None


class Turns:
    """Turn detection of one session. Times are media time."""

    def __init__(
        self, timing: Timing, detection: TurnDetection, from_s: float = 0.0, *, wordless: bool = False
    ) -> None:
        """Start at media time from_s. wordless: no words will be known by which to guess."""
        self._window_s = timing.window_s
        self.detection = detection
        self._from_s = from_s
        self._shortest_s = PAUSE_WINDOWS * timing.window_s
        self._pause_s = max(self._shortest_s, PAUSE_SHARE * detection.silence_s - TAIL_S if wordless else 0.0)
        self._n = 0
        self._recent: deque[bool] = deque(maxlen=OVERLAP_WINDOWS + 2)
        self._speech: _Speech | None = None

    @property
    def paused(self) -> bool:
        """In a pause that may be the end."""
        return self._speech is not None and self._speech.paused

    @property
    def start_s(self) -> float:
        """Onset of the turn in progress."""
        return self._speech.start_s if self._speech else self._now_s

    @property
    def end_s(self) -> float:
        """Last audible moment of the turn in progress."""
        return self._speech.end_s if self._speech else self._now_s

    @property
    def voiced_s(self) -> float:
        """Speech in the turn so far, pauses left out."""
        return self._speech.voiced_s if self._speech else 0.0

    def window(self, probability: float, overlap: bool) -> Signal | None:
        """Take the next window's voice-activity probability.

        Args:
            overlap: the assistant is heard at this moment.
        """
        self._n += 1
        threshold = self.detection.threshold
        voiced = probability >= (threshold if self._speech is None or self._speech.paused else threshold - RELEASE)
        self._recent.append(voiced)
        if self._speech is None:
            return self._onset(OVERLAP_WINDOWS if overlap else ONSET_WINDOWS)
        speech = self._speech
        if voiced:
            speech.voiced_s += self._window_s
            # One loud window in a pause is a click; two are speech.
            if speech.paused and not (len(self._recent) > 1 and self._recent[-2]):
                return None
            speech.end_s = self._now_s
            if speech.paused:
                speech.paused = speech.awaiting = False
                return Signal.CONTINUED
            return None
        # over an answer, what was said is judged at once: the answer is on hold meanwhile
        pause_s = self._shortest_s if overlap else self._pause_s
        if not speech.paused and self._now_s - speech.end_s >= pause_s - 1e-9:
            speech.paused = speech.awaiting = True
            speech.end_s = max(speech.start_s, speech.end_s - TAIL_S)
            speech.finished = None
            return Signal.PAUSED
        return self._ended()

    def words(self, finished: float | None) -> Signal | None:
        """The words of the pause are known; finished is the guess that the turn is complete, if there is one."""
        if self._speech is None or not self._speech.paused:
            return None
        self._speech.awaiting = False
        self._speech.finished = finished
        return self._ended()

    def reset(self) -> None:
        """Drop the turn in progress: it was committed, or it was none."""
        self._speech = None
        self._recent.clear()

    @property
    def _now_s(self) -> float:
        return self._from_s + self._n * self._window_s

    def _onset(self, n_needed: int) -> Signal | None:
        if not self._recent[-1] or sum(self._recent) < n_needed:
            return None
        length_s = len(self._recent) * self._window_s
        self._speech = _Speech(self._now_s - length_s, self._now_s, sum(self._recent) * self._window_s)
        return Signal.STARTED

    def _ended(self) -> Signal | None:
        speech = self._speech
        if speech is None or not speech.paused:
            return None
        silence_s = self._now_s - speech.end_s
        return Signal.ENDED if silence_s >= self._needed_s(speech) - 1e-9 else None

    def _needed_s(self, speech: _Speech) -> float:
        """Silence that ends the turn, by how finished its words sound."""
        detection = self.detection
        if speech.awaiting or (speech.finished is not None and speech.finished <= UNSURE):
            return max(detection.patience_s, detection.silence_s)
        if speech.finished is not None and speech.finished >= SURE:
            return detection.silence_s
        if speech.finished is None:
            # A family that guesses nothing: the silence is all there is to go by.
            return detection.silence_s
        return max(detection.silence_s, min(UNSURE_SILENCE_S, detection.patience_s))
