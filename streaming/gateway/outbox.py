"""Events on their way to one client."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from streaming.events import Event, Fault
from streaming.gateway.link import Link
from streaming.gateway.wire.fields import WireError
from streaming.gateway.wire.realtime import RealtimeCodec

_ROOM_BYTES = 64 * 1024
"""outgoing data above which drain() waits: about a second of speech"""
_MOST_BYTES = 8 * 1024 * 1024
"""outgoing data above which the client is given up"""

Watcher = Callable[[Event], None]


class TooSlowError(Exception):
    """The client does not take what it is sent."""


class Outbox:
    """Events on their way to one client: the session's Outlet.

    Nothing is left out to make room: a client that does not take what it is sent is given up as a whole.
    """

    def __init__(self, codec: RealtimeCodec, watchers: Sequence[Watcher]) -> None:
        self._codec = codec
        self._watchers = watchers
        self._frames: deque[bytes] = deque()
        self._n_bytes = 0
        self._finished = False
        self._changed = asyncio.Event()

    @property
    def overflows(self) -> bool:
        """More waits than a client that reads could ever leave lying."""
        return self._n_bytes > _MOST_BYTES

    def send(self, event: Event) -> None:
        """Queue an event. Never waits."""
        for watch in self._watchers:
            watch(event)
        for frame in self._codec.encode(event):
            self._push(frame)

    def refuse(self, error: WireError) -> None:
        """Queue the answer to a message that cannot be obeyed."""
        for watch in self._watchers:
            watch(Fault("invalid_request_error", error.code, error.message, error.param))
        self._push(self._codec.encode_error(error))

    async def drain(self) -> None:
        """Wait until the client has room for more sound."""
        while self._n_bytes > _ROOM_BYTES:
            self._changed.clear()
            await self._changed.wait()

    def finish(self) -> None:
        """Nothing more will come: write() ends when everything has left."""
        self._finished = True
        self._changed.set()

    async def write(self, link: Link, patience_s: float) -> None:
        """Send what is queued and what will be, until finish().

        Raises:
            TooSlowError: the client took nothing for patience_s.
            ConnectionError: it has gone.
        """
        while self._frames or not self._finished:
            while self._frames:
                try:
                    async with asyncio.timeout(patience_s):
                        await link.send(self._frames[0])
                except TimeoutError:
                    raise TooSlowError from None
                self._n_bytes -= len(self._frames.popleft())
                self._changed.set()
            if not self._finished:
                self._changed.clear()
                await self._changed.wait()

    def _push(self, frame: bytes) -> None:
        self._frames.append(frame)
        self._n_bytes += len(frame)
        self._changed.set()
