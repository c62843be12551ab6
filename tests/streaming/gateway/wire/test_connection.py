"""What a client says of its connection, and what it may not say there."""

import orjson
import pytest

from streaming.gateway.wire.connection import (
    MOST_EVENTS,
    Acknowledged,
    Heartbeat,
    Resume,
    read_connection,
    read_resume,
)
from streaming.gateway.wire.fields import Fields, WireError


def test_what_is_said_in_a_call() -> None:
    assert read_connection(Fields({"type": "event_ack", "server_event_seq": 7})) == Acknowledged(7)
    assert read_connection(Fields({"type": "session.heartbeat"})) == Heartbeat()


@pytest.mark.parametrize("seq", [-1, MOST_EVENTS + 1, "7", 1.5, None])
def test_a_number_that_counts_no_events_is_refused(seq: object) -> None:
    with pytest.raises(WireError) as refused:
        read_connection(Fields({"type": "event_ack", "server_event_seq": seq}))
    assert refused.value.param == "server_event_seq"


def test_who_is_there_does_not_come_back() -> None:
    with pytest.raises(WireError, match="resume=1"):
        read_connection(Fields({"type": "session.resume", "resume_token": "t", "last_event_seq": 0}))


def test_who_comes_back_says_to_what_and_after_which_event() -> None:
    frame = orjson.dumps({"type": "session.resume", "resume_token": "sess_1.abc", "last_event_seq": 12})
    assert read_resume(frame) == Resume("sess_1.abc", 12)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"{", "invalid_json"),
        (b"[]", "session_not_open"),
        (b'{"type": "session.update"}', "session_not_open"),
        (b'{"type": "session.resume", "last_event_seq": 0}', "missing_required_parameter"),
        (b'{"type": "session.resume", "resume_token": "t"}', "missing_required_parameter"),
    ],
)
def test_anything_else_is_refused_before_a_call_is_looked_for(frame: bytes, code: str) -> None:
    with pytest.raises(WireError) as refused:
        read_resume(frame)
    assert refused.value.code == code
