"""Has the user said all they wanted? Words tell more than silence does."""

import re

from omni.text.about_manner import asked_of
from omni.text.manner import AS_IT_IS

SURE = 0.5
"""at or above: answer after a short silence"""
UNSURE = 0.3
"""at or below: wait as long as patience goes"""
_HANGS_BUT_WHOLE = 0.3
"""guess from which a trailing comma is doubted"""
_ENDS = 0.5
"""guess from which a question ends, without a question mark and in any word: of 90 that were cut none had above 0.36"""


def _listed(*words: str) -> frozenset[str]:
    return frozenset(" ".join(words).split())


_DANGLING = _listed(
    # a sentence does not end in these: conjunctions, articles, possessives, fillers
    "and or but because so if when while as although though unless until since whether than",
    "a an the my your his its our their every of into onto between during without via per",
    "i we they he she i'll i'm we're they're it's that's there's am was were could would should won't shall must may",
    "might um uh er hmm well then maybe perhaps very really just even only such wondering wanted tell named gonna",
)
_DANGLING_UNLESS_ASKED = _listed(
    # a question or a command may end in these ("Where are you from?", "Read it to me"), a statement hardly
    "to in on at for from with about by is are do does did has have had can will it you me like mean called know",
    "need want this that these those her which who whose going get please more some any each also",
)
_FRAGMENT = re.compile(
    r"(?:.* )?(?:i was wondering|i wanted to(?: ask| know)?|i(?: would|'d) like to(?: know| ask)?|let me (?:see|think)"
    r"|the thing is|you know|i mean|i think|i guess|kind of|sort of|for example|as well as|i was thinking)"
    r"|(?:can|could|would|will|do|did|are|were|have) you(?: tell me| please| know)?|is it|is there|are there|can i"
    r"|should i|do i|tell me|(?:how|what) (?:about|if)|(?:what|who|where|when|how)(?: is|'s| are| do| does| did)"
    r"|how (?:many|much|long)|why (?:do|is|are)"
)
_QUESTION_START = re.compile(
    r"(?:(?:in|on|at|to|from|for|by|with|of|about|under) )?"
    r"(?:what|who|whose|whom|where|when|why|how|which|what's|who's|where's|when's|how's)\b"
    r"|(?:is|are|am|was|were|do|does|did|can|could|will|would|should|shall|has|have|had|may|might|must|isn't|aren't"
    r"|don't|doesn't|didn't|can't|couldn't|won't|wouldn't|shouldn't) [a-z']+\b"
)
_COMMAND_START = re.compile(
    r"(?:please )?(?:tell|read|show|give|sing|stop|play|explain|describe|look|say|repeat|translate|count|name|help"
    r"|suggest|write|recommend|remind|spell|define|let's|go|open|close|turn|set|call|find|list|guess|wait|continue"
    r"|sum up|summarize)\b"
)
_WHOLE = _listed(
    "yes no yeah yep nope sure ok okay hello hi hey thanks bye goodbye right exactly stop continue cool great nice",
    "why what who where when how help",
) | {
    "thank you",
    "good morning",
    "good evening",
    "good night",
    "of course",
    "never mind",
    "not really",
    "maybe later",
    "hi there",
    "hello there",
    "thank you very much",
    "that's all",
    "that's it",
    "see you",
    "go on",
    "go ahead",
    "please do",
    "no thanks",
    "no thank you",
    "yes please",
    "i don't know",
}
_LEAD = re.compile(
    r"^(?:(?:okay|ok|so|well|hey|hi|hello|and|um|uh|now|then|alright|oh|yes|no|yeah|please|thanks|but)[,.!]* )+"
)


def finished(text: str, model_guess: float | None) -> float:
    """How likely the user has said all they wanted, 0 to 1. Compare with SURE and UNSURE.

    Args:
        text: what was recognised so far. A recogniser ends everything with a full stop, so that one says little;
            a question mark says something, a comma or dots say the contrary.
        model_guess: a language model's probability that the sentence ends here; None: there is none.
    """
    raw = text.strip().lower().replace("’", "'")
    sentence = re.split(r"(?<=[.!?])\s+", raw)[-1]
    plain = _words(sentence)
    if not plain:
        return 0.0
    # a recogniser loses the mark of many a question, or makes a comma of it
    ends = model_guess is not None and model_guess >= _ENDS
    hangs = raw.endswith((",", "-", "–", "—", ":", "...", "…"))
    if hangs and (model_guess is None or model_guess < _HANGS_BUT_WHOLE):
        return 0.1
    if plain in _WHOLE:
        return 0.9
    if _is_wish(raw):
        return 0.75
    lead = _LEAD.sub("", plain + " ").strip() or plain
    words = lead.split()
    asked = bool(_QUESTION_START.match(lead))
    if hangs and not (asked and ends and raw.endswith(",")):
        # a recogniser's comma after a whole question is as often its mistake
        return UNSURE + 0.05 if asked and raw.endswith(",") else 0.1
    wanted = (asked and (ends or raw.endswith("?"))) or (not asked and bool(_COMMAND_START.match(lead)))
    if words[-1] in _DANGLING or _FRAGMENT.fullmatch(lead) or (words[-1] in _DANGLING_UNLESS_ASKED and not wanted):
        return 0.1
    if wanted:
        # a question mark is heard, not guessed: with one, the turn is never wholly open
        return _mix(0.75 if len(words) > 2 else 0.6, model_guess, at_least=0.45 if asked else 0.35)
    if asked:
        return SURE - 0.05 if model_guess is None else _mix(0.55, model_guess)
    # people go on after a statement, so even a whole one is given time
    return min(_mix(0.5, model_guess), SURE - 0.05)


def _is_wish(words: str) -> bool:
    """True for a turn that only asks for another manner, or to hear it again: "Louder, please." """
    asked = asked_of(words, AS_IT_IS)
    return asked is not None and (asked.again or asked.answer is not None)


def _words(sentence: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"[^a-z0-9' ,.]", " ", sentence)).strip(" ,.'")


def _mix(from_words: float, guess: float | None, at_least: float = 0.35) -> float:
    if guess is None:
        return from_words
    # measured: the packaged model gives a sentence that was cut under 0.03, and a whole one rarely under 0.12
    whole = min(max((guess - 0.03) / 0.09, 0.0), 1.0)
    return min(1.0, from_words * (at_least + (1 - at_least) * whole) + 0.2 * max(0.0, guess - 0.4))
