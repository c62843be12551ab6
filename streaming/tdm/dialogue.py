"""The conversation as the person knows it: items in order, answers cut to what was heard."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from omni.speech.words import heard_text
from omni.types import Word
from streaming.events import AudioPart, ImagePart, Item, ItemStatus, Part, TextPart

MAX_ITEMS = 2_000
"""beyond it the oldest are forgotten, so that an endless call stays bounded"""


class UnknownItemError(LookupError):
    """No item has this id."""

    def __init__(self, item_id: str) -> None:
        super().__init__(f"There is no item {item_id!r} in this conversation.")


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

    def __len__(self) -> int:
        return len(self._items)

    @property
    def last_id(self) -> str | None:
        """Id of the newest item."""
        return next(reversed(self._items), None)

    def get(self, item_id: str) -> Item:
        """An item by its id. Raises UnknownItemError."""
        try:
            return self._items[item_id]
        except KeyError:
            raise UnknownItemError(item_id) from None

    def is_latest_answer(self, item_id: str) -> bool:
        """No later answer of the assistant stands in the conversation."""
        return item_id == next((item.id for item in reversed(self._items.values()) if item.role == "assistant"), None)

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Put an item at the end (None), at the beginning ("root") or after an id.

        Returns:
            the id before it, None when it is the first.

        Raises:
            UnknownItemError: there is no item `after`.
            ValueError: the item's id is taken.
        """
        if item.id in self._items:
            raise ValueError(f"An item {item.id!r} is in the conversation already; ids must be unique.")
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
            UnknownItemError: there is no such item.
            ValueError: the item is no spoken answer.
        """
        item = self.get(item_id)
        if item_id not in self._spoken or not isinstance(item.parts[0], AudioPart):
            raise ValueError(f"Item {item_id!r} holds no speech of the assistant; only that can be truncated.")
        part = self._heard_part(item_id, min(max(0.0, heard_s), item.parts[0].duration_s))
        item = replace(item, parts=(part,), status="incomplete")
        self._items[item_id] = item
        return item

    def delete(self, item_id: str) -> None:
        """Forget an item. Raises UnknownItemError."""
        self.get(item_id)
        del self._items[item_id]
        self._spoken.pop(item_id, None)

    def _heard_part(self, item_id: str, heard_s: float) -> AudioPart:
        spoken = self._spoken[item_id]
        heard_s = min(heard_s, spoken.total_s)
        return AudioPart(heard_text(spoken.words, spoken.total_s, heard_s), heard_s)


def text_of(parts: Sequence[Part]) -> str:
    """What the parts say, as text."""
    texts = (
        part.text if isinstance(part, TextPart) else part.transcript or ""
        for part in parts
        if not isinstance(part, ImagePart)
    )
    return " ".join(text for text in texts if text)
