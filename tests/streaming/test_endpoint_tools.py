from typing import Any

import pytest

from omni.text.chat import Message
from omni.types import Tool, ToolCall, ToolOutput
from streaming.endpoint_tools import CallCollector, fragment_of, offered, spelled

WEATHER = Tool("weather", "The weather.", '{"type": "object"}')
CALL = ToolCall("call_1", "weather", '{"city": "Paris"}')
CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
    ],
}
TOLD = {"role": "tool", "tool_call_id": "call_1", "content": "It rains."}


def test_without_tools_nothing_is_offered() -> None:
    assert offered((), "auto") == {}


@pytest.mark.parametrize(
    ("choice", "spelled_choice"),
    [("auto", "auto"), ("required", "required"), ("weather", {"type": "function", "function": {"name": "weather"}})],
)
def test_tools_are_offered_with_their_schema(choice: str, spelled_choice: Any) -> None:
    request = offered([WEATHER], choice)
    (tool,) = request["tools"]
    expected = {"name": "weather", "description": "The weather.", "parameters": {"type": "object"}}
    assert tool == {"type": "function", "function": expected}
    assert request["tool_choice"] == spelled_choice


def test_what_came_of_a_call_stands_behind_it_wherever_it_was_said() -> None:
    messages = [
        Message("user", "Does it rain?"),
        Message("assistant", "", CALL),
        Message("user", "Hello?"),
        Message("user", "", ToolOutput("call_1", "It rains.")),
    ]
    question, remark = {"role": "user", "content": "Does it rain?"}, {"role": "user", "content": "Hello?"}
    assert [*spelled(messages)] == [question, CALLED, TOLD, remark]


@pytest.mark.parametrize("tool", [CALL, ToolOutput("call_2", "Nobody asked.")])
def test_a_call_without_an_output_and_an_output_without_a_call_are_left_out(tool: ToolCall | ToolOutput) -> None:
    assert [*spelled([Message("assistant", "", tool)])] == []


def test_calls_are_put_together_from_their_parts() -> None:
    calls = CallCollector()
    for piece in (
        {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}},
        {"index": 1, "id": "call_2", "function": {"name": "time", "arguments": None}},
        {"index": 0, "function": {"arguments": '{"city":'}},
        {"index": 0, "function": {"arguments": ' "Paris"}'}},
    ):
        calls.push(fragment_of(piece))
    assert calls.finished() == (CALL, ToolCall("call_2", "time", "{}"))


def test_a_call_without_an_id_is_given_one() -> None:
    calls = CallCollector()
    calls.push(fragment_of({"function": {"name": "time", "arguments": "{}"}}))
    (call,) = calls.finished()
    assert call.id.startswith("call_")


def test_calls_without_end_are_an_error() -> None:
    calls = CallCollector()
    with pytest.raises(RuntimeError, match="without end"):
        for index in range(1_000):
            calls.push(fragment_of({"index": index, "function": {"name": "time"}}))
