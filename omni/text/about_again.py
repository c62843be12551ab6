"""Does the user ask to hear the last answer again? English only."""

import re

_AGAIN = r"(?:again|once more|once again|one more time|another time)"
_ANSWER = (
    r"(?:(?:the|your|that)(?: last| whole)? (?:answer|sentence|part|bit|words?|thing)"
    r"|it|that|this|yourself|everything|all of (?:it|that)|what (?:you|was)(?: just)? said)"
)
_ASKS = (
    rf"(?:say|tell me|go over)(?: {_ANSWER})? {_AGAIN}(?: (?P<how>.+))?",
    rf"repeat(?: {_ANSWER})?(?: {_AGAIN})?(?: (?!after\b)(?P<how>.+))?",
    rf"say (?:it|that|this) (?P<how>(?!{_AGAIN}).+)",
    rf"{_AGAIN}(?: (?P<how>.+))?",
    r"come again",
    rf"what (?:did you(?: just)? say|(?:was|were) (?:that|you saying)|was it that you said)(?: {_AGAIN}| just now)?",
    rf"i (?:did|could) not(?: quite| really| even)? (?:hear|catch|get) (?:you|{_ANSWER})",
    r"i (?:did|could|can) not(?: quite| really)? understand (?:you|what you(?: just)? said)",
    rf"i missed {_ANSWER}",
    r"(?:i beg your )?pardon(?: me)?",
)
_ASK = tuple(re.compile(pattern) for pattern in _ASKS)
_WHOLE = re.compile(r"\W*(?:(?:what|huh|sorry|excuse me|say what)\?|again(?:,? please)?)\W*", re.IGNORECASE)
"""as a whole turn; without a question mark "Sorry" is something else"""


def asks_again(clause: str) -> str | None:
    """Whether a clause asks to hear the last answer again, such as "say that again more slowly".

    Args:
        clause: lower case, without courtesy and with "not" spelled out.

    Returns:
        How it is to be said, in the user's words; "" if they say nothing of that. None: it is not asked for.
    """
    for pattern in _ASK:
        if match := pattern.fullmatch(clause):
            return match.groupdict().get("how") or ""
    return None


def is_what(words: str) -> bool:
    """True for a turn that is no more than a "What?", a "Sorry?" or an "Again!"."""
    return bool(_WHOLE.fullmatch(words))
