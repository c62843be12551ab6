"""A conversation as a session tells it, with everything in it that the wire can say."""

import base64
import dataclasses
import io
from typing import Any

import numpy as np
from PIL import Image

from omni.model import Capabilities
from omni.timing import Timing
from omni.types import Pcm, ToolCall, ToolOutput, Voice
from streaming.company.catalogue import Character
from streaming.events import (
    AudioPart,
    Cleared,
    Closed,
    Committed,
    Event,
    Fault,
    GoAway,
    IdleTimedOut,
    ImagePart,
    Item,
    ItemAdded,
    ItemDeleted,
    ItemRetrieved,
    ItemTruncated,
    Measured,
    Opened,
    OverlapEnded,
    ResponseEnded,
    ResponseSpeech,
    ResponseStarted,
    ResponseText,
    Settings,
    SpeechStarted,
    SpeechStopped,
    TextPart,
    TurnDetection,
    Updated,
    UserTranscript,
)
from streaming.gateway.wire.deferred import Undecoded
from streaming.gateway.wire.realtime import Inbound, RealtimeCodec
from streaming.gateway.wire.session_object import SessionObject
from tests.cast import Cast

TIMING = Timing()
VOICES = ("ava", "joe")
CAPABILITIES = Capabilities("nano", tuple(Voice(name) for name in VOICES), sees=True, transcribes=True)
OPENED = Opened("sess_1", CAPABILITIES, TIMING, Settings(instructions="Be kind."), VOICES)
PCM: Pcm = np.array([0.0, 0.5, -0.5, 1.0], np.float32)


def cast() -> Cast:
    """Voices that a caller made, and somebody to be."""
    made = Cast(CAPABILITIES)
    made.made["voice_1"] = Voice("Ann")
    made.characters["sid"] = Character("sid", "Sid", "You are Sid.", "Ahoy, {{name}}!", "joe", style="slowly")
    return made


def opened_codec() -> RealtimeCodec:
    """A codec whose client has been told session.created."""
    begun = SessionObject.opened(OPENED, ("gpt-realtime",), 1_800_000_000, cast())
    codec = RealtimeCodec("sess_1", begun=begun)
    codec.encode(OPENED)
    return codec


def speech(text: str, at_s: float, pcm: Pcm = PCM) -> ResponseSpeech:
    return ResponseSpeech("resp_1", "item_a1", pcm, text, at_s, 1)


def ended(response_id: str, item: Item, status: Any, text: str, **fields: Any) -> ResponseEnded:
    defaults = {"reason": None, "error": None, "n_output_tokens": 5, "turn": 2}
    return ResponseEnded(response_id, item, status, full_text=text, **{**defaults, **fields})


_PICTURE = ImagePart(np.zeros((2, 2, 3), np.uint8))
_QUESTION = Item("item_u1", "user", (AudioPart("What is the time?", 1.5),))
_REMARK = Item("item_u3", "user", (AudioPart(None, 0.8),))
_NOTE = Item("item_u4", "user", (TextPart("And the date?"), _PICTURE))
_CUT = Item("item_a1", "assistant", (AudioPart("It is", 0.4),), "incomplete")
_CALL = Item("item_c1", "assistant", (ToolCall("call_1", "weather", '{"city":"Paris"}'),))
_OUTPUT = Item("item_o1", "user", (ToolOutput("call_1", "It rains."),))
_ASKING = Item("item_a7", "assistant", (TextPart("Rain. I ask for Rome, too."),))
_AGAIN = Item("item_c2", "assistant", (ToolCall("call_2", "weather", '{"city":"Rome"}'),))
_STEP_S = 0.2

