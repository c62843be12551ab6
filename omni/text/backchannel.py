"""Words said over an answer without wanting the turn: "uh-huh", "yeah", "I see"."""

import re

_SPLIT = re.compile(r"[^a-z']+")

# One pattern a word, so that lengthened sounds ("mmmm", "ooh", "yeahhh") need no list.
_SOUND = re.compile(
    r"(m+|h+m+|m+h+m+|u+h+|h+u+h+|a+h+|o+h+|e+h+|a+ha+|e+r+m*|u+m+|hu+m+|wo+w+|ye+a+h*|ya+h*|yep|yup|yes)"
)
_LONE = """
    ok okay right sure fine good great nice cool true exactly absolutely definitely indeed totally interesting alright
    lovely perfect agreed really
"""
_TOGETHER = """
    i see, i know, i understand, i get it, got it, of course, all right, very good, that's right, that is right,
    that's true, makes sense, that makes sense, go on, fair enough, sounds good, oh my, oh dear, my god, oh wow,
    you know, no kidding, is that so, how interesting, very nice, very interesting, that's good, that's nice,
    that's great, that's cool, that's interesting
"""
_PHRASES = frozenset(phrase.strip() for phrase in _TOGETHER.split(",")) | frozenset(_LONE.split())
_LONGEST_PHRASE = 3
MAX_WORDS = 5
"""whoever says more has something to say"""


def is_backchannel(text: str) -> bool:
    """Whether an utterance leaves the turn with the other side.

    Args:
        text: a transcript; "" (a cough, a door) counts as a backchannel.

    Returns:
        True for listeners' words alone; False as soon as one word asks for more ("yeah but", "no", "stop", "wait").
    """
    words = [word for word in _SPLIT.split(text.lower().replace("’", "'")) if word]
    if len(words) > MAX_WORDS or (not words and any(sign.isalnum() for sign in text)):
        return False
    at = 0
    while at < len(words):
        length = _length_at(words, at)
        if not length:
            return False
        at += length
    return True


def _length_at(words: list[str], at: int) -> int:
    """How many words from here on make the longest listener's phrase; 0: none."""
    for length in range(min(_LONGEST_PHRASE, len(words) - at), 0, -1):
        if " ".join(words[at : at + length]) in _PHRASES:
            return length
    return int(_SOUND.fullmatch(words[at]) is not None)
