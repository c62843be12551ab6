"""A clause in nano's voice, at the pace that is asked for."""

from collections.abc import Generator
from dataclasses import replace
from typing import Protocol

from omni.speech.tempo import Tempo
from omni.text.manner import Manner
from omni.types import FASTEST, SLOWEST, SpeechDelta, Voice, Word

_SLOWEST_OWN, _FASTEST_OWN = 0.6, 1.0
"""paces that the synthesizer itself speaks at: slower it stutters, and faster it swallows sounds (word error rates of
20 sentences: at 0.25 4 to 8 %, at 1.5 9 %, and with the rest left to Tempo 0 to 2.5 % at all speeds)"""


class Synthesizer(Protocol):
    """Text to speech."""

    @property
    def voices(self) -> tuple[Voice, ...]:
        """Built in; the first is the default."""
        ...

    def steps(self, clause: str, voice: Voice, manner: Manner = ...) -> Generator[None, None, SpeechDelta]:
        """The clause's sound [S] at Timing.output_rate, and its words, which joined are the clause. It is returned; a
        yield is a moment at which something more urgent can be done.

        Raises:
            ValueError: the voice was not made for this synthesizer.
        """
        ...


def at_speed(manner: Manner, speed: float) -> Manner:
    """A manner as Reply.speed changes it; pauses keep to the pace."""
    pace = min(max(manner.pace * speed, SLOWEST), FASTEST)
    return replace(manner, pace=pace, pauses=manner.pauses / pace)


def spoken(synthesizer: Synthesizer, clause: str, voice: Voice, manner: Manner) -> Generator[None, None, SpeechDelta]:
    """Say a clause at any pace from SLOWEST to FASTEST, with its pitch where it was; in steps, see Synthesizer."""
    own = min(max(manner.pace, _SLOWEST_OWN), _FASTEST_OWN)
    rest = manner.pace / own
    speech = yield from synthesizer.steps(clause, voice, replace(manner, pace=own, pauses=manner.pauses * rest))
    if rest == 1.0:
        return speech
    yield
    _, pcm = Tempo(rest).over(speech.pcm, last=True)
    return SpeechDelta(pcm, tuple(Word(word.text, word.start_s / rest) for word in speech.words))


def stepped(making: Generator[None, None, SpeechDelta], *, to_the_end: bool) -> SpeechDelta | None:
    """Take the next step of a clause that is being made, or all of them; its sound after the last, else None."""
    while True:
        try:
            next(making)
        except StopIteration as end:
            speech: SpeechDelta = end.value
            return speech
        if not to_the_end:
            return None
