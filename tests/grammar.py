"""The order of server messages that clients rely on, as a checker to run over every trace.

    grammar = Grammar()
    for message in trace:
        grammar.push(message)
    grammar.finish()

`check(trace)` does that, `check_events(events)` for what a session said. A broken rule is an AssertionError that
names the rule and the message's index.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from streaming.events import Event
from streaming.gateway.wire.realtime import RealtimeCodec

_RESPONSE_STEPS = {
    "response.created": ("absent", "created"),
    "response.output_item.added": ("created", "item"),
    "response.content_part.added": ("item added", "open"),
    "response.output_text.delta": ("open", "open"),
    "response.output_audio_transcript.delta": ("open", "open"),
    "response.output_audio.delta": ("open", "open"),
    "response.output_text.done": ("open", "text done"),
    "response.output_audio.done": ("open", "audio done"),
    "response.output_audio_transcript.done": ("audio done", "text done"),
    "response.content_part.done": ("text done", "part done"),
    "response.output_item.done": ("item done", "item closed"),
    "response.done": ("item closed", "done"),
}
"""event: the step that a response must be in, and the step that it is in afterwards"""

_CALL_STEPS = (
    "response.output_item.added",
    "conversation.item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "conversation.item.done",
    "response.output_item.done",
)
"""each once for every function call, in this order"""

_DELTAS = ("response.output_text.delta", "response.output_audio_transcript.delta", "response.output_audio.delta")
_STATUSES = ("completed", "cancelled", "incomplete", "failed")


def check(trace: Iterable[Mapping[str, Any]]) -> None:
    """Check a whole trace, from the first message of a connection to the last."""
    grammar = Grammar()
    for message in trace:
        grammar.push(message)
    grammar.finish()


def check_events(events: Iterable[Event]) -> None:
    """Check everything that a session said, as it would have gone over the wire. Responses may be unfinished."""
    codec, grammar = RealtimeCodec("sess_1"), Grammar()
    for event in events:
        for frame in codec.encode(event):
            grammar.push(orjson.loads(frame))


class _Response:
    def __init__(self) -> None:
        self.step = "absent"
        self.item_id: str | None = None
        self.text = ""
        self.final_text: str | None = None
        self.held = False
        self.calls: list[str] = []
        self.call_steps = 0
        """that the latest call has behind it"""


class Grammar:
    """The state of one connection, as a client sees it."""

    def __init__(self) -> None:
        self._index = -1
        self._opened = False
        self._closed = False
        self._interrupts = True
        self._by_hand = False
        self._event_ids: set[str] = set()
        self._seq = 0
        self._items: dict[str, str] = {}
        self._adding: str | None = None
        self._speech: str | None = None
        self._spoken: dict[str, str] = {}
        self._transcribed: set[str] = set()
        self._responses: dict[str, _Response] = {}
        self._active: str | None = None
        self._left_s = float("inf")

    def push(self, message: Mapping[str, Any]) -> None:
        """Take the next message."""
        self._index += 1
        kind = message["type"]
        event_id = message.get("event_id")
        self._must(isinstance(event_id, str) and event_id not in self._event_ids, "every event has an id of its own")
        self._event_ids.add(str(event_id))
        if "server_event_seq" in message:
            self._must(message["server_event_seq"] == self._seq + 1, "every event has the next number")
            self._seq += 1
        self._must(not self._closed, "nothing follows session.closed")
        self._must(
            self._opened or kind in ("session.created", "error", "session.closed"), "session.created is the first event"
        )
        self._must(
            self._adding is None or kind == "conversation.item.done", "item.added of a user's item is done at once"
        )
        if self._is_of_call(kind, message):
            self._call(kind, message)
        elif kind in _RESPONSE_STEPS:
            self._response(kind, message)
        elif kind.startswith("session."):
            self._session(kind, message)
        elif kind.startswith("input_audio_buffer.") or kind == "overlap.decision":
            self._input_audio(kind, message)
        elif kind.startswith("conversation.item.input_audio_transcription."):
            self._transcription(kind, message)
        elif kind.startswith("conversation.item."):
            self._item(kind, message)
        elif kind.startswith("output_audio_buffer."):
            self._must(message["response_id"] in self._responses, "what plays is a response")
        elif kind == "omni.turn_measured":
            self._must(message["response_id"] in self._responses, "what is measured is a response")
        else:
            self._must(kind in ("error", "rate_limits.updated"), f"{kind} is an event of the protocol")

    def finish(self) -> None:
        """The trace is over: nothing may be left half said."""
        self._must(self._active is None, f"response {self._active} must end with response.done")
        self._must(self._adding is None, f"item {self._adding} must be done")

    # ------------------------------------------------------------ parts

    def _session(self, kind: str, message: Mapping[str, Any]) -> None:
        if kind == "session.closed":
            self._closed = True
            return
        if kind == "session.go_away":
            left_s = message["seconds_left"]
            self._must(left_s < self._left_s, "each announcement of the end leaves less time")
            self._left_s = left_s
            return
        if kind == "session.heartbeat_ack":
            return
        self._must((kind == "session.created") != self._opened, "session.created comes once, and first")
        self._opened = True
        turn_detection = message["session"]["audio"]["input"]["turn_detection"]
        self._by_hand = turn_detection is None
        self._interrupts = turn_detection is not None and turn_detection["interrupt_response"]

    def _input_audio(self, kind: str, message: Mapping[str, Any]) -> None:
        item_id = message.get("item_id")
        match kind.rpartition(".")[2]:
            case "speech_started":
                self._must(self._speech is None, "speech starts once before it stops")
                self._must(item_id not in self._spoken and item_id not in self._items, "speech has a new item id")
                self._speech = item_id
                self._spoken[str(item_id)] = "speaking"
                if self._active is not None and self._interrupts:
                    self._responses[self._active].held = True
            case "speech_stopped":
                self._must(self._speech == item_id, "the speech that stops is the one that started")
                self._speech = None
                self._spoken[str(item_id)] = "stopped"
            case "timeout_triggered":
                self._must(self._speech is None and self._active is None, "a silent user is spoken to in silence")
                self._must(item_id not in self._spoken and item_id not in self._items, "a silence has a new item id")
            case "decision":
                self._overlap(message)
            case "committed":
                spoken = self._spoken.get(str(item_id))
                self._must(
                    spoken in (None, "stopped", "speaking"), "an item is committed once, and not after an overlap"
                )
                self._must(item_id not in self._items, "committed comes before item.added")
                self._previous(message)
                if self._speech == item_id:
                    self._speech = None
                self._spoken[str(item_id)] = "committed"
            case "cleared":
                if self._speech is not None:
                    self._spoken[self._speech] = "cleared"
                self._speech = None

    def _overlap(self, message: Mapping[str, Any]) -> None:
        item_id = message["item_id"]
        self._must(self._spoken.get(item_id) in ("speaking", "stopped"), "an overlap is a speech that had started")
        self._spoken[item_id] = "overlap"
        if self._speech == item_id:
            self._speech = None
        response = self._responses.get(message["response_id"])
        self._must(response is not None, "an overlap is over a response")
        assert response is not None
        self._must(response.step == "done" or response.held, "an overlap holds its response first")
        response.held = False

    def _transcription(self, kind: str, message: Mapping[str, Any]) -> None:
        item_id = message["item_id"]
        if self._by_hand:
            # nobody says when speech starts: the first words do
            self._spoken.setdefault(item_id, "stopped")
        heard = self._spoken.get(item_id)
        known = heard in ("speaking", "stopped", "committed") or item_id in self._items
        self._must(known, "what is transcribed was started or committed")
        self._must(item_id not in self._transcribed, "nothing follows the completed transcript of an item")
        if not kind.endswith(".delta"):
            self._must(heard == "committed" or item_id in self._items, "a transcript is completed after committed")
            self._transcribed.add(item_id)

    def _item(self, kind: str, message: Mapping[str, Any]) -> None:
        match kind.rpartition(".")[2]:
            case "added":
                self._item_added(message)
            case "done":
                self._item_done(message)
            case "deleted":
                self._must(self._items.pop(message["item_id"], None) is not None, "what is deleted was there")
            case "truncated":
                role = self._items.get(message["item_id"])
                self._must(role == "assistant", "what is truncated is an item of the assistant")
            case "retrieved":
                self._must(message["item"]["id"] in self._items, "what is retrieved is there")

    def _item_added(self, message: Mapping[str, Any]) -> None:
        item = message["item"]
        self._must(item["id"] not in self._items, "an item is added once")
        spoken = self._spoken.get(item["id"])
        self._must(spoken in (None, "committed"), "a spoken item is added after it was committed")
        self._previous(message)
        self._items[item["id"]] = item.get("role", item["type"])
        response = self._responses.get(self._active or "")
        if response is not None and response.item_id == item["id"]:
            self._must(response.step == "item", "item.added follows output_item.added")
            response.step = "item added"
        else:
            self._adding = item["id"]

    def _item_done(self, message: Mapping[str, Any]) -> None:
        item_id = message["item"]["id"]
        if self._adding is not None:
            self._must(item_id == self._adding, "item.done is for the item that was added")
            self._adding = None
            return
        response = self._responses.get(self._active or "")
        self._must(response is not None and response.item_id == item_id, "item.done is for an item that was added")
        assert response is not None
        self._must(response.step == "part done", "item.done follows content_part.done")
        response.step = "item done"

    def _response(self, kind: str, message: Mapping[str, Any]) -> None:
        response_id = message["response"]["id"] if "response" in message else message["response_id"]
        if kind == "response.created":
            self._must(self._active is None, "one response at a time")
            self._must(response_id not in self._responses, "a response has an id of its own")
            self._responses[response_id] = _Response()
            self._active = response_id
        self._must(self._active == response_id, f"{kind} is for the active response")
        response = self._responses[response_id]
        before, after = _RESPONSE_STEPS[kind]
        if kind == "response.done" and response.calls and response.item_id is None:
            before = "created"  # it called, and said nothing
        self._must(response.step == before, f"{kind} comes when the response is '{before}', not '{response.step}'")
        response.step = after
        if kind == "response.output_item.added":
            response.item_id = message["item"]["id"]
        elif "item_id" in message:
            self._must(message["item_id"] == response.item_id, "a response's events name its item")
        if kind in _DELTAS:
            self._must(not response.held, "a response that the user speaks over is on hold")
            response.text += "" if kind == "response.output_audio.delta" else message["delta"]
        elif kind in ("response.output_text.done", "response.output_audio_transcript.done"):
            self._text_done(response, message)
        elif kind == "response.done":
            self._done(response, message["response"])

    def _is_of_call(self, kind: str, message: Mapping[str, Any]) -> bool:
        """It belongs to a function call of the active response (a client's own item has no part in one)."""
        if self._active is None or kind not in _CALL_STEPS:
            return False
        item = message.get("item")
        return item is None or item["type"] == "function_call"

    def _call(self, kind: str, message: Mapping[str, Any]) -> None:
        response = self._responses[self._active or ""]
        item_id = message["item"]["id"] if "item" in message else message["item_id"]
        expected = _CALL_STEPS[response.call_steps % len(_CALL_STEPS)]
        self._must(kind == expected, f"{expected} of a call comes before {kind}")
        self._must(response.step in ("created", "item closed"), "calls come when all is said")
        if kind == "response.output_item.added":
            self._must(item_id not in self._items, "a call is an item of its own")
            response.calls.append(item_id)
        self._must(item_id == response.calls[-1], "one call after another")
        if kind == "conversation.item.added":
            self._previous(message)
            self._items[item_id] = "function_call"
        response.call_steps += 1

    def _text_done(self, response: _Response, message: Mapping[str, Any]) -> None:
        response.final_text = message.get("text", message.get("transcript"))
        agrees = response.text == response.final_text
        self._must(agrees, f"deltas joined are the text: {response.text!r}, not {response.final_text!r}")

    def _done(self, response: _Response, done: Mapping[str, Any]) -> None:
        self._must(done["status"] in _STATUSES, "a response ends with a final status")
        said = [] if response.item_id is None else [response.item_id]
        self._must(response.call_steps % len(_CALL_STEPS) == 0, "a call is complete")
        self._must(
            [item["id"] for item in done["output"]] == said + response.calls, "its output is its item and its calls"
        )
        self._active = None

    # ------------------------------------------------------------ rules

    def _previous(self, message: Mapping[str, Any]) -> None:
        previous = message.get("previous_item_id")
        self._must(
            previous is None or previous in self._items, f"previous_item_id {previous!r} is an item that is there"
        )

    def _must(self, holds: bool, rule: str) -> None:
        assert holds, f"message {self._index}: {rule}"
