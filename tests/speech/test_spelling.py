"""What the talker is given to read."""

import pytest

from omni.speech.spelling import Language, language_of, sentence_end, spelled


@pytest.mark.parametrize(
    ("text", "language"),
    [("Hello there", "en"), ("你好", "zh"), ("I say 你好", "en"), ("ok 好的", "zh"), ("17", "zh"), ("", "zh")],
)
def test_language(text: str, language: Language) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        (" 17 cats", "en", " one seven cats"),
        ("有17只猫", "zh", "有一七只猫"),
        ("3.5", "en", "three.five"),
        (" **2** dogs", "en", " two dogs"),
        ("no digits", "en", "no digits"),
    ],
)
def test_digits_become_words_and_asterisks_vanish(text: str, language: Language, expected: str) -> None:
    assert spelled(text, language) == expected


def test_a_number_cut_in_two_is_read_as_one() -> None:
    whole = spelled("in 2024", "en")
    assert spelled("in 20", "en") + spelled("24", "en", "in 20") == whole == "in two zero two four"
    assert spelled("24", "zh", "20") == "二四"
    assert spelled(" 24", "en", "20") == " two four"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("One. Two. Three", "One. Two."),
        ("Really? Yes. And", "Really? Yes."),
        ("Yes. Really? And", "Yes."),
        ("It is 3.5 metres", None),
        ("It is 3.5 metres. And", "It is 3.5 metres."),
        ("你好。再见！好", "你好。"),
        ("no end", None),
    ],
)
def test_where_long_text_is_divided(text: str, kept: str | None) -> None:
    end = sentence_end(text)
    assert (None if end is None else text[:end]) == kept
