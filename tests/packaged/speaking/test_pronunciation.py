from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omni.packaged.speaking.pronunciation import Pronouncer, split_words

STRESS = str.maketrans("", "", "ˈˌ")
pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def pronouncer() -> Pronouncer:
    return Pronouncer()


def _sounds(pronouncer: Pronouncer, clause: str) -> list[str]:
    """Phonemes of each written word."""
    reading = pronouncer.read(clause)
    edges = [*reading.starts, len(reading.phonemes)]
    return [reading.phonemes[start:end].strip() for start, end in pairwise(edges)]


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("e.g. tea", "for example tea"),
        ("i.e. tea", "that is tea"),
        ("It is 5 km away", "It is five kilometers away"),
        ("a speed of 5 km/h", "a speed of five kilometers per hour"),
        ("20% off", "twenty percent off"),
        ("pi is 3.14", "pi is three point one four"),
        ("100 g of tea", "one hundred grams of tea"),
        ("Dr. Smith", "Doctor Smith"),
        ("example.org/a?b=1", "example dot org"),
        ("bob@example.com", "bob at example dot com"),
        ("**very** _good_", "very good"),
        ("[my page](http://a.org/b)", "my page"),
        ("~5", "about five"),
        ("H2O", "H two O"),
        ("so 😀 nice 👍🏽", "so nice"),
    ],
)
def test_what_is_not_prose_is_read_as_prose(pronouncer: Pronouncer, written: str, spoken: str) -> None:
    as_read, as_prose = (pronouncer.read(text).phonemes.translate(STRESS) for text in (written, spoken))
    assert as_read == as_prose


def test_each_written_word_knows_its_sounds(pronouncer: Pronouncer) -> None:
    two, hours, ago = _sounds(pronouncer, "2 hrs ago")
    assert [two, hours, ago] == _sounds(pronouncer, "two hours ago")


def test_words_without_a_sound_start_where_the_next_one_does(pronouncer: Pronouncer) -> None:
    reading = pronouncer.read("tea 😀 time 😀")
    assert reading.starts[1] == reading.starts[2]
    assert reading.starts[3] == len(reading.phonemes)


@pytest.mark.parametrize("clause", ["", " ", "😀", "!!!", "—", "你好", "**", "\x00", "#"])
def test_nothing_to_say_is_nothing(pronouncer: Pronouncer, clause: str) -> None:
    assert pronouncer.read(clause).phonemes == ""


def test_a_word_of_any_length_is_read_in_bounded_time(pronouncer: Pronouncer) -> None:
    assert len(pronouncer.read("7" * 100_000).phonemes) < 500
    assert len(pronouncer.read("a" * 100_000).phonemes) < 500


@given(st.text())
def test_words_are_the_clause(clause: str) -> None:
    assert "".join(split_words(clause)) == clause


_ODD = st.text(alphabet=st.sampled_from("aeT 0129.,:/-$%°²'\"()[]@#&+~*_\n€½é£"))


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=60), _ODD))
def test_any_text_is_read(pronouncer: Pronouncer, clause: str) -> None:
    reading = pronouncer.read(clause)
    assert "".join(reading.words) == clause
    assert len(reading.starts) == len(reading.words)
    assert list(reading.starts) == sorted(reading.starts)
