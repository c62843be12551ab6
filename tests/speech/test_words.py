"""Which words of an answer were heard."""

import pytest

from omni.speech.words import heard_text
from omni.types import Word

WORDS = [Word("One", 0.0), Word(" two", 0.5), Word(" three", 1.5)]


@pytest.mark.parametrize(
    ("heard_s", "text"),
    [
        (0.0, ""),
        (0.24, ""),
        (0.25, "One"),
        (0.99, "One"),
        (1.0, "One two"),
        (1.74, "One two"),
        (1.75, "One two three"),
        (9, "One two three"),
    ],
)
def test_a_word_counts_once_half_of_it_was_heard(heard_s: float, text: str) -> None:
    assert heard_text(WORDS, 2.0, heard_s) == text


def test_nothing_spoken_is_nothing_heard() -> None:
    assert heard_text([], 0.0, 1.0) == ""
