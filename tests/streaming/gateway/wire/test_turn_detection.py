from typing import Any

import pytest

from streaming.events import TurnDetection
from streaming.gateway.wire.fields import Fields, WireError
from streaming.gateway.wire.turn_detection import read_turn_detection, turn_detection_object

_DEFAULTS = TurnDetection(silence_s=0.4)


def read(turns: dict[str, Any], before: TurnDetection | None = _DEFAULTS, eagerness: str = "auto") -> tuple[Any, str]:
    return read_turn_detection(Fields(turns, "turn_detection"), before, eagerness, _DEFAULTS)


def test_null_means_by_hand() -> None:
    assert read_turn_detection(None, _DEFAULTS, "low", _DEFAULTS) == (None, "low")
    assert turn_detection_object(None, "low") is None


def test_every_field_of_server_vad_arrives_and_is_shown() -> None:
    shown: dict[str, Any] = {
        "type": "server_vad",
        "threshold": 0.6,
        "prefix_padding_ms": 200,
        "silence_duration_ms": 700,
        "idle_timeout_ms": 6000,
        "create_response": False,
        "interrupt_response": False,
    }
    turn, eagerness = read(shown)
    assert turn == TurnDetection("server_vad", 0.6, 0.2, 0.7, 1.6, 6.0, False, False)
    assert turn_detection_object(turn, eagerness) == shown


def test_null_within_returns_to_the_default() -> None:
    before = TurnDetection(threshold=0.9, idle_timeout_s=5.0, silence_s=3.0, patience_s=3.0, prefix_padding_s=1.0)
    names = ("threshold", "idle_timeout_ms", "silence_duration_ms", "prefix_padding_ms")
    assert read(dict.fromkeys(names), before)[0] == _DEFAULTS


def test_a_silence_longer_than_our_patience_is_meant() -> None:
    turn, _ = read({"silence_duration_ms": 2500})
    assert (turn.silence_s, turn.patience_s) == (2.5, 2.5)


def test_another_kind_starts_from_the_defaults() -> None:
    before = TurnDetection(threshold=0.9, creates_response=False)
    semantic, eagerness = read({"type": "semantic_vad"}, before)
    assert semantic == TurnDetection("semantic_vad", silence_s=0.4, patience_s=4.0)
    assert read({"type": "server_vad"}, semantic, eagerness)[0] == _DEFAULTS


@pytest.mark.parametrize(("eagerness", "patience_s"), [("low", 8.0), ("medium", 4.0), ("high", 2.0), ("auto", 4.0)])
def test_eagerness_is_patience(eagerness: str, patience_s: float) -> None:
    turn, now = read({"type": "semantic_vad", "eagerness": eagerness})
    assert (turn.patience_s, now) == (patience_s, eagerness)
    assert turn_detection_object(turn, now) == {
        "type": "semantic_vad",
        "eagerness": eagerness,
        "create_response": True,
        "interrupt_response": True,
    }
    # and stays when another field changes
    turn, now = read({"interrupt_response": False}, turn, now)
    assert (turn.patience_s, now) == (patience_s, eagerness)


def test_it_must_be_named_when_there_is_none() -> None:
    with pytest.raises(WireError, match="Missing required parameter"):
        read({"threshold": 0.5}, None)


@pytest.mark.parametrize(
    "turns",
    [
        {"type": "vad"},
        {"threshold": -0.1},
        {"threshold": "high"},
        {"threshold": True},
        {"silence_duration_ms": -1},
        {"idle_timeout_ms": 10},
        {"create_response": 1},
        {"eagerness": "low"},
        {"type": "semantic_vad", "eagerness": "keen"},
        {"type": "semantic_vad", "threshold": 0.5},
    ],
)
def test_what_is_wrong_is_named(turns: dict[str, Any]) -> None:
    with pytest.raises(WireError) as caught:
        read(turns)
    assert caught.value.param == f"turn_detection.{list(turns)[-1]}"
