"""Functions on the wire: what a client offers, what the model asks for, what came of it.

What is offered is looked at here, as closely as any model will: else every answer would fail for it.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from omni.types import Tool, ToolCall, ToolOutput
from streaming.events import Item, ItemStatus
from streaming.gateway.wire import names
from streaming.gateway.wire.fields import MAX_TEXT_BYTES, Fields, WireError, encoded

MAX_TOOLS = 128
_CHOICES = ("auto", "none", "required")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""of a function, as OpenAI and its like want it"""

Message = tuple[str, dict[str, Any]]


def read_tools(fields: Fields, most_bytes: int | None) -> tuple[Tool, ...] | None:
    """The field "tools"; None if it is absent, nothing if it is null.

    Args:
        fields: of the session or the response.
        most_bytes: see Capabilities.max_tools_bytes.

    Raises:
        WireError: what is offered is no function, or there are too many.
    """
    if "tools" not in fields:
        return None
    listed, path = fields.list("tools") or [], fields.path("tools")
    if len(listed) > MAX_TOOLS or len(encoded(listed, path)) > MAX_TEXT_BYTES:
        raise WireError(
            "invalid_value",
            f"{path} may have {MAX_TOOLS} functions and {MAX_TEXT_BYTES // 1024} KiB; offer less.",
            path,
        )
    tools = tuple(_tool(one, f"{path}[{index}]") for index, one in enumerate(listed))
    if len({tool.name for tool in tools}) < len(tools):
        raise WireError("invalid_value", f"{path} names a function twice; every name must be its own.", path)
    n_bytes = sum(len(text.encode()) for tool in tools for text in (tool.name, tool.description, tool.parameters))
    if most_bytes is not None and n_bytes > most_bytes:
        raise WireError(
            "tools_too_large",
            f"{path} takes {n_bytes} bytes, and this model has room for {most_bytes}: offer fewer functions, or "
            "describe them more briefly.",
            path,
        )
    return tools


def _tool(values: Any, path: str) -> Tool:
    if not isinstance(values, dict):
        raise WireError("invalid_type", f"{path} must be an object.", path)
    tool = Fields(values, path)
    tool.require("type")
    tool.choice("type", ("function",))
    tool.require("name")
    name = tool.text("name") or ""
    if not _NAME.fullmatch(name):
        raise WireError("invalid_value", f"{path}.name has 1 to 64 letters, digits, _ or -.", f"{path}.name")
    parameters = tool.object("parameters")
    if parameters is not None:
        _check_schema(parameters)
    schema = {"type": "object", "properties": {}} if parameters is None else values["parameters"]
    return Tool(name, tool.text("description") or "", orjson.dumps(schema).decode())


def _check_schema(schema: Fields) -> None:
    """As far as all models agree: a JSON Schema of an object."""
    schema.choice("type", ("object",))
    schema.object("properties")
    required = schema.list("required") or []
    if not all(isinstance(name, str) for name in required):
        path = schema.path("required")
        raise WireError("invalid_type", f"{path} must be a list of names.", path)


def read_choice(fields: Fields) -> str | None:
    """The field "tool_choice": auto, none, required, or a function's name; None if it is absent or null.

    Raises:
        WireError: it is none of these.
    """
    if not isinstance(fields["tool_choice"], dict):
        return fields.choice("tool_choice", _CHOICES)
    named = fields.object("tool_choice") or Fields({})
    named.choice("type", ("function",))
    named.require("name")
    return named.identifier("name")


def is_name(choice: str) -> bool:
    """Whether a choice names a function."""
    return choice not in _CHOICES


def check_choice(choice: str | None, tools: Sequence[Tool], fields: Fields) -> None:
    """Refuse a choice of a function that is not among these, once it is asked for or any are offered.

    Raises:
        WireError: it is not.
    """
    matters = tools or fields["tool_choice"] is not None
    if choice is None or not is_name(choice) or not matters or any(tool.name == choice for tool in tools):
        return
    path = fields.path("tool_choice")
    listed = ", ".join(tool.name for tool in tools) or "none"
    raise WireError("invalid_value", f"{path} names '{choice[:80]}', which is not offered. Offered: {listed}.", path)


def tools_object(tools: tuple[Tool, ...]) -> list[dict[str, Any]]:
    """What is offered, as JSON."""
    return [
        {
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": orjson.loads(tool.parameters),
        }
        for tool in tools
    ]


def choice_object(choice: str) -> str | dict[str, str]:
    """tool_choice as JSON."""
    return {"type": "function", "name": choice} if is_name(choice) else choice


def refusals(fields: Fields) -> tuple[WireError, ...]:
    """What a client is told that offers functions to a model which cannot call any: the rest of its request holds."""
    if not (fields.list("tools") or fields["tool_choice"] not in (None, "auto", "none")):
        return ()
    message = "This model cannot call functions; the rest of the request holds. Leave tools and tool_choice out."
    return (WireError("unsupported_tools", message, fields.path("tools")),)


def read_tool_part(fields: Fields, kind: str) -> ToolCall | ToolOutput:
    """What an item of type function_call or function_call_output holds.

    Raises:
        WireError: a field is missing or wrong.
    """
    fields.require("call_id")
    call_id = fields.identifier("call_id") or ""
    if kind == "function_call_output":
        if fields["output"] is None:
            fields.require("output")
        return ToolOutput(call_id, fields.text("output") or "")
    fields.require("name")
    return ToolCall(call_id, fields.identifier("name") or "", fields.text("arguments") or "{}")


def tool_item(item: Item, part: ToolCall | ToolOutput, status: ItemStatus) -> dict[str, Any]:
    """An item that is a call, or what came of one, as JSON."""
    same = {"id": item.id, "object": "realtime.item", "status": status}
    if isinstance(part, ToolOutput):
        return {**same, "type": "function_call_output", "call_id": part.call_id, "output": part.output}
    called = {"call_id": part.id, "name": part.name, "arguments": part.arguments}
    return {**same, "type": "function_call", **called}


def call_messages(item: Item, response_id: str, index: int, previous_item_id: str | None) -> Iterator[Message]:
    """The events of one function_call in a response. The arguments come whole, in one delta."""
    (call,) = item.parts
    if not isinstance(call, ToolCall):
        raise TypeError(f"item {item.id} is no call")
    begun = tool_item(item, ToolCall(call.id, call.name, ""), "in_progress")
    done = tool_item(item, call, "completed")
    output = {"response_id": response_id, "output_index": index}
    added = {"previous_item_id": previous_item_id}
    place = {**output, "item_id": item.id, "call_id": call.id}
    yield names.OUTPUT_ITEM_ADDED, {**output, "item": begun}
    yield names.ITEM_ADDED, {**added, "item": begun}
    yield names.ARGUMENTS_DELTA, {**place, "delta": call.arguments}
    yield names.ARGUMENTS_DONE, {**place, "name": call.name, "arguments": call.arguments}
    yield names.ITEM_DONE, {**added, "item": done}
    yield names.OUTPUT_ITEM_DONE, {**output, "item": done}
