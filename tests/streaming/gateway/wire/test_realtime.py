import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from PIL import Image

from streaming.commands import AppendAudio, Commit, Update
from streaming.events import Closed, Fault, ItemAdded, Updated, UserTranscript
from streaming.gateway.wire import names
from streaming.gateway.wire.deferred import Undecoded
from streaming.gateway.wire.fields import MAX_TEXT_BYTES, WireError
from streaming.gateway.wire.realtime import LONG_SOUND, MAX_FRAME_BYTES, RealtimeCodec
from tests import grammar
from tests.streaming.gateway.wire.samples import CONVERSATION, TIMING, described, finished, opened_codec, speech

_GOLDEN = Path(__file__).parents[3] / "golden_messages"
_CLIENT: list[dict[str, Any]] = json.loads((_GOLDEN / "client.json").read_text())
_SERVER: list[dict[str, Any]] = json.loads((_GOLDEN / "server.json").read_text())["conversation"]


def decoded(message: Any, codec: RealtimeCodec | None = None) -> list[Any]:
    return finished((codec or opened_codec()).decode(orjson.dumps(message)))


def sent(codec: RealtimeCodec, *events: Any) -> list[dict[str, Any]]:
    return [orjson.loads(frame) for event in events for frame in codec.encode(event)]


# ---------------------------------------------------------------- golden messages


@pytest.mark.parametrize("golden", _CLIENT, ids=[golden["name"] for golden in _CLIENT])
def test_client_messages_become_commands_or_clear_errors(golden: dict[str, Any]) -> None:
    became = []
    for one in decoded(golden["message"]):
        if isinstance(one, WireError):
            assert len(one.message) > 10
            became.append({"is": "WireError", "code": one.code, "param": one.param, "event_id": one.event_id})
        else:
            became.append(described(one))
    # the resampler keeps back what it likes: how much is its own affair
    assert _without_lengths(became) == _without_lengths(golden["becomes"])


def _without_lengths(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_lengths(one) for key, one in value.items() if key != "duration_s"}
    if isinstance(value, list):
        return [_without_lengths(one) for one in value]
    return "array" if isinstance(value, str) and value.startswith("array of") else value


def test_events_become_the_golden_messages() -> None:
    codec = RealtimeCodec("sess_1", model_aliases=("gpt-realtime",), expires_at=1_800_000_000)
    assert [type(event).__name__ for event in CONVERSATION] == [step["event"] for step in _SERVER]
    for event, step in zip(CONVERSATION, _SERVER, strict=True):
        assert sent(codec, event) == step["messages"]


def test_the_conversation_keeps_the_order_that_clients_rely_on() -> None:
    grammar.check(sent(RealtimeCodec("sess_1"), *CONVERSATION))


# ---------------------------------------------------------------- client → session


@pytest.mark.parametrize("frame", ["", "{", "null", "3", '"text"', "\ud800", "[" * 5000, b"\xff\xfe", b"\x00"])
def test_frames_that_are_no_json_object_are_answered(frame: str | bytes) -> None:
    (error,) = opened_codec().decode(frame)
    assert isinstance(error, WireError)
    assert error.code == "invalid_json"


def test_before_session_created_every_message_is_too_early() -> None:
    (error,) = decoded({"type": "response.create", "event_id": "e1"}, RealtimeCodec("sess_1"))
    assert (error.code, error.event_id) == ("session_not_open", "e1")


def test_an_error_on_the_wire_names_the_message_that_caused_it() -> None:
    codec = opened_codec()
    (error,) = decoded({"type": "response.cancel", "event_id": "e9", "response_id": 4}, codec)
    message = orjson.loads(codec.encode_error(error))
    assert message["type"] == "error"
    assert message["error"] == {
        "type": "invalid_request_error",
        "code": "invalid_type",
        "message": "response_id must be a string, got int.",
        "param": "response_id",
        "event_id": "e9",
    }


def test_a_fault_of_the_client_answers_its_latest_message_and_ours_answers_none() -> None:
    codec = opened_codec()
    decoded({"type": "response.cancel", "event_id": "e9"}, codec)
    theirs, ours = sent(codec, Fault("invalid_request_error", "a", "b"), Fault("server_error", "a", "b"))
    assert (theirs["error"]["event_id"], ours["error"]["event_id"]) == ("e9", None)
    decoded({"type": "response.cancel"}, codec)
    assert sent(codec, Fault("invalid_request_error", "a", "b"))[0]["error"]["event_id"] is None


def _append(n_samples: int) -> dict[str, Any]:
    return {"type": "input_audio_buffer.append", "audio": base64.b64encode(bytes(2 * n_samples)).decode()}


def test_long_sound_is_left_to_the_pool_and_continues_the_same_stream() -> None:
    codec = opened_codec()
    n_long = LONG_SOUND
    total = 0
    for n_samples in (480, n_long, 480):
        (inbound,) = codec.decode(orjson.dumps(_append(n_samples)))
        assert isinstance(inbound, Undecoded) == (n_samples == n_long)
        (command,) = finished([inbound])
        total += len(command.pcm)
    rest = decoded({"type": "input_audio_buffer.commit"}, codec)
    total += sum(len(one.pcm) for one in rest if isinstance(one, AppendAudio))
    assert isinstance(rest[-1], Commit)
    expected = (n_long + 960) * TIMING.input_rate / TIMING.wire_rate
    assert abs(total - expected) <= 2


