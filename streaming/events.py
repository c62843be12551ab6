"""What a session says (Event), and the values of a conversation. What it may be asked is in commands.py.

The only vocabulary between session and gateway (law 4). Times are seconds of media time since the session
opened; sound is float32 at the rates of omni.timing. The wire's names for these live in gateway/wire.
"""

from dataclasses import dataclass, field
from typing import Literal

from omni.model import Capabilities
from omni.timing import Timing
from omni.types import Pcm, Picture, Role, Tool, ToolCall, ToolOutput


class RefusedError(Exception):
    """A command cannot be done. The message says why, and what to do; it becomes a Fault."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


# ---------------------------------------------------------------- values


@dataclass(frozen=True, slots=True)
class TextPart:
    """Typed or written text."""

    text: str


@dataclass(frozen=True, slots=True)
class AudioPart:
    """Speech, as what was said. The conversation does not keep the sound itself."""

    transcript: str | None
    """None: not (yet) known"""
    duration_s: float
    """user: length of the turn; assistant: how much of it was heard"""
    pcm: Pcm | None = field(default=None, compare=False, repr=False)
    """[S] at Timing.input_rate, only in a user's CreateItem: sound that is still to be listened to"""


@dataclass(frozen=True, slots=True, eq=False)
class ImagePart:
    """A picture that the user put into the conversation."""

    image: Picture


Part = TextPart | AudioPart | ImagePart | ToolCall | ToolOutput
"""a call, or what came of one, is the only part of its item"""
ItemStatus = Literal["completed", "incomplete", "in_progress"]


@dataclass(frozen=True, slots=True)
class Item:
    """One message of the conversation."""

    id: str
    role: Role
    parts: tuple[Part, ...]
    status: ItemStatus = "completed"


@dataclass(frozen=True, slots=True)
class TurnDetection:
    """How the end of the user's turn is found. Absent (None in Settings): the client commits by hand."""

    kind: Literal["server_vad", "semantic_vad"] = "server_vad"
    threshold: float = 0.5
    """voice-activity probability above which a window counts as speech"""
    prefix_padding_s: float = 0.3
    """sound before the onset that still belongs to the turn"""
    silence_s: float = 0.32
    """silence that ends a turn whose words sound finished, or are never known; an unfinished one is given longer"""
    patience_s: float = 1.6
    """silence that ends any turn"""
    idle_timeout_s: float | None = None
    """silence of the user after an answer, after which the assistant is asked to go on"""
    creates_response: bool = True
    interrupts_response: bool = True


@dataclass(frozen=True, slots=True)
class Settings:
    """What a session is set to. Replaced as a whole by Update."""

    instructions: str = ""
    voice: str | None = None
    """None: the family's default"""
    speaks: bool = True
    """False: answers in text only"""
    max_tokens: int | None = None
    turn_detection: TurnDetection | None = field(default_factory=TurnDetection)
    transcribes: bool = True
    """report what the user said"""
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    """see Reply"""
    speed: float = 1.0
    """see Reply"""
    mode: str | None = None
    """see Capabilities; None: the family's default"""
    language: str | None = None
    """see Capabilities; None: the family's default"""
    greeting: str | None = None
    """what the assistant says, word for word, before anybody has said anything"""


@dataclass(frozen=True, slots=True)
class ReplyOptions:
    """What a client may set for one response, None meaning as the session is set."""

    instructions: str | None = None
    speaks: bool | None = None
    max_tokens: int | None = None
    tools: tuple[Tool, ...] | None = None
    tool_choice: str | None = None
    metadata: dict[str, str] | None = None
    says: str | None = None
    """see Reply"""
    voice: str | None = None
    """by name or id; for a family that changes_voice"""


# ---------------------------------------------------------------- events: session → client


@dataclass(frozen=True, slots=True)
class Opened:
    """First event of a session."""

    session_id: str
    capabilities: Capabilities
    timing: Timing
    settings: Settings
    voices: tuple[str, ...]
    """that this caller may choose from now, by name, the default first"""


@dataclass(frozen=True, slots=True)
class Updated:
    """The settings now in force."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The user speaks. Clients fall silent on this: if an answer was playing it is on hold until
    ResponseEnded (a real interruption) or OverlapEnded (a cough; what follows goes on from the heard position)."""

    item_id: str
    at_s: float
    turn: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The user has stopped; at_s is the end of their turn."""

    item_id: str
    at_s: float
    turn: int


@dataclass(frozen=True, slots=True)
class OverlapEnded:
    """What sounded over the answer was no interruption: the answer goes on. Its item id is not used again."""

    item_id: str
    response_id: str
    resumes_at_s: float
    """position in the answer from which it is sent again"""
    turn: int


@dataclass(frozen=True, slots=True)
class Committed:
    """The user's turn is in the conversation."""

    item_id: str
    previous_item_id: str | None


