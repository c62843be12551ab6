"""A WebRTC call's data channel as the link of a call, with the sound and pictures that travel beside it."""

import asyncio
import contextlib
from collections import deque

from aiortc import RTCDataChannel
from aiortc.exceptions import InvalidStateError
from aiortc.rtcsctptransport import HeartbeatChunk

from omni.types import Pcm
from streaming.commands import AppendAudio, Heard
from streaming.events import Closed
from streaming.gateway.link import LinkEndedError
from streaming.gateway.wire.deferred import Undecoded
from streaming.gateway.wire.fields import WireError
from streaming.gateway.wire.realtime import Inbound

MAX_INBOX_BYTES = 8 * 1024 * 1024
"""messages that wait to be obeyed; a client that sends more at once is let go"""
MAX_SOUND = 250
"""packets of sound that wait, 5 s; the oldest then give way"""
_ROOM_BYTES = 64 * 1024
"""on their way out, above which send() waits"""
_PING = (1, b"ping")
"""what a heartbeat holds: comes back as it is"""


class Inbox:
    """What a peer sent and nobody has taken: messages in order, then the newest picture, position and sound."""

    def __init__(self) -> None:
        self._messages: deque[bytes | WireError] = deque()
        self._n_bytes = 0
        self._picture: Undecoded | None = None
        self._heard: Heard | None = None
        self._sound: deque[Pcm] = deque()
        self._ended: LinkEndedError | None = None
        self._changed = asyncio.Event()
        self.n_dropped = 0
        """packets of sound that gave way"""

    @property
    def ended(self) -> LinkEndedError | None:
        """Why nothing more comes, once that is known."""
        return self._ended

    def put_message(self, message: bytes | WireError) -> None:
        """Queue a message."""
        self._messages.append(message)
        self._n_bytes += len(message) if isinstance(message, bytes) else 0
        if self._n_bytes > MAX_INBOX_BYTES:
            self.end(Closed("client", f"more than {MAX_INBOX_BYTES} bytes of messages came at once; send them slower"))
        self._changed.set()

    def put_sound(self, pcm: Pcm) -> None:
        """Queue what the microphone heard [S]."""
        if not len(pcm):
            return
        if len(self._sound) >= MAX_SOUND:
            self._sound.popleft()
            self.n_dropped += 1
        self._sound.append(pcm)
        self._changed.set()

    def put_picture(self, picture: Undecoded) -> None:
        """Take what the camera shows now."""
        self._picture = picture
        self._changed.set()

    def put_heard(self, heard: Heard) -> None:
        """Take the listener's position."""
        self._heard = heard
        self._changed.set()

    def end(self, closed: Closed, *, lost: bool = False) -> None:
        """Nothing more comes. The first reason given is the one that counts."""
        self._ended = self._ended or LinkEndedError(closed, lost=lost)
        self._changed.set()

    async def take(self) -> bytes | Inbound:
        """Wait for the next thing.

        Raises:
            LinkEndedError: there is none any more.
        """
        while True:
            if self._ended is not None:
                raise self._ended
            if self._messages:
                message = self._messages.popleft()
                self._n_bytes -= len(message) if isinstance(message, bytes) else 0
                return message
            if self._heard is not None:
                heard, self._heard = self._heard, None
                return heard
            if self._picture is not None:
                picture, self._picture = self._picture, None
                return picture
            if self._sound:
                return AppendAudio(self._sound.popleft())
            self._changed.clear()
            await self._changed.wait()


class Channel:
    """The way out for messages: a data channel that the client opens, or none."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._channel: RTCDataChannel | None = None
        self._room = asyncio.Event()

    def open(self, channel: RTCDataChannel) -> None:
        """Use a channel of the client's."""
        self._channel = channel
        channel.bufferedAmountLowThreshold = _ROOM_BYTES // 2
        channel.on("message", self._received)
        channel.on("bufferedamountlow", self._room.set)
        channel.on("close", self._closed)

    async def send(self, frame: bytes) -> None:
        """Send a text message; returns when there is room for more.

        Raises:
            ConnectionError: the channel is closed.
        """
        channel = self._channel
        if channel is None:
            return  # a client that offered no channel wants none of it
        await self._wait(channel, _ROOM_BYTES)
        if channel.transport.transport.state != "connected":
            # aiortc would find that out in a task of its own, which nobody asks how it went
            raise ConnectionError("the connection is closed")
        try:
            channel.send(frame.decode())
        except InvalidStateError as error:
            raise ConnectionError("the data channel is closed") from error

    async def ping(self) -> None:
        """Let the other end answer, if it is there: its SCTP does that by itself (RFC 9260, section 3.3.5)."""
        channel = self._channel
        if channel is not None and channel.readyState == "open":
            heartbeat = HeartbeatChunk()
            heartbeat.params = [_PING]
            with contextlib.suppress(ConnectionError):
                await channel.transport._send_chunk(heartbeat)

    async def flush(self) -> None:
        """Return when everything has left. Raises ConnectionError."""
        if self._channel is not None:
            self._channel.bufferedAmountLowThreshold = 0
            await self._wait(self._channel, 0)

    async def _wait(self, channel: RTCDataChannel, most_bytes: int) -> None:
        while channel.bufferedAmount > most_bytes:
            if channel.readyState != "open":
                raise ConnectionError("the data channel is closed")
            self._room.clear()
            await self._room.wait()

    def _received(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self._inbox.put_message(message.encode())
        else:
            advice = "Binary messages mean nothing here: send JSON text; sound comes by the audio track."
            self._inbox.put_message(WireError("invalid_message", advice))

    def _closed(self) -> None:
        self._inbox.end(Closed("client", "the client hung up"))
        self._room.set()
