"""Whatever a client sends: commands or errors come of it, nothing is raised, and the session goes on."""

import copy
import json
from pathlib import Path
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.commands import AppendAudio, Command
from streaming.events import Updated
from streaming.gateway.wire.deferred import Undecoded
from streaming.gateway.wire.fields import WireError
from streaming.gateway.wire.realtime import RealtimeCodec
from tests.streaming.gateway.wire.samples import OPENED, opened_codec

_CLIENT = json.loads((Path(__file__).parents[3] / "golden_messages" / "client.json").read_text())
_OBJECTS = [golden["message"] for golden in _CLIENT if isinstance(golden["message"], dict)]

_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["realtime", "inf", "audio", "auto", "message", "user", "AAAA", "data:image/png;base64,AAAA"])
)
_json = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a JSON value."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [place for key in keys for place in [(value, key), *_places(value[key])]]


@st.composite
def _damaged(draw: st.DrawFn) -> Any:
    """A good message with one to three things in it replaced or taken away."""
    message = copy.deepcopy(draw(st.sampled_from(_OBJECTS)))
    for _ in range(draw(st.integers(1, 3))):
        places = _places(message)
        if not places:
            break
        container, key = draw(st.sampled_from(places))
        if draw(st.booleans()) or not isinstance(container, dict):
            container[key] = draw(_json)
        else:
            del container[key]
    return message


def _survives(codec: RealtimeCodec, frame: str | bytes) -> None:
    for inbound in codec.decode(frame):
        done = inbound.decode() if isinstance(inbound, Undecoded) else inbound
        assert isinstance(done, Command | WireError)
        if isinstance(done, WireError):
            error = orjson.loads(codec.encode_error(done))["error"]
            assert error["code"]
            assert error["message"]
    # the session can still be shown, and still hears
    (append,) = codec.decode('{"type":"input_audio_buffer.append","audio":"AAAAAAAA"}')
    assert isinstance(append, AppendAudio | WireError)
    session = codec._session
    assert session is not None
    assert codec.encode(Updated(session.settings))


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_noise(frame: str | bytes) -> None:
    _survives(opened_codec(), frame)


@given(_json)
def test_any_json(value: Any) -> None:
    _survives(opened_codec(), orjson.dumps(value))


@settings(max_examples=400)
@given(st.lists(_damaged(), min_size=1, max_size=4))
def test_damaged_messages(messages: list[Any]) -> None:
    codec = RealtimeCodec("sess_1")
    codec.encode(OPENED)
    for message in messages:
        _survives(codec, orjson.dumps(message))
