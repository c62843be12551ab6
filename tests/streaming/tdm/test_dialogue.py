"""Items in order, and answers cut to what was heard."""

import numpy as np
import pytest

from omni.types import Word
from streaming.events import AudioPart, ImagePart, Item, RefusedError, TextPart
from streaming.tdm import dialogue as module
from streaming.tdm.dialogue import MAX_PICTURES, PICTURE_GONE, Dialogue


def text(item_id: str) -> Item:
    return Item(item_id, "user", (TextPart(item_id),))


def test_items_stand_where_they_are_put() -> None:
    dialogue = Dialogue()
    assert dialogue.add(text("b")) is None
    assert dialogue.add(text("d")) == "b"
    assert dialogue.add(text("c"), after="b") == "b"
    assert dialogue.add(text("a"), after="root") is None
    assert [item.id for item in dialogue] == ["a", "b", "c", "d"]
    assert dialogue.last_id == "d"


@pytest.mark.parametrize("call", [lambda d: d.get("x"), lambda d: d.delete("x"), lambda d: d.add(text("n"), after="x")])
def test_an_unknown_id_is_told(call: object) -> None:
    dialogue = Dialogue()
    dialogue.add(text("a"))
    with pytest.raises(RefusedError, match="no item 'x'"):
        call(dialogue)  # type: ignore[operator]


def test_an_id_is_used_once() -> None:
    dialogue = Dialogue()
    dialogue.add(text("a"))
    with pytest.raises(RefusedError, match="already"):
        dialogue.add(text("a"))


def test_an_answer_holds_what_was_heard_and_can_be_cut_further() -> None:
    dialogue = Dialogue()
    dialogue.add(Item("r", "assistant", (AudioPart("", 0.0),), "in_progress"))
    words = [Word(" one", 0.0), Word(" two", 1.0), Word(" three", 2.0)]
    assert dialogue.answer("r", words, 3.0, 3.0, "completed").parts == (AudioPart(" one two three", 3.0),)
    assert dialogue.truncate("r", 1.6).parts == (AudioPart(" one two", 1.6),)
    assert dialogue.truncate("r", 2.9).parts == (AudioPart(" one two", 1.6),)
    assert dialogue.truncate("r", 0.0).parts == (AudioPart("", 0.0),)


def test_only_speech_is_truncated() -> None:
    dialogue = Dialogue()
    dialogue.add(text("a"))
    with pytest.raises(RefusedError, match="no speech"):
        dialogue.truncate("a", 1.0)


def test_an_endless_call_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ITEMS", 3)
    dialogue = Dialogue()
    for name in "abcde":
        dialogue.add(text(name))
    assert [item.id for item in dialogue] == ["c", "d", "e"]


def test_only_the_newest_pictures_are_kept_and_the_words_beside_the_others_stay() -> None:
    dialogue = Dialogue()
    for index in range(MAX_PICTURES // 2 + 2):
        pictures = [ImagePart(np.full((2, 2, 3), 2 * index + i, np.uint8)) for i in range(2)]
        dialogue.add(Item(f"i{index}", "user", (pictures[0], TextPart(str(index)), pictures[1])))
    parts = [part for item in dialogue for part in item.parts]
    kept = [int(part.image[0, 0, 0]) for part in parts if isinstance(part, ImagePart)]
    assert kept == list(range(4, 4 + MAX_PICTURES))
    assert parts.count(PICTURE_GONE) == 4
    assert dialogue.get("i0").parts == (PICTURE_GONE, TextPart("0"), PICTURE_GONE)
