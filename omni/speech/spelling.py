"""What the talker is given to read: digits as words, no asterisks, and where long text may be divided.

The talker has learnt from transcripts, in which numbers are written out.
"""

import re
from typing import Literal

Language = Literal["zh", "en"]

_DIGITS: dict[Language, tuple[str, ...]] = {
    "zh": tuple("零一二三四五六七八九"),
    "en": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
}
_BETWEEN: dict[Language, str] = {"zh": "", "en": " "}
_NUMBER = re.compile("[0-9]+")
# in the order in which the released code looks for them: a full stop wins over a question mark before it
_SENTENCE_ENDS = (r"(?<![0-9])\.", "。", "!", r"\?", "！", "？")


def language_of(text: str) -> Language:
    """Chinese if at least as many ideographs as Latin letters are in it."""
    n_ideographs = sum("\u4e00" <= character <= "\u9fff" for character in text)
    n_letters = sum(character.isascii() and character.isalpha() for character in text)
    return "zh" if n_ideographs >= n_letters else "en"


def spelled(text: str, language: Language, before: str = "") -> str:
    """Text as it is spoken: every digit by its name, and without the asterisks of Markdown.

    Args:
        text: more of the answer, as written.
        language: of the digits' names.
        before: what was written before it. A number that the language model's bursts cut in two keeps the space
            between its words, which the released code forgets.
    """
    names = _DIGITS[language]

    def name(number: re.Match[str]) -> str:
        words = _BETWEEN[language].join(names[int(digit)] for digit in number.group())
        continues = number.start() == 0 and before[-1:].isdecimal()
        return _BETWEEN[language] + words if continues else words

    return _NUMBER.sub(name, text).replace("*", "")


def sentence_end(text: str) -> int | None:
    """Where to divide text: behind its last full stop, or else behind the last mark of the first kind it has.

    A full stop behind a digit belongs to the number.
    """
    for mark in _SENTENCE_ENDS:
        ends = [found.end() for found in re.finditer(mark, text)]
        if ends:
            return ends[-1]
    return None
