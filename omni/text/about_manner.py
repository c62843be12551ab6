"""Does the user ask the assistant to speak otherwise, or to say it again? English only."""

import re
from dataclasses import dataclass

from omni.text.about_again import asks_again, is_what
from omni.text.manner import AS_IT_IS, Manner, manner_of, says_only_how


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user asked for."""

    manner: Manner
    """from now on"""
    answer: str | None
    """what to say to it; None: they said more than that, which is to be answered"""
    again: bool = False
    """they want to hear the last answer again, in that manner; the answer here is for when there is none"""


@dataclass(frozen=True, slots=True)
class _Wish:
    pattern: str
    """regular expression of a whole clause, without courtesy"""
    manner: Manner
    answer: str
    at_the_end: str
    """what to say if the voice can go no further"""


_DEGREE = r"(?:(?:just |even )?(?:a (?:little )?bit|a little|slightly|a lot|much|way|far|still) )?"
_TALK = r"(?:speak|talk|go|say (?:it|that|this|everything)|read(?: it| that| this)?|answer|be) "
_TOO = r"you (?:speak|talk|(?:are|were)(?: speaking| talking| going)?) (?:much |a bit |a little |way )?too "
_A_BIT = r"(?: a (?:little )?bit| a little| a lot| some)?"
_LONGEST_TURN = 400
"""characters; who says more speaks of something else"""
_WISHES = (
    _Wish(
        rf"(?:{_TALK})?{_DEGREE}(?:slower|more slowly)|(?:speak|talk) (?:very )?slow(?:ly)?|slow (?:it )?down{_A_BIT}"
        rf"|not so (?:fast|quick|quickly)|do not (?:speak|talk|go) so (?:fast|quickly)|{_TOO}(?:fast|quick|quickly)",
        Manner(pace=0.84),
        "Okay, I will speak more slowly.",
        "I am sorry, I cannot speak any slower.",
    ),
    _Wish(
        rf"(?:{_TALK})?{_DEGREE}(?:faster|quicker|more quickly)|(?:speak|talk) (?:very )?(?:fast|quickly)"
        rf"|speed (?:it )?up{_A_BIT}|not so slow(?:ly)?|do not (?:speak|talk|go) so slow(?:ly)?|{_TOO}slow(?:ly)?",
        Manner(pace=1.18),
        "Okay, I will speak faster.",
        "I am sorry, I cannot speak any faster.",
    ),
    _Wish(
        rf"(?:{_TALK})?{_DEGREE}louder|(?:speak|talk) (?:very )?loud(?:ly)?|speak up{_A_BIT}|raise your voice"
        rf"|turn (?:up (?:the|your) volume|(?:the|your) volume up){_A_BIT}|{_TOO}(?:quiet|quietly|soft|softly)"
        r"|i can (?:barely|hardly) hear you|i can not hear you(?: well| very well| properly)?|not so quiet(?:ly)?",
        Manner(loudness=1.3),
        "Okay, I will speak louder.",
        "I am sorry, I cannot speak any louder.",
    ),
    _Wish(
        rf"(?:{_TALK})?{_DEGREE}(?:quieter|softer|more (?:quietly|softly)|less loud(?:ly)?)"
        rf"|(?:speak|talk|be) (?:very )?(?:soft(?:ly)?|quiet(?:ly)?)|lower your voice{_A_BIT}"
        r"|keep your voice (?:down|low)"
        rf"|turn (?:down (?:the|your) volume|(?:the|your) volume down){_A_BIT}|not so loud(?:ly)?"
        rf"|do not (?:speak|talk|be) so loud(?:ly)?|do not (?:shout|yell)|{_TOO}loud(?:ly)?",
        Manner(loudness=0.72),
        "Okay, I will speak more softly.",
        "I am sorry, I cannot speak any more softly.",
    ),
    _Wish(
        rf"(?:speak|talk) (?:in|with) an? {_DEGREE}(?:deep(?:er)?|low(?:er)?) voice"
        rf"|(?:speak|talk) {_DEGREE}(?:deeper|lower)",
        Manner(pitch=0.85),
        "Okay, I will speak in a deeper voice.",
        "I am sorry, my voice goes no deeper.",
    ),
    _Wish(
        rf"(?:speak|talk) (?:in|with) an? {_DEGREE}high(?:er)? voice|(?:speak|talk) {_DEGREE}higher",
        Manner(pitch=1.15),
        "Okay, I will speak in a higher voice.",
        "I am sorry, my voice goes no higher.",
    ),
)
_NORMAL = (
    r"(?:speak|talk|go back to speaking|sound) (?:normal|normally|as usual|as before|like before)(?: again)?"
    r"|(?:speak |talk )?(?:in|with|at) (?:your|a) (?:normal|usual|regular) (?:voice|speed|pace|way)(?: again)?"
    r"|(?:go |switch )?back to (?:normal|your (?:normal|usual|regular) (?:voice|speed|pace))"
    r"|(?:stop|do not|no more) (?:whisper|whispering)(?: any ?more)?"
)
_LIKE_THAT = "Okay, I will speak like that."
_AS_BEFORE = "Okay, I will speak normally again."
_ACKNOWLEDGEMENTS = frozenset(
    (_LIKE_THAT, _AS_BEFORE, *(answer for wish in _WISHES for answer in (wish.answer, wish.at_the_end)))
)
_STYLE = r"(?!.*\babout\b)(?:speak|talk|sound|whisper)\b.*|(?:use|put on) an? .* (?:voice|tone)"
"""a topic, too, asks for more than a manner"""
_NOTHING_YET = "I have not said anything yet."
_POLITE = (
    r"(?:(?:hey|hi|hello|okay|ok|well|so|and|then|now|please|sorry|no|oh|yes|excuse me|just|also|try to"
    r"|(?:could|can|would|will)(?: you)?|i (?:want|need|would like) you to|you (?:should|have to|must|can))(?: |$))*"
)
_COURTESY = re.compile(_POLITE)
_KIND = (
    r"please|now|for me|to me|from now on|next time|thank you|thanks|then|when you (?:speak|talk)"
    r"|if you can|so (?:that )?i can .*|than that|than usual"
)
_TRAIL = re.compile(rf"(?: (?:{_KIND}|again))+$")
_KIND_TRAIL = re.compile(rf"(?: (?:{_KIND}))+$")
_NOT_HEARD = re.compile(rf"{_DEGREE}(?:louder|slower|more (?:slowly|clearly))|i can (?:barely|hardly|not) hear you\b.*")
"""who says no more than that has missed what was said"""


def asked_of(words: str, now: Manner) -> Asked | None:
    """Whether the words ask the assistant to speak in another manner, such as "Could you speak more slowly, please?".

    Args:
        words: all that the user said in their turn.
        now: how it has been asked to speak so far.

    Returns:
        None: they do not; how people speak may be their subject all the same.
    """
    if len(words) > _LONGEST_TURN:
        return None
    manner, answers, n_other, again = now, list[str](), 0, is_what(words)
    for clause, joined in () if again else _clauses(words):
        how = asks_again(_KIND_TRAIL.sub("", clause))
        plain = _TRAIL.sub("", clause) if how is None else f"speak {how}"
        if how == "":
            again = True
            continue
        only_how = says_only_how(plain)
        # "faster and faster" goes on with what went before it
        wished = None if joined and only_how and n_other and not answers else _wished(plain, manner)
        if wished is None and only_how and (answers or again):
            # "more slowly and softly": the verb is said once
            wished = _wished(f"speak {plain}", manner)
        if wished is None:
            # what comes last is what is wanted
            n_other, again = n_other + 1, False
            continue
        missed = how is not None or (not answers and _NOT_HEARD.fullmatch(plain) is not None)
        again = again or (missed and wished[0] != manner)
        manner = wished[0]
        answers.append(wished[1])
    if again:
        return Asked(manner, answers[0] if answers else _NOTHING_YET, again=True)
    if not answers:
        return None
    return Asked(manner, None if n_other else answers[0] if len(answers) == 1 else _LIKE_THAT)


def acknowledges(answer: str) -> bool:
    """True for what asked_of() has the assistant say to a wish: nobody wants to hear just that again."""
    return answer in _ACKNOWLEDGEMENTS


def _clauses(words: str) -> list[tuple[str, bool]]:
    """What was said, by clauses, without courtesy, and whether an "and" joins each to the one before it.

    Clauses of nothing but courtesy are left out.
    """
    plain = words.lower().replace("’", "'")
    for short, long in (("can't", "can not"), ("cannot", "can not"), ("n't", " not"), ("'re", " are"), ("'s", " is")):
        plain = plain.replace(short, long)
    plain = plain.replace("i'd like", "i would like")
    clauses = (" ".join(clause.split()) for clause in re.split(r"[.,;:!?—]+|\b(?=and\b)|\b(?:but|because)\b", plain))
    bare = ((_COURTESY.sub("", clause, count=1), clause.startswith("and ")) for clause in clauses)
    return [(clause, joined) for clause, joined in bare if _TRAIL.sub("", f" {clause}").strip()]


def _wished(clause: str, now: Manner) -> tuple[Manner, str] | None:
    """The manner that a clause asks for, and what to say to it."""
    if re.fullmatch(_NORMAL, clause):
        return AS_IT_IS, _AS_BEFORE
    for wish in _WISHES:
        if re.fullmatch(wish.pattern, clause):
            share = 0.5 if re.search(r"\b(?:bit|little|slightly)\b", clause) else 1.7 if "lot" in clause else 1.0
            then = now.times(wish.manner, share)
            return then, wish.at_the_end if then == now else wish.answer
    if re.fullmatch(_STYLE, clause) and (style := manner_of(clause)) != AS_IT_IS:
        return now.times(style), _LIKE_THAT
    return None
