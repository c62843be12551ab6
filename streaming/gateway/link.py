"""What a call needs of the connection to its client, whatever carries the messages."""

import contextlib
from typing import Protocol

from aiohttp import WSCloseCode

from streaming.commands import Heard
from streaming.events import Closed, Event
from streaming.gateway.wire.fields import WireError
from streaming.gateway.wire.realtime import Carriage, Inbound, RealtimeCodec


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

    carriage: Carriage

    def watch(self, event: Event) -> None:
        """Take what happens in the session: a link that plays the sound itself has it from here."""
        ...

    async def receive(self) -> bytes | Inbound:
        """The client's next message; of what reaches the server by other ways, or is no message, what it comes to.

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

    def let_go(self) -> Heard | None:
        """It carries the call no more: how far its listener has surely got in the sound that it plays itself.

        None: it plays none, or all of it was heard.
        """
        ...

    def abort(self) -> None:
        """Let go of everything that the peer does not take."""
        ...


async def turn_away(link: Link, why: Closed | WireError) -> None:
    """Close a connection that cannot have what it asks for, and say why: in an event, and where it is closed."""
    codec = RealtimeCodec("refused")
    if isinstance(why, WireError):
        frames, closed, code = [codec.encode_error(why)], Closed("client", why.message), WSCloseCode.POLICY_VIOLATION
    else:
        frames, closed, code = codec.encode(why), why, None
    with contextlib.suppress(ConnectionError):
        for frame in frames:
            await link.send(frame)
    await link.close(closed, code)
