"""What a recogniser writes that nobody said: sounds in brackets, and phrases repeated without end."""

import re

_BRACKETED = re.compile(r"\([^)]*\)?|\[[^\]]*\]?|\*[^*]*\*|[♪♫]+")
_WORD = re.compile(r"\S+")

MAX_LOOP_WORDS = 20
"""longest phrase that is looked at"""
LOOP_TIMES = 4
"""people say "no, no, no"; four times the same is the decoder's doing"""
LONG_PHRASE_WORDS = 8
"""a phrase as long as this is the decoder's doing the second time; should somebody repeat it, nothing is lost"""
FASTEST_WORDS_PER_S = 5.5
"""quicker than people talk: then a phrase said twice was written twice"""


def clean_transcript(text: str, duration_s: float) -> str:
    """Keep what was said.

    Args:
        text: as the recogniser wrote it.
        duration_s: length of the sound it was heard in, at least 0.

    Returns:
        the text without "(coughing)", "[Music]", "*sighs*" and notes, without loops; "" if no letter or digit is left.
    """
    text = " ".join(_BRACKETED.sub(" ", text).split())
    n_words = len(text.split())
    hurried = n_words >= 8 and n_words > FASTEST_WORDS_PER_S * duration_s
    text = without_loops(text, min_times=2 if hurried else LOOP_TIMES)
    return text if any(sign.isalnum() for sign in text) else ""


def without_loops(text: str, min_times: int = LOOP_TIMES) -> str:
    """Write a phrase once that stands `min_times` or more in a row, or twice if it is long.

    Case and punctuation do not count.
    """
    spans = [match.span() for match in _WORD.finditer(text)]
    words = [_bare(text[start:end]) for start, end in spans]
    kept: list[int] = []
    at = 0
    while at < len(words):
        length, times = _loop_at(words, at, min_times)
        kept += range(at, at + length)
        at += length * times
        # The decoder is often cut in the middle of its last repetition.
        if times > 1 and words[at:] == words[at - length :][: len(words) - at]:
            break
    return " ".join(text[slice(*spans[index])] for index in kept)


def _loop_at(words: list[str], at: int, min_times: int) -> tuple[int, int]:
    """Length of the shortest phrase that loops here and how often; (1, 1) where none does."""
    for length in range(1, MAX_LOOP_WORDS + 1):
        phrase = words[at : at + length]
        times = 1
        while words[at + times * length : at + (times + 1) * length] == phrase:
            times += 1
        if times >= (2 if length >= LONG_PHRASE_WORDS else min_times) and any(phrase):
            return length, times
    return 1, 1


def _bare(word: str) -> str:
    return "".join(sign for sign in word.lower() if sign.isalnum())
