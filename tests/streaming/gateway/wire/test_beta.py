import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from streaming.commands import CreateItem, Respond, Update
from streaming.gateway.wire.beta import from_beta, to_beta
from streaming.gateway.wire.fields import WireError
from streaming.gateway.wire.realtime import RealtimeCodec
from tests.old_grammar import check_old
from tests.streaming.gateway.wire.samples import finished, opened_codec

_GOLDEN = Path(__file__).parents[3] / "golden_messages"
_BETA = json.loads((_GOLDEN / "beta.json").read_text())
_CHANGED: dict[str, Any] = _BETA["server"]
_CLIENT: list[dict[str, Any]] = _BETA["client"]
_SERVER = json.loads((_GOLDEN / "server.json").read_text())["conversation"]
_TODAY = [message for step in _SERVER for message in step["messages"]]
_NAMES_OF_TODAY = (
    "conversation.item.added",
    "output_audio.",
    "output_audio_transcript",
    "output_modalities",
    "output_text",
)


def told(message: Any) -> Any:
    frame = to_beta(orjson.dumps(message))
    return None if frame is None else orjson.loads(frame)


def asked(message: Any) -> Any:
    return orjson.loads(from_beta(orjson.dumps(message)))


# ---------------------------------------------------------------- to the client


def test_messages_become_the_golden_ones_and_all_others_stay() -> None:
    assert _CHANGED.keys() <= {message["event_id"] for message in _TODAY}
    for message in _TODAY:
        event_id = message["event_id"]
        assert told(message) == _CHANGED.get(event_id, message)


def test_the_conversation_keeps_the_order_that_old_clients_rely_on() -> None:
    check_old(list(filter(None, map(told, _TODAY))))


@pytest.mark.parametrize(
    "kind",
    [
        "conversation.item.created",
        "response.created",
        "response.content_part.added",
        "response.audio_transcript.delta",
        "response.audio.done",
        "response.output_item.done",
        "response.done",
    ],
)
def test_what_is_missing_in_an_old_trace_is_found(kind: str) -> None:
    trace = list(filter(None, map(told, _TODAY)))
    del trace[next(index for index, message in enumerate(trace) if message["type"] == kind)]
    with pytest.raises(AssertionError):
        check_old(trace)


def test_no_name_of_today_reaches_an_old_client() -> None:
    for message in filter(None, map(told, _TODAY)):
        text = json.dumps(message)
        for name in (
            "output_audio.",
            "output_audio_transcript",
            "output_text",
            "output_modalities",
            "conversation.item.added",
        ):
            assert name not in text
        assert message["type"] != "conversation.item.done"
        assert '"type": "output_audio"' not in text
        assert '"type": "realtime"' not in text


def test_an_error_names_fields_as_the_client_does() -> None:
    codec = opened_codec()
    voice = asked({"type": "session.update", "session": {"voice": "nobody"}, "event_id": "e1"})
    (error,) = finished(codec.decode(orjson.dumps(voice)))
    assert isinstance(error, WireError)
    assert told(orjson.loads(codec.encode_error(error)))["error"]["param"] == "session.voice"


# ---------------------------------------------------------------- from the client


@pytest.mark.parametrize("golden", _CLIENT, ids=[golden["name"] for golden in _CLIENT])
def test_old_messages_become_those_of_today(golden: dict[str, Any]) -> None:
    assert asked(golden["message"]) == golden["becomes"]


@pytest.mark.parametrize("golden", _CLIENT, ids=[golden["name"] for golden in _CLIENT])
def test_what_they_become_is_understood(golden: dict[str, Any]) -> None:
    first, *notes = finished(opened_codec().decode(from_beta(orjson.dumps(golden["message"]))))
    assert isinstance(first, CreateItem | Respond | Update)
    assert not notes


@pytest.mark.parametrize("frame", [b"", b"{", b"3", b"[]", b"{}", b'{"type":["session.update"]}', b'{"type":7}'])
def test_what_is_no_message_is_left_to_the_codec(frame: bytes) -> None:
    assert from_beta(frame) == frame
    (error,) = RealtimeCodec("sess_1").decode(from_beta(frame))
    assert isinstance(error, WireError)


@pytest.mark.parametrize("kind", ["session.update", "response.create"])
def test_unknown_fields_are_named_with_their_path_and_message(kind: str) -> None:
    name = kind.split(".", maxsplit=1)[0]
    with pytest.raises(WireError) as caught:
        from_beta(orjson.dumps({"type": kind, "event_id": "e7", name: {"output_modalities": ["audio"]}}))
    assert (caught.value.param, caught.value.event_id) == (f"{name}.output_modalities", "e7")


def test_what_is_nested_too_deeply_is_refused() -> None:
    frame = (
        b'{"type":"session.update","event_id":"e1","session":{"tools":[' + b'{"a":' * 500 + b"1" + b"}" * 500 + b"]}}"
    )
    with pytest.raises(WireError, match="too deeply"):
        from_beta(frame)


@pytest.mark.parametrize("content", [None, 3, "text", [3], [{}], [{"type": "text"}], [{"type": ["text"]}]])
def test_odd_contents_are_refused_by_the_codec_and_break_nothing(content: Any) -> None:
    message = {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": content}}
    (error,) = opened_codec().decode(from_beta(orjson.dumps(message)))
    assert isinstance(error, WireError)
