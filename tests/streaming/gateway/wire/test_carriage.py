"""What is said otherwise where sound travels beside the messages."""

from typing import Any

import orjson
import pytest

from streaming.commands import Cancel
from streaming.events import AudioPart, Item, ResponseEnded, ResponseStarted, Settings, Updated
from streaming.gateway.wire.fields import WireError
from streaming.gateway.wire.realtime import Carriage, RealtimeCodec
from tests.streaming.gateway.wire.samples import CONVERSATION, OPENED, speech

STARTED = ResponseStarted("resp_1", "item_a1", None, True, None, 1)


def ended(status: Any) -> ResponseEnded:
    item = Item("item_a1", "assistant", (AudioPart("It is", 0.4),), "incomplete")
    return ResponseEnded("resp_1", item, status, None, None, "It is noon", 0, 1)


def said(*events: Any, most: int = 1024 * 1024) -> list[dict[str, Any]]:
    codec = RealtimeCodec("sess_1", carriage=Carriage(sound_apart=True, max_frame_bytes=most))
    return [orjson.loads(frame) for event in (OPENED, *events) for frame in codec.encode(event)][1:]


def test_no_sound_is_in_the_messages_of_a_whole_conversation() -> None:
    codec = RealtimeCodec("sess_1", carriage=Carriage(sound_apart=True))
    kinds = [orjson.loads(frame)["type"] for event in CONVERSATION for frame in codec.encode(event)]
    assert "response.output_audio.delta" not in kinds
    assert "response.output_audio_transcript.delta" in kinds


@pytest.mark.parametrize(
    ("status", "end"),
    [("completed", "stopped"), ("incomplete", "stopped"), ("cancelled", "cleared"), ("failed", "cleared")],
)
def test_the_client_is_told_how_playing_goes(status: str, end: str) -> None:
    messages = said(STARTED, speech("It is", 0.0), speech(" noon", 0.1), ended(status))
    kinds = [message["type"] for message in messages]
    assert kinds.count("output_audio_buffer.started") == 1
    assert kinds.index("output_audio_buffer.started") < kinds.index("response.output_audio_transcript.delta")
    after = messages[kinds.index("response.done") + 1 :]
    assert (after[0]["type"], after[0]["response_id"]) == (f"output_audio_buffer.{end}", "resp_1")
    # what is left of an answer that was cut off only the server knows
    cut = [(one["item_id"], one["audio_end_ms"], one["transcript"]) for one in after[1:]]
    assert cut == ([("item_a1", 400, "It is")] if end == "cleared" else [])


def test_of_an_answer_without_sound_nothing_is_played() -> None:
    assert not [one for one in said(STARTED, ended("cancelled")) if one["type"].startswith("output_audio_buffer")]


def test_output_is_cleared_by_cancelling_what_sounds() -> None:
    codec = RealtimeCodec("sess_1", carriage=Carriage(sound_apart=True))
    codec.encode(OPENED)
    clear = b'{"type":"output_audio_buffer.clear"}'
    codec.encode(STARTED)
    assert codec.decode(clear) == []
    codec.encode(speech("It is", 0.0))
    assert codec.decode(clear) == [Cancel()]
    codec.encode(ended("cancelled"))
    assert codec.decode(clear) == []


def test_sound_is_not_appended() -> None:
    codec = RealtimeCodec("sess_1", carriage=Carriage(sound_apart=True))
    codec.encode(OPENED)
    (error,) = codec.decode(b'{"type":"input_audio_buffer.append","audio":"AAAA"}')
    assert isinstance(error, WireError)
    assert error.code == "invalid_event_for_transport"


def test_another_connection_may_carry_the_call_another_way() -> None:
    codec = RealtimeCodec("sess_1", carriage=Carriage(sound_apart=True))
    for event in (OPENED, STARTED, speech("It is", 0.0)):
        codec.encode(event)
    codec.carried_by(Carriage())
    kinds = [orjson.loads(frame)["type"] for frame in codec.encode(speech(" noon", 0.1))]
    assert kinds == ["response.output_audio_transcript.delta", "response.output_audio.delta"]


def test_no_frame_is_larger_than_the_connection_takes() -> None:
    (left_out,) = said(Updated(Settings(instructions="x" * 70_000)), most=64 * 1024)
    assert left_out["error"]["code"] == "event_too_large"
