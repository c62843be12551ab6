"""What a nano session remembers: the conversation, the turn being spoken, and how far an answer has got.

Everything that a mark must bring back is frozen (Memory, Answer). What was computed for an answer (Draft)
only grows, so any number of marks may share it, and going back recomputes nothing.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, Self

from omni.packaged.language.openings import NOTE
from omni.speech.words import heard_text
from omni.text.chat import ChatContext, Message
from omni.text.clauses import Clauses
from omni.text.manner import AS_IT_IS, Manner
from omni.timing import Timing
from omni.types import Pcm, Picture, Reply, Role, SpeechDelta, ToolCall, Voice, Word

MAX_MESSAGES = 200
"""history beyond this is forgotten, oldest first"""
KEPT_MESSAGES = 150
"""what is left then: cutting seldom keeps the language model's prefix in its cache"""
MAX_PREFILLS = 10
"""calls of the language model that a greeting is given to have the instructions read"""
CUT_OFF = "—"
"""ends an answer that the user interrupted, so that the language model knows it did not finish"""


class Utterance(Protocol):
    """The user's speech in one turn, as the recogniser holds it."""

    def add(self, pcm: Pcm) -> None:
        """Append sound [S] at Timing.input_rate."""
        ...

    def transcribe(self) -> str:
        """The text of all sound so far."""
        ...

    def clone(self) -> Self:
        """A copy that goes its own way."""
        ...


class Sight(Protocol):
    """What the eyes made of one picture."""

    @property
    def description(self) -> str:
        """In plain words, to be read by a language model."""
        ...


@dataclass(frozen=True, slots=True)
class Task:
    """What an answer is to be. The same task is the same answer, and is not computed twice."""

    prompt: tuple[Message, ...]
    reply: Reply
    voice: Voice
    manner: Manner
    words: str | None
    """which it consists of, as they are; None: the language model writes it"""


