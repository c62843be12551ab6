"""Responses on the wire: response.create to Respond, and one answer's events in the order that clients rely on."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from omni.types import Tool
from streaming.commands import Respond
from streaming.events import (
    AudioPart,
    Item,
    ItemTruncated,
    ReplyOptions,
    ResponseEnded,
    ResponseSpeech,
    ResponseStarted,
    ResponseText,
)
from streaming.gateway.wire import names
from streaming.gateway.wire.audio import AudioWriter
from streaming.gateway.wire.fields import Fields, WireError
from streaming.gateway.wire.items import item_object
from streaming.gateway.wire.messages import Message, message_of
from streaming.gateway.wire.session_object import (
    MAX_OUTPUT_TOKENS,
    SessionObject,
    format_object,
    format_of,
    modalities,
    speaks_of,
)
from streaming.gateway.wire.tools import call_messages, check_choice, is_name, read_choice, read_tools, refusals

_MAX_PIECE_S = 1
"""sound in one delta; the session sends less, so this only keeps frames under 1 MiB whatever it does"""
_FIELDS = (
    "audio",
    "conversation",
    "input",
    "instructions",
    "max_output_tokens",
    "metadata",
    "output_modalities",
    "parallel_tool_calls",
    "prompt",
    "reasoning",
    "tool_choice",
    "tools",
)


def read_response(fields: Fields, session: SessionObject) -> tuple[Respond, tuple[WireError, ...]]:
    """The event's `response`, and what of it will not be done.

    Raises:
        WireError: a field is wrong, or asks for a response that this server cannot give.
    """
    fields.only(_FIELDS)
    if fields["conversation"] not in (None, "auto"):
        raise WireError(
            "unsupported_value",
            "A response outside the conversation is not possible here; leave `conversation` out or say 'auto'.",
            fields.path("conversation"),
        )
    if fields["input"] is not None:
        raise WireError(
            "unsupported_value",
            "A response answers the conversation: put the items into it with conversation.item.create.",
            fields.path("input"),
        )
    voice, notes = _voice(fields, session)
    limit = fields.max_tokens("max_output_tokens", MAX_OUTPUT_TOKENS)
    options = ReplyOptions(
        instructions=fields.text("instructions"),
        speaks=speaks_of(fields),
        # None would mean the session's own limit
        max_tokens=MAX_OUTPUT_TOKENS if limit == "inf" else limit,
        metadata=_metadata(fields),
        voice=voice,
    )
    if session.calls_tools:
        tools, choice = _tools(fields, session)
        options = replace(options, tools=tools, tool_choice=choice)
    return Respond(options), (*_notes(fields, session), *notes)


def _tools(fields: Fields, session: SessionObject) -> tuple[tuple[Tool, ...] | None, str | None]:
    """What this response alone may call, and which it has to; None: as the session says."""
    tools, choice = read_tools(fields, session.can.max_tools_bytes), read_choice(fields)
    check_choice(choice, session.settings.tools if tools is None else tools, fields)
    if tools is not None and choice is None and session.settings.tool_choice not in {tool.name for tool in tools}:
        # the session's choice is kept where it is no function's name
        choice = "auto" if is_name(session.settings.tool_choice) else None
    return tools, choice


def _notes(fields: Fields, session: SessionObject) -> tuple[WireError, ...]:
    """What a client must be told that asks for functions in vain, or for another character: the rest holds."""
    notes = () if session.calls_tools else refusals(fields)
    if not fields.object("prompt"):
        return notes
    advice = "A character is chosen for the session, with session.update; this response is the session's."
    return (*notes, WireError("unsupported_value", advice, fields.path("prompt")))


def _voice(fields: Fields, session: SessionObject) -> tuple[str | None, list[WireError]]:
    """The voice for this response alone, or that it is not used; another format would be noise, and is refused."""
    audio = fields.object("audio")
    output = None if audio is None else audio.object("output")
    if output is None:
        return None, []
    output.only(("format", "voice"))
    if output["format"] is not None and format_of(output, session.timing) != session.output_format:
        raise WireError(
            "unsupported_value",
            f"The session's format is '{session.output_format}'; change it with session.update.",
            output.path("format"),
        )
    voice = session.voice_of(output)
    if voice is None or session.can.changes_voice or session.name_of(voice) == session.voice:
        return voice, []
    other = f"The voice is the session's, '{session.voice}'; it is chosen with session.update before the first answer."
    return None, [WireError("unsupported_value", other, output.path("voice"))]


def _metadata(fields: Fields) -> dict[str, str] | None:
    """At most 16 pairs, keys up to 64 and values up to 512 characters, as at OpenAI."""
    metadata = fields.object("metadata")
    if metadata is None:
        return None
    pairs = {key: metadata.text(key) or "" for key in metadata.names()}
    if len(pairs) > 16 or any(len(key) > 64 or len(value) > 512 for key, value in pairs.items()):
        raise WireError(
            "invalid_value",
            "metadata may have 16 pairs, keys of 64 and values of 512 characters.",
            fields.path("metadata"),
        )
    return pairs


class Answer:
    """One response on the wire, from ResponseStarted to ResponseEnded.

    Args:
        sound_apart: its sound travels beside the messages, and the server plays it: the client is told how that goes.
    """

    def __init__(
        self, event: ResponseStarted, session: SessionObject, conversation_id: str, *, sound_apart: bool = False
    ) -> None:
        self._event = event
        self._session = session
        self._conversation_id = conversation_id
        self._writer = AudioWriter(session.output_format, session.timing)
        self.sound_apart = sound_apart
        self._sounds = False
        self._opened = False
        self._end_s = 0.0
        self._place = {
            "response_id": event.response_id,
            "item_id": event.item_id,
            "output_index": 0,
            "content_index": 0,
        }

    @property
    def sounds(self) -> bool:
        """Some of its sound was sent."""
        return self._sounds

    def start(self) -> list[Message]:
        """The events up to the first delta; of an answer that may be a call alone, whether it speaks is not known."""
        created: Message = (names.RESPONSE_CREATED, {"response": self._response_object("in_progress")})
        return [created] if self._event.may_call else [created, *self._open()]

    def _open(self) -> list[Message]:
        """The events that begin its message, once."""
        if self._opened:
            return []
        self._opened = True
        event = self._event
        item = item_object(Item(event.item_id, "assistant", (), "in_progress"))
        return [
            (names.OUTPUT_ITEM_ADDED, {"response_id": event.response_id, "output_index": 0, "item": item}),
            (names.ITEM_ADDED, {"previous_item_id": event.previous_item_id, "item": item}),
            (names.CONTENT_PART_ADDED, {**self._place, "part": self._part("")}),
        ]

    def text(self, event: ResponseText) -> list[Message]:
        """More text of an answer that does not speak."""
        return [*self._open(), (names.TEXT_DELTA, {**self._place, "delta": event.text})]

    def speech(self, event: ResponseSpeech) -> Iterator[Message]:
        """More sound, after the words that start in it. start_ms is an extension: its place in the answer."""
        yield from self._open()
        rate = self._session.timing.output_rate
        if self.sound_apart and not self._sounds:
            yield names.OUTPUT_AUDIO_STARTED, {"response_id": event.response_id}
        self._sounds = True
        if event.text:
            yield names.AUDIO_TRANSCRIPT_DELTA, {**self._place, "delta": event.text}
        if self.sound_apart:
            return
        self._end_s = event.at_s + len(event.pcm) / rate
        for start in range(0, len(event.pcm), _MAX_PIECE_S * rate):
            delta = self._writer.push(event.pcm[start : start + _MAX_PIECE_S * rate])
            if delta:
                start_ms = round((event.at_s + start / rate) * 1_000)
                yield names.AUDIO_DELTA, {**self._place, "delta": delta, "start_ms": start_ms}

    def end(self, event: ResponseEnded) -> Iterator[Message]:
        """The events from the last delta to response.done."""
        if not event.calls:
            yield from self._open()
        said = [event.item] if self._opened else []
        if said:
            yield from self._end_message(event)
        previous = event.item.id if said else self._event.previous_item_id
        for index, call in enumerate(event.calls, len(said)):
            yield from call_messages(call, event.response_id, index, previous)
            previous = call.id
        response = {
            **self._response_object(event.status),
            "output": [item_object(item) for item in (*said, *event.calls)],
            "status_details": _status_details(event),
            "usage": _usage(event),
        }
        yield names.RESPONSE_DONE, {"response": response}
        if self.sound_apart and self._sounds:
            yield from self._silence(event)

    def _end_message(self, event: ResponseEnded) -> Iterator[Message]:
        item = item_object(event.item)
        if self._event.speaks:
            rest = self._writer.flush()
            if rest and event.status == "completed":
                yield names.AUDIO_DELTA, {**self._place, "delta": rest, "start_ms": round(self._end_s * 1_000)}
            yield names.AUDIO_DONE, self._place
            yield names.AUDIO_TRANSCRIPT_DONE, {**self._place, "transcript": event.full_text}
        else:
            yield names.TEXT_DONE, {**self._place, "text": event.full_text}
        yield names.CONTENT_PART_DONE, {**self._place, "part": self._part(event.full_text)}
        yield names.ITEM_DONE, {"previous_item_id": self._event.previous_item_id, "item": item}
        yield names.OUTPUT_ITEM_DONE, {"response_id": event.response_id, "output_index": 0, "item": item}

    def _silence(self, event: ResponseEnded) -> Iterator[Message]:
        """How the sound ended; of an answer that was cut off, also what is left of it, which the client cannot know."""
        cut = event.status in {"cancelled", "failed"}
        yield names.OUTPUT_AUDIO_CLEARED if cut else names.OUTPUT_AUDIO_STOPPED, {"response_id": event.response_id}
        part = event.item.parts[0]
        if cut and isinstance(part, AudioPart):
            yield from message_of(ItemTruncated(event.item.id, part.duration_s, part.transcript or ""))

    def _part(self, text: str) -> dict[str, str]:
        # a part says "audio" where the item's content says "output_audio"
        return {"type": "audio", "transcript": text} if self._event.speaks else {"type": "text", "text": text}

    def _response_object(self, status: str) -> dict[str, Any]:
        session, event = self._session, self._event
        sound = {"format": format_object(session.output_format, session.timing), "voice": event.voice or session.voice}
        return {
            "object": "realtime.response",
            "id": event.response_id,
            "status": status,
            "status_details": None,
            "output": [],
            "conversation_id": self._conversation_id,
            "output_modalities": modalities(event.speaks),
            "max_output_tokens": session.settings.max_tokens or "inf",
            "audio": {"output": sound},
            "usage": None,
            "metadata": event.metadata,
        }


def _status_details(event: ResponseEnded) -> dict[str, Any] | None:
    if event.status == "completed":
        return None
    if event.status == "failed":
        message = event.error or "the model failed; ask again"
        return {"type": "failed", "error": {"type": "server_error", "code": "model_failed", "message": message}}
    return {"type": event.status, "reason": event.reason}


def _usage(event: ResponseEnded) -> dict[str, Any]:
    """The tokens that were written, all counted as text. What the model reads is not counted.

    OpenAI's types allow null for that, but clients in use (Pipecat) take every number for granted, so that 0 stands
    for "not counted".
    """
    n_output = event.n_output_tokens
    nothing = {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0}
    return {
        "total_tokens": n_output,
        "input_tokens": 0,
        "output_tokens": n_output,
        "input_token_details": {**nothing, "cached_tokens": 0, "cached_tokens_details": nothing},
        "output_token_details": {"text_tokens": n_output, "audio_tokens": 0},
    }
