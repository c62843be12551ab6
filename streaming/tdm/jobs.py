"""What the event loop asks of the engine, and what comes back. Plain picklable values that name their session."""

from dataclasses import dataclass

from omni.model import Phase
from omni.types import Delta, Reply, Unit, Voice


@dataclass(frozen=True, slots=True)
class Open:
    """Make the session's state, or make it anew (the history follows as text units)."""

    instructions: str
    voice: Voice | None
    mode: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Listen:
    """Prefill a unit."""

    unit: Unit


@dataclass(frozen=True, slots=True)
class Begin:
    """Open the assistant's turn."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Step:
    """One quantum of THINK or SPEAK."""

    phase: Phase


@dataclass(frozen=True, slots=True)
class MarkState:
    """Remember this place under a name; a name used again is overwritten."""

    name: str


@dataclass(frozen=True, slots=True)
class Rewind:
    """Return to a marked place."""

    name: str


@dataclass(frozen=True, slots=True)
class Truncate:
    """Forget what nobody heard."""

    heard_s: float


@dataclass(frozen=True, slots=True)
class Close:
    """Free the session's state. Nothing comes back."""


Work = Open | Listen | Begin | Step | MarkState | Rewind | Truncate | Close


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One piece of work for one session."""

    session_id: str
    number: int
    """counts the session's jobs; its result is known by it"""
    turn: int
    """guards barge-in: a result whose turn is older than the session's is dropped (law 8)"""
    work: Work
    due_s: float = 0.0
    """when the person will notice that it is late, on the session's clock"""
    background: bool = False
    """nobody is on the line for whom it is done: it does not come between two jobs of a call"""


@dataclass(frozen=True, slots=True, eq=False)
class Done:
    """A job was executed."""

    job: Job
    deltas: tuple[Delta, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Failed:
    """A job raised; the session's state is as it was left and should be made anew or dropped."""

    job: Job
    message: str


Result = Done | Failed
