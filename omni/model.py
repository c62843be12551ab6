"""The engine's interface. A family implements it; the worker drives it; nothing else knows a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Literal, Protocol, TypeVar

from omni.timing import Timing
from omni.types import Delta, Pcm, Reply, Unit, Voice

StateT = TypeVar("StateT")

Mark = Any
"""A place in a session's state to return to. Only the family that made it can read it."""


class Phase(Enum):
    """What one quantum of the engine does."""

    LISTEN = auto()
    """prefill a unit"""
    THINK = auto()
    """decode some text tokens"""
    SPEAK = auto()
    """decode some speech and vocode it"""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a family can do, so that nobody has to know its name."""

    name: str
    voices: tuple[Voice, ...]
    """built in; the first is the default"""
    sees: bool
    transcribes: bool
    """listen() reports what the user said"""
    calls_tools: bool = False
    """Reply.tools are used; a family that cannot is never given any"""
    max_batch: int = 1
    """sessions that one call may serve; 1: rows would only be looped over"""
    max_text_bytes: int | None = None
    """of one typed message or of instructions, in UTF-8; None: as long as the wire lets through"""
    max_tools_bytes: int | None = None
    """of all functions that are offered together, as JSON; None: likewise"""
    makes_voices: Literal["clones", "shapes"] | None = None
    """what prepare_voice makes: the voice of the recording, or one of the family's own made more like it"""
    voice_version: str = ""
    """what prepare_voice makes can be used by a model of the same name and version; others make it anew"""
    changes_voice: bool = False
    """Reply.voice is heeded: a conversation may go on in another voice"""
    modes: tuple[str, ...] = ()
    """ways in which open() can address the model; the first is the default"""
    languages: tuple[str, ...] = ()
    """in which it can address it; the first is the default"""


class RowsError(Exception):
    """Some sessions of a batch failed, and nothing of that touches the others."""

    def __init__(self, rows: Sequence[list[Delta] | Exception]) -> None:
        """What step() would have returned, with an error in the place of each row that has none."""
        failed = [row for row in rows if isinstance(row, Exception)]
        super().__init__(f"{len(failed)} of {len(rows)} sessions failed: {', '.join(map(str, failed))}")
        self.rows = tuple(rows)


class OmniModel(Protocol[StateT]):
    """Weights and pure computation. Holds no session: every session's memory is its State.

    A turn of the user is any number of listen(); begin() opens the answer; step(THINK) and step(SPEAK)
    are then called in turns until TurnEnd (or TextDelta.last, when the reply does not speak). A quantum
    is short (aim: under 100 ms), because between two quanta the user may interrupt. A step that has
    nothing to do yet returns no delta.
    """

    timing: Timing
    capabilities: Capabilities

    def prepare_voice(self, name: str, reference: Pcm) -> Voice:
        """Make a voice from a few seconds of speech [S] at Timing.input_rate.

        May take seconds. May be called on any thread, beside all other calls.

        Raises:
            ValueError: no voice can be made of it; the message says what to do.
        """
        ...

    def open(
        self, instructions: str, voice: Voice | None, mode: str | None = None, language: str | None = None
    ) -> StateT:
        """Start a session's memory. None: the family's default voice, mode and language."""
        ...

    def listen(self, units: Sequence[Unit], states: Sequence[StateT]) -> list[list[Delta]]:
        """Take one unit into each state; a row each of what was understood (Transcript) or nothing."""
        ...

    def begin(self, state: StateT, reply: Reply) -> None:
        """Close the user's turn and open the assistant's. Cheap: computing is step's business."""
        ...

    def step(self, phase: Phase, states: Sequence[StateT]) -> list[list[Delta]]:
        """One quantum of THINK or SPEAK for each state; a row of deltas each.

        Raises:
            RowsError: some of several states failed alone. Any other error is one of all of them: of several states
                none has changed then, and each can be tried alone (one may be too much for the memory that is left).
        """
        ...

    def mark(self, state: StateT) -> Mark:
        """Remember this place. Cheap; any number may be outstanding."""
        ...

    def rewind(self, state: StateT, mark: Mark) -> None:
        """Return to a place: a guess about the end of a turn, or about an interruption, was wrong."""
        ...

    def truncate(self, state: StateT, heard_s: float) -> None:
        """Close the assistant's latest answer and forget what nobody heard of it.

        Args:
            heard_s: seconds of its speech that were played. May be called again with a smaller value.
        """
        ...

    def close(self, state: StateT) -> None:
        """Free what the state holds outside ordinary memory (a stream to a remote model, for one)."""
        ...