def test_sound_of_more_than_15_mib_is_refused() -> None:
    (error,) = decoded(_append(8 * 2**20))
    assert error.code == "media_too_large"


def test_a_picture_that_is_a_bomb_is_refused() -> None:
    file = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(file, "PNG")
    bomb = base64.b64encode(file.getvalue()).decode()
    (error,) = decoded({"type": "input_audio_buffer.append", "video_frames": [bomb], "event_id": "e1"})
    assert (error.code, error.event_id) == ("invalid_image", "e1")
    assert "million pixels" in error.message


def test_after_clear_the_sound_before_it_leaves_no_trace() -> None:
    loud = base64.b64encode(np.full(480, 20_000, "<i2").tobytes()).decode()
    codec = opened_codec()
    decoded({"type": "input_audio_buffer.append", "audio": loud}, codec)
    decoded({"type": "input_audio_buffer.clear"}, codec)
    (command, *_) = decoded(_append(4_800), codec)
    assert not command.pcm.any()


# ---------------------------------------------------------------- session → client


def test_item_ids_that_the_client_left_out_are_given() -> None:
    codec = opened_codec()
    message = {
        "type": "conversation.item.create",
        "item": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]},
    }
    ids = {decoded(message, codec)[0].item.id for _ in range(3)}
    assert len(ids) == 3


def test_the_voice_stays_once_the_assistant_has_spoken() -> None:
    codec = opened_codec()
    voice = {"type": "session.update", "session": {"audio": {"output": {"voice": "joe"}}}}
    (update,) = decoded(voice, codec)
    assert isinstance(update, Update)
    sent(codec, Updated(update.settings), CONVERSATION[10], speech("It", 0.0))
    (same,) = decoded(voice, codec)
    assert isinstance(same, Update)
    voice["session"]["audio"]["output"]["voice"] = "ava"  # type: ignore[index]
    (error,) = decoded(voice, codec)
    assert error.code == "cannot_update_voice"


def test_what_the_session_refuses_leaves_no_trace() -> None:
    codec = opened_codec()
    decoded({"type": "session.update", "session": {"instructions": "too long", "prompt": {"id": "sid"}}}, codec)
    sent(codec, Fault("invalid_request_error", "string_above_max_length", "too long"))
    (update,) = decoded({"type": "session.update", "session": {"max_output_tokens": 7}}, codec)
    (updated,) = sent(codec, Updated(update.settings))
    assert (updated["session"]["instructions"], updated["session"]["prompt"]) == ("Be kind.", None)


def test_the_longest_texts_that_are_accepted_fit_into_a_frame() -> None:
    codec = opened_codec()
    longest = "a" * (MAX_TEXT_BYTES - 2)
    (update,) = decoded({"type": "session.update", "session": {"instructions": longest}}, codec)
    content = [{"type": "input_text", "text": longest[:-200]}] * 2
    item = {"type": "message", "role": "user", "content": content}
    (create,) = decoded({"type": "conversation.item.create", "item": item}, codec)
    messages = sent(codec, Updated(update.settings), ItemAdded(create.item, None))
    assert [message["type"] for message in messages] == [names.SESSION_UPDATED, names.ITEM_ADDED, names.ITEM_DONE]


@pytest.mark.parametrize(
    ("reason", "code"),
    [("busy", "session_limit_reached"), ("expired", "session_expired"), ("shutdown", "server_shutdown")],
)
def test_a_session_that_ends_says_why(reason: Any, code: str) -> None:
    # also one that was never opened
    error, closed = sent(RealtimeCodec("sess_1"), Closed(reason, "why"))
    assert (error["type"], error["error"]["code"], error["error"]["message"]) == ("error", code, "why")
    assert (closed["type"], closed["reason"], closed["message"]) == ("session.closed", reason, "why")


def test_a_client_that_leaves_gets_no_error() -> None:
    (closed,) = sent(RealtimeCodec("sess_1"), Closed("client", "goodbye"))
    assert closed["type"] == "session.closed"


def test_no_frame_is_ever_larger_than_a_client_accepts() -> None:
    codec = opened_codec()
    codec.encode(CONVERSATION[10])
    minute = np.zeros(60 * TIMING.output_rate, np.float32)
    frames = codec.encode(speech("long", 0.0, minute))
    assert max(map(len, frames)) < MAX_FRAME_BYTES / 8
    (error,) = sent(codec, UserTranscript("item_u1", "a" * MAX_FRAME_BYTES, False, 1.0), Fault("server_error", "a", ""))
    assert error["type"] == "error"
    too_large = sent(codec, UserTranscript("item_u1", "a" * MAX_FRAME_BYTES, True, 1.0))
    assert {message["error"]["code"] for message in too_large} == {"event_too_large"}
