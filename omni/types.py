"""What crosses the model's border: Unit in; Transcript, TextDelta, SpeechDelta, ToolCall and TurnEnd out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Pcm = npt.NDArray[np.float32]
"""Mono sound [S] in [-1, 1]; its rate is a matter of place: Timing.input_rate in, Timing.output_rate out."""

Picture = npt.NDArray[np.uint8]
"""RGB picture [height, width, 3]."""

Role = Literal["system", "user", "assistant"]

SLOWEST, FASTEST = 0.25, 1.5
"""paces that may be asked of a voice, as factors (those of OpenAI's audio.output.speed)"""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may ask the client to call."""

    name: str
    description: str
    parameters: str
    """JSON Schema of its arguments, as JSON"""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a function: a delta that comes with the end of the answer's text."""

    id: str
    name: str
    arguments: str
    """a JSON object, as the model wrote it"""


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What came of a call."""

    call_id: str
    output: str


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """One slice of media time, all modalities together. At least one of them is present.

    Consecutive audio units of one user turn are contiguous. A typed message is a unit of its own and
    stands in the history where it is heard; with role "assistant" or "system" it is history, not input.
    """

    audio: Pcm | None = None
    """[S] at Timing.input_rate, S ≤ Timing.unit_samples"""
    image: Picture | None = None
    text: str | None = None
    role: Role = "user"
    tool: ToolCall | ToolOutput | None = None
    """a call stands in the history, where it is told of; an output too, and the next answer knows it"""
    glance: bool = False
    """a picture that nobody spoke over: only the newest of these matters, and only to what follows"""


@dataclass(frozen=True, slots=True, eq=False)
class Voice:
    """A voice that a family can speak in: a name and whatever state the family prepared for it."""

    name: str
    language: str = "en"
    state: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """How the model is to answer this turn."""

    speaks: bool = True
    """False: text only, and SPEAK is never stepped"""
    instructions: str | None = None
    """in place of the session's, for this reply alone"""
    max_tokens: int | None = None
    """None: the family's own limit"""
    tools: tuple[Tool, ...] = ()
    """only for a family that can call functions"""
    tool_choice: str = "auto"
    """auto, none, required, or the name of the tool that is to be called"""
    says: str | None = None
    """these words, as they are, in place of an answer of the model's own; they stand in the history as one"""
    speed: float = 1.0
    """factor on the pace of the speech, SLOWEST to FASTEST; its pitch stays. What SpeechDelta says is of the
    sound as it comes out"""
    voice: Voice | None = None
    """for a family that changes_voice; None: the one that the session was opened with"""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What the user has said in this turn so far, as the model heard it."""

    text: str
    finished: float | None = None
    """the model's guess, 0 to 1, that the user has said all they wanted; None: it has none"""


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text of the answer."""

    text: str
    last: bool = False
    """no text follows in this turn"""


@dataclass(frozen=True, slots=True)
class Word:
    """A piece of transcript and where in its SpeechDelta it starts to sound. Joined, words are the transcript."""

    text: str
    """with the white space that precedes it"""
    start_s: float


@dataclass(frozen=True, slots=True, eq=False)
class SpeechDelta:
    """More sound of the answer, with the words in it."""

    pcm: Pcm
    """[S] at Timing.output_rate"""
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class TurnEnd:
    """The answer is complete: nothing more will come from this turn."""

    reason: Literal["completed", "max_tokens"] = "completed"
    n_tokens: int = 0
    """text tokens decoded in this turn"""


Delta = Transcript | TextDelta | SpeechDelta | ToolCall | TurnEnd
