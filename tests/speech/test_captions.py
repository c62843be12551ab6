import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.speech.captions import Captions

SENTENCE = "One two, three. 四五六 7 eight!"


def laid(captions: Captions, durations: list[float]) -> list[tuple[str, float]]:
    """Words and when they sound, counted from the beginning."""
    words = []
    for index, duration_s in enumerate(durations):
        offset_s = captions.sound_s
        captions, found = captions.over(duration_s, last=index == len(durations) - 1)
        words += [(word.text, offset_s + word.start_s) for word in found]
    return words


@given(
    text=st.text(alphabet="ab 四五,.7-\n", max_size=60),
    durations=st.lists(st.floats(0.0, 3.0), min_size=1, max_size=8),
)
def test_all_that_was_written_is_laid_in_order_within_the_sound(text: str, durations: list[float]) -> None:
    words = laid(Captions().written(text), durations)
    starts = [start_s for _, start_s in words]
    assert "".join(word for word, _ in words) == text
    assert starts == sorted(starts)
    assert all(0 <= start_s <= sum(durations) + 1e-6 for start_s in starts)


def test_a_word_that_may_go_on_waits() -> None:
    captions, words = Captions().written("hel").over(0.5, last=False)
    assert words == ()
    captions, words = captions.written("lo wor").over(0.5, last=False)
    assert [word.text for word in words] == ["hello"]
    _, words = captions.written("ld").over(0.5, last=True)
    assert [word.text for word in words] == [" world"]


def test_ideographs_are_words_of_their_own() -> None:
    _, words = Captions().written("你好吗").over(1.0, last=True)
    assert [word.text for word in words] == ["你", "好", "吗"]


def test_words_follow_at_the_pace_of_speech() -> None:
    words = laid(Captions().written(SENTENCE * 10), [1.0] * 60)
    starts = [start_s for _, start_s in words]
    assert starts[0] == 0.0
    # six seconds of text at the usual pace, give or take, and not all at once
    assert 2 < starts[len(SENTENCE.split()) + 2] < 8


def test_slow_speech_takes_its_time() -> None:
    plain, slow = (laid(Captions(speed=speed).written(SENTENCE * 4), [0.5] * 60) for speed in (1.0, 0.5))
    assert [word for word, _ in slow] == [word for word, _ in plain]
    # all but the last, which waits for the end
    expected = [2 * start_s for _, start_s in plain[:-1]]
    assert [start_s for _, start_s in slow[:-1]] == pytest.approx(expected, abs=0.01)


def test_words_do_not_run_ahead_of_the_sound() -> None:
    captions = Captions().written("one two three four five six seven eight nine ten ")
    captions, early = captions.over(0.5, last=False)
    assert len(early) < 4
    # the talker took its time: what is left starts where the sound is, not in the past
    captions, _ = captions.over(30.0, last=False)
    captions, _ = captions.written("eleven twelve ").over(1.0, last=False)
    assert captions.word_s > 30.5


def test_what_is_left_at_the_end_is_spread_over_what_is_left_of_the_sound() -> None:
    _, words = Captions().written("one two three four five six seven eight nine ten").over(1.0, last=True)
    gaps = [after.start_s - before.start_s for before, after in pairwise(words)]
    assert math.isclose(sum(gaps) + gaps[-1], 1.0, abs_tol=0.2)
    assert words[-1].start_s < 1.0


def test_an_end_without_sound_takes_the_rest() -> None:
    _, words = Captions().written("left over").over(0.0, last=True)
    assert "".join(word.text for word in words) == "left over"


@pytest.mark.parametrize("text", ["", "  \n"])
def test_without_words_white_space_is_kept(text: str) -> None:
    _, words = Captions().written(text).over(1.0, last=True)
    assert "".join(word.text for word in words) == text
