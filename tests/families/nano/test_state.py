"""Going back, and keeping only what was heard, on parts that are exact and instant."""

import math

import numpy as np

from omni.families.nano.state import CUT_OFF
from omni.model import Phase
from omni.types import Reply, Unit
from tests.fakes_nano import (
    TIMING,
    WORD_S,
    FakeChat,
    FakeParts,
    Spoken,
    answer,
    answer_to,
    ask,
    asked,
    finish,
    parrot,
    put,
    say,
    step,
)

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


def test_nothing_is_spoken_before_its_text_is_given(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, "I like tea.")
    nano.begin(state, Reply())
    mark = nano.mark(state)
    finish(nano, state)
    nano.rewind(state, mark)
    spoken = Spoken()
    step(nano, state, Phase.SPEAK, spoken)
    assert not spoken.clauses
    step(nano, state, Phase.THINK, spoken)
    step(nano, state, Phase.SPEAK, spoken)
    assert spoken.text.startswith(spoken.clauses[0])


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
    for heard_s in (5 * WORD_S, 2 * WORD_S, 9 * WORD_S):
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
