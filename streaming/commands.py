"""What a client may ask of a session: the other half of the vocabulary of events.py (law 4)."""

from dataclasses import dataclass, field
from math import inf

from omni.types import Pcm, Picture
from streaming.events import Item, ReplyOptions, Settings


@dataclass(frozen=True, slots=True)
class Update:
    """session.update, already merged and checked by the wire."""

    settings: Settings


@dataclass(frozen=True, slots=True, eq=False)
class AppendAudio:
    """Microphone: [S] at Timing.input_rate."""

    pcm: Pcm


@dataclass(frozen=True, slots=True, eq=False)
class AppendImage:
    """Camera: one picture. Only the newest of a unit is looked at."""

    image: Picture


@dataclass(frozen=True, slots=True)
class Commit:
    """The user's turn ends here (push to talk)."""


@dataclass(frozen=True, slots=True)
class Clear:
    """Forget the sound that was not committed."""


@dataclass(frozen=True, slots=True)
class CreateItem:
    """Put an item into the conversation: at the end (after=None), first (after="root"), or after an id."""

    item: Item
    after: str | None = None


@dataclass(frozen=True, slots=True)
class RetrieveItem:
    """Show an item."""

    item_id: str


@dataclass(frozen=True, slots=True)
class DeleteItem:
    """Forget an item."""

    item_id: str


@dataclass(frozen=True, slots=True)
class TruncateItem:
    """An answer was heard only so far (conversation.item.truncate). Clamped, never an error for its length."""

    item_id: str
    heard_s: float


@dataclass(frozen=True, slots=True)
class Heard:
    """The player's position in an answer (playback.ack), sent now and then while it plays."""

    item_id: str
    heard_s: float
    most_s: float = inf
    """it cannot have got further than this until the next report"""


@dataclass(frozen=True, slots=True)
class Respond:
    """response.create"""

    options: ReplyOptions = field(default_factory=ReplyOptions)


@dataclass(frozen=True, slots=True)
class Cancel:
    """response.cancel; None: whichever response is active."""

    response_id: str | None = None


Command = (
    Update
    | AppendAudio
    | AppendImage
    | Commit
    | Clear
    | CreateItem
    | RetrieveItem
    | DeleteItem
    | TruncateItem
    | Heard
    | Respond
    | Cancel
)
