from typing import Any

import numpy as np
import pytest

from streaming.commands import CreateItem
from streaming.events import AudioPart, ImagePart, Item, TextPart
from streaming.gateway.wire.deferred import Undecoded
from streaming.gateway.wire.fields import MAX_TEXT_BYTES, Fields, WireError
from streaming.gateway.wire.items import ItemReader, item_object
from tests.streaming.gateway.wire.samples import TIMING, picture_base64

_READER = ItemReader(TIMING, "audio/pcm", lambda: "item_new")


def read(role: str, *content: Any, **fields: Any) -> CreateItem:
    """The command, media decoded."""
    item = {"type": "message", "role": role, "content": list(content), **fields}
    command = _READER.read(Fields(item, "item"), None, "e1")
    done = command.decode() if isinstance(command, Undecoded) else command
    if isinstance(done, WireError):
        raise done
    assert isinstance(done, CreateItem)
    return done


def test_parts_keep_their_order_with_media_among_them() -> None:
    url = "data:image/png;base64," + picture_base64("PNG")
    parts = read(
        "user",
        {"type": "input_image", "image_url": url},
        {"type": "input_text", "text": "Look, and listen:"},
        {"type": "input_audio", "audio": "AAAA" * 8000},
        {"type": "input_image", "image_url": url},
    ).item.parts
    assert [type(part) for part in parts] == [ImagePart, TextPart, AudioPart, ImagePart]
    first, _, sound, _ = parts
    assert isinstance(first, ImagePart)
    assert first.image.shape == (6, 8, 3)
    assert isinstance(sound, AudioPart)
    assert sound.pcm is not None
    assert sound.duration_s == pytest.approx(0.5, abs=0.001)
    assert len(sound.pcm) == round(sound.duration_s * TIMING.input_rate)


def test_words_without_sound_are_heard_words() -> None:
    assert read("user", {"type": "input_audio", "transcript": "hello"}).item.parts == (AudioPart("hello", 0.0),)


def test_an_item_comes_back_as_it_was_but_for_its_media() -> None:
    content = [{"type": "output_audio", "transcript": "Good evening."}]
    echoed = item_object(read("assistant", *content, id="item_7").item)
    assert echoed == {
        "id": "item_7",
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": content,
    }
    pcm = np.zeros(8, np.float32)
    item = Item("item_8", "user", (AudioPart(None, 0.5, pcm), ImagePart(np.zeros((1, 1, 3), np.uint8))))
    assert item_object(item)["content"] == [
        {"type": "input_audio", "transcript": None},
        {"type": "input_image", "detail": "auto"},
    ]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"type": "input_image", "image_url": "data:image/png;base64,AAAA"}, "invalid_image"),
        ({"type": "input_image", "image_url": "data:image/png;base64,A"}, "invalid_base64"),
        ({"type": "input_image", "image_url": "data:image/svg+xml,<svg/>"}, "invalid_image_url"),
        ({"type": "input_audio", "audio": "AAAA"}, "invalid_audio"),
        ({"type": "input_text"}, "missing_required_parameter"),
        ({"text": "hello"}, "missing_required_parameter"),
        ("hello", "invalid_type"),
    ],
)
def test_what_is_wrong_is_named(content: Any, code: str) -> None:
    with pytest.raises(WireError) as caught:
        read("user", {"type": "input_text", "text": "fine"}, content)
    assert caught.value.code == code
    assert caught.value.param is not None
    assert caught.value.param.startswith("item.content[1]")


def test_more_text_than_can_be_echoed_is_refused() -> None:
    with pytest.raises(WireError, match="KiB"):
        read("user", {"type": "input_text", "text": "a" * (MAX_TEXT_BYTES + 1)})
    with pytest.raises(WireError, match="KiB"):
        read("user", *[{"type": "input_text", "text": "a" * (MAX_TEXT_BYTES // 2)}] * 5)
