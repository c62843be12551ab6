"""Functions that nano's language model asks for, and what comes of them."""

from omni.text.chat import Message
from omni.types import Reply, Tool, ToolCall, ToolOutput, Unit
from tests.fakes_nano import FakeChat, FakeParts, finish, parrot, put, say

WEATHER = Tool("weather", "The weather.", "{}")
CALL = ToolCall("call_weather", "weather", "{}")
OUTPUT = ToolOutput("call_weather", "It rains.")


def silent_until_told(messages: object) -> str:
    return "It rains there." if isinstance(messages, tuple) and messages[-1].tool == OUTPUT else ""


def test_it_can_call_what_its_language_model_can() -> None:
    able, unable = (FakeParts(FakeChat(parrot, calls_tools=can)).nano() for can in (True, False))
    assert able.capabilities.calls_tools
    assert not unable.capabilities.calls_tools


def test_a_call_comes_behind_the_last_text_and_stands_in_the_conversation(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, "Does it rain?")
    nano.begin(state, Reply(tools=(WEATHER,)))
    spoken = finish(nano, state)
    assert spoken.calls == [CALL]
    assert spoken.clauses
    put(nano, state, Unit(tool=OUTPUT))
    say(nano, state, "Well?")
    nano.begin(state, Reply())
    finish(nano, state)
    question, answer, call, output, again = parts.chat.begun[-1]
    assert (question.text, answer.text, again.text) == ("Does it rain?", spoken.text, "Well?")
    assert (call, output) == (Message("assistant", "", CALL), Message("user", "", OUTPUT))


def test_a_call_alone_is_an_answer_and_its_output_is_answered_as_it_is() -> None:
    parts = FakeParts(FakeChat(lambda messages: silent_until_told(tuple(messages))))
    nano = parts.nano()
    for speaks in (True, False):
        state = nano.open("", None)
        put(nano, state, Unit(text="Does it rain?"))
        nano.begin(state, Reply(speaks, tools=(WEATHER,)))
        spoken = finish(nano, state)
        assert (spoken.text, spoken.calls, spoken.pcm) == ("", [CALL], [])
        put(nano, state, Unit(tool=OUTPUT))
        nano.begin(state, Reply(speaks))
        assert finish(nano, state).text == "It rains there."
        assert [message.tool for message in parts.chat.begun[-1]] == [None, CALL, OUTPUT]


def test_a_conversation_that_is_told_anew_has_its_calls(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    put(nano, state, Unit(text="Does it rain?"))
    put(nano, state, Unit(tool=CALL, role="assistant"))
    put(nano, state, Unit(tool=OUTPUT))
    nano.begin(state, Reply())
    finish(nano, state)
    assert [message.tool for message in parts.chat.begun[-1]] == [None, CALL, OUTPUT]
