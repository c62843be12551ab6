"""Do the included characters stay in their role? Questions typed to each, through nano as a call uses it.

The checks are plain rules about words, and know nothing of sense. An answer counts as in the role if it

- has a word of the character's own text that is not in the question ("plain" if not), or is a line of that text;
- has none of a chat program's phrases ("assistant"); calls itself a machine only if it is one, or is asked ("machine");
- is no "I'm sorry", "I'm not sure", "here to help" ("shrug");
- gives its name if asked who it is ("nameless"), calls itself by no other ("misnamed") but says "I" ("third person");
- does not stammer ("stammer") nor turn the question back on the user ("turned"), and is not empty.

An answer that makes no sense in the words of a sea captain passes. Staying in the role is not answering well.
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omni.families.nano.family import Nano, load_nano
from omni.families.nano.state import State
from omni.model import Phase
from omni.types import Reply, TextDelta, Unit
from scripts.bench_suite.report import Findings, Row
from streaming.company.catalogue import Character
from streaming.company.characters import Characters

QUESTIONS_FILE = Path(__file__).with_name("questions_characters.json")
_MATERIAL: dict[str, list[str]] = json.loads(QUESTIONS_FILE.read_text(encoding="utf-8"))
_COMMON = frozenset(_MATERIAL["common_words"])
"""words that are in anybody's mouth; those of up to three letters are left out without being listed"""
TURNS = 5
"""of one conversation"""
LEAST_VARIED = 0.6
"""different words over words; below it an answer of more than SHORT words stammers"""
SHORT = 8

_ASSISTANT = re.compile(
    r"\b(language model|artificial|virtual|chat ?bot|smollm|hugging ?face|programmed|ai"
    r"|as an? assistant|(digital|voice|friendly) assistant|how can i assist|assist you)\b",
    re.IGNORECASE,
)
_MACHINE = re.compile(
    r"\bI(?: am|'m) (?:a |an |just a |not a real )?(?:\w+ )?(?:computer|robot|machine|program|software)\b",
    re.IGNORECASE,
)
_ASKS_MACHINE = re.compile(r"robot|real person|human|computer|(made|built|created) you", re.IGNORECASE)
_ASKS_NAME = re.compile(r"your name|who are you|talking to|are you called", re.IGNORECASE)
_SHRUG = re.compile(
    r"\bI(?:'m| am) (?:not (?:really |too |quite )?(?:sure|capable|equipped)|(?:so )?sorry|unable)"
    r"|here to help|not sure what|\bas a (?:chat|coach|butler|teacher|captain|detective),? I",
    re.IGNORECASE,
)
_TITLES = ("Captain", "Inspector", "Coach", "Grandmother", "Miss")
_CALLED = re.compile(rf"\b(?:{'|'.join(_TITLES)}|[Mm]y name is|I am|I'm) ([A-Z]\w+)")
_TO_USER = re.compile(r"You (?:are|have|live|like|should be)\b")


@dataclass(frozen=True, slots=True)
class Said:
    """One answer and what is wrong with it."""

    character: str
    question: str
    answer: str
    faults: tuple[str, ...]
    verbatim: bool
    """it is a line of the character's text"""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure() -> Findings:
    """Every question to every included character; the known ones and the fresh ones apart."""
    nano = load_nano()
    cast = [entry.character for entry in Characters(Path("nobody's")).everything()]
    rows, details = [], {}
    for kind in ("known", "fresh"):
        said = [one for character in cast for one in asked(nano, character, _MATERIAL[kind])]
        print(f"characters, {kind}: {dict(Counter(fault for one in said for fault in one.faults))}", file=sys.stderr)
        rows += _rows(kind, said)
        details[kind] = [one.as_dict() for one in said]
    return Findings(rows, {"characters": details})


def _rows(kind: str, said: Sequence[Said]) -> list[Row]:
    n = len(said)
    return [
        Row(
            f"{kind} questions: answers in the role", 100 * sum(not s.faults for s in said) / n, "%", n, None, "higher"
        ),
        Row(f"{kind} questions: lines of the file as they are", sum(one.verbatim for one in said), "", n),
        Row(f'{kind} questions: "I\'m sorry" and the like', sum("shrug" in one.faults for one in said), "", n),
        Row(f"{kind} questions: begun like an earlier answer of their conversation", n_begun_alike(said), "", n),
    ]


def n_begun_alike(said: Sequence[Said]) -> int:
    """Answers whose first two words began another in the same conversation. A line of the file may do so."""
    count = 0
    for first in range(0, len(said), TURNS):
        before: set[str] = set()
        for one in said[first : first + TURNS]:
            beginning = " ".join(one.answer.lower().split()[:2])
            count += beginning in before and not one.verbatim
            before.add(beginning)
    return count


def asked(nano: Nano, character: Character, questions: Sequence[str]) -> Iterator[Said]:
    """Put the questions to a character, TURNS to a conversation, each of which it begins with its greeting."""
    for first in range(0, len(questions), TURNS):
        state = nano.open(character.instructions, None)
        if character.greeting:
            _answer(nano, state, Reply(speaks=False, says=character.greeting))
        for question in questions[first : first + TURNS]:
            nano.listen([Unit(text=question)], [state])
            answer = _answer(nano, state, Reply(speaks=False)).strip()
            verbatim = bool(answer) and answer in character.who
            yield Said(character.id, question, answer, tuple(faults(character, question, answer)), verbatim)
        nano.close(state)


def _answer(nano: Nano, state: State, reply: Reply) -> str:
    nano.begin(state, reply)
    text, last = "", False
    while not last:
        for delta in nano.step(Phase.THINK, [state])[0]:
            if isinstance(delta, TextDelta):
                text, last = text + delta.text, delta.last
    return text


def faults(character: Character, question: str, answer: str) -> Iterator[str]:
    """Names of the rules that an answer breaks; see the head of this file. Its own lines break fewer."""
    if not answer:
        yield "empty"
        return
    who = character.who
    own = [name for name in character.name.split() if name not in _TITLES and name.istitle()]
    if (phrase := _ASSISTANT.search(answer)) and phrase[0].lower() not in who.lower():
        yield "assistant"
    a_machine = re.search("robot|machine", who.partition(".")[0])
    if not (a_machine or _ASKS_MACHINE.search(question)) and _MACHINE.search(answer):
        yield "machine"
    if _ASKS_NAME.search(question) and not any(name in answer for name in own):
        yield "nameless"
    if any(name not in who and name not in character.name for name in _CALLED.findall(answer)):
        yield "misnamed"
    words = re.findall(r"\w+", answer.lower())
    if len(words) > SHORT and len(set(words)) / len(words) < LEAST_VARIED:
        yield "stammer"
    if _TO_USER.match(answer) and re.search(r"\byour?\b", question):
        yield "turned"
    if answer in who:
        return
    if _SHRUG.search(answer):
        yield "shrug"
    introduced = re.search(rf"(?:I am|I'm|name is|me|call me)\b.{{0,25}}\b{own[-1]}\b", answer, re.IGNORECASE)
    if re.search(rf"\b{own[-1]}\b", answer) and not introduced:
        yield "third person"
    if not (_stems(answer) & _stems(who + character.greeting)) - _stems(question):
        yield "plain"


def _stems(text: str) -> set[str]:
    """Words of more than three letters, the common ones apart, roughly without their endings."""
    words = (word for word in re.findall(r"[a-z']+", text.lower()) if len(word) > 3)
    return {re.sub(r"('s|ing|ed|es|s)$", "", word) for word in words if word not in _COMMON}
