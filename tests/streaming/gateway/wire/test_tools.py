from dataclasses import replace
from typing import Any

import orjson
import pytest

from omni.types import Tool, ToolCall, ToolOutput
from streaming.commands import CreateItem, Respond, Update
from streaming.events import Updated
from streaming.gateway.wire.fields import WireError
from streaming.gateway.wire.realtime import RealtimeCodec
from streaming.gateway.wire.tools import MAX_TOOLS
from tests.streaming.gateway.wire.samples import OPENED, finished

WEATHER = {"type": "function", "name": "weather", "description": "The weather.", "parameters": {"type": "object"}}
TOOL = Tool("weather", "The weather.", '{"type":"object"}')
CALLING = replace(OPENED, capabilities=replace(OPENED.capabilities, calls_tools=True, max_tools_bytes=80))


def decoded(kind: str, **fields: Any) -> Any:
    """The only thing that a message becomes, where the model can call functions."""
    codec = RealtimeCodec("sess_1")
    codec.encode(CALLING)
    (one,) = finished(codec.decode(orjson.dumps({"type": kind, **fields})))
    return one


def updated(**session: Any) -> Any:
    return decoded("session.update", session=session)


def test_tools_of_a_session_are_kept_and_shown() -> None:
    codec = RealtimeCodec("sess_1")
    (opened,) = codec.encode(CALLING)
    assert orjson.loads(opened)["omni"]["capabilities"]["tools"] is True
    session = {"tools": [WEATHER], "tool_choice": {"type": "function", "name": "weather"}}
    (update,) = codec.decode(orjson.dumps({"type": "session.update", "session": session}))
    assert isinstance(update, Update)
    assert (update.settings.tools, update.settings.tool_choice) == ((TOOL,), "weather")
    codec.encode(Updated(update.settings))
    (kept,) = codec.decode(b'{"type":"session.update","session":{"instructions":"Be brief."}}')
    assert isinstance(kept, Update)
    assert kept.settings.tools == (TOOL,)
    assert codec._session is not None
    assert codec._session.render()["tools"] == [WEATHER]
    assert codec._session.render()["tool_choice"] == {"type": "function", "name": "weather"}


@pytest.mark.parametrize("nothing", [None, []])
def test_tools_are_taken_away_by_nothing(nothing: Any) -> None:
    assert updated(tools=nothing, tool_choice=None).settings.tools == ()


def test_tools_that_are_refused_leave_those_of_before() -> None:
    codec = RealtimeCodec("sess_1")
    codec.encode(CALLING)
    (update,) = codec.decode(orjson.dumps({"type": "session.update", "session": {"tools": [WEATHER]}}))
    assert isinstance(update, Update)
    codec.encode(Updated(update.settings))
    large = {**WEATHER, "name": "news", "description": "ä" * 41}
    for kind, field in (("session.update", "session"), ("response.create", "response")):
        (refused,) = codec.decode(orjson.dumps({"type": kind, "event_id": "e1", field: {"tools": [large]}}))
        assert isinstance(refused, WireError)
        assert (refused.code, refused.param, refused.event_id) == ("tools_too_large", f"{field}.tools", "e1")
        assert "has room for 80" in refused.message
    (kept,) = codec.decode(b'{"type":"session.update","session":{"instructions":"Be brief."}}')
    assert isinstance(kept, Update)
    assert kept.settings.tools == (TOOL,)


def test_only_what_is_offered_can_be_demanded() -> None:
    """A language model behind an address would refuse every answer."""
    named = {"type": "function", "name": "news"}
    for session in ({"tool_choice": named}, {"tools": [WEATHER], "tool_choice": named}):
        refused = updated(**session)
        assert isinstance(refused, WireError)
        assert refused.param == "session.tool_choice"
    refused = decoded("response.create", response={"tools": [WEATHER], "tool_choice": named})
    assert isinstance(refused, WireError)
    assert "Offered: weather" in refused.message


