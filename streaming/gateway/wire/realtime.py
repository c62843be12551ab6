"""OpenAI Realtime (GA) without I/O: the client's JSON to commands, the session's events to JSON.

One RealtimeCodec per call. The transport owes it this: events and frames are passed in the order in which
they happened, and the commands of one frame are handled before the next frame is decoded, because a Fault is
answered in the name of the latest frame.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from streaming.commands import (
    AppendAudio,
    AppendImage,
    Cancel,
    Clear,
    Command,
    Commit,
    DeleteItem,
    Heard,
    Respond,
    RetrieveItem,
    TruncateItem,
    Update,
)
from streaming.events import (
    Event,
    Fault,
    ItemDeleted,
    Opened,
    OverlapEnded,
    ResponseEnded,
    ResponseSpeech,
    ResponseStarted,
    ResponseText,
    Updated,
    UserTranscript,
)
from streaming.gateway.wire import names
from streaming.gateway.wire.audio import AudioReader
from streaming.gateway.wire.connection import Acknowledged, Heartbeat, read_connection
from streaming.gateway.wire.deferred import Undecoded, picture_of_base64
from streaming.gateway.wire.fields import Fields, WireError, decode_base64
from streaming.gateway.wire.items import ItemReader
from streaming.gateway.wire.messages import Message, capabilities_object, error_message, message_of, timing_object
from streaming.gateway.wire.responses import Answer, read_response
from streaming.gateway.wire.session_object import SessionObject
from streaming.gateway.wire.transcripts import StableText

MAX_FRAME_BYTES = 1024 * 1024
"""what older clients accept"""
_NUMBER_BYTES = 64
"""room for the number that a frame is given on its way"""

LONG_SOUND = 128 * 1024
"""characters of base64 (two seconds and more) from which on sound is decoded in the pool"""

Inbound = Command | Undecoded | WireError | Acknowledged | Heartbeat


@dataclass(frozen=True, slots=True)
class Carriage:
    """What of a connection decides how things are said on it."""

    sound_apart: bool = False
    """sound travels beside the messages, both ways, and what the client hears is played by the server (WebRTC)"""
    max_frame_bytes: int = MAX_FRAME_BYTES


WEBSOCKET = Carriage()


class RealtimeCodec:
    """Both directions of one call.

    Args:
        connection_id: makes event ids, and ids of items that come without one, unique; the session's id will do.
        model_aliases: names besides its own that the client may call the model by (the one in its URL).
        expires_at: Unix time at which the server will end the session, if it will.
        begun: the session as its caller chose it before it was opened, instead of the two before.
        carriage: what carries the frames.
        offer: how the client can come back to the call, for the extension object of session.created.
    """

    def __init__(
        self,
        connection_id: str,
        model_aliases: tuple[str, ...] = (),
        expires_at: int | None = None,
        begun: SessionObject | None = None,
        carriage: Carriage = WEBSOCKET,
        *,
        offer: Mapping[str, Any] | None = None,
    ) -> None:
        self._suffix = connection_id.removeprefix("sess_")
        self._model_aliases = model_aliases
        self._expires_at = expires_at
        self._offer = offer or {}
        self._begun = begun
        self._carriage = carriage
        self._n_ids = 0
        self._session: SessionObject | None = None
        self._asked: SessionObject | None = None
        """the session as the latest frame would have it: it holds once the session says so"""
        self._reader: AudioReader | None = None
        self._answers: dict[str, Answer] = {}
        self._transcripts: dict[str, StableText] = {}
        self._has_spoken = False
        self._latest_event_id: str | None = None

    def carried_by(self, carriage: Carriage) -> None:
        """From now on the frames go over such a connection."""
        self._carriage = carriage
        for answer in self._answers.values():
            answer.sound_apart = carriage.sound_apart

    # ------------------------------------------------------------ client → session

    def decode(self, frame: str | bytes) -> list[Inbound]:
        """One frame of the client.

        Returns:
            in order: commands for the session; Undecoded, whose decode() gives one, in a pool; WireErrors, to be sent
            back with encode_error; what concerns the connection alone. Never raises.
        """
        self._latest_event_id = self._asked = None
        try:
            return self._decode(frame)
        except WireError as error:
            error.event_id = self._latest_event_id
            return [error]

    def _decode(self, frame: str | bytes) -> list[Inbound]:
        try:
            message = orjson.loads(frame)
        except orjson.JSONDecodeError as error:
            raise WireError("invalid_json", f"The frame is no JSON: {error}. Send one JSON object a frame.") from None
        if not isinstance(message, dict):
            raise WireError("invalid_json", "Send one JSON object a frame, with a field `type`.")
        fields = Fields(message)
        self._latest_event_id = fields.identifier("event_id")
        kind = message.get("type")
        handler = _DECODERS.get(kind) if isinstance(kind, str) else None
        if handler is None:
            fields.require("type")
            fields.choice("type", tuple(_DECODERS))
        if handler is None or self._session is None:
            raise WireError("session_not_open", "The session is not open yet: wait for session.created.")
        return handler(self, fields, self._session)

    def _append(self, fields: Fields, session: SessionObject) -> list[Inbound]:
        if self._carriage.sound_apart:
            raise WireError(
                "invalid_event_for_transport",
                "Over WebRTC sound and pictures come by the tracks that were offered; nothing is appended.",
                "type",
            )
        frames = fields.list("video_frames") or []
        if not frames:
            fields.require("audio")
        sound = fields.long_text("audio")
        # of a camera only the present counts; looked at before the sound, so that an error loses none of it
        pictures = [self._picture(frames[-1], len(frames) - 1)] if frames else []
        return [self._sound(sound, session), *pictures] if sound else pictures

    def _picture(self, picture: Any, index: int) -> Inbound:
        param = f"video_frames[{index}]"
        if not isinstance(picture, str):
            raise WireError("invalid_type", f"{param} must be a string: a JPEG in base64.", param)
        return Undecoded(lambda: AppendImage(picture_of_base64(picture, param)), self._latest_event_id)

    def _sound(self, sound: str, session: SessionObject) -> Inbound:
        reader = self._reader or AudioReader(session.input_format, session.timing)
        self._reader = reader

        def decoded() -> AppendAudio:
            return AppendAudio(reader.push(decode_base64(sound, "audio"), "audio"))

        return decoded() if len(sound) < LONG_SOUND else Undecoded(decoded, self._latest_event_id)

    def _commit(self, _fields: Fields, _session: SessionObject) -> list[Inbound]:
        reader = self._drop_reader()
        if reader is None:
            return [Commit()]
        rest = reader.flush()
        return [AppendAudio(rest), Commit()] if len(rest) else [Commit()]

    def _clear(self, _fields: Fields, _session: SessionObject) -> list[Inbound]:
        self._drop_reader()
        return [Clear()]

    def _drop_reader(self) -> AudioReader | None:
        """Let the next sound begin anew; what the resampler kept back is in the reader."""
        reader, self._reader = self._reader, None
        return reader

    def _clear_output(self, _fields: Fields, _session: SessionObject) -> list[Inbound]:
        if self._carriage.sound_apart:
            # an answer is under way until it was heard: to silence it is to cancel it
            return [Cancel()] if any(answer.sounds for answer in self._answers.values()) else []
        raise WireError(
            "invalid_event_for_transport",
            "Over WebSocket the client plays the sound: stop it there, then send response.cancel and "
            "conversation.item.truncate.",
            "type",
        )

    def _update(self, fields: Fields, session: SessionObject) -> list[Inbound]:
        fields.require("session")
        changes = fields.object("session") or Fields({})
        merged = session.merged(changes, self._has_spoken)
        if merged.input_format != session.input_format:
            self._drop_reader()
        self._asked = replace(merged, notes=())
        return [Update(merged.settings), *self._named(merged.notes)]

    def _create_item(self, fields: Fields, session: SessionObject) -> list[Inbound]:
        fields.require("item")
        item = fields.object("item") or Fields({})
        reader = ItemReader(session.timing, session.input_format, lambda: self._new_id("item"), session.calls_tools)
        return [reader.read(item, fields.identifier("previous_item_id"), self._latest_event_id)]

    def _retrieve_item(self, fields: Fields, _session: SessionObject) -> list[Inbound]:
        return [RetrieveItem(_item_id(fields))]

    def _delete_item(self, fields: Fields, _session: SessionObject) -> list[Inbound]:
        return [DeleteItem(_item_id(fields))]

    def _truncate_item(self, fields: Fields, _session: SessionObject) -> list[Inbound]:
        fields.whole("content_index", 0, 0)
        return [TruncateItem(_item_id(fields), _heard_s(fields))]

    def _heard(self, fields: Fields, _session: SessionObject) -> list[Inbound]:
        return [Heard(_item_id(fields), _heard_s(fields))]

    def _respond(self, fields: Fields, session: SessionObject) -> list[Inbound]:
        options = fields.object("response")
        if options is None:
            return [Respond()]
        respond, notes = read_response(options, session)
        return [respond, *self._named(notes)]

    def _cancel(self, fields: Fields, _session: SessionObject) -> list[Inbound]:
        return [Cancel(fields.identifier("response_id"))]

    def _connection(self, fields: Fields, _session: SessionObject) -> list[Inbound]:
        return [read_connection(fields)]

    def _named(self, notes: Iterable[WireError]) -> list[WireError]:
        """Notes that know which message they answer."""
        named = list(notes)
        for note in named:
            note.event_id = self._latest_event_id
        return named

    # ------------------------------------------------------------ session → client

    def encode(self, event: Event) -> list[bytes]:
        """The frames that tell the client of an event, in order, each under MAX_FRAME_BYTES. May be none."""
        return [self._frame(name, fields) for name, fields in self._messages(event)]

    def encode_error(self, error: WireError) -> bytes:
        """The frame that tells the client what was wrong with a message of its own."""
        return self._frame(
            *error_message("invalid_request_error", error.code, error.message, error.param, error.event_id)
        )

    def encode_resumed(self, offer: Mapping[str, Any], n_received: int) -> bytes:
        """The frame that ends what is sent again to a client that came back.

        Args:
            offer: how it can come back another time.
            n_received: messages of it that arrived before the connection was lost.
        """
        session = self._opened_session().render()
        return self._frame(
            names.SESSION_RESUMED, {"session": session, "omni": {**offer, "received_client_events": n_received}}
        )

    def encode_created(self) -> bytes:
        """The first frame of a connection that follows a call: its session as it is now."""
        return self._frame(names.SESSION_CREATED, {"session": self._opened_session().render()})

    def encode_heartbeat(self) -> bytes:
        """The frame that answers a heartbeat."""
        return self._frame(names.SESSION_HEARTBEAT_ACK, {})

    def _messages(self, event: Event) -> Iterable[Message]:
        match event:
            case ResponseSpeech():
                self._has_spoken = True
                return self._answers[event.response_id].speech(event)
            case ResponseText():
                return self._answers[event.response_id].text(event)
            case ResponseStarted():
                apart = self._carriage.sound_apart
                answer = Answer(event, self._opened_session(), f"conv_{self._suffix}", sound_apart=apart)
                self._answers[event.response_id] = answer
                return answer.start()
            case ResponseEnded():
                return self._answers.pop(event.response_id).end(event)
            case UserTranscript():
                return self._transcript(event)
            case Opened():
                return self._opened(event)
            case Updated(settings):
                self._session = replace(self._asked or self._opened_session(), settings=settings)
                return [(names.SESSION_UPDATED, {"session": self._session.render()})]
            case OverlapEnded():
                self._transcripts.pop(event.item_id, None)
                return message_of(event)
            case ItemDeleted(item_id):
                self._transcripts.pop(item_id, None)
                return [(names.ITEM_DELETED, {"item_id": item_id})]
            case Fault():
                # a fault of the client answers its latest message; a fault of ours answers none
                event_id = self._latest_event_id if event.kind == "invalid_request_error" else None
                return [error_message(event.kind, event.code, event.message, event.param, event_id)]
            case _:
                return message_of(event)

    def _opened(self, event: Opened) -> list[Message]:
        session = self._begun or SessionObject.opened(event, self._model_aliases, self._expires_at)
        self._session = replace(session, settings=event.settings, notes=())
        extension = {
            "timing": timing_object(event.timing),
            "voices": event.voices,
            "capabilities": capabilities_object(event.capabilities),
            **self._offer,
        }
        created: Message = (names.SESSION_CREATED, {"session": self._session.render(), "omni": extension})
        notes = [error_message("invalid_request_error", n.code, n.message, n.param, None) for n in session.notes]
        return [created, *notes]

    def _transcript(self, event: UserTranscript) -> list[Message]:
        place = {"item_id": event.item_id, "content_index": 0}
        if not event.final:
            delta = self._transcripts.setdefault(event.item_id, StableText()).push(event.text)
            return [(names.TRANSCRIPTION_DELTA, {**place, "delta": delta})] if delta else []
        rest = self._transcripts.pop(event.item_id, StableText()).finish(event.text)
        completed = {**place, "transcript": event.text, "usage": {"type": "duration", "seconds": event.duration_s}}
        messages: list[Message] = [(names.TRANSCRIPTION_COMPLETED, completed)]
        return [(names.TRANSCRIPTION_DELTA, {**place, "delta": rest}), *messages] if rest else messages

    def _opened_session(self) -> SessionObject:
        if self._session is None:
            raise RuntimeError("the first event of a session must be Opened")
        return self._session

    def _frame(self, name: str, fields: dict[str, Any]) -> bytes:
        frame = orjson.dumps({"type": name, "event_id": self._new_id("event"), **fields})
        most = self._carriage.max_frame_bytes - _NUMBER_BYTES
        if len(frame) < most:
            return frame
        message = f"An event {name} of {len(frame)} bytes was left out: no frame may have more than {most}."
        return self._frame(*error_message("server_error", "event_too_large", message, None, None))

    def _new_id(self, kind: str) -> str:
        self._n_ids += 1
        return f"{kind}_{self._suffix}_{self._n_ids}"


_Decoder = Callable[[RealtimeCodec, Fields, SessionObject], list[Inbound]]

_DECODERS: dict[str, _Decoder] = {
    names.INPUT_AUDIO_APPEND: RealtimeCodec._append,
    names.PLAYBACK_ACK: RealtimeCodec._heard,
    names.INPUT_AUDIO_COMMIT: RealtimeCodec._commit,
    names.INPUT_AUDIO_CLEAR: RealtimeCodec._clear,
    names.OUTPUT_AUDIO_CLEAR: RealtimeCodec._clear_output,
    names.SESSION_UPDATE: RealtimeCodec._update,
    names.ITEM_CREATE: RealtimeCodec._create_item,
    names.ITEM_RETRIEVE: RealtimeCodec._retrieve_item,
    names.ITEM_TRUNCATE: RealtimeCodec._truncate_item,
    names.ITEM_DELETE: RealtimeCodec._delete_item,
    names.RESPONSE_CREATE: RealtimeCodec._respond,
    names.RESPONSE_CANCEL: RealtimeCodec._cancel,
    names.EVENT_ACK: RealtimeCodec._connection,
    names.SESSION_HEARTBEAT: RealtimeCodec._connection,
    names.SESSION_RESUME: RealtimeCodec._connection,
}


def _item_id(fields: Fields) -> str:
    fields.require("item_id")
    return fields.identifier("item_id") or ""


def _heard_s(fields: Fields) -> float:
    """audio_end_ms in seconds, below zero clamped: a position is never an error."""
    fields.require("audio_end_ms")
    position_ms = fields.number("audio_end_ms", float("-inf")) or 0.0
    return max(0.0, position_ms) / 1_000
