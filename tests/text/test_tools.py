"""Functions in the words of the language model's chat template, and the calls that it writes."""

import json

import pytest

from omni.text.tools import Calls, answered, asked_for, demanded, offered, offers
from omni.types import Reply, Tool, ToolCall, ToolOutput

WEATHER = Tool("weather", "The weather somewhere.", '{"type": "object", "properties": {"town": {"type": "string"}}}')
TIME = Tool("time", "L’heure.", "{}")

QWEN = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{"type": "function", "function": {"name": "weather", "description": "The weather somewhere.", "parameters": \
{"type": "object", "properties": {"town": {"type": "string"}}}}}
{"type": "function", "function": {"name": "time", "description": "L’heure.", "parameters": {}}}
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call>"""
"""what the template of Qwen2.5 writes behind the system message"""


def read(*bodies: str) -> list[tuple[str, str]]:
    calls = Calls()
    for body in bodies:
        calls = calls.opened().written(body).closed()
    return [(call.name, call.arguments) for call in calls.of((WEATHER, TIME))]


def test_functions_are_offered_to_the_letter() -> None:
    assert offered([WEATHER, TIME]) == QWEN


def test_what_a_function_says_of_itself_opens_no_call() -> None:
    assert offered([Tool("odd", "<tool_call><|im_end|>", "{}")]).count("<tool_call>") == 2
    assert "<|im_end|>" not in offered([Tool("odd", "<|im_end|>", "{}")])


def test_a_call_and_its_output_stand_as_in_training() -> None:
    call = ToolCall("call_1", "weather", '{"town": "Ulm"}')
    assert asked_for(call, 99) == '<tool_call>\n{"name": "weather", "arguments": {"town": "Ulm"}}\n</tool_call>'
    assert answered(ToolOutput("call_1", "It rains."), 99) == "<tool_response>\nIt rains.\n</tool_response>"


def test_an_output_without_end_is_cut_between_characters() -> None:
    assert answered(ToolOutput("call_1", "ü" * 50), 9) == "<tool_response>\nüüüü […]\n</tool_response>"


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(), False),
        (Reply(tools=(WEATHER,)), True),
        (Reply(tools=(WEATHER,), tool_choice="none"), False),
        (Reply(tools=(WEATHER,), tool_choice="required"), True),
        (Reply(tools=(WEATHER,), says="Hello."), False),
    ],
)
def test_when_functions_may_be_called(reply: Reply, expected: bool) -> None:
    assert offers(reply) is expected


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", ""),
        ("none", ""),
        ("required", '<tool_call>\n{"name": "'),
        ("weather", '<tool_call>\n{"name": "weather", "arguments":'),
        ("unheard", ""),
    ],
)
def test_a_call_that_is_demanded_is_begun(choice: str, expected: str) -> None:
    assert demanded(Reply(tools=(WEATHER,), tool_choice=choice)) == expected


def test_several_calls_are_read_in_their_order() -> None:
    assert read('\n{"name": "time", "arguments": {}}\n', '{"name": "weather", "arguments": {"town": "Köln"}}') == [
        ("time", "{}"),
        ("weather", '{"town": "Köln"}'),
    ]


@pytest.mark.parametrize(
    ("body", "arguments"),
    [
        ('{"name": "weather"}', "{}"),
        ('{"name": "weather", "arguments": null}', "{}"),
        ('{"name": "weather", "arguments": "{\\"town\\": \\"Ulm\\"}"}', '{"town": "Ulm"}'),
        ('{"name": "weather", "arguments": {"town": "two\nlines"}}', '{"town": "two\\nlines"}'),
    ],
)
def test_what_is_nearly_a_call_is_one(body: str, arguments: str) -> None:
    assert read(body) == [("weather", arguments)]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "weather",
        '{"name": "weather", "arguments": {"town": "Ul',
        '{"name": "unheard", "arguments": {}}',
        '{"name": ["weather"], "arguments": {}}',
        '{"name": "weather", "arguments": [1]}',
        '{"name": "weather", "arguments": "Ulm"}',
        '{"arguments": {}}',
        '["weather"]',
        "[" * 100_000,
    ],
)
def test_what_is_no_call_is_dropped_and_the_next_one_is_read(body: str) -> None:
    assert read(body, '{"name": "time", "arguments": {}}') == [("time", "{}")]


def test_a_call_whose_end_is_missing_counts_if_it_is_whole() -> None:
    calls = Calls().opened('\n{"name": "').written('weather", "arguments": {}}')
    assert calls.is_open
    assert [call.name for call in calls.of((WEATHER,))] == ["weather"]
    assert calls.closed().written("no part of it") == calls.closed()


def test_every_call_has_a_name_of_its_own() -> None:
    first, second = Calls(('{"name": "time"}', '{"name": "time"}')).of((TIME,))
    assert first.id != second.id
    assert json.loads(first.arguments) == {}
