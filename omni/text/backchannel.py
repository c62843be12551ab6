"""What people say over an answer without wanting the turn."""

import re

_SOUNDS = r"(?:u+h+[- ]?hu+h+|m+[- ]?h+m+|m+h*m*|h+m+|a+h+|o+h+|u+h+|u+m+|e+h+|ha(?:[- ]?ha)*|huh|wow)"
_WORDS = (
    r"(?:yeah|yes|yep|yup|okay|ok|right|alright|all right|sure|cool|nice|great|good|fine|exactly|true|indeed|really|"
    r"i see|got it|of course|makes sense|thank you|thanks|interesting|amazing)"
)
_BACKCHANNEL = re.compile(rf"(?:(?:{_SOUNDS}|{_WORDS})\s*)*")
MAX_WORDS = 4
"""more of them in a row are a speech of their own"""


def is_backchannel(text: str) -> bool:
    """True for "uh-huh", "yeah, okay", a laugh or nothing at all; False for anything that wants the turn.

    "No", "stop" and "wait" are interruptions, however short.
    """
    plain = re.sub(r"[^\w\s'-]+", " ", text.lower()).strip()
    return len(plain.split()) <= MAX_WORDS and _BACKCHANNEL.fullmatch(plain) is not None
