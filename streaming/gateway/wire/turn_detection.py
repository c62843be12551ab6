"""turn_detection on the wire: server_vad, semantic_vad or null, to and from TurnDetection."""

from dataclasses import replace
from typing import Any

from streaming.events import TurnDetection
from streaming.gateway.wire.fields import Fields

_PATIENCE_S = {"low": 8.0, "medium": 4.0, "high": 2.0, "auto": 4.0}
"""semantic_vad's eagerness: the longest silence before a turn is over anyway"""


def turn_detection_object(turn: TurnDetection | None, eagerness: str) -> dict[str, Any] | None:
    """As JSON."""
    if turn is None:
        return None
    responds = {"create_response": turn.creates_response, "interrupt_response": turn.interrupts_response}
    if turn.kind == "semantic_vad":
        return {"type": turn.kind, "eagerness": eagerness, **responds}
    return {
        "type": turn.kind,
        "threshold": turn.threshold,
        "prefix_padding_ms": round(turn.prefix_padding_s * 1_000),
        "silence_duration_ms": round(turn.silence_s * 1_000),
        "idle_timeout_ms": None if turn.idle_timeout_s is None else round(turn.idle_timeout_s * 1_000),
        **responds,
    }


def read_turn_detection(
    fields: Fields | None, before: TurnDetection | None, eagerness: str, defaults: TurnDetection
) -> tuple[TurnDetection | None, str]:
    """A client's turn_detection merged into the one in force.

    Args:
        fields: None for null: the client commits by hand.
        before: the one in force. Another type than its starts from the defaults.
        eagerness: the one in force.
        defaults: what null returns a field to.

    Returns:
        the turn detection and the eagerness from now on.

    Raises:
        WireError: no or an unknown type, a field of the other type, a value out of range.
    """
    if fields is None:
        return None, eagerness
    if before is None:
        fields.require("type")
    kind = fields.choice("type", ("server_vad", "semantic_vad"))
    kept = before is not None and kind in (None, before.kind)
    start = before if before is not None and kept else defaults
    if (kind or start.kind) == "server_vad":
        return _server_vad(start, defaults, fields), eagerness
    eagerness = fields.choice("eagerness", tuple(_PATIENCE_S)) or (eagerness if kept else "auto")
    return _semantic_vad(start, eagerness, fields), eagerness


def _server_vad(start: TurnDetection, defaults: TurnDetection, fields: Fields) -> TurnDetection:
    """A server_vad object merged into `start`; null returns a field to its default."""
    fields.only(
        (
            "type",
            "threshold",
            "prefix_padding_ms",
            "silence_duration_ms",
            "idle_timeout_ms",
            "create_response",
            "interrupt_response",
        )
    )
    turn = replace(_responds(start, fields), kind="server_vad")
    if "threshold" in fields:
        threshold = fields.number("threshold", 0.0, 1.0)
        turn = replace(turn, threshold=defaults.threshold if threshold is None else threshold)
    if "prefix_padding_ms" in fields:
        padding_ms = fields.number("prefix_padding_ms", 0, 10_000)
        turn = replace(turn, prefix_padding_s=defaults.prefix_padding_s if padding_ms is None else padding_ms / 1_000)
    if "silence_duration_ms" in fields:
        silence_ms = fields.number("silence_duration_ms", 0, 60_000)
        silence_s = defaults.silence_s if silence_ms is None else silence_ms / 1_000
        # who asks for a longer silence than our patience means it
        turn = replace(turn, silence_s=silence_s, patience_s=max(defaults.patience_s, silence_s))
    if "idle_timeout_ms" in fields:
        idle_ms = fields.number("idle_timeout_ms", 1_000)
        turn = replace(turn, idle_timeout_s=None if idle_ms is None else idle_ms / 1_000)
    return turn


def _semantic_vad(start: TurnDetection, eagerness: str, fields: Fields) -> TurnDetection:
    """A semantic_vad object merged into `start`."""
    fields.only(("type", "eagerness", "create_response", "interrupt_response"))
    return replace(_responds(start, fields), kind="semantic_vad", patience_s=_PATIENCE_S[eagerness])


def _responds(start: TurnDetection, fields: Fields) -> TurnDetection:
    creates, interrupts = fields.flag("create_response"), fields.flag("interrupt_response")
    return replace(
        start,
        creates_response=start.creates_response if creates is None else creates,
        interrupts_response=start.interrupts_response if interrupts is None else interrupts,
    )
