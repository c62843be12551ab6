"""Nano's rules, on parts that are exact and instant."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from omni.families.nano import CONTINUING, OPENING, SHOWING, Nano
from omni.families.nano_state import CUT_OFF, KEPT_MESSAGES, MAX_MESSAGES, State
from omni.model import Phase
from omni.text.chat import Message
from omni.text.finished import finished
from omni.types import Delta, Reply, SpeechDelta, TextDelta, Transcript, TurnEnd, Unit, Voice
from tests.fakes_nano import TIMING, WORD_S, FakeChat, FakeParts, parrot, picture, sound, whole


@dataclass
class Spoken:
    """What came of an answer."""

    text: str = ""
    clauses: list[str] = field(default_factory=list)
    pcm: list[np.ndarray] = field(default_factory=list)
    n_last: int = 0
    end: TurnEnd | None = None

    def take(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            match delta:
                case TextDelta(text, last):
                    assert not self.n_last, "text after the last"
                    self.text += text
                    self.n_last += last
                case SpeechDelta(pcm, words):
                    assert self.end is None
                    self.clauses.append("".join(word.text for word in words))
                    self.pcm.append(pcm)
                case TurnEnd():
                    assert self.end is None
                    self.end = delta
                case Transcript():
                    raise AssertionError("a transcript in an answer")

    @property
    def n_samples(self) -> int:
        return sum(map(len, self.pcm))


def say(nano: Nano, state: State, text: str) -> Transcript:
    (row,) = nano.listen([Unit(audio=sound(text))], [state])
    (transcript,) = row
    assert isinstance(transcript, Transcript)
    return transcript


def put(nano: Nano, state: State, unit: Unit) -> None:
    assert nano.listen([unit], [state]) == [[]]


def step(nano: Nano, state: State, phase: Phase, spoken: Spoken) -> None:
    spoken.take(nano.step(phase, [state])[0])


def finish(nano: Nano, state: State, spoken: Spoken | None = None) -> Spoken:
    spoken = spoken or Spoken()
    for _ in range(200):
        for phase in (Phase.THINK, Phase.SPEAK):
            step(nano, state, phase, spoken)
        if spoken.end is not None:
            return spoken
    raise AssertionError("the turn does not end")


def answer(nano: Nano, state: State, reply: Reply | None = None) -> Spoken:
    nano.begin(state, reply or Reply())
    return finish(nano, state)


def asked(parts: FakeParts) -> list[tuple[str, str]]:
    """What the language model was asked last."""
    return [(message.role, message.text) for message in parts.chat.begun[-1]]


def ask(parts: FakeParts, nano: Nano, state: State, text: str = "And now?") -> list[tuple[str, str]]:
    """Take another turn and return what the language model was asked in it."""
    say(nano, state, text)
    answer(nano, state)
    return asked(parts)


@pytest.fixture
def parts() -> FakeParts:
    return FakeParts(FakeChat(parrot))


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


def answer_to(parts: FakeParts, question: str) -> Spoken:
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, question)
    return answer(nano, state)


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
    assert KEPT_MESSAGES < MAX_MESSAGES


# ---------------------------------------------------------------- what is seen


def test_what_the_camera_shows_is_told_to_those_who_ask(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    put(nano, state, Unit(image=picture(7)))
    assert ask(parts, nano, state, "How are you?")[-1] == ("user", "How are you?")
    told = ("user", "(The camera shows: something of shade 7.)\nWhat is this?")
    assert ask(parts, nano, state, "What is this?")[-1] == told
    put(nano, state, Unit(text="What is this?"))
    answer(nano, state)
    assert asked(parts)[-1] == told
    assert len(parts.eyes.looks) == 1


def test_the_eyes_know_what_was_seen_before(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    put(nano, state, Unit(image=picture(7)))
    put(nano, state, Unit(image=picture(8)))
    assert [(shade, before and before.description) for shade, before in parts.eyes.looks] == [
        (7, None),
        (8, "something of shade 7."),
    ]


def test_nobody_waits_for_eyes_that_were_not_asked_for(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    nano.listen([Unit(audio=whole("how "), image=picture(7))], [state])
    nano.listen([Unit(audio=whole("are "), image=picture(8))], [state])
    nano.listen([Unit(audio=sound("you"), image=picture(9))], [state])
    put(nano, state, Unit(image=picture(10)))
    # the very first picture is looked at, so that something is known
    assert [shade for shade, _ in parts.eyes.looks] == [7]
    assert ask(parts, nano, state, "?") == [("user", "how are you?")]


def test_the_end_of_a_question_about_what_is_seen_does_not_wait_for_a_second_look(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    nano.listen([Unit(audio=whole("What do you see "), image=picture(7))], [state])
    nano.listen([Unit(audio=whole("on the table "), image=picture(8))], [state])
    nano.listen([Unit(audio=sound("there?"), image=picture(9))], [state])
    assert [shade for shade, _ in parts.eyes.looks] == [7, 8]
    answer(nano, state)
    assert asked(parts)[-1] == (
        "user",
        "(The camera shows: something of shade 8.)\nWhat do you see on the table there?",
    )
    # in the next turn a newer one is worth a look
    assert ask(parts, nano, state, "And what do you see now?")[-1] == (
        "user",
        "(The camera shows: something of shade 9.)\nAnd what do you see now?",
    )


def test_a_short_question_about_what_is_seen_waits_for_the_eyes(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    put(nano, state, Unit(image=picture(6)))
    nano.listen([Unit(audio=sound("What is this?"), image=picture(7))], [state])
    answer(nano, state)
    assert asked(parts) == [("user", "(The camera shows: something of shade 7.)\nWhat is this?")]


def test_words_that_were_cut_apart_come_under_the_newer_note(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    nano.listen([Unit(audio=whole("What do you see"), image=picture(7))], [state])
    answer(nano, state)
    nano.truncate(state, 0.0)
    nano.listen([Unit(audio=whole("in my hand?"), image=picture(9))], [state])
    answer(nano, state)
    assert asked(parts) == [("user", "(The camera shows: something of shade 9.)\nWhat do you see in my hand?")]


def test_a_picture_without_a_word_is_told(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    put(nano, state, Unit(image=picture(7)))
    answer(nano, state)
    assert asked(parts) == [("user", f"(The camera shows: something of shade 7.)\n{SHOWING}")]
    answer(nano, state)
    assert asked(parts)[-1] == ("user", CONTINUING)


# ---------------------------------------------------------------- going back


def test_a_wrong_guess_of_the_turns_end_leaves_no_trace(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, "I like tea")
    mark = nano.mark(state)
    answer(nano, state)
    nano.rewind(state, mark)
    assert say(nano, state, " and coffee.").text == "I like tea and coffee."
    spoken = answer(nano, state)
    assert asked(parts) == [("user", "I like tea and coffee.")]
    expected = FakeParts(FakeChat(parrot))
    assert spoken.clauses == answer_to(expected, "I like tea and coffee.").clauses


def test_the_same_guess_again_costs_nothing(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, "I like tea.")
    mark = nano.mark(state)
    first = answer(nano, state)
    nano.rewind(state, mark)
    say(nano, state, "")
    second = answer(nano, state)
    assert (first.text, first.clauses, first.end) == (second.text, second.clauses, second.end)
    assert len(parts.chat.begun) == len(parts.chat.warmed) == 1
    assert len(parts.synthesizer.spoken) == len(first.clauses)


def test_an_answer_goes_on_from_any_mark_whatever_happened_since() -> None:
    """At every quantum of an answer: mark, be spoken over, answer that, come back, and finish as if nothing was."""
    expected = answer_to(FakeParts(FakeChat(parrot)), "tell me")
    for quantum in range(100):
        parts = FakeParts(FakeChat(parrot))
        nano = parts.nano()
        state = nano.open("", None)
        say(nano, state, "tell me")
        nano.begin(state, Reply())
        spoken = Spoken()
        for number in range(quantum):
            step(nano, state, (Phase.THINK, Phase.SPEAK)[number % 2], spoken)
        mark = nano.mark(state)
        other = nano.mark(state)
        say(nano, state, "uh-huh")
        answer(nano, state)
        nano.rewind(state, other)
        nano.truncate(state, 0.0)
        say(nano, state, "something else")
        nano.rewind(state, mark)
        if spoken.end is None:
            finish(nano, state, spoken)
        assert (spoken.text, spoken.clauses) == (expected.text, expected.clauses)
        np.testing.assert_array_equal(np.concatenate(spoken.pcm), np.concatenate(expected.pcm))
        assert ask(parts, nano, state)[:2] == [("user", "tell me"), ("assistant", expected.text)]
        if quantum > 2 * len(expected.clauses) + 20:
            return


def test_speech_over_an_answer_in_the_writing_does_not_disturb_it(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, "tell me")
    nano.begin(state, Reply())
    spoken = Spoken()
    step(nano, state, Phase.THINK, spoken)
    mark = nano.mark(state)
    assert say(nano, state, "uh-huh").text == "uh-huh"
    nano.rewind(state, mark)
    finish(nano, state, spoken)
    assert len(parts.chat.begun) == 1


def test_an_answer_that_comes_out_otherwise_ends_where_it_was(parts: FakeParts) -> None:
    """A remote model never writes the same twice: what was said already is not contradicted."""
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, "tell me")
    nano.begin(state, Reply())
    spoken = Spoken()
    step(nano, state, Phase.THINK, spoken)
    text = spoken.text
    mark = nano.mark(state)
    say(nano, state, "wait")
    answer(nano, state)
    parts.chat.script = lambda _: "Something altogether different."
    nano.rewind(state, mark)
    assert finish(nano, state, spoken).text == text


def test_marks_may_be_used_in_any_order(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    texts = ["a", "b", "c", "d"]
    marks = []
    for text in texts:
        say(nano, state, text)
        marks.append(nano.mark(state))
    for index in (2, 0, 3, 0, 1):
        nano.rewind(state, marks[index])
        assert say(nano, state, "!").text == "".join(texts[: index + 1]) + "!"


# ---------------------------------------------------------------- what was heard


def words_kept(parts: FakeParts, heard_s: float) -> str:
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, "tell me")
    answer(nano, state)
    nano.truncate(state, heard_s)
    return " ".join(text for role, text in ask(parts, nano, state) if role == "assistant")


def test_an_answer_is_cut_at_the_words_that_were_heard() -> None:
    text = answer_to(FakeParts(FakeChat(parrot)), "tell me").text
    words = text.split()
    for n_words in range(1, len(words)):
        expected = " ".join(words[:n_words])
        expected = expected if expected[-1] in ".!?" else expected.rstrip(",") + CUT_OFF
        # a word counts from its middle on
        for heard_s in (WORD_S * (n_words - 0.45), WORD_S * n_words, WORD_S * (n_words + 0.45)):
            assert words_kept(FakeParts(FakeChat(parrot)), heard_s) == expected
    for heard_s in (WORD_S * len(words), 1e6, math.inf):
        assert words_kept(FakeParts(FakeChat(parrot)), heard_s) == text
    for heard_s in (0.0, -1.0, WORD_S * 0.4):
        assert words_kept(FakeParts(FakeChat(parrot)), heard_s) == ""


def test_of_an_answer_nobody_heard_nothing_is_left(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, "What is")
    answer(nano, state)
    nano.truncate(state, 0.0)
    assert ask(parts, nano, state, "the time?") == [("user", "What is the time?")]


def test_truncating_in_the_middle_stops_the_answer(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, "tell me")
    nano.begin(state, Reply())
    spoken = Spoken()
    while not spoken.clauses:
        step(nano, state, Phase.THINK, spoken)
        step(nano, state, Phase.SPEAK, spoken)
    nano.truncate(state, spoken.n_samples / TIMING.output_rate)
    assert parts.chat.n_stops == 1
    assert nano.step(Phase.THINK, [state]) == nano.step(Phase.SPEAK, [state]) == [[]]
    assert ask(parts, nano, state)[1] == ("assistant", spoken.clauses[0].strip(" ,") + CUT_OFF)


def test_truncating_again_only_forgets_more(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, "tell me")
    answer(nano, state)
    for heard_s in (5 * WORD_S, 9 * WORD_S, 2 * WORD_S):
        nano.truncate(state, heard_s)
    assert ask(parts, nano, state)[1] == ("assistant", f"You said{CUT_OFF}")


def test_words_spoken_over_an_answer_follow_what_was_heard_of_it(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, "tell me")
    answer(nano, state)
    say(nano, state, "no, wait")
    nano.truncate(state, 2 * WORD_S)
    answer(nano, state)
    assert asked(parts)[1:] == [("assistant", f"You said{CUT_OFF}"), ("user", "no, wait")]


def test_a_text_answer_that_was_cut_off_keeps_what_was_shown(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    put(nano, state, Unit(text="hello there my friend"))
    nano.begin(state, Reply(speaks=False))
    spoken = Spoken()
    step(nano, state, Phase.THINK, spoken)
    nano.truncate(state, math.inf)
    assert not spoken.n_last
    assert ask(parts, nano, state)[1] == ("assistant", spoken.text.strip() + CUT_OFF)


def test_truncating_with_nothing_to_truncate_does_nothing(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, "hello")
    nano.truncate(state, 1.0)
    answer(nano, state)
    assert asked(parts) == [("user", "hello")]


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


def test_a_voice_cannot_be_made_yet(parts: FakeParts) -> None:
    with pytest.raises(NotImplementedError, match="built-in voices"):
        parts.nano().prepare_voice("mine", np.zeros(TIMING.input_rate, np.float32))


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
    assert ask(parts, nano, state, "again") == [("user", "hello again")]


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
    assert kept[1].rstrip(CUT_OFF) == "".join(spoken.clauses).strip()


def test_a_synthesizer_that_fails_does_not_end_the_conversation(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    parts.synthesizer.broken = True
    say(nano, state, "hello")
    nano.begin(state, Reply())
    with pytest.raises(RuntimeError, match="no sound"):
        finish(nano, state)
    parts.synthesizer.broken = False
    assert ask(parts, nano, state, "again") == [("user", "hello again")]


def test_closing_frees_a_remote_answer(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, "hello")
    nano.begin(state, Reply())
    nano.step(Phase.THINK, [state])
    nano.close(state)
    assert parts.chat.n_stops == 1
