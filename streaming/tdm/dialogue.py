"""The conversation as the person knows it: items in order, answers cut to what was heard."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from omni.speech.words import heard_text
from omni.types import ToolCall, Word
from streaming.events import AudioPart, ImagePart, Item, ItemStatus, Part, RefusedError, TextPart

MAX_ITEMS = 2_000
"""beyond it the oldest are forgotten, so that an endless call stays bounded"""
MAX_PICTURES = 8
"""newest pictures that are kept: each takes megabytes, and no model looks back further"""
PICTURE_GONE = TextPart("[A picture was here.]")
"""stands where an older picture stood"""


@dataclass(frozen=True, slots=True)
class _Spoken:
    words: tuple[Word, ...]
    total_s: float


class Dialogue:
    """Items of one conversation. Ids are unique and never used again."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._spoken: dict[str, _Spoken] = {}

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items.values())

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items

    @property
    def last_id(self) -> str | None:
        """Id of the newest item."""
        return next(reversed(self._items), None)

    def get(self, item_id: str) -> Item:
        """An item by its id. Raises RefusedError."""
        try:
            return self._items[item_id]
        except KeyError:
            raise RefusedError("item_not_found", f"There is no item {item_id!r} in this conversation.") from None

    def has_call(self, call_id: str) -> bool:
        """A function was asked for under this id."""
        calls = (part for item in self for part in item.parts if isinstance(part, ToolCall))
        return any(call.id == call_id for call in calls)

    def is_latest_answer(self, item_id: str) -> bool:
        """No later answer of the assistant stands in the conversation."""
        return item_id == next((item.id for item in reversed(self._items.values()) if item.role == "assistant"), None)

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Put an item at the end (None), at the beginning ("root") or after an id.

        Returns:
            the id before it, None when it is the first.

        Raises:
            RefusedError: there is no item `after`, or the item's id is taken.
        """
        if item.id in self._items:
            raise RefusedError(
                "item_id_taken", f"An item {item.id!r} is in the conversation already; choose another id."
            )
        if after in (None, self.last_id):
            previous = self.last_id
            self._items[item.id] = item
        elif after == "root":
            previous = None
            self._items = {item.id: item, **self._items}
        else:
            previous = self.get(str(after)).id
            items = list(self._items.values())
            items.insert(next(i for i, other in enumerate(items) if other.id == after) + 1, item)
            self._items = {other.id: other for other in items}
        while len(self._items) > MAX_ITEMS:
            self.delete(next(iter(self._items)))
        if any(isinstance(part, ImagePart) for part in item.parts):
            self._forget_pictures()
        return previous

    def replace(self, item: Item) -> None:
        """Exchange an item for a newer form of itself."""
        self.get(item.id)
        self._items[item.id] = item

    def answer(self, item_id: str, words: Sequence[Word], total_s: float, heard_s: float, status: ItemStatus) -> Item:
        """Set what an answer's item holds: what was spoken, and how much of it was heard."""
        self._spoken[item_id] = _Spoken(tuple(words), total_s)
        item = replace(self.get(item_id), parts=(self._heard_part(item_id, heard_s),), status=status)
        self._items[item_id] = item
        return item

    def truncate(self, item_id: str, heard_s: float) -> Item:
        """Cut a spoken answer to what was heard. A position beyond what it holds is clamped, never an error.

        Raises:
            RefusedError: there is no such item, or it is no spoken answer.
        """
        item = self.get(item_id)
        if item_id not in self._spoken or not isinstance(item.parts[0], AudioPart):
            raise RefusedError(
                "invalid_value", f"Item {item_id!r} holds no speech of the assistant; only that can be cut."
            )
        part = self._heard_part(item_id, min(max(0.0, heard_s), item.parts[0].duration_s))
        item = replace(item, parts=(part,), status="incomplete")
        self._items[item_id] = item
        return item

    def delete(self, item_id: str) -> None:
        """Forget an item. Raises RefusedError."""
        self.get(item_id)
        del self._items[item_id]
        self._spoken.pop(item_id, None)

    def _forget_pictures(self) -> None:
        """Keep the newest MAX_PICTURES pictures."""
        left = MAX_PICTURES
        for item in reversed([*self._items.values()]):
            parts: list[Part] = []
            for part in reversed(item.parts):
                is_picture = isinstance(part, ImagePart)
                parts.insert(0, PICTURE_GONE if is_picture and left == 0 else part)
                left = max(0, left - is_picture)
            if PICTURE_GONE in parts:
                self._items[item.id] = replace(item, parts=tuple(parts))

    def _heard_part(self, item_id: str, heard_s: float) -> AudioPart:
        spoken = self._spoken[item_id]
        heard_s = min(heard_s, spoken.total_s)
        return AudioPart(heard_text(spoken.words, spoken.total_s, heard_s), heard_s)


def text_of(parts: Sequence[Part]) -> str:
    """What the parts say, as text."""
    texts = (
        part.text if isinstance(part, TextPart) else part.transcript or ""
        for part in parts
        if isinstance(part, TextPart | AudioPart)
    )
    return " ".join(text for text in texts if text)
