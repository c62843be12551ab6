"""What a call needs of the connection to its client, whatever carries the messages."""

from typing import Protocol

from streaming.events import Closed
from streaming.gateway.wire.fields import WireError


class LinkEndedError(Exception):
    """No more messages come."""

    def __init__(self, closed: Closed, code: int | None = None, *, lost: bool = False) -> None:
        super().__init__(closed.message)
        self.closed = closed
        """why, for the session and for the peer"""
        self.code = code
        """for a closing frame, instead of the one that stands for the reason"""
        self.lost = lost
        """the connection broke, and the peer did not mean to leave: it may come back over another"""


class Link(Protocol):
    """One connection: messages both ways, in order, none lost while it lasts."""

    async def receive(self) -> bytes | WireError:
        """The client's next message, or what was wrong with it.

        Raises:
            LinkEndedError: there is none any more.
        """
        ...

    async def send(self, frame: bytes) -> None:
        """Send a message; returns when the connection has room for more.

        Raises:
            ConnectionError: the peer has gone.
        """
        ...

    async def close(self, closed: Closed, code: int | None = None) -> None:
        """Say goodbye, and why."""
        ...

    def abort(self) -> None:
        """Let go of everything that the peer does not take."""
        ...
