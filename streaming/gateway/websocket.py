"""A WebSocket as the link of a call: text frames both ways, and a close code that says why it ended."""

import asyncio

from aiohttp import WebSocketError, WSCloseCode, WSMsgType, web

from streaming.events import Closed, Event
from streaming.gateway.call import CLOSE_S
from streaming.gateway.link import LinkEndedError
from streaming.gateway.wire.fields import WireError
from streaming.gateway.wire.realtime import WEBSOCKET

MAX_FRAME_BYTES = 16 * 1024 * 1024 - 1
"""of one message from a client"""
_MOST_FRAME_BYTES = 2 * MAX_FRAME_BYTES
"""up to here a message that is too big is read to its end: closing in the middle of it would reset the connection,
and its sender would never see why"""
HEARTBEAT_S = 20.0
"""a peer that answers no ping for half as long has vanished"""
ABANDONED = 4000
"""closing code of a client that gave up the connection, not the call: it comes back over another"""
_REASON_BYTES = 123
"""what a close frame can hold"""

CLOSE_CODES: dict[str, WSCloseCode] = {
    "client": WSCloseCode.OK,
    "busy": WSCloseCode.TRY_AGAIN_LATER,
    "quota": WSCloseCode.POLICY_VIOLATION,
    "idle": WSCloseCode.OK,
    "expired": WSCloseCode.GOING_AWAY,
    "too_slow": WSCloseCode.POLICY_VIOLATION,
    "shutdown": WSCloseCode.SERVICE_RESTART,
    "fault": WSCloseCode.INTERNAL_ERROR,
    "lost": WSCloseCode.GOING_AWAY,
}
"""Official clients connect again by themselves after 1001, 1011, 1012 and 1013, and never after 1000 and 1008."""


class Socket(web.WebSocketResponse):
    """A WebSocket that gives a reason also for the closings which aiohttp decides on."""

    def __init__(self) -> None:
        # Compression is declined: sound in base64 gains little by it, and every message would cost time at both ends.
        super().__init__(
            protocols=("realtime",),
            max_msg_size=_MOST_FRAME_BYTES,
            heartbeat=HEARTBEAT_S,
            timeout=CLOSE_S,
            compress=False,
            decode_text=False,
        )

    async def close(self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True) -> bool:
        """Close with a code and a reason, which is cut to what a close frame holds."""
        reason = message or _REASONS.get(code, "").encode()
        # cut at whole characters, or the peer has to refuse the frame
        reason = reason[:_REASON_BYTES].decode(errors="ignore").encode()
        return await super().close(code=code, message=reason, drain=drain)


_REASONS: dict[int, str] = {
    WSCloseCode.MESSAGE_TOO_BIG: f"a message may have at most {MAX_FRAME_BYTES} bytes; send smaller ones",
    WSCloseCode.PROTOCOL_ERROR: "what came was no valid WebSocket frame",
    WSCloseCode.INVALID_TEXT: "text messages must be UTF-8",
}


class WebSocketLink:
    """A WebSocket that is open."""

    carriage = WEBSOCKET

    def __init__(self, socket: Socket, transport: asyncio.Transport | None) -> None:
        self._socket = socket
        self._transport = transport

    def watch(self, event: Event) -> None:
        """The client plays the sound itself."""

    async def receive(self) -> bytes | WireError:
        """The next text frame. Raises LinkEndedError."""
        message = await self._socket.receive()
        if message.type in {WSMsgType.TEXT, WSMsgType.BINARY} and len(message.data) > MAX_FRAME_BYTES:
            code = WSCloseCode.MESSAGE_TOO_BIG
            raise LinkEndedError(Closed("client", _REASONS[code]), code)
        if message.type is WSMsgType.TEXT:
            text: bytes = message.data
            return text
        if message.type is WSMsgType.BINARY:
            return WireError("invalid_message", "Binary messages mean nothing here: send JSON text, sound as base64.")
        hung_up = message.type is WSMsgType.CLOSE and message.data != ABANDONED
        if hung_up or isinstance(message.data, WebSocketError):
            raise LinkEndedError(Closed("client", "the client hung up"))
        # mostly without a closing frame: the network has ended it, or a peer that answers no ping
        raise LinkEndedError(Closed("lost", f"the connection was lost: {self._socket.exception()}"), lost=True)

    async def send(self, frame: bytes) -> None:
        """Send a text frame. Raises ConnectionError."""
        await self._socket.send_frame(frame, WSMsgType.TEXT)

    async def close(self, closed: Closed, code: int | None = None) -> None:
        """Close with the code that stands for the reason, or another."""
        await self._socket.close(code=code or CLOSE_CODES[closed.reason], message=closed.message.encode())

    def let_go(self) -> None:
        """The client plays the sound, and goes on with what it has of it."""

    def abort(self) -> None:
        """Reset the connection."""
        if self._transport is not None:
            self._transport.abort()
