"""Media that is decoded later: mistakes come back as values, and pictures come from nowhere but the message."""

import base64
import io

import pytest
from PIL import Image

from omni.types import Picture
from streaming.commands import AppendImage
from streaming.gateway.wire import deferred
from streaming.gateway.wire.deferred import Undecoded, picture_of_base64, picture_of_url
from streaming.gateway.wire.fields import WireError


def encoded(kind: str) -> str:
    file = io.BytesIO()
    Image.new("RGB", (6, 4), (255, 0, 0)).save(file, kind)
    return base64.b64encode(file.getvalue()).decode()


def test_nothing_is_decoded_before_the_pool_asks() -> None:
    calls: list[str] = []

    def work() -> AppendImage:
        calls.append("decoded")
        return AppendImage(picture_of_base64(encoded("PNG"), "image"))

    undecoded = Undecoded(work, "event_1")
    assert not calls
    command = undecoded.decode()
    assert isinstance(command, AppendImage)
    assert command.image.shape == (4, 6, 3)


def test_a_mistake_comes_back_with_the_message_that_it_is_in() -> None:
    # a codec reads on meanwhile: which message was wrong is known here alone
    first, second = (
        Undecoded(lambda: AppendImage(picture_of_base64("AAAA", "image")), event_id) for event_id in ("event_1", None)
    )
    errors = second.decode(), first.decode()
    assert all(isinstance(error, WireError) and error.code == "invalid_image" for error in errors)
    assert [isinstance(error, WireError) and error.event_id for error in errors] == [None, "event_1"]


def test_a_fault_of_our_own_is_not_told_as_the_clients_mistake() -> None:
    def work() -> AppendImage:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        Undecoded(work, None).decode()


@pytest.mark.parametrize(
    ("prefix", "kind"),
    [
        ("data:image/jpeg;base64,", "JPEG"),
        ("data:image/jpg;base64,", "JPEG"),
        ("data:image/png;base64,", "PNG"),
        ("DATA:Image/PNG;Base64,", "PNG"),  # schemes and types have no case; base64 has
    ],
)
def test_a_picture_in_a_url_is_the_picture(prefix: str, kind: str) -> None:
    red = picture_of_url(prefix + encoded(kind), "content[1].image_url").astype(int)
    assert red.shape == (4, 6, 3)
    assert red[..., 0].min() > 240
    assert red[..., 1:].max() < 15


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/cat.png",
        "file:///etc/passwd",
        "data:image/svg+xml;base64,AAAA",
        "data:image/png,AAAA",
        " data:image/png;base64,AAAA",
        "",
    ],
)
def test_what_another_kind_of_url_names_is_never_looked_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(data: bytes) -> Picture:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(deferred, "decode_image", refuse)
    with pytest.raises(WireError, match="nothing is fetched") as refused:
        picture_of_url(url, "content[1].image_url")
    assert (refused.value.code, refused.value.param) == ("invalid_image_url", "content[1].image_url")


@pytest.mark.parametrize(
    ("text", "code"),
    [("A", "invalid_base64"), ("é", "invalid_base64"), ("AAAA", "invalid_image"), ("", "invalid_image")],
)
def test_what_is_no_picture_says_which_field_and_why(text: str, code: str) -> None:
    for picture in (picture_of_base64, lambda data, param: picture_of_url("data:image/png;base64," + data, param)):
        with pytest.raises(WireError, match=r"^item\.image") as refused:
            picture(text, "item.image")
        assert (refused.value.code, refused.value.param) == (code, "item.image")
