"""The order of messages in the dialect from before GA: that of today's names, once these stand in their places."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.grammar import check

_TODAY = {
    "conversation.item.created": "conversation.item.added",
    "response.text.delta": "response.output_text.delta",
    "response.text.done": "response.output_text.done",
    "response.audio.delta": "response.output_audio.delta",
    "response.audio.done": "response.output_audio.done",
    "response.audio_transcript.delta": "response.output_audio_transcript.delta",
    "response.audio_transcript.done": "response.output_audio_transcript.done",
}


def check_old(trace: Iterable[Mapping[str, Any]]) -> None:
    """Check a whole trace of an old client, from the first message of a connection to the last."""
    messages = list(trace)
    newer = {message["type"] for message in messages} & {*_TODAY.values(), "conversation.item.done"}
    assert not newer, f"an old client does not know {newer}"
    numbers = [message["server_event_seq"] for message in messages if "server_event_seq" in message]
    assert numbers == sorted(set(numbers)), "each event has a higher number than the one before"
    check(today(messages))


def today(trace: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The trace as a client of today would have had it, where the order is concerned.

    An item had one event, which began it. Its end is put where it belongs: at once, or with the output that it is.
    """
    begun: set[str] = set()
    for number, message in enumerate(trace):
        kind = _TODAY.get(message["type"], message["type"])
        # of the numbers those of the item.done are missing
        one = {**{name: value for name, value in message.items() if name != "server_event_seq"}, "type": kind}
        done = {"type": "conversation.item.done", "event_id": f"done_{number}", "item": message.get("item")}
        if kind.startswith("session.") and "session" in message:
            turn_detection = message["session"]["turn_detection"]
            one["session"] = {"audio": {"input": {"turn_detection": turn_detection}}}
        if kind == "response.output_item.done" and message["item"]["id"] in begun:
            yield done
        yield one
        if kind == "response.output_item.added":
            begun.add(message["item"]["id"])
        if kind == "conversation.item.added" and message["item"]["id"] not in begun:
            yield done