def test_a_choice_that_the_session_made_of_its_own_functions_is_not_one_of_a_responses() -> None:
    codec = RealtimeCodec("sess_1")
    codec.encode(CALLING)
    chosen = {"type": "function", "name": "weather"}
    (update,) = codec.decode(
        orjson.dumps({"type": "session.update", "session": {"tools": [WEATHER], "tool_choice": chosen}})
    )
    assert isinstance(update, Update)
    codec.encode(Updated(update.settings))
    for tools, choice in (([{**WEATHER, "name": "news"}], "auto"), ([WEATHER], None)):
        (respond,) = codec.decode(orjson.dumps({"type": "response.create", "response": {"tools": tools}}))
        assert isinstance(respond, Respond)
        assert respond.options.tool_choice == choice
    (refused,) = codec.decode(
        orjson.dumps({"type": "session.update", "session": {"tools": [{**WEATHER, "name": "news"}]}})
    )
    assert isinstance(refused, WireError), "the choice would name nothing"
    (emptied,) = codec.decode(b'{"type":"session.update","session":{"tools":[]}}')
    assert isinstance(emptied, Update)


def test_tools_of_a_response_are_its_own() -> None:
    respond = decoded("response.create", response={"tools": [], "tool_choice": "none"})
    assert isinstance(respond, Respond)
    assert (respond.options.tools, respond.options.tool_choice) == ((), "none")
    assert decoded("response.create", response={}).options.tools is None


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        ([3], "session.tools[0]"),
        ([{"type": "function"}], "session.tools[0].name"),
        ([{"type": "mcp", "server_label": "x"}], "session.tools[0].type"),
        ([{**WEATHER, "parameters": "none"}], "session.tools[0].parameters"),
        ([WEATHER, WEATHER], "session.tools"),
        ([{**WEATHER, "name": f"f{index}"} for index in range(MAX_TOOLS + 1)], "session.tools"),
        ([{**WEATHER, "description": "x" * 300_000}], "session.tools"),
        ([{**WEATHER, "description": "x" * 100}], "session.tools"),
        ([{**WEATHER, "name": "the weather"}], "session.tools[0].name"),
        ([{**WEATHER, "name": "x" * 65}], "session.tools[0].name"),
        ([{**WEATHER, "name": ""}], "session.tools[0].name"),
        ([{**WEATHER, "parameters": {"type": "string"}}], "session.tools[0].parameters.type"),
        ([{**WEATHER, "parameters": {"properties": []}}], "session.tools[0].parameters.properties"),
        ([{**WEATHER, "parameters": {"required": [1]}}], "session.tools[0].parameters.required"),
    ],
)
def test_what_is_no_function_is_refused(tools: Any, param: str) -> None:
    refused = updated(tools=tools)
    assert isinstance(refused, WireError)
    assert refused.param == param


def test_a_schema_that_is_nested_too_deeply_is_refused() -> None:
    codec = RealtimeCodec("sess_1")
    codec.encode(CALLING)
    schema = b'{"a":' * 500 + b"1" + b"}" * 500
    tool = b'{"type":"function","name":"f","parameters":' + schema + b"}"
    (refused,) = codec.decode(b'{"type":"session.update","session":{"tools":[' + tool + b"]}}")
    assert isinstance(refused, WireError)
    assert "too deeply" in refused.message


@pytest.mark.parametrize("choice", ["always", 3, {"type": "mcp", "name": "x"}, {"type": "function"}])
def test_a_choice_is_one_of_few(choice: Any) -> None:
    assert isinstance(updated(tool_choice=choice), WireError)


def test_calls_and_what_came_of_them_are_items() -> None:
    called = {"type": "function_call", "id": "item_1", "call_id": "call_1", "name": "weather", "arguments": "{}"}
    came = {"type": "function_call_output", "call_id": "call_1", "output": ""}
    first, second = (decoded("conversation.item.create", item=item) for item in (called, came))
    assert isinstance(first, CreateItem)
    assert (first.item.id, first.item.parts) == ("item_1", (ToolCall("call_1", "weather", "{}"),))
    assert second.item.parts == (ToolOutput("call_1", ""),)


@pytest.mark.parametrize("lacking", ["call_id", "output"])
def test_an_output_without_all_of_it_is_refused(lacking: str) -> None:
    item = {"type": "function_call_output", "call_id": "call_1", "output": "It rains."}
    del item[lacking]
    refused = decoded("conversation.item.create", item=item)
    assert isinstance(refused, WireError)
    assert refused.param == f"item.{lacking}"
