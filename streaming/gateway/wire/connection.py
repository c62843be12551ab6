"""What a client says of its connection: messages that the call answers for itself, and the session never sees."""

from dataclasses import dataclass

import orjson

from streaming.gateway.wire import names
from streaming.gateway.wire.fields import Fields, WireError

MOST_EVENTS = 2**53
"""numbers up to here survive every JSON reader"""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The client has every event up to this number (event_ack)."""

    seq: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The client asks whether anybody is there (session.heartbeat)."""


@dataclass(frozen=True, slots=True)
class Resume:
    """The client comes back over another connection (session.resume)."""

    token: str
    last_event_seq: int
    """number of the newest event that it has"""


def read_connection(fields: Fields) -> Acknowledged | Heartbeat:
    """What a client says of a connection that carries its call.

    Raises:
        WireError: it is incomplete, or said at the wrong time.
    """
    match fields["type"]:
        case names.EVENT_ACK:
            return Acknowledged(_seq(fields, "server_event_seq"))
        case names.SESSION_HEARTBEAT:
            return Heartbeat()
        case _:
            raise WireError(
                "invalid_event_for_transport",
                "This call is under way: the connection that comes back to a lost one is opened with ?resume=1.",
                "type",
            )


def read_resume(frame: bytes) -> Resume:
    """The first message of a connection that is to carry a call which is there already.

    Raises:
        WireError: it is another message, or incomplete.
    """
    try:
        message = orjson.loads(frame)
    except orjson.JSONDecodeError as error:
        raise WireError("invalid_json", f"The frame is no JSON: {error}.") from None
    if not isinstance(message, dict) or message.get("type") != names.SESSION_RESUME:
        raise WireError(
            "session_not_open",
            f"With ?resume=1 the first message is {names.SESSION_RESUME}; leave it out to begin anew.",
        )
    fields = Fields(message)
    fields.require("resume_token")
    return Resume(fields.identifier("resume_token") or "", _seq(fields, "last_event_seq"))


def _seq(fields: Fields, name: str) -> int:
    fields.require(name)
    return fields.whole(name, 0, MOST_EVENTS) or 0
