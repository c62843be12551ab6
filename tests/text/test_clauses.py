import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.text.clauses import FIRST, LATER, Clauses

_WORDS = st.sampled_from(
    [
        "Well,",
        "the",
        "e.g.",
        "Dr.",
        "3.14",
        "and",
        "Paris.",
        "—",
        "5,",
        "no!",
        "so",
        "https://a.b/c,d?",
        "U.S.",
        "ok;",
        "...",
        "“Yes.”",
        "1.",
        "é",
        "好。",
        "(see:",
        "it's)",
        "10:30",
    ]
)
_TEXTS = st.one_of(
    st.text(),
    st.lists(st.tuples(_WORDS, st.sampled_from([" ", "  ", "\n"]))).map(lambda p: "".join(itertools.chain(*p))),
)


def _split(text: str, cuts: list[int] | None = None) -> list[str]:
    clauses, out = Clauses(), []
    edges = [0, *sorted(cuts or []), len(text)]
    for start, end in itertools.pairwise(edges):
        out += clauses.push(text[start:end])
    return out + clauses.flush()


@given(_TEXTS, st.lists(st.integers(0, 200)))
def test_how_the_text_arrived_does_not_show(text: str, cuts: list[int]) -> None:
    pieces = _split(text, [min(cut, len(text)) for cut in cuts])
    assert "".join(pieces) == text
    assert pieces == _split(text)
    assert all(pieces)


@given(_TEXTS, _TEXTS)
def test_what_comes_later_does_not_change_what_was_returned(text: str, more: str) -> None:
    early = Clauses().push(text)
    assert Clauses().push(text + more)[: len(early)] == early


@given(_TEXTS)
def test_no_clause_is_longer_than_its_limit(text: str) -> None:
    first, *later = [len(piece.split()) for piece in _split(text)] or [0]
    assert first <= FIRST.longest
    assert all(n_words <= LATER.longest for n_words in later)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Yes. It is Paris.", ["Yes.", " It is Paris."]),
        ("No. I do not think so.", ["No.", " I do not think so."]),
        ("To make good tea, boil some water first.", ["To make good tea,", " boil some water first."]),
        ("Well, I think so, yes.", ["Well, I think so,", " yes."]),
        ("The sky looks blue because air scatters light.", ["The sky looks blue", " because air scatters light."]),
        ("Pi is about 3.14 in most books.", ["Pi is about 3.14 in most books."]),
        ("Use tools, e.g. a saw or Dr. Ott's drill.", ["Use tools, e.g. a saw", " or Dr. Ott's drill."]),
        ("It was on the March 5, 2024 list.", ["It was on the March 5, 2024 list."]),
        ("See https://a.org/b,c?d=1. Then call me.", ["See https://a.org/b,c?d=1.", " Then call me."]),
        ("1. Boil it.\n2. Pour it.", ["1. Boil it.", "\n2. Pour it."]),
        ("First line\nsecond line", ["First line", "\nsecond line"]),
        ("He said “Stop.” Then he left!  ", ["He said “Stop.”", " Then he left!", "  "]),
        ("In the U.S. we agree; they do not.", ["In the U.S. we agree;", " they do not."]),
        ("", []),
        ("  ", ["  "]),
    ],
)
def test_it_cuts_where_a_speaker_would_pause(text: str, pieces: list[str]) -> None:
    assert _split(text) == pieces


def test_later_clauses_run_on_to_the_end_of_their_sentence() -> None:
    sentence = " After that, as you know, the water boils and the tea goes in."
    assert _split("Yes." + sentence) == ["Yes.", sentence]


def test_a_clause_is_ready_with_the_first_sign_of_the_next_word() -> None:
    clauses = Clauses()
    assert clauses.push("To make good tea,") == []
    assert clauses.push(" ") == ["To make good tea,"]


def test_text_without_white_space_is_not_held_back_for_ever() -> None:
    clauses = Clauses()
    assert "".join(clauses.push("a" * 10_000))
    assert all(len(piece) <= 300 for piece in clauses.push("b" * 10_000))


@pytest.mark.parametrize("word", ["123456789", "supercalifragilistic", "a" * 299, "1" * 1000])
def test_no_clause_takes_long_to_say(word: str) -> None:
    clauses = Clauses().push(f"{word} " * 100)
    assert max(len(clause) + 7 * sum(map(str.isdigit, clause)) for clause in clauses) <= 560


def test_each_answer_starts_afresh() -> None:
    clauses = Clauses()
    clauses.push("One two three four, five")
    clauses.flush()
    assert clauses.push("To make good tea, boil") == ["To make good tea,"]
