"""When the words of an answer sound, for a talker that does not say: an estimate by the pace of speech.

The talker is given text ahead of its sound and keeps the alignment to itself. So each word is taken to last as long as
it does on average, and at the end of the answer what is left of the text is spread over what is left of the sound.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from omni.types import Word

# A word with the white space before it; ideographs are a word each.
_WORD = re.compile(r"\s*(?:[\u3400-\u9fff]|[^\s\u3400-\u9fff]+)")
_LETTER_S = 0.063
"""of a word in an alphabet: about 150 words a minute"""
_IDEOGRAPH_S = 0.22
_DIGIT_S = 0.3
"""every digit is spoken by its name"""
_PAUSES_S = {**dict.fromkeys(",;:、，；：", 0.2), **dict.fromkeys(".!?。！？", 0.35)}
"""after a word that ends so"""


@dataclass(frozen=True, slots=True)
class Captions:
    """What of an answer has not sounded yet. A value: every change gives a new one."""

    text: str = ""
    """written, and not yet in any word"""
    word_s: float = 0.0
    """when the next word is expected to start, counted from the start of the sound"""
    sound_s: float = 0.0
    """of sound so far"""
    speed: float = 1.0
    """factor on the pace of the speech"""

    def written(self, text: str) -> "Captions":
        """With more of the answer's text."""
        return replace(self, text=self.text + text)

    def over(self, duration_s: float, *, last: bool) -> tuple["Captions", tuple[Word, ...]]:
        """Lay words over the next piece of sound.

        Args:
            duration_s: of the piece.
            last: neither text nor sound follows: all words that are left lie in this piece.

        Returns:
            what is left, and the words that start in the piece, start_s counted from the piece's start.
        """
        pieces = list(_words(self.text, last=last))
        end_s = self.sound_s + duration_s
        start_s, stretch = max(self.word_s, self.sound_s), 1 / self.speed
        if last and pieces:
            start_s = min(start_s, end_s)
            stretch = min(stretch, (end_s - start_s) / sum(map(_seconds, pieces)))
        words: list[Word] = []
        for piece in pieces:
            if start_s >= end_s and not last:
                break
            words.append(Word(piece, max(0.0, start_s - self.sound_s)))
            start_s += stretch * _seconds(piece)
        rest = self.text[sum(len(word.text) for word in words) :]
        return replace(self, text=rest, word_s=start_s, sound_s=end_s), tuple(words)


def _words(text: str, *, last: bool) -> Iterator[str]:
    """Whole words of a text that may go on; with the last one its end, white space and all."""
    matches = [found.group() for found in _WORD.finditer(text)]
    if last:
        rest = text[sum(map(len, matches)) :]
        yield from (*matches[:-1], matches[-1] + rest) if matches else ((text,) if text else ())
        return
    # A word is whole once something follows it.
    whole = sum(map(len, matches)) < len(text)
    yield from matches if whole else matches[:-1]


def _seconds(word: str) -> float:
    """How long a word takes, with the pause after it; what has no sound passes quickly."""
    spoken = word.strip()
    pause_s = _PAUSES_S.get(spoken[-1:], 0.0)
    return pause_s + sum(map(_letter_s, spoken)) + _LETTER_S


def _letter_s(letter: str) -> float:
    if letter.isdigit():
        return _DIGIT_S
    return _IDEOGRAPH_S if "\u3400" <= letter <= "\u9fff" else _LETTER_S * letter.isalpha()
