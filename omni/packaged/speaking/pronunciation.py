"""Clause to phonemes for hibari's voice, and which phoneme each written word starts with.

The g2p is hibari's own, used as a library: a lexicon of 180,000 words, a tagger for "read" and "live", an
out-of-vocabulary network, and the readings of numbers, dates, times, money and units. It expects prose; what
chat models write besides prose (markup, links, emoji, Latin abbreviations) is spelled out or dropped here.
"""

import re
import unicodedata
from dataclasses import dataclass
from difflib import SequenceMatcher

from hibari.g2p import G2P
from hibari.g2p.normalize import normalize

_WORD = re.compile(r"\s*\S+(?:\s+\Z)?|\s+\Z")
_PARTS = re.compile(r"([(\[{\"“'‘*_`]*)(.*?)([.,;:!?…)\]}\"”'’*_`]*)", re.DOTALL)
_ADDRESS = re.compile(r"(?:https?://|ftp://)?(?:www\.)?((?:[\w-]+\.)+[a-z]{2,})(/\S*)?", re.IGNORECASE)
_TOP_LEVEL = re.compile(r"\.(?:com|org|net|edu|gov|info|io|ai|uk|de|fr)", re.IGNORECASE)
_EMAIL = re.compile(r"([\w.+-]+)@([\w-]+(?:\.[\w-]+)+)")
_FORMULA = re.compile(r"(?=.*\d)(?:[A-Z][a-z]?\d*){1,6}")
_LONG_NUMBER = re.compile(r"\d{16,}")
_MARKUP = re.compile(r"[*_`|\[\]{}\\]+|#(?!\d)")
_LINK_TARGET = re.compile(r"\]\([^)\s]*\)")
_ABOUT = re.compile(r"~(?=\d)")
_GRAMS = re.compile(r"(\d)\s+g(?![\w'])")
_SOUNDING = re.compile(r"[^\W_]")

_LONGEST_WORD = 64
"""characters of a word that are read; the rest of such a word is noise, and would take seconds"""

_SPELLED = {
    "e.g": "for example",
    "i.e": "that is",
    "hr": "hour",
    "hrs": "hours",
    "kwh": "kilowatt hours",
    "w/": "with",
}
"""by lower-case stem, the dot left out"""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a clause sounds."""

    words: tuple[str, ...]
    """as written, each with the white space that precedes it; joined they are the clause"""
    phonemes: str
    """in hibari's alphabet; empty when there is nothing to say"""
    starts: tuple[int, ...]
    """index into phonemes at which each word begins; never decreasing"""


def split_words(clause: str) -> tuple[str, ...]:
    """Words with the white space that precedes them (the last also has what trails); joined they are the clause."""
    return tuple(_WORD.findall(clause))


class Pronouncer:
    """Reads English clauses. Holds only tables; takes 0.3 to 0.7 s to load."""

    def __init__(self) -> None:
        self._g2p = G2P()
        self._read_tokens("Ready for hibari.")  # loads the out-of-vocabulary network now, not in the first answer

    def read(self, clause: str) -> Reading:
        """Phonemes of a clause, whatever stands in it. Never raises: what cannot be read is not sounded."""
        words = split_words(clause)
        silent = Reading(words, "", (0,) * len(words))
        spelled = [_spell(word.strip()) for word in words]
        said = [(part, owner) for owner, text in enumerate(spelled) for part in text.split()]
        if not any(_SOUNDING.search(part) for part, _ in said):
            return silent
        try:
            text = _GRAMS.sub(r"\1 grams", " ".join(part for part, _ in said))
            read = normalize(text).split()
            phonemes, read_starts = self._read_tokens(" ".join(read))
        # a foreign rule set meets arbitrary text: one clause it trips over must not end the answer
        except Exception:
            return silent
        if not _SOUNDING.search(phonemes):
            return silent
        return Reading(words, phonemes, _written_starts(len(words), said, read, [*read_starts, len(phonemes)]))

    def _read_tokens(self, text: str) -> tuple[str, list[int]]:
        """Phonemes of plain text, and where in them each of its words (text.split()) begins."""
        phonemes, starts, begins_word = "", [], True
        for token in self._g2p.phonemize_tokens(self._g2p.tokenize(text)):
            if begins_word:
                starts.append(len(phonemes))
            phonemes += token.phonemes or ""
            begins_word = bool(token.whitespace)
            if begins_word and phonemes and not phonemes.endswith(" "):
                phonemes += " "
        starts += [len(phonemes)] * (len(text.split()) - len(starts))
        return phonemes.rstrip(), starts


def _spell(word: str) -> str:
    """One written word as prose: possibly several words, possibly none."""
    shown = "".join(character for character in word[:_LONGEST_WORD] if not _is_decoration(character))
    parts = _PARTS.fullmatch(_LINK_TARGET.sub("", shown))
    assert parts, "the pattern matches anything"
    head, stem, tail = parts.groups()
    if spelled := _SPELLED.get(stem.lower()):
        stem, tail = spelled, tail.removeprefix(".")
    elif email := _EMAIL.fullmatch(stem):
        stem = f"{email[1]} at {email[2]}".replace(".", " dot ")
    elif (address := _ADDRESS.fullmatch(stem)) and ("/" in stem or _TOP_LEVEL.search(address[1])):
        # the path of a link is for eyes
        stem = address[1].replace(".", " dot ")
    elif _FORMULA.fullmatch(stem):
        stem = " ".join(stem)
    # digit by digit: nobody knows what comes after quadrillions
    stem = _LONG_NUMBER.sub(lambda number: " ".join(number[0]), stem)
    return _MARKUP.sub(" ", _ABOUT.sub("about ", head + stem + tail))


def _is_decoration(character: str) -> bool:
    """Emoji and other signs without a reading, joiners, and whatever is not a character at all."""
    return unicodedata.category(character) in {"So", "Sk", "Cs", "Co", "Cn", "Cc", "Cf"} and character not in "°`^"


def _written_starts(
    n_words: int, said: list[tuple[str, int]], read: list[str], read_starts: list[int]
) -> tuple[int, ...]:
    """Carry the starts of the words as read ("two hours") back to the words as written ("2 hrs").

    Args:
        said: words given to the normaliser, each with the index of the written word that it spells.
        read: words that the normaliser made of them.
        read_starts: where each of these begins in the phonemes, and the end.
    """
    starts: list[int | None] = [None] * n_words
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, [part for part, _ in said], read, autojunk=False).get_opcodes():
        for i in range(i1, i2):
            # inside a rewritten stretch nobody knows which word became which: spread them evenly
            j = j1 + (i - i1 if tag == "equal" else (i - i1) * (j2 - j1) // (i2 - i1))
            owner = said[i][1]
            if starts[owner] is None:
                starts[owner] = read_starts[j]
    # a word without sound (an emoji) starts where the next one does
    following = read_starts[-1]
    filled = [following] * n_words
    for index in reversed(range(n_words)):
        own = starts[index]
        following = filled[index] = min(following, following if own is None else own)
    return tuple(filled)
