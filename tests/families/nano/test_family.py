"""Nano's turns, on parts that are exact and instant."""

from collections.abc import Generator

import numpy as np
import pytest

from omni.families.nano.family import Nano
from omni.families.nano.messages import CONTINUING, OPENING
from omni.families.nano.state import CUT_OFF, MAX_MESSAGES
from omni.model import Phase
from omni.text.chat import Message
from omni.text.finished import finished
from omni.types import Pcm, Reply, SpeechDelta, Transcript, TurnEnd, Unit, Voice
from tests.fakes_nano import (
    TIMING,
    FakeChat,
    FakeParts,
    FakeRecogniser,
    FakeSynthesizer,
    Spoken,
    answer,
    answer_to,
    ask,
    asked,
    finish,
    made,
    parrot,
    put,
    say,
    sound,
    step,
)

# ---------------------------------------------------------------- a turn


def test_a_question_is_heard_bit_by_bit_answered_and_spoken(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("Be brief.", None)
    assert say(nano, state, "what is").text == "what is"
    transcript = say(nano, state, " the time?")
    assert transcript == Transcript("what is the time?", finished("what is the time?", None))

    spoken = answer(nano, state)

    assert asked(parts) == [("system", "Be brief."), ("user", "what is the time?")]
    assert spoken.text == "You said what is the time? I heard it well, and I remember it. That is message 2 of ours."
    assert "".join(spoken.clauses) == spoken.text
    assert len(spoken.clauses) > 1
    assert spoken.n_last == 1
    assert spoken.end == TurnEnd("completed", len(spoken.text.split()))
    assert {voice for _, voice in parts.synthesizer.spoken} == {"first"}
    assert nano.step(Phase.THINK, [state]) == nano.step(Phase.SPEAK, [state]) == [[]]


def test_it_remembers_the_conversation(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, "I am Ada.")
    first = answer(nano, state)
    assert ask(parts, nano, state, "Who am I?") == [
        ("user", "I am Ada."),
        ("assistant", first.text),
        ("user", "Who am I?"),
    ]


def test_speech_starts_before_the_text_is_complete(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, "hello")
    nano.begin(state, Reply())
    spoken = Spoken()
    while not spoken.clauses:
        step(nano, state, Phase.THINK, spoken)
        step(nano, state, Phase.SPEAK, spoken)
    assert not spoken.n_last
    assert finish(nano, state, spoken).end


def test_the_conversation_is_prefilled_while_the_user_speaks_and_not_twice(parts: FakeParts) -> None:
    parts.chat.guess = 0.4
    nano = parts.nano()
    state = nano.open("Be brief.", None)
    say(nano, state, "what is")
    transcript = say(nano, state, " it?")
    say(nano, state, "   ")
    assert parts.chat.warmed == [
        (Message("system", "Be brief."), Message("user", "what is")),
        (Message("system", "Be brief."), Message("user", "what is it?")),
    ]
    assert transcript.finished == finished("what is it?", 0.4)


def test_silence_is_an_empty_transcript(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    assert say(nano, state, "").text == ""
    assert parts.chat.warmed == []


def test_a_reply_has_its_own_instructions_and_limit(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("Be brief.", None)
    say(nano, state, "hello")
    spoken = answer(nano, state, Reply(instructions="Be rude.", max_tokens=3))
    assert asked(parts)[0] == ("system", "Be rude.")
    assert spoken.text == "You said hello"
    assert spoken.end == TurnEnd("max_tokens", 3)
    assert ask(parts, nano, state)[0] == ("system", "Be brief.")


def test_a_text_reply_is_not_spoken(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    put(nano, state, Unit(text="hello"))
    nano.begin(state, Reply(speaks=False))
    spoken = Spoken()
    while not spoken.n_last:
        step(nano, state, Phase.THINK, spoken)
    assert spoken.end and spoken.end.n_tokens > 0
    assert parts.synthesizer.spoken == []
    assert nano.step(Phase.THINK, [state]) == nano.step(Phase.SPEAK, [state]) == [[]]
    assert ask(parts, nano, state)[1] == ("assistant", spoken.text)


def test_the_assistant_opens_and_goes_on_when_nothing_was_said(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("Be brief.", None)
    first = answer(nano, state)
    assert asked(parts) == [("system", "Be brief."), ("user", OPENING)]
    second = answer(nano, state)
    assert asked(parts)[1:] == [("assistant", first.text), ("user", CONTINUING)]
    # what the user did not say is not remembered
    assert ask(parts, nano, state, "Hm.")[1:] == [("assistant", f"{first.text} {second.text}"), ("user", "Hm.")]


def test_an_empty_answer_ends_at_once() -> None:
    parts = FakeParts(FakeChat(lambda _: ""))
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, "hello")
    spoken = answer(nano, state)
    assert (spoken.text, spoken.clauses, spoken.n_last) == ("", [], 1)
    assert ask(parts, nano, state) == [("user", "hello And now?")]


def test_a_model_that_sent_nothing_yet_gives_no_delta() -> None:
    parts = FakeParts(FakeChat(parrot, n_read=0))
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, "hello")
    nano.begin(state, Reply())
    assert nano.step(Phase.THINK, [state]) == nano.step(Phase.SPEAK, [state]) == [[]]
    parts.chat.n_read = 5
    assert finish(nano, state).text.startswith("You said hello")


@pytest.mark.parametrize("n_read", [1, 3, 1000])
def test_how_the_text_arrives_does_not_show(n_read: int, parts: FakeParts) -> None:
    expected = answer_to(parts, "one two three")
    other = answer_to(FakeParts(FakeChat(parrot, n_read=n_read)), "one two three")
    assert (other.text, other.clauses) == (expected.text, expected.clauses)


# ---------------------------------------------------------------- typed messages and history


def test_typed_and_spoken_words_of_one_turn_are_one_message(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    put(nano, state, Unit(text="look at this:"))
    say(nano, state, "is it good?")
    answer(nano, state)
    assert asked(parts) == [("user", "look at this: is it good?")]


def test_a_history_of_text_units_is_the_conversation(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    put(nano, state, Unit(text="I am Ada."))
    put(nano, state, Unit(text="Hello Ada.", role="assistant"))
    assert ask(parts, nano, state, "Who am I?") == [
        ("user", "I am Ada."),
        ("assistant", "Hello Ada."),
        ("user", "Who am I?"),
    ]


def test_a_system_message_does_not_break_what_is_being_said(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, "what is")
    put(nano, state, Unit(text="It is noon.", role="system"))
    assert say(nano, state, " the time?").text == "what is the time?"
    answer(nano, state)
    assert asked(parts) == [("system", "It is noon."), ("user", "what is the time?")]


def test_an_assistant_message_ends_the_users_turn(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, "hello")
    put(nano, state, Unit(text="Hello yourself.", role="assistant"))
    assert say(nano, state, "bye").text == "bye"
    answer(nano, state)
    assert asked(parts) == [("user", "hello"), ("assistant", "Hello yourself."), ("user", "bye")]


def test_an_hours_talk_stays_bounded(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("Be brief.", None)
    lengths = []
    for number in range(MAX_MESSAGES):
        messages = ask(parts, nano, state, f"question {number}")
        lengths.append(len(messages))
    assert max(lengths) <= MAX_MESSAGES + 2
    assert messages[:1] == [("system", "Be brief.")]
    assert messages[1][0] == "user"
    assert messages[-1] == ("user", f"question {MAX_MESSAGES - 1}")
    for _ in range(3 * MAX_MESSAGES):
        put(nano, state, Unit(text="note", role="assistant"))
        put(nano, state, Unit(text="note", role="user"))
    assert len(state.memory.later) <= MAX_MESSAGES


# ---------------------------------------------------------------- sessions, voices, faults


def test_what_other_sessions_do_does_not_show(parts: FakeParts) -> None:
    nano = parts.nano()
    states = [nano.open("", None), nano.open("Be brief.", Voice("second"))]
    questions = ["one", "another one, quite long"]
    nano.listen([Unit(audio=sound(question)) for question in questions], states)
    for state in states:
        nano.begin(state, Reply())
    spoken = [Spoken(), Spoken()]
    for _ in range(100):
        for phase in (Phase.THINK, Phase.SPEAK):
            for one, row in zip(spoken, nano.step(phase, states), strict=True):
                one.take(row)
    alone = answer_to(FakeParts(FakeChat(parrot)), "one")
    assert (spoken[0].text, spoken[0].clauses) == (alone.text, alone.clauses)
    assert spoken[1].text.startswith("You said another one, quite long")
    assert all(one.end for one in spoken)
    assert {voice for _, voice in parts.synthesizer.spoken} == {"first", "second"}


def test_an_unknown_voice_is_refused_by_name(parts: FakeParts) -> None:
    with pytest.raises(ValueError, match="no voice 'third'; choose one of: first, second"):
        parts.nano().open("", Voice("third"))


def test_any_voice_that_the_synthesizer_can_read_is_spoken_in(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", made("mine"))
    say(nano, state, "hello")
    answer(nano, state)
    assert {voice for _, voice in parts.synthesizer.spoken} == {"mine"}
    with pytest.raises(ValueError, match="'theirs' was not made for this synthesizer"):
        nano.open("", Voice("theirs", state={"speaker": np.zeros(1, np.float32)}))


def test_voices_are_made_where_there_is_a_maker(parts: FakeParts) -> None:
    reference = np.zeros(TIMING.input_rate, np.float32)
    without = parts.nano()
    assert without.capabilities.makes_voices is None
    with pytest.raises(NotImplementedError, match="built-in ones"):
        without.prepare_voice("mine", reference)

    def shape_voice(name: str, heard: Pcm) -> Voice:
        assert heard is reference
        return Voice(name)

    nano = Nano(FakeRecogniser(), parts.chat, parts.synthesizer, parts.eyes, shape_voice)
    assert nano.capabilities.makes_voices == "shapes"
    assert nano.prepare_voice("mine", reference).name == "mine"


def test_a_model_that_is_down_fails_this_turn_alone(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    parts.chat.down = True
    say(nano, state, "hello")
    nano.begin(state, Reply())
    with pytest.raises(RuntimeError, match="start it or check --llm"):
        nano.step(Phase.THINK, [state])
    assert nano.step(Phase.THINK, [state]) == nano.step(Phase.SPEAK, [state]) == [[]]
    parts.chat.down = False
    assert ask(parts, nano, state, "there") == [("user", "hello there")]


def test_of_an_answer_that_failed_what_was_spoken_stays(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    parts.chat.fails_after = 12
    say(nano, state, "tell me")
    nano.begin(state, Reply())
    spoken = Spoken()
    with pytest.raises(RuntimeError, match="connection lost"):
        finish(nano, state, spoken)
    parts.chat.fails_after = None
    assert spoken.clauses
    kept = ask(parts, nano, state)[1]
    assert kept[0] == "assistant"
    assert kept[1].rstrip(CUT_OFF) == "".join(spoken.clauses).strip(" ,")


def test_a_synthesizer_that_fails_does_not_end_the_conversation(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    parts.synthesizer.broken = True
    say(nano, state, "hello")
    nano.begin(state, Reply())
    with pytest.raises(RuntimeError, match="no sound"):
        finish(nano, state)
    parts.synthesizer.broken = False
    assert ask(parts, nano, state, "there") == [("user", "hello there")]


def test_a_clause_that_failed_in_the_midst_can_be_made_anew(parts: FakeParts, monkeypatch: pytest.MonkeyPatch) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    nano.begin(state, Reply(says="One. Two. Three."))
    nano.step(Phase.THINK, [state])
    assert nano.step(Phase.SPEAK, [state])[0]
    mark = nano.mark(state)

    def fails(*_: object) -> Generator[None, None, SpeechDelta]:
        yield
        raise RuntimeError("no sound")

    with monkeypatch.context() as broken:
        broken.setattr(FakeSynthesizer, "steps", fails)
        assert nano.step(Phase.SPEAK, [state]) == [[]]
        with pytest.raises(RuntimeError, match="no sound"):
            nano.step(Phase.SPEAK, [state])
    nano.rewind(state, mark)
    assert finish(nano, state).clauses == [" Two.", " Three."]


def test_closing_frees_a_remote_answer(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, "hello")
    nano.begin(state, Reply())
    nano.step(Phase.THINK, [state])
    nano.close(state)
    assert parts.chat.n_stops == 1
