"""Conversation items: the client's JSON to Item, and Item to JSON."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import orjson

from omni.timing import Timing
from omni.types import Role, ToolCall, ToolOutput
from streaming.commands import CreateItem
from streaming.events import AudioPart, ImagePart, Item, Part, TextPart
from streaming.gateway.wire.audio import AudioFormat, AudioReader
from streaming.gateway.wire.deferred import Undecoded, picture_of_url
from streaming.gateway.wire.fields import MAX_TEXT_BYTES, Fields, WireError, decode_base64
from streaming.gateway.wire.tools import read_tool_part, tool_item

_CONTENT_TYPES: dict[Role, tuple[str, ...]] = {
    "system": ("input_text",),
    "user": ("input_text", "input_audio", "input_image"),
    "assistant": ("output_text", "output_audio"),
}
_MAX_PARTS = 64
_TOOL_KINDS = ("function_call", "function_call_output")

DeferredPart = Callable[[], Part]
"""makes a part from what is still encoded; raises WireError"""


@dataclass(frozen=True, slots=True)
class ItemReader:
    """Reads the items of conversation.item.create."""

    timing: Timing
    audio_format: AudioFormat
    """of input_audio"""
    new_id: Callable[[], str]
    """for items that come without one"""
    calls_tools: bool = False
    """the model has a use for calls and what came of them"""

    def read(self, fields: Fields, after: str | None, event_id: str | None) -> CreateItem | Undecoded:
        """The command that puts this item after another; Undecoded if there are sounds or pictures in it.

        Raises:
            WireError: a field is missing or wrong, or the item is of a kind that this model has no use for.
        """
        kind = self._kind(fields)
        if kind != "message":
            part = read_tool_part(fields, kind)
            told_by: Role = "assistant" if isinstance(part, ToolCall) else "user"
            return CreateItem(Item(fields.identifier("id") or self.new_id(), told_by, (part,)), after)
        role = _role(fields)
        parts = [self._part(Fields(one, path), role) for one, path in _contents(fields)]
        ready = tuple(part for part in parts if not callable(part))
        item = Item(fields.identifier("id") or self.new_id(), role, ready)
        # it will be echoed in one frame
        if len(orjson.dumps(item_object(item))) > 2 * MAX_TEXT_BYTES:
            raise WireError(
                "string_above_max_length",
                f"{fields.path('content')} has more than {2 * MAX_TEXT_BYTES // 1024} KiB of text; shorten it.",
                fields.path("content"),
            )
        if len(ready) == len(parts):
            return CreateItem(item, after)

        def decoded() -> CreateItem:
            whole = tuple(part() if callable(part) else part for part in parts)
            return CreateItem(replace(item, parts=whole), after)

        return Undecoded(decoded, event_id)

    def _kind(self, fields: Fields) -> str:
        fields.require("type")
        kind = fields.text("type") or ""
        if kind.startswith("mcp_") or (kind in _TOOL_KINDS and not self.calls_tools):
            raise WireError(
                "unsupported_tools",
                f"This model cannot call functions, so it has no use for an item of type '{kind[:80]}'.",
                fields.path("type"),
            )
        return fields.choice("type", ("message", *(_TOOL_KINDS if self.calls_tools else ()))) or ""

    def _part(self, content: Fields, role: Role) -> Part | DeferredPart:
        content.require("type")
        kind = content.choice("type", _CONTENT_TYPES[role])
        if kind in ("input_text", "output_text"):
            content.require("text")
            return TextPart(content.text("text") or "")
        if kind == "input_image":
            content.require("image_url")
            return self._image(content)
        if kind == "output_audio":
            # what the assistant said long ago is history: its words are kept, its sound is not listened to
            content.require("transcript")
            return AudioPart(content.text("transcript"), duration_s=0.0)
        return self._audio(content)

    def _image(self, content: Fields) -> DeferredPart:
        content.choice("detail", ("auto", "low", "high"))
        # a data: URL is long by nature and is not echoed, so the limit of texts is not for it
        url, path = content.long_text("image_url") or "", content.path("image_url")
        return lambda: ImagePart(picture_of_url(url, path))

    def _audio(self, content: Fields) -> Part | DeferredPart:
        transcript = content.text("transcript")
        if transcript is None:
            content.require("audio")
        data, path = content.long_text("audio"), content.path("audio")
        if not data:
            return AudioPart(transcript, duration_s=0.0)

        def decoded() -> AudioPart:
            # a resampler of its own: this sound has nothing to do with the microphone's
            pcm = AudioReader(self.audio_format, self.timing).whole(decode_base64(data, path), path)
            return AudioPart(transcript, len(pcm) / self.timing.input_rate, pcm)

        return decoded


def item_object(item: Item) -> dict[str, Any]:
    """The item as JSON. Media are not sent back: of sound there is the transcript, of a picture that it was there."""
    for part in item.parts:
        if isinstance(part, ToolCall | ToolOutput):
            return tool_item(item, part, item.status)
    return {
        "id": item.id,
        "object": "realtime.item",
        "type": "message",
        "status": item.status,
        "role": item.role,
        "content": [_content(part, item.role) for part in item.parts],
    }


def _content(part: Part, role: Role) -> dict[str, Any]:
    match part:
        case TextPart(text):
            return {"type": "output_text" if role == "assistant" else "input_text", "text": text}
        case AudioPart(transcript):
            return {"type": "output_audio" if role == "assistant" else "input_audio", "transcript": transcript}
        case ImagePart():
            return {"type": "input_image", "detail": "auto"}
        case ToolCall() | ToolOutput():
            raise TypeError("a call is an item of its own")


def _role(fields: Fields) -> Role:
    fields.require("role")
    named = fields.choice("role", tuple(_CONTENT_TYPES))
    return next(role for role in _CONTENT_TYPES if role == named)


def _contents(fields: Fields) -> list[tuple[dict[str, Any], str]]:
    """The content parts and their paths."""
    fields.require("content")
    contents = fields.list("content") or []
    path = fields.path("content")
    if not 1 <= len(contents) <= _MAX_PARTS:
        raise WireError("invalid_value", f"{path} must have 1 to {_MAX_PARTS} parts, got {len(contents)}.", path)
    for index, one in enumerate(contents):
        if not isinstance(one, dict):
            raise WireError("invalid_type", f"{path}[{index}] must be an object.", f"{path}[{index}]")
    return [(one, f"{path}[{index}]") for index, one in enumerate(contents)]
