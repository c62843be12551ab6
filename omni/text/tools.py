"""Functions in the words of Qwen2.5's chat template, which MiniCPM-o's language model was trained on.

    offered    in a system message: "# Tools", and a line of JSON for each between <tools> and </tools>
    asked for  in the assistant's message: <tool_call> {"name": …, "arguments": …} </tool_call>, one after another
    answered   in a user's message: <tool_response> … </tool_response>

<tool_call> and </tool_call> are tokens, the other marks are plain text.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

from omni.text.template import as_text
from omni.types import Reply, Tool, ToolCall, ToolOutput

CALL_START, CALL_END = "<tool_call>", "</tool_call>"
"""tokens around a call"""

_LEFT_OUT = " […]"

# To the letter: the language model was trained on these sentences.
_BEFORE = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>"""
_AFTER = f"""
</tools>

For each function call, return a json object with function name and arguments within {CALL_START}{CALL_END} XML tags:
{CALL_START}
{{"name": <function-name>, "arguments": <args-json-object>}}
{CALL_END}"""


def offers(reply: Reply) -> bool:
    """Whether functions may be called in this answer. Words that are given leave nothing to decide."""
    return bool(reply.tools) and reply.tool_choice != "none" and reply.says is None


def offered(tools: Sequence[Tool]) -> str:
    """The content of the system message that offers functions.

    Raises:
        ValueError: the parameters of one are no JSON.
    """
    return _BEFORE + "".join(f"\n{as_text(_described(tool))}" for tool in tools) + _AFTER


def demanded(reply: Reply) -> str:
    """How a call begins that the answer has to make; nothing where the model may choose, or what is demanded is not
    offered. It ends where a token of the language model does."""
    if not offers(reply) or reply.tool_choice == "auto":
        return ""
    if reply.tool_choice == "required":
        return f'{CALL_START}\n{{"name": "'
    known = any(tool.name == reply.tool_choice for tool in reply.tools)
    return f'{CALL_START}\n{{"name": {json.dumps(reply.tool_choice)}, "arguments":' if known else ""


def asked_for(call: ToolCall, n_bytes: int) -> str:
    """A call as it stands in the history, its arguments cut to so many bytes."""
    body = as_text(f'{{"name": {json.dumps(call.name)}, "arguments": {_cut(call.arguments, n_bytes)}}}')
    return f"{CALL_START}\n{body}\n{CALL_END}"


def answered(output: ToolOutput, n_bytes: int) -> str:
    """What came of a call, cut to so many bytes: what a program gives is easily more than a context holds."""
    return f"<tool_response>\n{as_text(_cut(output.output, n_bytes))}\n</tool_response>"


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of an answer that is being written. A value: every change gives a new one."""

    bodies: tuple[str, ...] = ()
    """what stands between the tokens, of the last call perhaps only its beginning"""
    is_open: bool = False
    """what is written now belongs to the last call"""

    def opened(self, body: str = "") -> "Calls":
        """A call begins, perhaps with words that it was given."""
        return Calls((*self.bodies, body), is_open=True)

    def written(self, text: str) -> "Calls":
        """With more of the call that is open."""
        return Calls((*self.bodies[:-1], self.bodies[-1] + text), is_open=True) if self.is_open else self

    def closed(self) -> "Calls":
        """The call is complete."""
        return replace(self, is_open=False)

    def of(self, tools: Sequence[Tool]) -> tuple[ToolCall, ...]:
        """The calls of these functions. What is no call, or of a function that nobody offered, is dropped."""
        return tuple(self._read([tool.name for tool in tools]))

    def _read(self, known: Sequence[str]) -> Iterator[ToolCall]:
        for body in self.bodies:
            try:
                # Line ends inside of a string are as common as they are forbidden.
                call = json.loads(body, strict=False)
                name, arguments = call["name"], call.get("arguments") or {}
                if isinstance(arguments, str):
                    arguments = json.loads(arguments, strict=False)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                continue
            if name in known and isinstance(arguments, dict):
                yield ToolCall(f"call_{uuid4().hex[:16]}", name, json.dumps(arguments, ensure_ascii=False))


def _cut(text: str, n_bytes: int) -> str:
    encoded = text.encode()
    return text if len(encoded) <= n_bytes else encoded[:n_bytes].decode(errors="ignore") + _LEFT_OUT


def _described(tool: Tool) -> str:
    function = {"name": tool.name, "description": tool.description, "parameters": json.loads(tool.parameters)}
    return json.dumps({"type": "function", "function": function}, ensure_ascii=False)
