"""What users say to hear an answer again, and what sounds like it."""

import pytest

from omni.text.about_again import asks_again, is_what


@pytest.mark.parametrize(
    ("clause", "how"),
    [
        ("say that again", ""),
        ("say again", ""),
        ("repeat", ""),
        ("repeat the last sentence", ""),
        ("repeat that last part", ""),
        ("i missed your last words", ""),
        ("tell me that once more", ""),
        ("one more time", ""),
        ("what did you just say", ""),
        ("what was that again", ""),
        ("i did not quite catch that", ""),
        ("i did not understand what you said", ""),
        ("pardon me", ""),
        ("say that again more slowly", "more slowly"),
        ("say it louder", "louder"),
        ("repeat that in a deep voice", "in a deep voice"),
    ],
)
def test_asked(clause: str, how: str) -> None:
    assert asks_again(clause) == how


@pytest.mark.parametrize(
    "clause",
    [
        "repeat after me",
        "say hello",
        "tell me a story again",
        "what did you say about paris",
        "i do not understand",
        "i can not hear you",
        "what was that film called",
        "i missed my train",
    ],
)
def test_not_asked(clause: str) -> None:
    assert asks_again(clause) is None


def test_a_word_that_is_a_whole_turn() -> None:
    assert [is_what(words) for words in ("What?", "Huh?", "Sorry?", "Again!", "Sorry.", "What is that?")] == [
        True,
        True,
        True,
        True,
        False,
        False,
    ]
