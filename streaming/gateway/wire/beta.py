"""The dialect from before the GA protocol, beside the codec: each message of the one as a message of the other.

Only names and shapes differ, so that neither the codec nor anything behind it knows which dialect a client speaks.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from streaming.gateway.wire import flat_session, names
from streaming.gateway.wire.fields import Fields, WireError, encoded

_TYPES = {
    names.ITEM_ADDED: "conversation.item.created",
    names.TEXT_DELTA: "response.text.delta",
    names.TEXT_DONE: "response.text.done",
    names.AUDIO_DELTA: "response.audio.delta",
    names.AUDIO_DONE: "response.audio.done",
    names.AUDIO_TRANSCRIPT_DELTA: "response.audio_transcript.delta",
    names.AUDIO_TRANSCRIPT_DONE: "response.audio_transcript.done",
}
_CONTENT_TYPES = {"output_text": "text", "output_audio": "audio"}
_PARAMETERS = {
    "audio.input.format": "input_audio_format",
    "audio.input.noise_reduction": "input_audio_noise_reduction",
    "audio.input.transcription": "input_audio_transcription",
    "audio.input.": "",
    "audio.output.format": "output_audio_format",
    "audio.output.": "",
    "output_modalities": "modalities",
    "max_output_tokens": "max_response_output_tokens",
}
"""how errors name a field: a longer path stands before those that it begins with"""
_RESPONSE_ONLY = ("conversation", "input", "metadata")
"""fields of response.create that a session does not have, and that are today what they were"""


def to_beta(frame: bytes) -> bytes | None:
    """A frame of the codec for a client of the old dialect; None: it is told nothing of this."""
    message: dict[str, Any] = orjson.loads(frame)
    if message["type"] == names.ITEM_DONE:
        return None  # an item used to have one event, and ITEM_ADDED has become it
    message["type"] = _TYPES.get(message["type"], message["type"])
    for name, older in _OLDER.items():
        if name in message:
            message[name] = older(message[name])
    return orjson.dumps(message)


def from_beta(frame: bytes) -> bytes:
    """A frame of a client of the old dialect as the codec reads it. What is no message is left for it to complain of.

    Raises:
        WireError: a field is unknown, or names what there is not.
    """
    try:
        message = orjson.loads(frame)
    except orjson.JSONDecodeError:
        return frame
    kind = message.get("type") if isinstance(message, dict) else None
    newer = _NEWER.get(kind) if isinstance(kind, str) else None
    if newer is None:
        return frame
    name, translate = newer
    try:
        values = Fields(message).object(name)
        return frame if values is None else encoded({**message, name: translate(values)}, name)
    except WireError as error:
        named = message.get("event_id")
        error.event_id = named if isinstance(named, str) else None
        raise


# ---------------------------------------------------------------- to the client


def _old_item(item: Mapping[str, Any]) -> dict[str, Any]:
    contents = [{**one, "type": _CONTENT_TYPES.get(one["type"], one["type"])} for one in item.get("content", ())]
    return {**item, "content": contents} if "content" in item else dict(item)


def _old_response(response: Mapping[str, Any]) -> dict[str, Any]:
    sound = response["audio"]["output"]
    kept = {name: value for name, value in response.items() if name not in ("audio", "output_modalities")}
    return {
        **kept,
        "output": [_old_item(item) for item in response["output"]],
        "modalities": flat_session.old_modalities(response["output_modalities"]),
        "voice": sound["voice"],
        "output_audio_format": flat_session.old_format(sound["format"]),
    }


def _old_error(error: Mapping[str, Any]) -> dict[str, Any]:
    """The error with the client's own names for fields, in its message too, which says what to mend."""
    texts = {name: error[name] for name in ("message", "param") if error[name]}
    for today, old in _PARAMETERS.items():
        texts = {name: text.replace(today, old) for name, text in texts.items()}
    return {**error, **texts}


_OLDER = {
    "session": flat_session.flattened,
    "item": _old_item,
    "response": _old_response,
    "error": _old_error,
}
"""field of a message: what becomes of it"""


# ---------------------------------------------------------------- from the client


def _item(fields: Fields) -> dict[str, Any]:
    item = {name: fields[name] for name in fields.names()}
    if not isinstance(item.get("content"), list):
        return item
    said = "output" if item.get("role") == "assistant" else "input"
    return {**item, "content": [_content(one, said) for one in item["content"]]}


def _content(content: Any, said: str) -> Any:
    """A content part; "text" and "audio" were allowed whoever said it."""
    if isinstance(content, dict) and content.get("type") in ("text", "audio"):
        return {**content, "type": f"{said}_{content['type']}"}
    return content


def _response(fields: Fields) -> dict[str, Any]:
    same = {name: fields[name] for name in _RESPONSE_ONLY if name in fields}
    chosen = {name: fields[name] for name in fields.names() if name not in _RESPONSE_ONLY}
    return {**same, **flat_session.nested(Fields(chosen, fields.path("")[:-1]))}


_NEWER = {
    names.SESSION_UPDATE: ("session", flat_session.nested),
    names.ITEM_CREATE: ("item", _item),
    names.RESPONSE_CREATE: ("response", _response),
}
"""message: its field that looked otherwise, and what that becomes"""
