"""Events on their way to one client, and kept until it says that it has them."""

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
_KEPT_BYTES = 2 * 1024 * 1024
"""what has left and was not acknowledged, kept for a client that comes back: half a minute of speech"""

Watcher = Callable[[Event], None]


class TooSlowError(Exception):
    """The client does not take what it is sent."""


class Outbox:
    """Events on their way to one client: the session's Outlet.

    Nothing is left out to make room: a client that does not take what it is sent is given up as a whole. Every frame
    gets a number, one more than the last, and outlives the link that carried it: another link can go on after any
    of the newest.
    """

    def __init__(
        self, codec: RealtimeCodec, watchers: Sequence[Watcher], pass_on: Callable[[bytes], None] = lambda _: None
    ) -> None:
        """Wire it; pass_on takes every frame, with its number, as it is queued."""
        self._codec = codec
        self._pass_on = pass_on
        self._watchers = watchers
        self._frames: deque[bytes] = deque()
        """not sent yet"""
        self._n_bytes = 0
        self._sent: deque[bytes] = deque()
        """sent, and perhaps not received: the frames just before those"""
        self._n_bytes_sent = 0
        self._latest = 0
        """number of the newest frame, counted from 1"""
        self._linked = False
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
            self.push(frame)

    def refuse(self, error: WireError) -> None:
        """Queue the answer to a message that cannot be obeyed."""
        for watch in self._watchers:
            watch(Fault("invalid_request_error", error.code, error.message, error.param))
        self.push(self._codec.encode_error(error))

    async def drain(self) -> None:
        """Wait until the client is there and has room for more sound."""
        while not self._linked or self._n_bytes > _ROOM_BYTES:
            self._changed.clear()
            await self._changed.wait()

    def finish(self) -> None:
        """Nothing more will come: write() ends when everything has left."""
        self._finished = True
        self._changed.set()

    async def write(self, link: Link, patience_s: float) -> None:
        """Send what is queued and what will be, until finish(). One link at a time.

        Raises:
            TooSlowError: the client took nothing for patience_s.
            ConnectionError: it has gone.
        """
        self._linked = True
        self._changed.set()
        try:
            await self._write(link, patience_s)
        finally:
            self._linked = False

    def acknowledge(self, seq: int) -> None:
        """The client has every frame up to this number."""
        while self._sent and self._latest - len(self._frames) - len(self._sent) < seq:
            self._n_bytes_sent -= len(self._sent.popleft())

    def go_on_after(self, seq: int) -> bool:
        """Let the next link begin with the frame after this one; False if that was let go or there never was one."""
        kept = [*self._sent, *self._frames]
        n_known = seq - (self._latest - len(kept))
        if not 0 <= n_known <= len(kept):
            return False
        self._sent.clear()
        self._n_bytes_sent = 0
        self._frames = deque(kept[n_known:])
        self._n_bytes = sum(map(len, self._frames))
        return True

    def push(self, frame: bytes) -> None:
        """Queue a frame, a JSON object, with its number."""
        self._latest += 1
        frame = b'%b,"server_event_seq":%d}' % (frame[:-1], self._latest)
        self._pass_on(frame)
        self._frames.append(frame)
        self._n_bytes += len(frame)
        self._changed.set()

    async def _write(self, link: Link, patience_s: float) -> None:
        while self._frames or not self._finished:
            while self._frames:
                try:
                    async with asyncio.timeout(patience_s):
                        await link.send(self._frames[0])
                except TimeoutError:
                    raise TooSlowError from None
                self._keep()
                self._changed.set()
            if not self._finished:
                self._changed.clear()
                await self._changed.wait()

    def _keep(self) -> None:
        """The first frame has left. It is kept only now: a link that is given up while it sends loses nothing."""
        frame = self._frames.popleft()
        self._n_bytes -= len(frame)
        self._sent.append(frame)
        self._n_bytes_sent += len(frame)
        while self._n_bytes_sent > _KEPT_BYTES:
            self._n_bytes_sent -= len(self._sent.popleft())
