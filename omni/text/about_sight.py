"""Is something said about what the camera shows? English only."""

import re

_THIS = "(?:this|that|these|those|it)"
_PAPER = "(?:sign|text|page|label|words?|note|letter|card|paper|poster|title)"

# Narrow on purpose: told of what the camera shows, a small model talks about that, whatever it was asked.
_ABOUT_SIGHT = re.compile(
    "|".join(
        (
            r"\b(?:camera|webcam|picture|photo|image|screen)s?\b",
            r"\byou (?:\w+ )?see(?:ing)?\b",
            rf"\blook(?:ing)? at (?:{_THIS}|me|my)\b",
            r"\bdo i look\b",
            rf"\bread (?:{_THIS}|what|(?:me )?(?:the|my) {_PAPER})\b",
            rf"\b(?:{_THIS}|the {_PAPER}) says?\b",
            r"\bwhat do(?:es)? (?:this|that|my|the) [\w ]+ say\b",
            r"\bwritten (?:here|there|on|down)\b",
            rf"\bdescribe (?:{_THIS}|what)\b",
            r"\b(?:what|who|which)(?:['’]s| is| are) (?:this|that|these|those)\b",
            r"\bwhat(?:['’]s| is) it\s*[?.!]*$",
            rf"\b(?:what|which) (?!time|day|date|year|month|language)(?:[a-z]+ ){{1,3}}(?:is|are) {_THIS}\s*[?.!]*$",
            r"\bam i (?:\w+ )?(?:hold|show|wear|point|do|mov)ing\b",
            r"\b(?:in|on) my (?:hands?|head|desk|table|face|wall)\b",
            r"\b(?:in front of|behind|around) (?:me|you|us)\b",
            r"\bin here\b",
            r"\bwhere am i\b",
            rf"\bcolou?r (?:is|are|of) (?:{_THIS}|my)\b",
            r"\bis (?:it|(?:the|my|this) (?:light|room))\b.*\b(?:dark|bright|light|dim|on|off)\b",
            r"\b(?:any|some)(?:thing|body|one) (?:is )?moving\b",
        )
    ),
    re.IGNORECASE,
)


def about_sight(text: str) -> bool:
    """Whether the text asks for something that only a look can answer."""
    return _ABOUT_SIGHT.search(text) is not None
