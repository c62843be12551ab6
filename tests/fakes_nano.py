"""Stand-ins for nano's parts: exact, instant, and strict about how they are used. And how to talk with it."""

import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

import numpy as np

from omni.families.nano.family import Nano
from omni.families.nano.state import State
from omni.model import Phase
from omni.text.chat import Message
from omni.text.manner import AS_IT_IS, Manner
from omni.timing import Timing
from omni.types import (
    Delta,
    Pcm,
    Picture,
    Reply,
    SpeechDelta,
    TextDelta,
    Tool,
    ToolCall,
    Transcript,
    TurnEnd,
    Unit,
    Voice,
    Word,
)

TIMING = Timing()
WORD_S = 0.1
"""every word of the fake synthesizer lasts this long"""


def sound(text: str) -> Pcm:
    """Speech that FakeRecogniser understands: one sample a character."""
    return np.array([ord(character) / 1000 for character in text], np.float32)


def whole(text: str) -> Pcm:
    """The same, as long as a whole unit."""
    return np.concatenate([sound(text), np.zeros(TIMING.unit_samples - len(text), np.float32)])


def made(name: str) -> Voice:
    """A voice that FakeSynthesizer can read."""
    return Voice(name, state={"fake": np.zeros(1, np.float32)})


def picture(shade: int) -> Picture:
    """A picture that FakeEyes tell from another."""
    return np.full((4, 4, 3), shade, np.uint8)


@dataclass
class FakeUtterance:
    chunks: list[Pcm] = field(default_factory=list)

    def add(self, pcm: Pcm) -> None:
        self.chunks.append(pcm)

    def transcribe(self) -> str:
        samples = [round(float(x) * 1000) for chunk in self.chunks for x in chunk[chunk != 0]]
        return "".join(map(chr, samples)).strip()

    def clone(self) -> "FakeUtterance":
        return FakeUtterance(list(self.chunks))


class FakeRecogniser:
    def open(self) -> FakeUtterance:
        return FakeUtterance()


class FakeChatContext:
    """Writes the scripted answer a few characters at a time, and refuses to go on once it was disturbed."""

    def __init__(self, chat: "FakeChat") -> None:
        self._chat = chat
        self._rest: str | None = None
        self._read = ""
        self._tools: tuple[Tool, ...] = ()

    def warm(self, messages: Sequence[Message]) -> float | None:
        self._rest = None
        self._chat.warmed.append(tuple(messages))
        return self._chat.guess

    def begin(
        self, messages: Sequence[Message], max_tokens: int | None, tools: Sequence[Tool] = (), tool_choice: str = "auto"
    ) -> None:
        self._tools = tuple(tools)
        if self._chat.down:
            raise RuntimeError("the model at http://localhost:1 does not answer; start it or check --llm")
        self._chat.begun.append(tuple(messages))
        self._rest = self._chat.script(messages)
        if max_tokens is not None:
            self._rest = " ".join(self._rest.split()[:max_tokens])
        self._read = ""

    def read(self) -> tuple[str, bool]:
        assert self._rest is not None, "read() of an answer that was disturbed"
        if self._chat.fails_after is not None and self.n_tokens() >= self._chat.fails_after:
            raise RuntimeError("connection lost")
        piece, self._rest = self._rest[: self._chat.n_read], self._rest[self._chat.n_read :]
        self._read += piece
        return piece, not self._rest

    def calls(self) -> tuple[ToolCall, ...]:
        return tuple(ToolCall(f"call_{tool.name}", tool.name, "{}") for tool in self._tools)

    def n_tokens(self) -> int:
        return len(self._read.split())

    def stop(self) -> None:
        self._rest = None
        self._chat.n_stops += 1


@dataclass
class FakeChat:
    script: Callable[[Sequence[Message]], str]
    name: str = "scripted"
    calls_tools: bool = True
    """every tool that it is given, at the end of every answer"""
    guess: float | None = None
    n_read: int = 7
    """characters of one read()"""
    down: bool = False
    fails_after: int | None = None
    """tokens"""
    begun: list[tuple[Message, ...]] = field(default_factory=list)
    warmed: list[tuple[Message, ...]] = field(default_factory=list)
    n_stops: int = 0

    def open(self) -> FakeChatContext:
        return FakeChatContext(self)