@dataclass(frozen=True, slots=True)
class IdleTimedOut:
    """The user said nothing for as long as the settings allow; an answer without a question follows."""

    item_id: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Cleared:
    """Uncommitted sound is forgotten."""


@dataclass(frozen=True, slots=True)
class ItemAdded:
    """A user's or system's item is in the conversation, complete."""

    item: Item
    previous_item_id: str | None


@dataclass(frozen=True, slots=True)
class ItemRetrieved:
    """Answer to RetrieveItem."""

    item: Item


@dataclass(frozen=True, slots=True)
class ItemDeleted:
    """Answer to DeleteItem."""

    item_id: str


@dataclass(frozen=True, slots=True)
class ItemTruncated:
    """The item now ends at heard_s; text is what is left of its transcript."""

    item_id: str
    heard_s: float
    text: str


@dataclass(frozen=True, slots=True)
class UserTranscript:
    """What the user said in the item: the whole of it so far, replacing what was reported before."""

    item_id: str
    text: str
    final: bool
    duration_s: float


@dataclass(frozen=True, slots=True)
class ResponseStarted:
    """An answer begins; item_id is the assistant's item."""

    response_id: str
    item_id: str
    previous_item_id: str | None
    speaks: bool
    metadata: dict[str, str] | None
    turn: int
    may_call: bool = False
    """it has tools to ask for, and may say nothing: then its item is gone at its end"""
    voice: str | None = None
    """by name, of a family that changes_voice; else it is the settings'"""


@dataclass(frozen=True, slots=True)
class ResponseText:
    """More text of an answer that does not speak."""

    response_id: str
    item_id: str
    text: str
    turn: int


@dataclass(frozen=True, slots=True, eq=False)
class ResponseSpeech:
    """More sound of an answer [S] at Timing.output_rate, at most 200 ms, and the words that start in it."""

    response_id: str
    item_id: str
    pcm: Pcm
    text: str
    at_s: float
    """position of pcm in the answer"""
    turn: int


EndStatus = Literal["completed", "cancelled", "incomplete", "failed"]


@dataclass(frozen=True, slots=True)
class ResponseEnded:
    """The answer is over. item is what the conversation keeps: only what was heard, if it was cut off."""

    response_id: str
    item: Item
    status: EndStatus
    reason: Literal["turn_detected", "client_cancelled", "max_output_tokens"] | None
    error: str | None
    full_text: str
    """all the text that was sent, also what was not heard"""
    n_output_tokens: int
    """as the model counted them at its end; 0 for an answer that was cut off"""
    turn: int
    calls: tuple[Item, ...] = ()
    """what it asks for, in the conversation behind it"""


@dataclass(frozen=True, slots=True)
class Measured:
    """How fast an answer came, in seconds (design, section 5)."""

    response_id: str
    turn_latency_s: float
    """true end of the user's speech to the first audible sample leaving"""
    first_audio_s: float
    """end of turn decided to the first sample out; 0 if it was ready"""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something went wrong; the session lives on unless Closed follows."""

    kind: Literal["invalid_request_error", "server_error"]
    code: str
    message: str
    param: str | None = None


@dataclass(frozen=True, slots=True)
class GoAway:
    """The session will end for want of time, unless it ends before."""

    left_s: float
    message: str
    """in words for the person"""


CloseReason = Literal["client", "busy", "quota", "idle", "expired", "too_slow", "lost", "shutdown", "fault"]


@dataclass(frozen=True, slots=True)
class Closed:
    """Last event: why the session is over, in words for the person."""

    reason: CloseReason
    message: str
    retry_s: float | None = None
    """after how long it may be worth calling again, where that is known"""


Event = (
    Opened
    | Updated
    | SpeechStarted
    | SpeechStopped
    | OverlapEnded
    | IdleTimedOut
    | Committed
    | Cleared
    | ItemAdded
    | ItemRetrieved
    | ItemDeleted
    | ItemTruncated
    | UserTranscript
    | ResponseStarted
    | ResponseText
    | ResponseSpeech
    | ResponseEnded
    | Measured
    | Fault
    | GoAway
    | Closed
)
