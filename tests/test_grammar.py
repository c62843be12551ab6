"""The checker itself: a good trace passes, and each broken one is found."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.grammar import check, check_events
from tests.streaming.gateway.wire.samples import CONVERSATION

_GOLDEN = json.loads((Path(__file__).parent / "golden_messages" / "server.json").read_text())


def _good() -> list[dict[str, Any]]:
    return [dict(message) for step in _GOLDEN["conversation"] for message in step["messages"]]


def _at(trace: list[dict[str, Any]], kind: str, nth: int = 0) -> int:
    return [index for index, message in enumerate(trace) if message["type"] == kind][nth]


def test_the_golden_conversation_is_grammatical() -> None:
    check(_good())
    check_events(CONVERSATION)


@pytest.mark.parametrize("kind", sorted({message["type"] for message in _good()} - {"error", "rate_limits.updated"}))
def test_an_event_that_comes_twice_is_found(kind: str) -> None:
    trace = _good()
    index = _at(trace, kind)
    with pytest.raises(AssertionError, match=f"message {index + 1}: every event has an id"):
        check([*trace[: index + 1], trace[index], *trace[index + 1 :]])


@pytest.mark.parametrize(
    "kind",
    [
        "session.created",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
    ],
)
def test_an_event_that_is_missing_is_found(kind: str) -> None:
    trace = _good()
    del trace[_at(trace, kind)]
    with pytest.raises(AssertionError, match="message"):
        check(trace)


def test_sound_during_a_hold_is_found() -> None:
    trace = _good()
    started = _at(trace, "input_audio_buffer.speech_started", 1)
    delta = {**trace[_at(trace, "response.output_audio.delta", 1)], "event_id": "late"}
    with pytest.raises(AssertionError, match="on hold"):
        check([*trace[: started + 1], delta, *trace[started + 1 :]])


def test_anything_after_the_end_is_found() -> None:
    trace = _good()
    with pytest.raises(AssertionError, match=r"nothing follows session\.closed"):
        check([*trace, {"type": "error", "event_id": "after", "error": {}}])


def test_a_response_without_an_end_is_found() -> None:
    trace = _good()
    with pytest.raises(AssertionError, match=r"must end with response\.done"):
        check(trace[: _at(trace, "response.output_audio.delta") + 1])


def test_without_turn_detection_the_first_words_start_an_item() -> None:
    created = _good()[0]
    words = {"type": "conversation.item.input_audio_transcription.delta", "item_id": "item_u1", "delta": "Hello"}
    with pytest.raises(AssertionError, match="started or committed"):
        check([created, {**words, "event_id": "e1"}])
    created["session"]["audio"]["input"]["turn_detection"] = None
    check([created, {**words, "event_id": "e1"}])