CONVERSATION: list[Event] = [
    OPENED,
    Updated(Settings(instructions="Be brief.", turn_detection=TurnDetection("semantic_vad", patience_s=4.0))),
    # a spoken question, its transcript growing while it is spoken
    SpeechStarted("item_u1", 0.32, 1),
    UserTranscript("item_u1", "What is", False, 0.4),
    UserTranscript("item_u1", "What is the tie", False, 0.8),
    UserTranscript("item_u1", "What is the time", False, 1.2),
    SpeechStopped("item_u1", 1.82, 1),
    Committed("item_u1", None),
    ItemAdded(_QUESTION, None),
    UserTranscript("item_u1", "What is the time?", True, 1.5),
    # the answer; a cough holds it, and a piece is sent again; then it is really interrupted
    ResponseStarted("resp_1", "item_a1", "item_u1", True, {"topic": "time"}, 1),
    speech("It is", 0.0),
    speech(" nine", _STEP_S),
    SpeechStarted("item_u2", 2.5, 1),
    OverlapEnded("item_u2", "resp_1", _STEP_S, 1),
    speech("", _STEP_S),
    speech(" o'clock", 2 * _STEP_S),
    Measured("resp_1", 0.4123, 0.09),
    SpeechStarted("item_u3", 3.1, 2),
    ended("resp_1", _CUT, "cancelled", "It is nine o'clock", reason="turn_detected"),
    ItemTruncated("item_a1", 0.4, "It is"),
    SpeechStopped("item_u3", 3.9, 2),
    Committed("item_u3", "item_a1"),
    ItemAdded(_REMARK, "item_a1"),
    UserTranscript("item_u3", "", True, 0.8),
    # a typed question and a written answer
    ItemAdded(_NOTE, "item_u3"),
    ResponseStarted("resp_2", "item_a2", "item_u4", False, None, 3),
    ResponseText("resp_2", "item_a2", "The ", 3),
    ResponseText("resp_2", "item_a2", "first.", 3),
    ended("resp_2", Item("item_a2", "assistant", (TextPart("The first."),)), "completed", "The first."),
    ItemRetrieved(_NOTE),
    ItemDeleted("item_u4"),
    Cleared(),
    # an answer that was cut short before its first word, one that failed, one that was too long
    ResponseStarted("resp_3", "item_a3", "item_a2", True, None, 4),
    ended("resp_3", Item("item_a3", "assistant", (), "incomplete"), "cancelled", "", reason="client_cancelled"),
    ResponseStarted("resp_4", "item_a4", "item_a3", True, None, 5),
    ended("resp_4", Item("item_a4", "assistant", (), "incomplete"), "failed", "", error="the model is out of memory"),
    ResponseStarted("resp_5", "item_a5", "item_a4", False, None, 6),
    ResponseText("resp_5", "item_a5", "Once upon", 6),
    ended(
        "resp_5",
        Item("item_a5", "assistant", (TextPart("Once upon"),), "incomplete"),
        "incomplete",
        "Once upon",
        reason="max_output_tokens",
    ),
    # an answer that is a call alone, what came of it, and one that says something and calls again
    ResponseStarted("resp_6", "item_a6", "item_a5", True, None, 7, may_call=True),
    ended("resp_6", Item("item_a6", "assistant", (AudioPart("", 0.0),)), "completed", "", calls=(_CALL,)),
    ItemAdded(_OUTPUT, "item_c1"),
    ResponseStarted("resp_7", "item_a7", "item_o1", False, None, 8, may_call=True),
    ResponseText("resp_7", "item_a7", "Rain. I ask for Rome, too.", 8),
    ended("resp_7", _ASKING, "completed", "Rain. I ask for Rome, too.", calls=(_AGAIN,)),
    IdleTimedOut("item_i1", 12.0, 18.0),
    Fault("invalid_request_error", "item_not_found", "There is no item 'item_x'.", "item_id"),
    GoAway(59.6, "The minutes of this key are over in 60 seconds."),
    Closed("quota", "The minutes of this key are used up for today.", 3_600.0),
]


def picture_base64(kind: str = "JPEG", size: tuple[int, int] = (8, 6)) -> str:
    """A small picture, red."""
    file = io.BytesIO()
    Image.new("RGB", size, "red").save(file, kind)
    return base64.b64encode(file.getvalue()).decode()


def described(value: Any) -> Any:
    """A command as plain JSON: class name and fields that are not as by default, arrays by their length."""
    if isinstance(value, np.ndarray):
        return f"array of {value.shape[0]}"
    if dataclasses.is_dataclass(value):
        fields = {
            field.name: getattr(value, field.name) for field in dataclasses.fields(value) if _differs(field, value)
        }
        return {"is": type(value).__name__, **{name: described(one) for name, one in fields.items()}}
    if isinstance(value, tuple | list):
        return [described(one) for one in value]
    return value


def _differs(field: "dataclasses.Field[Any]", value: Any) -> bool:
    """A field is not as it is where nothing is said."""
    one = getattr(value, field.name)
    if isinstance(one, np.ndarray):
        return True
    default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    return bool(one != default)


def finished(inbound: list[Inbound]) -> list[Any]:
    """What decode returned, with what it left to the pool done."""
    return [one.decode() if isinstance(one, Undecoded) else one for one in inbound]
