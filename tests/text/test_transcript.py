import pytest

from omni.text.transcript import clean_transcript, without_loops


@pytest.mark.parametrize(
    "text",
    ["(coughing)", "[Music]", "[BLANK_AUDIO]", "*sighs*", "♪♪", "♪ (upbeat music) ♪", "...", "", " - ", "(cough"],
)
def test_sounds_are_no_words(text: str) -> None:
    assert clean_transcript(text, 2.0) == ""


def test_words_beside_sounds_stay() -> None:
    assert clean_transcript("(coughing) What is  the time? [Music]", 2.0) == "What is the time?"


@pytest.mark.parametrize(
    "text", ["No, no, no!", "What is the time?", "It was very, very, very good.", "Bye bye.", "New York, New York!"]
)
def test_what_people_say_twice_stays(text: str) -> None:
    assert clean_transcript(text, 1.5) == text


def test_loops_are_written_once() -> None:
    assert without_loops("I think I think I think I think I think so") == "I think so"
    assert without_loops("Well, " + "the same thing. " * 9) == "Well, the same thing."
    assert without_loops("ha " * 50) == "ha"


def test_a_sentence_written_twice_is_told_by_its_haste() -> None:
    twice = "What is the capital of France? What is the capital of France?"
    assert clean_transcript(twice, 1.7) == "What is the capital of France?"
    assert clean_transcript(twice, 4.5) == twice


def test_a_long_sentence_is_written_once_however_slow() -> None:
    once = "Yesterday evening we walked slowly along the Old Harbor."
    assert clean_transcript(f"{once} {once}", 4.15) == once


def test_a_repetition_that_was_cut_off_goes_too() -> None:
    heard = "What is the capital of France? What is the capital of France? What is"
    assert clean_transcript(heard, 1.7) == "What is the capital of France?"
    assert without_loops("So so so so it goes") == "So it goes"
