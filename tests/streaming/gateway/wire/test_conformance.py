"""Every message, field by field, against the pydantic models of the official client."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from openai.types.realtime import RealtimeResponse, RealtimeServerEvent, RealtimeSessionCreateResponse
from pydantic import BaseModel, TypeAdapter

from streaming.events import AudioPart, EndStatus, Event, Item, ResponseEnded, ResponseSpeech, ResponseStarted
from streaming.gateway.wire.realtime import Carriage, RealtimeCodec
from tests.streaming.gateway.wire.samples import OPENED

_SERVER = json.loads((Path(__file__).parents[3] / "golden_messages" / "server.json").read_text())["conversation"]
_MESSAGES: list[dict[str, Any]] = [message for step in _SERVER for message in step["messages"]]

_MODELS: dict[str, type[BaseModel]] = {
    get_args(model.model_fields["type"].annotation)[0]: model for model in get_args(get_args(RealtimeServerEvent)[0])
}
_OUR_EVENTS = {"overlap.decision", "omni.turn_measured", "session.go_away", "session.closed"}
_OVER_WEBRTC = {"output_audio_buffer.started", "output_audio_buffer.stopped", "output_audio_buffer.cleared"}
"""the conversation is one over WebSocket"""
_OUR_FIELDS = {
    "session.created": {"omni", "session.id", "session.object", "session.expires_at"},
    "session.updated": {"session.id", "session.object", "session.expires_at"},
    "response.output_audio.delta": {"start_ms"},
    "conversation.item.truncated": {"transcript"},
}
"""beside our extensions: the official model of these two events is the request's, which lacks what a response adds"""

_WITHOUT_MEANING_HERE = {"parallel_tool_calls", "reasoning"}


def _extra(value: Any, path: str = "") -> Iterator[str]:
    """Paths of fields that the official models do not know."""
    if isinstance(value, BaseModel):
        for name in value.model_extra or {}:
            yield f"{path}{name}"
        for name in type(value).model_fields:
            yield from _extra(getattr(value, name), f"{path}{name}.")
    elif isinstance(value, list):
        for one in value:
            yield from _extra(one, path)


def _strictly(model: Any, value: Any) -> Any:
    return TypeAdapter(model).validate_json(json.dumps(value), strict=True)


@pytest.mark.parametrize("message", _MESSAGES, ids=[message["event_id"] for message in _MESSAGES])
def test_a_message_is_what_the_official_client_expects(message: dict[str, Any]) -> None:
    kind = message["type"]
    if kind in _OUR_EVENTS:
        assert kind not in _MODELS
        return
    parsed = _strictly(_MODELS[kind], message)
    assert set(_extra(parsed)) <= _OUR_FIELDS.get(kind, set())


def test_how_sound_that_travels_apart_goes_is_told_as_the_official_client_expects() -> None:
    codec = RealtimeCodec("sess_1", carriage=Carriage(sound_apart=True))
    sound = np.zeros(480, np.float32)
    ends: tuple[EndStatus, ...] = ("completed", "cancelled")
    events: list[Event] = [OPENED]
    for number, status in enumerate(ends):
        place = f"resp_{number}", f"item_{number}"
        item = Item(place[1], "assistant", (AudioPart("Hi.", 0.02),))
        events += [
            ResponseStarted(*place, None, speaks=True, metadata=None, turn=number),
            ResponseSpeech(*place, sound, "Hi.", 0.0, number),
            ResponseEnded(place[0], item, status, None, None, "Hi.", 3, number),
        ]
    told = [json.loads(frame) for event in events for frame in codec.encode(event)]
    told = [message for message in told if message["type"] in _OVER_WEBRTC]
    assert {message["type"] for message in told} == _OVER_WEBRTC
    for message in told:
        assert not list(_extra(_strictly(_MODELS[message["type"]], message)))


def test_the_conversation_holds_every_kind_of_message_that_is_sent() -> None:
    sent = {message["type"] for message in _MESSAGES}
    from streaming.gateway.wire import names

    spelled = {value for name, value in vars(names).items() if name.isupper()}
    client = {name for name in spelled if name not in _MODELS and name not in _OUR_EVENTS}
    assert sent == spelled - client - _OVER_WEBRTC


@pytest.mark.parametrize("kind", ["session.created", "session.updated"])
def test_a_session_object_is_complete(kind: str) -> None:
    session = next(message for message in _MESSAGES if message["type"] == kind)["session"]
    parsed = _strictly(RealtimeSessionCreateResponse, session)
    assert not list(_extra(parsed))
    assert set(RealtimeSessionCreateResponse.model_fields) - set(session) <= _WITHOUT_MEANING_HERE


@pytest.mark.parametrize("kind", ["response.created", "response.done"])
def test_a_response_object_is_complete(kind: str) -> None:
    for message in _MESSAGES:
        if message["type"] == kind:
            assert set(message["response"]) == set(RealtimeResponse.model_fields)