@dataclass(slots=True, eq=False)
class Draft:
    """All that was computed for one answer: text, its clauses, their sound. Append-only."""

    task: Task
    text: str = ""
    complete: bool = False
    """no text follows"""
    calls: tuple[ToolCall, ...] = ()
    """what it asks for once it is complete"""
    n_tokens: int = 0
    clauses: list[str] = field(default_factory=list)
    """joined, they are the text as far as it is ready to be spoken"""
    speech: list[SpeechDelta] = field(default_factory=list)
    """one for each of the first clauses"""
    making: Generator[None, None, SpeechDelta] | None = None
    """the sound of the clause after those, begun"""
    n_prefills: int = 0
    """of what comes before the user's first turn, made while this was being heard"""
    _splitter: Clauses = field(default_factory=Clauses)
    _to_repeat: str = ""

    def write(self, text: str, complete: bool) -> None:
        """Take what the language model wrote."""
        repeated, new = text[: len(self._to_repeat)], text[len(self._to_repeat) :]
        if not self._to_repeat.startswith(repeated) or (complete and len(repeated) < len(self._to_repeat)):
            # the second writing is another answer: what was written first may already have been spoken
            new, complete = "", True
        self._to_repeat = self._to_repeat[len(repeated) :]
        self.text += new
        self.complete = complete
        self.clauses += self._splitter.push(new)
        if complete:
            # white space behind the last word is nothing to speak
            self.clauses += [clause for clause in self._splitter.flush() if clause.strip()]

    def write_again(self) -> None:
        """The language model starts this answer anew: what it wrote before is expected first, and skipped."""
        self._to_repeat = self.text

    def n_speakable(self, n_chars: int) -> int:
        """How many clauses lie wholly in the first n_chars of the text."""
        end, n_clauses = 0, 0
        for clause in self.clauses:
            end += len(clause)
            if end > n_chars:
                break
            n_clauses += 1
        return n_clauses


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A place in a draft: how much of it the session was given."""

    draft: Draft
    n_chars: int = 0
    """of the text, given out"""
    n_clauses: int = 0
    """of the speech, given out"""
    written: bool = False
    """all text is given out"""
    closed: bool = False
    """nothing more is given out"""
    heard_s: float | None = None
    """seconds that were heard, if it was cut there"""

    @property
    def calls(self) -> tuple[Message, ...]:
        """The tools that it asked for."""
        return tuple(Message("assistant", "", call) for call in self.draft.calls) if self.written else ()

    def remembered(self, timing: Timing) -> str:
        """What the conversation keeps: of a spoken answer the words that were heard, of a written one its text.

        An answer that was cut off within a sentence ends with CUT_OFF.
        """
        draft = self.draft
        if draft.task.reply.speaks:
            text = "".join(draft.clauses[: self.n_clauses])
            whole = draft.complete and self.n_clauses == len(draft.clauses)
        else:
            text, whole = draft.text[: self.n_chars], self.written
        if self.heard_s is not None and draft.task.reply.speaks:
            words, total_s = self._words(timing)
            heard = heard_text(words, total_s, self.heard_s)
            text, whole = heard, whole and len(heard) >= sum(len(word.text) for word in words)
        text = text.strip()
        return text if whole or text.endswith((".", "!", "?")) or not text else text.rstrip(" ,;:-–—") + CUT_OFF

    def _words(self, timing: Timing) -> tuple[list[Word], float]:
        """The spoken words with their place in the whole answer, and the length of its sound, in seconds."""
        words: list[Word] = []
        total_s = 0.0
        for speech in self.draft.speech[: self.n_clauses]:
            words += [Word(word.text, total_s + word.start_s) for word in speech.words]
            total_s += len(speech.pcm) / timing.output_rate
        return words, total_s


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """All that a mark brings back. In the order of the conversation."""

    history: tuple[Message, ...] = ()
    """up to the latest answer"""
    answer: Answer | None = None
    """the latest"""
    later: tuple[Message, ...] = ()
    """what was put into the conversation after it"""
    typed: tuple[str, ...] = ()
    """what the user has typed in this turn"""
    utterance: Utterance | None = None
    """what the user has spoken in this turn"""
    heard: str = ""
    """its transcript"""
    picture: Picture | None = None
    """the latest, not looked at yet"""
    sight: Sight | None = None
    """the latest that was looked at"""
    looked: bool = False
    """since the user began to speak"""
    sight_before: Sight | None = None
    """the latest when the turn began"""
    manner: Manner = AS_IT_IS
    """how the user has asked to be spoken to"""

    def copy(self) -> "Memory":
        """The same memory, sharing nothing that changes."""
        return self if self.utterance is None else replace(self, utterance=self.utterance.clone())


@dataclass(slots=True, eq=False)
class State:
    """One session: its memory, and caches that may lag behind it."""

    instructions: str
    voice: Voice
    context: ChatContext
    memory: Memory = field(default_factory=Memory)
    draft: Draft | None = None
    """the latest begun; begun again with the same words, it is taken up where it was"""
    writing: Draft | None = None
    """the one that the context is writing"""
    warmed: tuple[tuple[Message, ...], float | None] = ((), None)
    """the conversation that was last prefilled, and the guess that came of it"""


def joined(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Neighbours of the same role made one, because many chat templates refuse anything but alternation."""
    result: list[Message] = []
    for message in messages:
        if result and result[-1].role == message.role and not (result[-1].tool or message.tool):
            result[-1] = Message(message.role, _together(result[-1].text, message.text))
        else:
            result.append(message)
    return tuple(result)


def _together(first: str, second: str) -> str:
    """Two texts as one, under the newer of their notes."""
    notes = [NOTE.match(text) for text in (first, second)]
    words = [text[note.end() :] if note else text for text, note in zip((first, second), notes, strict=True)]
    note = notes[1] or notes[0]
    return (note[0] if note else "") + " ".join(words)


def bounded(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The newest messages, beginning with one of the user's, so that an hour's talk does not grow without end."""
    if len(messages) <= MAX_MESSAGES:
        return messages
    kept = messages[-KEPT_MESSAGES:]
    first = next((i for i, message in enumerate(kept) if message.role == "user"), 0)
    return kept[first:]


def message_of(role: Role, *texts: str) -> tuple[Message, ...]:
    """One message of the texts that are not blank, or none."""
    text = " ".join(text.strip() for text in texts if text.strip())
    return (Message(role, text),) if text else ()
