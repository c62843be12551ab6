"""Cuts an answer into clauses while it is still being written, so that speaking can start with the first of them.

The rules look only at words that are complete (followed by white space), one after another, so how the text
arrived cannot show in where it is cut.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """When a clause is long enough to be spoken. All in words."""

    comma: int
    """from here on a comma, semicolon, colon or dash ends it"""
    conjunction: int
    """from here on it ends before a conjunction"""
    longest: int
    """it ends at any word"""


FIRST = Limits(comma=4, conjunction=4, longest=14)
"""the answer's first clause: short, because somebody is waiting"""
LATER = Limits(comma=12, conjunction=16, longest=25)
"""the rest: whole sentences sound better, and there is time while the first is playing"""

_LONGEST_WORD = 300
"""letters; text without any white space must not be held back for ever"""

_LONGEST_CLAUSE = 180
"""letters; some 11 s of speech, beyond which making it would keep others waiting"""
_LETTERS_OF_DIGIT = 8
"""as it is said in a large number"""

_CONJUNCTION = re.compile(
    "and|but|or|so|because|although|though|while|whereas|which|who|where|when|if|unless|until|since", re.IGNORECASE
)
# not "no.", "sun." and the like, which end sentences far more often than they abbreviate
_ABBREVIATION = re.compile(
    r"(?:dr|mrs?|ms|prof|st|mt|jr|sr|rev|gen|col|capt|lt|sgt|sen|rep|gov|hon|vs|etc|approx|est|vol|inc|ltd|corp|dept|univ"
    r"|ave|blvd|rd|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|(?:[a-z]\.)*[a-z])\.",
    re.IGNORECASE,
)
_OPENING = "\"'“‘([*_`"
_CLOSING = "\"'”’)]*_`"
_NUMBER = re.compile(r"[\d.,]*\d")


class Clauses:
    """Splitter of one answer at a time. Everything it returns, joined, is everything it was given.

    White space goes with the word it precedes; what trails the whole answer is flushed with, or after, its last clause.
    """

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._limits = FIRST
        self._clause = ""
        self._n_words = 0
        self._n_letters = 0
        self._space = ""
        self._word = ""
        self._n_letters_of_word = 0

    def push(self, text: str) -> list[str]:
        """Take more of the answer, cut anywhere; return the clauses that are now ready to be spoken."""
        ready: list[str] = []
        for character in text:
            if character.isspace():
                ready += self._end_word()
                self._space += character
            else:
                self._word += character
                self._n_letters_of_word += _LETTERS_OF_DIGIT if character.isdigit() else 1
                if self._n_letters_of_word >= _LONGEST_WORD:
                    ready += self._end_word()
        return ready

    def flush(self) -> list[str]:
        """The answer is complete: return what is left of it, and be ready for the next one."""
        ready = self._end_word()
        rest = self._clause + self._space
        self._start()
        return [*ready, rest] if rest else ready

    def _end_word(self) -> list[str]:
        """Judge the word that has just become complete."""
        if not self._word:
            return []
        ready: list[str] = []
        if self._n_words and self._begins_clause(self._word):
            ready.append(self._cut())
        word = self._word
        self._clause += self._space + word
        self._n_words += 1
        self._n_letters += self._n_letters_of_word
        self._n_letters_of_word = 0
        self._space = self._word = ""
        if self._ends_clause(word):
            ready.append(self._cut())
        return ready

    def _cut(self) -> str:
        clause, self._clause, self._n_words, self._n_letters = self._clause, "", 0, 0
        self._limits = LATER
        return clause

    def _begins_clause(self, word: str) -> bool:
        # a line break is a list or a paragraph: nobody reads on over it in one breath
        return "\n" in self._space or (
            self._n_words >= self._limits.conjunction and _CONJUNCTION.fullmatch(word) is not None
        )

    def _ends_clause(self, word: str) -> bool:
        bare = word.rstrip(_CLOSING)
        return (
            self._n_words >= self._limits.longest
            or self._n_letters >= _LONGEST_CLAUSE
            or self._ends_sentence(bare)
            or (self._n_words >= self._limits.comma and _pauses(bare))
        )

    def _ends_sentence(self, bare: str) -> bool:
        if bare.endswith(("!", "?", "…", "...")):
            return True
        if not bare.endswith("."):
            return False
        # "1." at the head of a clause numbers a list; elsewhere a number may well end its sentence
        numbers_list = self._n_words == 1 and bare[:-1].isdigit()
        return not (numbers_list or _abbreviates(bare))


def _abbreviates(word: str) -> bool:
    return _ABBREVIATION.fullmatch(word.lstrip(_OPENING)) is not None


def _pauses(bare: str) -> bool:
    """True for a word that a speaker would pause after."""
    if bare.endswith(("—", "–", ";", ":")) or bare == "-":
        return True
    # "March 5, 2024" and "e.g., this" read on over their comma
    return bare.endswith(",") and not (_NUMBER.fullmatch(bare[:-1]) or _abbreviates(bare[:-1]))
