"""Bodies of requests, and their fields by name."""

import pytest

from streaming.gateway.wire.fields import MAX_TEXT_BYTES, Fields, WireError, fields_of


def test_the_body_of_a_request_is_one_json_object() -> None:
    assert fields_of(bytearray(b'{"input": "Hello"}')).text("input") == "Hello"
    for body in (b"", b"{", b"[]", b"null", b'"Hello"', b"\xff"):
        with pytest.raises(WireError, match="one JSON object") as refused:
            fields_of(body)
        assert refused.value.code == "invalid_json"


def test_a_field_that_is_absent_or_null_is_none_and_may_be_required() -> None:
    fields = Fields({"voice": None}, "session")
    assert [fields.text("voice"), fields.number("speed", 0, 1), fields.object("audio")] == [None] * 3
    with pytest.raises(WireError) as refused:
        fields.require("voice")
    assert (refused.value.code, refused.value.param) == ("missing_required_parameter", "session.voice")


def test_the_length_of_a_text_is_that_of_its_json() -> None:
    fits = "\x01" * (MAX_TEXT_BYTES // 6 - 1)
    assert Fields({"text": fits}).text("text") == fits
    with pytest.raises(WireError, match="256 KiB"):
        Fields({"text": fits + "\x01" * 2}).text("text")


def test_a_typing_error_is_told_with_what_is_known() -> None:
    with pytest.raises(WireError, match="Known here: speed, voice") as refused:
        Fields({"voise": "joe"}, "session").only(("voice", "speed"))
    assert refused.value.param == "session.voise"
