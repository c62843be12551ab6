"""What a turn becomes for the language model, and what of it is heeded though nobody answers it."""

import pytest

from omni.families.nano.family import Nano
from omni.families.nano.messages import CONTINUING, OPENING, SHOWING, asked_manner, nudge, placed, user_message
from omni.families.nano.state import CUT_OFF, MAX_MESSAGES, Memory, State
from omni.model import Phase
from omni.text.chat import Message
from omni.text.manner import AS_IT_IS
from omni.types import Reply, ToolCall, ToolOutput, Unit
from tests.fakes_nano import WORD_S, FakeParts, FakeSight, Spoken, answer, put, say, step


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


# ---------------------------------------------------------------- said again


def test_an_answer_is_said_again_as_it_was_and_in_the_manner_that_is_asked_for(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    first = ask_and_hear(nano, state, "Where is Paris?")
    assert ask_and_hear(nano, state, "Say that again, more slowly.") == first
    assert parts.synthesizer.manners[-1].pace < 1
    assert ask_and_hear(nano, state, "What?") == first
    assert len(parts.chat.begun) == 1


@pytest.mark.parametrize("heard_s", [0.0, 3 * WORD_S])
def test_of_an_answer_that_was_cut_off_all_is_said_again(parts: FakeParts, heard_s: float) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    first = ask_and_hear(nano, state, "Where is Paris?")
    nano.truncate(state, heard_s)
    assert ask_and_hear(nano, state, "What did you say?") == first
    assert len(parts.chat.begun) == 1


def test_an_answer_that_was_cut_off_while_it_was_written_is_written_again(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("Be brief.", None)
    say(nano, state, "Where is Paris?")
    nano.begin(state, Reply())
    step(nano, state, Phase.THINK, Spoken())
    nano.truncate(state, 0.0)
    assert ask_and_hear(nano, state, "What did you say?").startswith("You said Where is Paris?")
    assert parts.chat.begun[0] == parts.chat.begun[1]


def test_what_was_put_into_the_conversation_is_still_there_for_an_answer_that_is_written_again(
    parts: FakeParts,
) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    ask_and_hear(nano, state, "Hello.")
    put(nano, state, Unit(text="The user is in Rome.", role="system"))
    say(nano, state, "Where am I?")
    nano.begin(state, Reply())
    nano.truncate(state, 0.0)
    ask_and_hear(nano, state, "What did you say?")
    assert Message("system", "The user is in Rome.") in parts.chat.begun[-1]


def test_of_a_conversation_that_is_told_anew_the_answer_before_is_said_again(parts: FakeParts) -> None:
    nano = parts.nano()
    for told, again in (("It is in France.", "It is in France."), (f"It is{CUT_OFF}", "You said Where is Paris?")):
        state = nano.open("", None)
        put(nano, state, Unit(text="Where is Paris?"))
        put(nano, state, Unit(text=told, role="assistant"))
        assert ask_and_hear(nano, state, "Repeat that, please.").startswith(again)


def test_what_is_said_to_a_wish_is_not_what_anybody_missed(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    assert ask_and_hear(nano, state, "What did you say?") == "I have not said anything yet."
    first = ask_and_hear(nano, state, "Where is Paris?")
    assert ask_and_hear(nano, state, "Speak more slowly.") == "Okay, I will speak more slowly."
    assert ask_and_hear(nano, state, "Say that again.") == first


def ask_and_hear(nano: Nano, state: State, words: str) -> str:
    """The answer to what somebody says."""
    say(nano, state, words)
    return answer(nano, state).text
