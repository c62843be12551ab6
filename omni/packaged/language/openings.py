"""How an answer begins, where the question already says so.

A small model often loses its way in the first words: asked for "my name" it talks about its own. So questions
about the speaker are turned round ("What is my name?" begins "Your name is"), and questions about the camera
begin with what the camera shows. Nothing here knows an answer: the words are the user's,
the camera's, or those of the session's instructions and the examples in them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from omni.packaged.language.prompt import Persona

NOTE = re.compile(r"\(The camera shows: (?P<shown>.*)\)\n")
"""the line that a family puts before the user's words when it has seen something"""

_READ = re.compile(
    r"\bread (?:this|that|it|these|what|to me|out|the|my)\b"
    r"|\b(?:what|which words?) .*\b(?:say|says|written|stand|stands)\b",
    re.I,
)
_SEE = re.compile(
    r"\bwhat (?:can|do|did|else can) you see\b|\bcan you see (?:this|that|it|me|my|anything|what)\b"
    r"|\bdescribe (?:this|that|it|what)\b"
    r"|\bwhat(?:'s| is) (?:.* )?(?:in front of (?:you|me)|(?:on|in) (?:the|my|this) (?:camera|screen|picture|image))\b"
    r"|\blook at (?:this|that|me)\b",
    re.I,
)
_IDENTIFY = re.compile(
    r"\bwhat(?:'s| is| are) (?:this|that|these|those|it)(?: (?:here|thing|object|animal|in my hand))?\s*[?.!]*$"
    r"|\bwhat am i (?:holding|showing|pointing)\b|\bwhat(?:'s| is) (?:in|on) my (?:hand|hands|head|desk|table)\b"
    r"|\b(?:what|which) (?!time|day|date|year|month|language|colou?r)(?:kind of |sort of )?[a-z]+ (?:is|are)"
    r" (?:this|that|these|it)\b",
    re.I,
)
_COLOUR = re.compile(r"\bwhat colou?r\b.*\b(?:this|that|it|is my|is the thing)\b", re.I)
_LIGHT = re.compile(r"\bis (?:it|the light|the room|my room) (?:\w+ )?(?:dark|bright|dim|light)\b", re.I)
_QUOTED = re.compile(r'"[^"]+"')
_THING = re.compile(r"\b(?:perhaps|probably|may be) (?P<thing>an? [^.;,()]+)", re.I)
_LONGEST_QUESTION = 1000
"""characters; of a monologue, the end"""
_LONGEST_ECHO = 12
"""words of a statement that an answer repeats"""
_ABOUT_ME = (
    (r"what(?:'s| is| was) my (?P<a>[a-z' ]+?)(?P<b> called)?", "Your {a} is{b}"),
    (r"what are my (?P<a>[a-z' ]+?)", "Your {a} are"),
    (r"who(?:'s| is) my (?P<a>[a-z' ]+?)", "Your {a} is"),
    (r"how old is my (?P<a>[a-z' ]+?)", "Your {a} is"),
    (r"what does my (?P<a>[a-z']+) do", "Your {a} is"),
    (r"what does my (?P<a>[a-z']+) (?P<b>like|want|need)(?P<c>[a-z ]*?)", "Your {a} {b}s{c}"),
    (
        r"(?:where|what|who|when|how many [a-z]+) (?:do|did) i (?P<a>live|like|work|study|want|need|love|have)[a-z ]*?",
        "You {a}",
    ),
    (r"(?:where|what|when) am i (?P<a>[a-z]+ing)[a-z ]*?", "You are {a}"),
    (r"(?:how old|who) am i", "You are"),
)
_QUESTIONS = tuple((re.compile(rf"\b{pattern}\s*[?.!]*$", re.I), form) for pattern, form in _ABOUT_ME)

