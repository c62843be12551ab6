"""Events that become messages by themselves, whatever came before them."""

from typing import Any

from omni.model import Capabilities
from omni.timing import Timing
from streaming.events import (
    Cleared,
    Closed,
    Committed,
    Event,
    GoAway,
    IdleTimedOut,
    ItemAdded,
    ItemRetrieved,
    ItemTruncated,
    Measured,
    OverlapEnded,
    SpeechStarted,
    SpeechStopped,
)
from streaming.gateway.wire import names
from streaming.gateway.wire.items import item_object

Message = tuple[str, dict[str, Any]]
"""An event's name and its fields, but for event_id."""

CLOSED_CODES = {
    "busy": "session_limit_reached",
    "quota": "insufficient_quota",
    "idle": "session_idle",
    "expired": "session_expired",
    "too_slow": "client_too_slow",
    "shutdown": "server_shutdown",
    "fault": "server_error",
}
"""the error code for each reason but "client", which is no error"""


def _ms(time_s: float) -> int:
    return round(time_s * 1_000)


def message_of(event: Event) -> list[Message]:
    """The messages for an event that needs nothing but itself."""
    match event:
        case SpeechStarted():
            return [(names.SPEECH_STARTED, {"audio_start_ms": _ms(event.at_s), "item_id": event.item_id})]
        case SpeechStopped():
            return [(names.SPEECH_STOPPED, {"audio_end_ms": _ms(event.at_s), "item_id": event.item_id})]
        case IdleTimedOut():
            span = {"audio_start_ms": _ms(event.start_s), "audio_end_ms": _ms(event.end_s)}
            return [(names.TIMEOUT_TRIGGERED, {**span, "item_id": event.item_id})]
        case Committed(item_id, previous):
            return [(names.INPUT_AUDIO_COMMITTED, {"item_id": item_id, "previous_item_id": previous})]
        case Cleared():
            return [(names.INPUT_AUDIO_CLEARED, {})]
        case ItemAdded(item, previous):
            fields = {"previous_item_id": previous, "item": item_object(item)}
            return [(names.ITEM_ADDED, fields), (names.ITEM_DONE, fields)]
        case ItemRetrieved(item):
            return [(names.ITEM_RETRIEVED, {"item": item_object(item)})]
        case ItemTruncated():
            place = {"item_id": event.item_id, "content_index": 0, "audio_end_ms": _ms(event.heard_s)}
            # the transcript is an extension: what is left, so that a page can strike out the rest
            return [(names.ITEM_TRUNCATED, {**place, "transcript": event.text})]
        case Measured():
            latencies = {"turn_latency_ms": _ms(event.turn_latency_s), "first_audio_ms": _ms(event.first_audio_s)}
            return [(names.TURN_MEASURED, {"response_id": event.response_id, **latencies})]
        case GoAway(left_s, message):
            return [(names.SESSION_GO_AWAY, {"seconds_left": round(left_s), "message": message})]
        case Closed(reason, message, retry_s):
            advice = {} if retry_s is None else {"retry_after_s": round(retry_s)}
            closed: Message = (names.SESSION_CLOSED, {"reason": reason, "message": message, **advice})
            code = CLOSED_CODES.get(reason)
            return [error_message("server_error", code, message, None, None), closed] if code else [closed]
        case OverlapEnded():
            return [_overlap(event)]
        case _:
            raise TypeError(f"{type(event).__name__} is not an event of a session")


def _overlap(event: OverlapEnded) -> Message:
    return names.OVERLAP_DECISION, {
        "decision": "resume",
        "item_id": event.item_id,
        "response_id": event.response_id,
        "resumes_at_ms": _ms(event.resumes_at_s),
    }


def error_message(kind: str, code: str, message: str, param: str | None, event_id: str | None) -> Message:
    """OpenAI's error event; event_id is the client's."""
    error = {"type": kind, "code": code, "message": message, "param": param, "event_id": event_id}
    return names.ERROR, {"error": error}


def capabilities_object(can: Capabilities) -> dict[str, Any]:
    """What a client's page needs to know of the model, as JSON."""
    return {
        "vision": can.sees,
        "transcription": can.transcribes,
        "tools": can.calls_tools,
        "makes_voices": can.makes_voices,
        "changes_voice": can.changes_voice,
        "modes": can.modes,
        "languages": can.languages,
    }


def timing_object(timing: Timing) -> dict[str, int]:
    """What a client needs of Timing, as JSON."""
    return {
        "input_rate": timing.input_rate,
        "output_rate": timing.output_rate,
        "wire_rate": timing.wire_rate,
        "unit_ms": timing.unit_ms,
        "packet_ms": timing.packet_ms,
    }