@dataclass
class FakeSynthesizer:
    voices: tuple[Voice, ...] = (made("first"), made("second"))
    spoken: list[tuple[str, str]] = field(default_factory=list)
    """(clause, voice)"""
    manners: list[Manner] = field(default_factory=list)
    """of each of them"""
    broken: bool = False
    n_steps: int = 2
    """in which a clause is made"""

    def speak(self, clause: str, voice: Voice, manner: Manner = AS_IT_IS) -> SpeechDelta:
        if "fake" not in voice.state:
            raise ValueError(f"voice {voice.name!r} was not made for this synthesizer; choose one of its own")
        texts = re.findall(r"\s*\S+(?:\s+$)?", clause)
        if self.broken:
            raise RuntimeError("no sound")
        if texts:
            self.spoken.append((clause, voice.name))
            self.manners.append(manner)
        word_s = WORD_S / manner.pace
        n_word = round(word_s * TIMING.output_rate)
        pcm = np.full(n_word * len(texts), len(clause) / 1000, np.float32)
        return SpeechDelta(pcm, tuple(Word(text, index * word_s) for index, text in enumerate(texts)))

    def steps(self, clause: str, voice: Voice, manner: Manner = AS_IT_IS) -> Generator[None, None, SpeechDelta]:
        speech = self.speak(clause, voice, manner)
        for _ in range(self.n_steps - 1):
            yield
        return speech


@dataclass(frozen=True)
class FakeSight:
    description: str


@dataclass
class FakeEyes:
    looks: list[tuple[int, FakeSight | None]] = field(default_factory=list)
    """(shade, the sight before)"""

    def look(self, image: Picture, before: FakeSight | None) -> FakeSight:
        shade = int(image.mean())
        self.looks.append((shade, before))
        return FakeSight(f"something of shade {shade}.")


@dataclass
class FakeParts:
    """A Nano and what it is made of."""

    chat: FakeChat
    synthesizer: FakeSynthesizer = field(default_factory=FakeSynthesizer)
    eyes: FakeEyes = field(default_factory=FakeEyes)

    def nano(self) -> Nano:
        return Nano(FakeRecogniser(), self.chat, self.synthesizer, self.eyes)


def parrot(messages: Sequence[Message]) -> str:
    """An answer that tells what was asked."""
    return f"You said {messages[-1].text} I heard it well, and I remember it. That is message {len(messages)} of ours."


# ---------------------------------------------------------------- talking with it


@dataclass
class Spoken:
    """What came of an answer."""

    text: str = ""
    clauses: list[str] = field(default_factory=list)
    pcm: list[np.ndarray] = field(default_factory=list)
    n_last: int = 0
    calls: list[ToolCall] = field(default_factory=list)
    end: TurnEnd | None = None

    def take(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            match delta:
                case TextDelta(text, last):
                    assert not self.n_last, "text after the last"
                    self.text += text
                    self.n_last += last
                case SpeechDelta(pcm, words):
                    assert self.end is None
                    self.clauses.append("".join(word.text for word in words))
                    self.pcm.append(pcm)
                case ToolCall():
                    assert self.n_last and self.end is None
                    self.calls.append(delta)
                case TurnEnd():
                    assert self.end is None
                    self.end = delta
                case Transcript():
                    raise AssertionError("a transcript in an answer")

    @property
    def n_samples(self) -> int:
        return sum(map(len, self.pcm))


def say(nano: Nano, state: State, text: str) -> Transcript:
    (row,) = nano.listen([Unit(audio=sound(text))], [state])
    (transcript,) = row
    assert isinstance(transcript, Transcript)
    return transcript


def put(nano: Nano, state: State, unit: Unit) -> None:
    assert nano.listen([unit], [state]) == [[]]


def step(nano: Nano, state: State, phase: Phase, spoken: Spoken) -> None:
    spoken.take(nano.step(phase, [state])[0])


def finish(nano: Nano, state: State, spoken: Spoken | None = None) -> Spoken:
    spoken = spoken or Spoken()
    for _ in range(200):
        for phase in (Phase.THINK, Phase.SPEAK):
            step(nano, state, phase, spoken)
        if spoken.end is not None:
            return spoken
    raise AssertionError("the turn does not end")


def answer(nano: Nano, state: State, reply: Reply | None = None) -> Spoken:
    nano.begin(state, reply or Reply())
    return finish(nano, state)


def asked(parts: FakeParts) -> list[tuple[str, str]]:
    """What the language model was asked last."""
    return [(message.role, message.text) for message in parts.chat.begun[-1]]


def ask(parts: FakeParts, nano: Nano, state: State, text: str = "And now?") -> list[tuple[str, str]]:
    """Take another turn and return what the language model was asked in it."""
    say(nano, state, text)
    answer(nano, state)
    return asked(parts)


def answer_to(parts: FakeParts, question: str) -> Spoken:
    nano = parts.nano()
    state = nano.open("", None)
    say(nano, state, question)
    return answer(nano, state)