_STATEMENT = re.compile(
    r"(?:(?:hi|hello|hey|well|so|and|by the way|actually|okay)[,.!]? )*"
    r"(?P<said>(?:my [a-z' ]+ (?:is|are|was)|i am|i'm|i (?:have|live|like|love|work|study|play|come|was born))"
    r" [^.!?]+)[.!]*$",
    re.I,
)
_SWAP = {
    "i": "you",
    "my": "your",
    "me": "you",
    "am": "are",
    "i'm": "you are",
    "mine": "yours",
    "was": "were",
    "your": "my",
    "you": "me",
}


_NAME_ASKED = re.compile(r"\b(?:what(?:'s| is) your name|who are you|what are you called)\b", re.I)
_NAME_TOLD = re.compile(r"\bmy name is\b", re.I)
_NAME = r"[A-Z]\w*(?: [A-Z]\w*)*"
_NAME_GIVEN = re.compile(rf"\b[Yy]our name is (?P<name>{_NAME})|\b[Yy]ou are (?:called )?(?P<who>{_NAME})")


@dataclass(frozen=True, slots=True)
class Opening:
    """The first words of an answer, for the model to go on from."""

    text: str = ""
    complete: bool = False
    """nothing need follow"""


def opening(message: str, instructions: str = "", earlier: Sequence[str] = (), given: Sequence[str] = ()) -> Opening:
    """The opening that a user's message calls for; empty when it is the model's to choose.

    Args:
        instructions: of the session.
        earlier: what the user said before, oldest first.
        given: what the assistant said before.
    """
    note = NOTE.match(message)
    question = (message[note.end() :] if note else message)[-_LONGEST_QUESTION:]
    if note and (from_camera := _from_camera(note["shown"], question)):
        return Opening(from_camera, complete=True)
    persona = Persona.of(instructions)
    if (answer := persona.answer(question, given)) is not None:
        return Opening(answer, complete=True)
    if _NAME_ASKED.search(question) and (name := _NAME_GIVEN.search(persona.who)):
        return Opening(f"My name is {name['name'] or name['who']}.")
    for pattern, form in _QUESTIONS:
        if match := pattern.search(question):
            start = form.format(**{name: (value or "").lower() for name, value in match.groupdict().items()})
            return _remembered(start, earlier) or Opening(start)
    if persona.examples and not _NAME_TOLD.search(question):
        # a character has its own way to take what it is told
        return Opening()
    if (match := _STATEMENT.match(question.strip())) and len(match["said"].split()) <= _LONGEST_ECHO:
        return Opening(f"I see, {_turned_round(match['said'])}.")
    return Opening()


def _remembered(start: str, earlier: Sequence[str]) -> Opening | None:
    """The user's own latest words that begin so, said back to them: a small model forgets them after a few turns."""
    for message in reversed(earlier):
        match = _STATEMENT.match(NOTE.sub("", message).strip())
        told = _turned_round(match["said"]) if match else ""
        if told.lower().startswith(f"{start.lower()} "):
            return Opening(f"{told[:1].upper()}{told[1:]}.", complete=True)
    return None


def _turned_round(said: str) -> str:
    """What the user says of themselves, said to them."""
    words = said.split()
    plural_was = [word for word in words if word.lower() in ("i", "you")]
    swap = _SWAP if plural_was else {name: word for name, word in _SWAP.items() if name != "was"}
    return " ".join(swap.get(word.lower(), word) for word in words)


def _from_camera(shown: str, question: str) -> str:
    quoted, thing = _QUOTED.findall(shown), _THING.search(shown)
    if _READ.search(question):
        return f"It says {', '.join(quoted)}." if quoted else "I can see no text that I could read."
    for asked, of_note in ((_COLOUR, r"mostly (\w+)"), (_LIGHT, r"light is (\w+)")):
        if asked.search(question) and (found := re.search(of_note, shown)):
            return f"It is {found[0].removeprefix('light is ')}."
    identify = _IDENTIFY.search(question)
    if identify and thing:
        return f"It may be {thing['thing']}."
    if identify or _SEE.search(question):
        # the first two sentences: the rest is worth less than the time it takes to say
        told = re.split(r"(?<=\.)\s+", shown)[:2]
        return f"I can see {told[0][:1].lower()}{' '.join(told)[1:].rstrip('.')}."
    return ""
