"""What is said to the server: held-out questions with their checks, sentences with a pause, interruptions."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

QUESTIONS_FILE = Path(__file__).with_name("questions_heldout.json")


@dataclass(frozen=True, slots=True)
class Question:
    """A spoken question and the check of its answer, fixed before any prompt was tuned."""

    id: str
    text: str
    accept: str
    """regular expression, searched in the answer's transcript, ignoring case"""

    def accepts(self, answer: str) -> bool:
        return re.search(self.accept, answer, re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True)
class PausedSentence:
    """One utterance in two pieces: whoever answers the first alone has cut the speaker off."""

    before: str
    after: str
    sounds_complete: bool = False
    """the first piece is a sentence of its own, so that its words do not tell"""


@dataclass(frozen=True, slots=True)
class Material:
    questions: tuple[Question, ...]
    pauses: tuple[PausedSentence, ...]
    interruptions: tuple[str, ...]
    backchannels: tuple[str, ...]
    long_answers: tuple[str, ...]
    """questions whose answers last long enough to be spoken over"""


def load_material(path: Path = QUESTIONS_FILE) -> Material:
    """Read the material; a malformed file raises KeyError or TypeError."""
    found = json.loads(path.read_text(encoding="utf-8"))
    overlaps = found["overlaps"]
    return Material(
        questions=tuple(Question(**question) for question in found["questions"]),
        pauses=tuple(PausedSentence(**pause) for pause in found["pauses"]),
        interruptions=tuple(overlaps["interruptions"]),
        backchannels=tuple(overlaps["backchannels"]),
        long_answers=tuple(overlaps["long_answers"]),
    )
