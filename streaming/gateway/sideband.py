"""A second connection to a call: it sees what the first one is told, and says what is to be done (?call_id=)."""

import asyncio
from collections import deque

from streaming.gateway.link import Link
from streaming.gateway.outbox import TooSlowError

MOST_FOLLOWERS = 8
"""of one call"""
_MOST_BYTES = 4 * 1024 * 1024
"""frames that wait; a follower that reads so little is given up"""


class Follower:
    """Frames on their way to one such connection."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self._frames: deque[bytes] = deque()
        self._n_bytes = 0
        self._finished = False
        self._changed = asyncio.Event()

    def push(self, frame: bytes) -> None:
        """Queue a frame. Never waits."""
        self._frames.append(frame)
        self._n_bytes += len(frame)
        self._changed.set()

    def finish(self) -> None:
        """Nothing more will come."""
        self._finished = True
        self._changed.set()

    async def write(self, patience_s: float) -> None:
        """Send what is queued and what will be, until finish().

        Raises:
            TooSlowError: the follower takes too little.
            ConnectionError: it has gone.
        """
        while self._frames or not self._finished:
            while self._frames:
                if self._n_bytes > _MOST_BYTES:
                    raise TooSlowError
                frame = self._frames.popleft()
                try:
                    async with asyncio.timeout(patience_s):
                        await self.link.send(frame)
                except TimeoutError:
                    raise TooSlowError from None
                self._n_bytes -= len(frame)
            if not self._finished:
                self._changed.clear()
                await self._changed.wait()
