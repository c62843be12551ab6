"""Speech alone: a text is read out in a voice, without a conversation, beside the calls of the same engine."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from uuid import uuid4

from omni.model import Phase
from omni.types import Reply, SpeechDelta, TextDelta, TurnEnd, Voice
from streaming.tdm.clock import Clock
from streaming.tdm.jobs import Begin, Open, Result, Step
from streaming.tdm.pipeline import POLL_S, SILENCE_S, Engine, EngineError, Pipeline

DUE_S = 10.0
"""by how much work on this is less urgent than a person who listens: more than speech of a call is made ahead, and
little enough that a server full of calls still gets to it"""
_PASSAGE = 300
"""characters after which a sentence's end ends a passage. A family limits what it says in one answer"""
_LONGEST_PASSAGE = 600
"""… after which a passage ends at the next space"""

_SENTENCE_END = re.compile(r"(?:(?<=[.!?…])|(?<=[.!?…][\"'”’)]))\s+|(?<=[。！？])|\n+")


@dataclass(frozen=True, slots=True)
class Script:
    """What is to be read out, and how."""

    text: str
    voice: Voice | None = None
    """None: the model's default"""
    instructions: str = ""
    """how it is to be said, in words"""
    speed: float = 1.0
    """see Reply"""


class Reading:
    """One text being read out. Results of the engine that bear its id are to be given to deliver()."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.id = f"speech_{uuid4().hex[:24]}"
        self.n_tokens = 0
        """of the text, as the model counted them; complete at the end"""
        self._engine = engine
        self._clock = clock
        self._pipeline = Pipeline(self.id, engine, clock, lambda _: None, background=True)
        self.deliver: Callable[[Result], None] = self._pipeline.deliver

    async def speech(self, script: Script) -> AsyncGenerator[SpeechDelta]:
        """The sound of it, in order. Nothing is made before it is asked for; aclose() stops the engine's work.

        Raises:
            EngineError: the model failed.
        """
        voice = script.voice
        languages = self._engine.capabilities.languages
        language = voice.language if voice and voice.language in languages else None
        try:
            await self._pipeline.ask(Open(script.instructions, voice, language=language), DUE_S)
            for passage in passages(script.text):
                await self._pipeline.ask(Begin(Reply(says=passage, speed=script.speed)), DUE_S)
                async for delta in self._answer():
                    yield delta
        finally:
            self._pipeline.close()

    async def _answer(self) -> AsyncIterator[SpeechDelta]:
        """One passage, to its end."""
        written = False
        latest_s = self._clock.now_s()
        while True:
            progress = False
            for phase in (Phase.SPEAK,) if written else (Phase.THINK, Phase.SPEAK):
                for delta in await self._pipeline.ask(Step(phase), DUE_S):
                    progress = True
                    match delta:
                        case TextDelta(last=True):
                            written = True
                        case SpeechDelta():
                            yield delta
                        case TurnEnd(n_tokens=n_tokens):
                            self.n_tokens += n_tokens
                            return
            now_s = self._clock.now_s()
            if progress:
                latest_s = now_s
            elif now_s - latest_s >= SILENCE_S:
                raise EngineError(f"it gave nothing for {SILENCE_S:.0f} s; ask again, or look at what serves the model")
            else:
                await self._clock.sleep_until(now_s + POLL_S)


def passages(text: str) -> Iterator[str]:
    """The text in pieces that a model can say in one answer; joined by spaces they are its words."""
    passage = ""
    for sentence in _SENTENCE_END.split(text):
        for piece in _cut(" ".join(sentence.split())):
            if passage and len(passage) + len(piece) > _PASSAGE:
                yield passage
                passage = ""
            passage = f"{passage} {piece}".strip()
    if passage:
        yield passage


def _cut(sentence: str) -> Iterator[str]:
    """A sentence, in pieces if it does not end."""
    while len(sentence) > _LONGEST_PASSAGE:
        space = sentence.rfind(" ", 0, _LONGEST_PASSAGE)
        end = space if space > 0 else _LONGEST_PASSAGE
        yield sentence[:end]
        sentence = sentence[end:].strip()
    yield sentence
