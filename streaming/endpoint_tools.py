"""Functions, as OpenAI-compatible chat completions spell them: offered, asked for in pieces, answered."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from omni.text.chat import Message
from omni.types import Tool, ToolCall, ToolOutput

_MOST_CALLS = 32
"""in one answer; a model that asks for more is stuck"""
_MOST_CHARS = 256 * 1024
"""of one call's arguments"""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of a call; what it does not say is empty."""

    index: int
    id: str
    name: str
    arguments: str


def offered(tools: Sequence[Tool], choice: str) -> dict[str, Any]:
    """The fields of a request that offer tools; none without tools, which some servers refuse an empty list of."""
    if not tools:
        return {}
    named = {"type": "function", "function": {"name": choice}}
    return {
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": json.loads(tool.parameters),
                },
            }
            for tool in tools
        ],
        "tool_choice": choice if choice in ("auto", "none", "required") else named,
    }


def spelled(messages: Sequence[Message]) -> Iterator[dict[str, Any]]:
    """The messages of a request.

    A call must be followed by what came of it, or the request is refused. One that was not answered (yet) is left
    out, and an output stands behind its call wherever it came.
    """
    outputs = {
        message.tool.call_id: message.tool.output for message in messages if isinstance(message.tool, ToolOutput)
    }
    for message in messages:
        call = message.tool
        if call is None:
            yield {"role": message.role, "content": message.text}
        elif isinstance(call, ToolCall) and call.id in outputs:
            function = {"name": call.name, "arguments": call.arguments}
            called = {"id": call.id, "type": "function", "function": function}
            yield {"role": "assistant", "content": None, "tool_calls": [called]}
            yield {"role": "tool", "tool_call_id": call.id, "content": outputs[call.id]}


def fragment_of(piece: Mapping[str, Any]) -> Fragment:
    """One entry of a delta's tool_calls. Raises KeyError, TypeError or AttributeError where it is none."""
    function = piece.get("function") or {}
    texts = (piece.get("id"), function.get("name"), function.get("arguments"))
    identity, name, arguments = (str(text or "") for text in texts)
    return Fragment(int(piece.get("index") or 0), identity, name, arguments)


class CallCollector:
    """Puts the calls of one answer together."""

    def __init__(self) -> None:
        self._parts: dict[int, Fragment] = {}

    def push(self, part: Fragment) -> None:
        """Take a part.

        Raises:
            RuntimeError: there is no end of them.
        """
        before = self._parts.get(part.index, Fragment(part.index, "", "", ""))
        arguments = before.arguments + part.arguments
        self._parts[part.index] = Fragment(part.index, before.id or part.id, before.name or part.name, arguments)
        if len(self._parts) > _MOST_CALLS or len(arguments) > _MOST_CHARS:
            raise RuntimeError("The language model asked for functions without end; ask again")

    def finished(self) -> tuple[ToolCall, ...]:
        """The calls, in their order."""
        parts = (part for _, part in sorted(self._parts.items()) if part.name)
        return tuple(
            ToolCall(part.id or f"call_{uuid4().hex[:16]}", part.name, part.arguments or "{}") for part in parts
        )
