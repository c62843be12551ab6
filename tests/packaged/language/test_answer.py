"""When an answer is enough and what it may not say, with a model that a test speaks for."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from omni.packaged.language.answer import ANSWER_TOKENS, Answer, Speakable
from omni.packaged.language.openings import Opening
from omni.packaged.language.role import Role
from omni.text.tokenizer import BpeTokenizer

END, NEWLINE = "<|im_end|>", "Ċ"
NUMBERS = [f"Ġ{letter}{other}" for letter in "abcdefghij" for other in "abcdefghij"]
"""a hundred words"""
VOCABULARY: list[str] = [END, NEWLINE, *",;.!*5", "s", "Ġ3", "ĠDr", "Ġauld", *NUMBERS]
ID = {token: index for index, token in enumerate(VOCABULARY)}
TOKENIZER = BpeTokenizer(VOCABULARY, [], [3, *[1] * (len(VOCABULARY) - 1)])
SPEAKABLE = Speakable(TOKENIZER)


def answer(
    limit: int = 100, earlier: tuple[list[int], ...] = (), opening: Opening | None = None, role: Role | None = None
) -> Answer:
    return Answer(TOKENIZER, SPEAKABLE, opening or Opening(), limit, earlier, role=role)


def leaning_towards(*tokens: str) -> Role:
    """Of somebody with these words of their own."""
    leaning = np.zeros(len(VOCABULARY), np.float32)
    leaning[[ID[token] for token in tokens]] = 2.5
    role = SimpleNamespace(leaning=leaning, bend=lambda logits, own, text: np.add(logits, own, out=logits))
    return cast(Role, role)


def chosen(one: Answer, *preferred: str) -> str | None:
    """What is made of a model that would rather say these, the first of them first."""
    logits = np.full(len(VOCABULARY), -100.0, np.float32)
    for rank, token in enumerate(preferred):
        logits[ID[token]] = -rank
    id_ = one.choose(logits)
    if id_ is None:
        return None
    one.push(id_)
    return VOCABULARY[id_]


def say(one: Answer, *tokens: str) -> None:
    for token in tokens:
        assert chosen(one, token) == token


def test_nothing_is_no_answer_and_later_the_model_may_end_it() -> None:
    for end in (END, NEWLINE):
        one = answer()
        assert chosen(one, end, "Ġaa") == "Ġaa"
        assert chosen(one, end, "Ġab") is None
        assert one.over


def test_what_cannot_be_spoken_is_not_said() -> None:
    assert chosen(answer(), "*", "Ġaa") == "Ġaa"


def test_two_sentences_are_enough() -> None:
    one = answer()
    say(one, "Ġaa", ".", "Ġab", "!")
    assert chosen(one, "Ġac") is None


def test_one_long_sentence_is_enough() -> None:
    one = answer()
    say(one, *NUMBERS[:13], ".")
    assert chosen(one, "Ġjj") is None
    one = answer()
    say(one, *NUMBERS[:12], ".", "Ġjj")


def test_a_title_and_the_point_of_a_number_end_no_sentence() -> None:
    one = answer()
    say(one, "ĠDr", ".", "Ġaa", "Ġ3", ".", "5", ".", "Ġab", "!")
    assert chosen(one, "Ġac") is None


def test_three_words_do_not_come_twice_but_a_word_that_has_begun_is_finished() -> None:
    one = answer()
    say(one, "Ġaa", "Ġab", "Ġac", "Ġaa", "Ġab")
    assert chosen(one, "Ġac", "Ġad") == "Ġad"
    one = answer()
    say(one, "Ġaa", "Ġab", "s", "Ġaa", "Ġab", "s")


def test_five_words_of_an_earlier_answer_do_not_come_again() -> None:
    one = answer(earlier=([ID[token] for token in NUMBERS[:8]],))
    say(one, *NUMBERS[2:6])
    assert chosen(one, NUMBERS[6], "Ġjj") == "Ġjj"


@pytest.mark.parametrize(("limit", "late"), [(9, 6), (30, 20), (100, ANSWER_TOKENS - 20)])
def test_near_its_end_a_comma_becomes_the_full_stop(limit: int, late: int) -> None:
    one = answer(limit)
    say(one, *NUMBERS[: late - 2], ",", NUMBERS[late])
    assert chosen(one, ";") == "."
    assert chosen(one, "Ġjj") is None, "not even a short answer goes on in the middle of a sentence"


def test_who_goes_round_in_circles_stops_at_a_comma() -> None:
    one = answer()
    for other in NUMBERS[:3]:
        say(one, "Ġauld", other, ",")
    say(one, "Ġauld", NUMBERS[3])
    assert chosen(one, ",") == "."
    assert chosen(one, "Ġauld") is None


def test_the_comma_of_a_number_stays() -> None:
    one = answer(30)
    say(one, *NUMBERS[:22], "Ġ3", ",", "5")


def test_the_limit_holds() -> None:
    one = answer(limit=5)
    say(one, *NUMBERS[:5])
    assert chosen(one, "Ġjj") is None
    assert one.n_tokens == 5


def test_an_opening_is_told_once_and_may_be_all() -> None:
    one = answer(opening=Opening("It is"))
    assert (one.take_opening(), one.take_opening(), one.over) == ("It is", "", False)
    assert chosen(one, END) is None, "something was said"
    one = answer(opening=Opening("Hello!", complete=True))
    assert (one.take_opening(), one.over) == ("Hello!", True)


def test_a_word_of_ones_own_is_preferred_until_it_was_said_in_the_conversation() -> None:
    role = leaning_towards("Ġab")
    assert chosen(answer(role=role), "Ġaa", "Ġab") == "Ġab"
    assert chosen(answer(role=role, earlier=([ID["Ġac"], ID["Ġab"]],)), "Ġaa", "Ġab") == "Ġaa"
    assert chosen(answer(role=role, earlier=([ID["Ġac"]],)), "Ġaa", "Ġab") == "Ġab"


def test_a_role_seldom_begins_two_answers_alike() -> None:
    earlier = ([ID["Ġaa"], ID["Ġab"], ID["Ġac"]], [ID["Ġaa"]])
    one = answer(earlier=earlier, role=leaning_towards())
    say(one, "Ġaa")
    assert chosen(one, "Ġab", "Ġad") == "Ġad"
    without, further = answer(earlier=earlier), answer(earlier=earlier, role=leaning_towards())
    say(without, "Ġaa", "Ġab")
    say(further, "Ġad", "Ġaa", "Ġab")
