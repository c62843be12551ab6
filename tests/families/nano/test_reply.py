"""What a reply asks of nano: words as they are, another voice, another pace. On parts that are exact and instant."""

import pytest

from omni.families.nano.family import Nano
from omni.families.nano.state import CUT_OFF, State
from omni.model import Phase
from omni.text.chat import Message
from omni.text.manner import AS_IT_IS
from omni.types import Reply, TextDelta, Tool, TurnEnd, Unit, Voice
from tests.fakes_nano import TIMING, WORD_S, FakeParts, Spoken, answer, ask, finish, made, put, say, step

LONG = ("It is a long way to the sea, and the road is dusty. " * 80)[:4096]


# ---------------------------------------------------------------- words as they are


def test_the_words_are_spoken_as_they_are_and_remembered(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("Be brief.", None)
    say(nano, state, "read this to me")
    spoken = answer(nano, state, Reply(says="Once upon a time, there was a cat. It slept."))
    assert parts.chat.begun == []
    assert spoken.text == "".join(spoken.clauses) == "Once upon a time, there was a cat. It slept."
    assert len(spoken.clauses) > 1
    assert spoken.end == TurnEnd("completed", 0)
    assert ask(parts, nano, state) == [
        ("system", "Be brief."),
        ("user", "read this to me"),
        ("assistant", "Once upon a time, there was a cat. It slept."),
        ("user", "And now?"),
    ]


def test_a_greeting_opens_the_conversation(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("Be brief.", None)
    assert answer(nano, state, Reply(says="Ahoy!")).clauses == ["Ahoy!"]
    assert ask(parts, nano, state, "hello") == [("system", "Be brief."), ("assistant", "Ahoy!"), ("user", "hello")]


def test_while_a_greeting_is_heard_the_model_reads_its_instructions(parts: FakeParts) -> None:
    parts.chat.guess = 0.5
    nano = parts.nano()
    state = nano.open("Be brief.", None)
    answer(nano, state, Reply(says="Ahoy!"))
    assert parts.chat.warmed == [(Message("system", "Be brief."), Message("user", ""))]
    say(nano, state, "hello")
    answer(nano, state, Reply(says="Hello."))
    assert len(parts.chat.warmed) == 2


def test_nothing_is_read_before_a_text_without_instructions(parts: FakeParts) -> None:
    nano = parts.nano()
    answer(nano, nano.open("", None), Reply(says="Ahoy!"))
    assert parts.chat.warmed == []


def test_the_same_words_twice_are_said_twice(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    for _ in range(2):
        assert answer(nano, state, Reply(says="Ahoy!")).text == "Ahoy!"
    assert asked_next(parts, nano, state) == ("assistant", "Ahoy! Ahoy!")


def asked_next(parts: FakeParts, nano: Nano, state: State) -> tuple[str, str]:
    """What the conversation begins with."""
    return ask(parts, nano, state)[0]


def test_of_given_words_too_only_what_was_heard_stays(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    nano.begin(state, Reply(says="One two three four five."))
    finish(nano, state)
    nano.truncate(state, 3 * WORD_S)
    assert asked_next(parts, nano, state) == ("assistant", f"One two three{CUT_OFF}")


def test_given_words_can_be_written_alone(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    nano.begin(state, Reply(says="Ahoy!", speaks=False))
    assert nano.step(Phase.THINK, [state]) == [[TextDelta("Ahoy!", last=True), TurnEnd("completed", 0)]]
    assert parts.synthesizer.spoken == []


@pytest.mark.parametrize("words", ["", "  \n "])
def test_no_words_end_at_once(parts: FakeParts, words: str) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    spoken = answer(nano, state, Reply(says=words))
    assert (spoken.clauses, spoken.n_last, spoken.end) == ([], 1, TurnEnd("completed", 0))


def test_a_limit_does_not_cut_given_words(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    assert answer(nano, state, Reply(says="One two three.", max_tokens=1)).text == "One two three."


def test_a_long_text_is_spoken_a_clause_at_a_time(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    nano.begin(state, Reply(says=LONG))
    spoken = Spoken()
    step(nano, state, Phase.THINK, spoken)
    step(nano, state, Phase.SPEAK, spoken)
    assert len(parts.synthesizer.spoken) == 1
    finish(nano, state, spoken)
    assert "".join(spoken.clauses) == LONG.rstrip()
    assert max(len(clause.split()) for clause in spoken.clauses) <= 25


def test_while_a_later_clause_is_made_others_have_their_turn(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    nano.begin(state, Reply(says=LONG))
    step(nano, state, Phase.THINK, Spoken())
    rows = [nano.step(Phase.SPEAK, [state])[0] for _ in range(5)]
    assert [len(row) for row in rows] == [1, 0, 1, 0, 1]


def test_given_words_interrupt_what_the_model_was_writing(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, "tell me")
    mark = nano.mark(state)
    nano.begin(state, Reply())
    spoken = Spoken()
    step(nano, state, Phase.THINK, spoken)
    written = nano.mark(state)
    nano.rewind(state, mark)
    assert answer(nano, state, Reply(says="Ahoy!")).text == "Ahoy!"
    assert parts.chat.n_stops == 1
    nano.rewind(state, written)
    assert finish(nano, state, spoken).text.startswith("You said tell me")


def test_what_was_typed_before_given_words_stays_before_them(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    put(nano, state, Unit(text="I am Ada."))
    answer(nano, state, Reply(says="Ahoy!"))
    assert ask(parts, nano, state)[:2] == [("user", "I am Ada."), ("assistant", "Ahoy!")]


# ---------------------------------------------------------------- voice and pace


def test_a_reply_has_its_own_voice(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    for voice in (Voice("second"), made("mine"), None):
        say(nano, state, "hello")
        answer(nano, state, Reply(voice=voice))
    voices = [voice for _, voice in parts.synthesizer.spoken]
    assert list(dict.fromkeys(voices)) == ["second", "mine", "first"]
    with pytest.raises(ValueError, match="no voice 'third'"):
        nano.begin(state, Reply(voice=Voice("third")))


def test_a_prepared_answer_is_not_used_for_another_voice_or_pace(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, "hello")
    mark = nano.mark(state)
    lengths = []
    for reply in (Reply(), Reply(speed=0.5), Reply(voice=made("mine")), Reply(says="Ahoy!"), Reply(says="Ahoy!")):
        nano.rewind(state, mark)
        parts.synthesizer.spoken.clear()
        lengths.append((answer(nano, state, reply).n_samples, len(parts.synthesizer.spoken)))
    assert lengths[1][0] == pytest.approx(2 * lengths[0][0], rel=0.02)
    assert [n_spoken > 0 for _, n_spoken in lengths] == [True, True, True, True, False]


def test_speed_changes_pace_alone(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    answer(nano, state, Reply(says="Ahoy!"))
    answer(nano, state, Reply(says="Ahoy!", speed=0.75))
    plain, slow = parts.synthesizer.manners
    assert plain == AS_IT_IS
    assert (slow.pace, slow.pitch, slow.melody, slow.loudness) == (0.75, 1.0, 1.0, 1.0)
    assert slow.pauses == pytest.approx(1 / 0.75)


def test_what_was_heard_is_counted_in_the_sounds_own_time(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    spoken = answer(nano, state, Reply(says="One two three four five.", speed=0.5))
    assert spoken.n_samples == pytest.approx(5 * 2 * WORD_S * TIMING.output_rate, rel=0.02)
    nano.truncate(state, 2 * 2 * WORD_S)
    assert asked_next(parts, nano, state) == ("assistant", f"One two{CUT_OFF}")


# ---------------------------------------------------------------- manner


def test_the_session_is_told_how_to_speak(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("Be kind. Speak slowly.\nUser: Louder!\nYou: Speak in a high voice.", None)
    answer(nano, state, Reply(says="Ahoy!"))
    answer(nano, state, Reply(says="Ahoy!", instructions="Speak in a deep voice."))
    slow, deep = parts.synthesizer.manners
    assert slow.pace < 1 == slow.pitch == slow.loudness
    assert deep.pitch < 1 == deep.pace


def test_the_user_asks_to_be_spoken_to_otherwise(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, "Could you speak more slowly, please?")
    mark = nano.mark(state)
    spoken = answer(nano, state)
    assert spoken.text == "Okay, I will speak more slowly."
    assert parts.chat.begun == []
    ask(parts, nano, state, "Thanks.")
    assert {manner.pace < 1 for manner in parts.synthesizer.manners} == {True}
    parts.synthesizer.manners.clear()
    nano.rewind(state, mark)
    say(nano, state, " No, wait: who said that?")
    answer(nano, state)
    say(nano, state, "Speak normally again.")
    assert answer(nano, state).text == "Okay, I will speak normally again."
    assert parts.synthesizer.manners[-1] == AS_IT_IS


@pytest.mark.parametrize(
    "reply",
    [Reply(instructions="Answer in French."), Reply(tools=(Tool("louder", "Turns the volume up.", "{}"),))],
)
def test_instructions_and_functions_of_an_answer_come_before_what_is_said_to_a_wish(
    parts: FakeParts, reply: Reply
) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, "Speak louder.")
    assert answer(nano, state, reply).text.startswith("You said Speak louder")
    assert parts.synthesizer.manners[-1].loudness > 1


def test_a_wish_within_a_question_is_heeded_and_the_question_answered(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, "Speak louder, and tell me about Paris.")
    assert answer(nano, state).text.startswith("You said Speak louder")
    assert parts.synthesizer.manners[0].loudness > 1


def test_a_guess_that_was_taken_back_has_not_changed_the_manner(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, "Speak louder")
    mark = nano.mark(state)
    nano.begin(state, Reply())
    assert state.memory.manner != AS_IT_IS
    nano.rewind(state, mark)
    say(nano, state, " birds sing in spring.")
    answer(nano, state)
    assert state.memory.manner == AS_IT_IS


def test_a_conversation_that_is_told_anew_is_spoken_as_it_was(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    put(nano, state, Unit(text="Speak louder."))
    put(nano, state, Unit(text="It is noon.", role="system"))
    put(nano, state, Unit(text="Okay.", role="assistant"))
    once = state.memory.manner
    assert once.loudness > 1
    say(nano, state, "Hello.")
    answer(nano, state)
    assert state.memory.manner == once


def test_given_words_are_said_whatever_the_user_asks(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, "Speak louder.")
    assert answer(nano, state, Reply(says="Ahoy!")).text == "Ahoy!"
    assert parts.synthesizer.manners[-1].loudness > 1
