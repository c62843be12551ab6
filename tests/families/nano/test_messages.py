"""What a turn becomes for the language model, and what of it is heeded though nobody answers it."""

from omni.families.nano.messages import CONTINUING, OPENING, SHOWING, asked_manner, nudge, placed, user_message
from omni.families.nano.state import MAX_MESSAGES, Memory
from omni.text.chat import Message
from omni.text.manner import AS_IT_IS
from omni.types import ToolCall, ToolOutput, Unit
from tests.fakes_nano import FakeSight


def test_typed_messages_of_a_turn_are_one_with_what_is_said() -> None:
    memory = Memory(heard="to Paris?")
    for text in ("How far", "is it"):
        memory = placed(Unit(text=text), memory)
    assert user_message(memory) == (Message("user", "How far is it to Paris?"),)


def test_endless_typing_keeps_the_newest() -> None:
    memory = Memory()
    for number in range(MAX_MESSAGES + 5):
        memory = placed(Unit(text=str(number)), memory)
    assert len(memory.typed) == MAX_MESSAGES
    assert memory.typed[-1] == str(MAX_MESSAGES + 4)


def test_a_system_message_stands_before_what_is_being_spoken() -> None:
    memory = placed(Unit(text="It is noon.", role="system"), Memory(typed=("Hello.",), heard="What time"))
    assert [message.text for message in memory.later] == ["Hello.", "It is noon."]
    assert (memory.typed, memory.heard) == ((), "What time")


def test_an_assistants_message_closes_the_turn() -> None:
    memory = placed(Unit(text="Good.", role="assistant"), Memory(heard="How are you?"))
    assert memory.later == (Message("user", "How are you?"), Message("assistant", "Good."))
    assert user_message(memory) == ()


def test_calls_and_outputs_have_their_sides() -> None:
    call, output = ToolCall("call_1", "weather", "{}"), ToolOutput("call_1", "rain")
    memory = placed(Unit(tool=output), placed(Unit(tool=call, role="assistant"), Memory()))
    assert memory.later == (Message("assistant", "", call), Message("user", "", output))


def test_a_wish_is_heeded_once_though_nobody_answers_it() -> None:
    memory = placed(Unit(text="Okay.", role="assistant"), Memory(heard="Speak louder."))
    assert memory.manner.loudness > 1
    assert asked_manner(memory) is None
    # what is still being spoken is heeded when it is whole
    half = placed(Unit(text="It is noon.", role="system"), Memory(heard="Speak louder"))
    assert half.manner == AS_IT_IS
    assert asked_manner(half) is not None


def test_what_stands_for_a_user_who_said_nothing() -> None:
    assert nudge(Memory(), spoke=False).text == OPENING
    assert nudge(Memory(), spoke=True).text == CONTINUING
    assert nudge(Memory(sight=FakeSight("a cat.")), spoke=True).text == f"(The camera shows: a cat.)\n{SHOWING}"
