"""/v1/realtime over WebSocket: one call, from the handshake to a close code that says why."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from aiohttp import WSCloseCode, WSMsgType, web

from streaming.events import Closed, Event, Fault
from streaming.gateway.wire.deferred import Undecoded
from streaming.gateway.wire.fields import WireError
from streaming.gateway.wire.realtime import RealtimeCodec
from streaming.session import LEAD_S, Session
from streaming.tdm.clock import Clock
from streaming.tdm.conversation import opening_settings
from streaming.tdm.pipeline import Engine
from streaming.tdm.turns import Activity

log = logging.getLogger(__name__)

MAX_FRAME_BYTES = 16 * 1024 * 1024 - 1
"""of one message from a client"""
_MOST_FRAME_BYTES = 2 * MAX_FRAME_BYTES
"""up to here a message that is too big is read to its end: closing in the middle of it would reset the connection,
and its sender would never see why"""
HEARTBEAT_S = 20.0
"""a peer that answers no ping for half as long has vanished"""
CLOSE_S = 2.0
"""patience with a peer that is told goodbye"""

_ROOM_BYTES = 64 * 1024
"""outgoing data above which drain() waits: about a second of speech"""
_MOST_BYTES = 8 * 1024 * 1024
"""outgoing data above which the client is given up"""
_REASON_BYTES = 123
"""what a close frame can hold"""

CLOSE_CODES: dict[str, WSCloseCode] = {
    "client": WSCloseCode.OK,
    "busy": WSCloseCode.TRY_AGAIN_LATER,
    "idle": WSCloseCode.OK,
    "expired": WSCloseCode.GOING_AWAY,
    "too_slow": WSCloseCode.POLICY_VIOLATION,
    "shutdown": WSCloseCode.SERVICE_RESTART,
    "fault": WSCloseCode.INTERNAL_ERROR,
}
"""Official clients connect again by themselves after 1001, 1011, 1012 and 1013, and never after 1000 and 1008."""

Watcher = Callable[[Event], None]


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

    async def write(self, socket: Socket, patience_s: float) -> None:
        """Send what is queued and what will be, until finish().

        Raises:
            TooSlowError: the client took nothing for patience_s.
            ConnectionError: it has gone.
        """
        while self._frames or not self._finished:
            while self._frames:
                try:
                    async with asyncio.timeout(patience_s):
                        await socket.send_frame(self._frames[0], WSMsgType.TEXT)
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


@dataclass(frozen=True, slots=True)
class Shared:
    """What all calls of a server use together."""

    engine: Engine
    clock: Clock
    pool: Executor
    """decodes pictures and long sound"""
    open_activity: Callable[[], Activity]
    idle_timeout_s: float
    max_session_s: float
    patience_s: float
    """a client that takes nothing of what it is sent for so long is let go"""


class Call:
    """One client on one WebSocket. Whatever ends it, run() returns with its session closed and nothing left behind."""

    def __init__(self, session_id: str, shared: Shared, model_alias: str | None, watchers: Sequence[Watcher]) -> None:
        self._shared = shared
        expires_at = int(time.time() + shared.max_session_s)  # a date for the client; nothing is measured with it
        self._codec = RealtimeCodec(session_id, (model_alias,) if model_alias else (), expires_at)
        self._outbox = Outbox(self._codec, [*watchers, self._notice])
        settings = opening_settings(shared.engine.capabilities)
        self.session = Session(
            session_id, shared.engine, shared.open_activity(), shared.clock, self._outbox, settings, LEAD_S
        )
        self._ending: asyncio.Future[Closed] = asyncio.get_running_loop().create_future()
        self._code = WSCloseCode.SERVICE_RESTART
        self._opened_s = self._latest_s = shared.clock.now_s()

    def end(self, closed: Closed, code: WSCloseCode | None = None) -> None:
        """Let the call end. The first reason given is the one that counts.

        Args:
            code: instead of the one that stands for the reason.
        """
        if not self._ending.done():
            self._code = code or CLOSE_CODES[closed.reason]
            self._ending.set_result(closed)

    async def run(self, socket: Socket, transport: asyncio.Transport | None) -> None:
        """Converse until something ends it."""
        writer = asyncio.create_task(self._watched(self._outbox.write(socket, self._shared.patience_s)))
        others = [asyncio.create_task(self._watched(work)) for work in (self._converse(socket), self._mind())]
        try:
            closed = await self._ending
        except asyncio.CancelledError:
            closed = Closed("shutdown", "the server stops")
            raise
        finally:
            await _stop(others)
            try:
                await self.session.close(closed.reason, closed.message)
                self._outbox.finish()
                if closed.reason != "too_slow":
                    await asyncio.wait([writer], timeout=CLOSE_S)
            finally:
                await _stop([writer])
                if closed.reason == "too_slow" and transport is not None:
                    transport.abort()  # else what it does not read would be kept for it until it does
                await socket.close(code=self._code, message=closed.message.encode())

    async def _watched(self, work: Coroutine[None, None, None]) -> None:
        """Run a part of the call; whatever stops it stops the call, and nothing else."""
        try:
            await work
        except TooSlowError:
            self.end(Closed("too_slow", "this client does not read what it is sent"))
        except ConnectionError:
            self.end(Closed("client", "the connection was lost"))
        except Exception as error:
            log.exception("%s failed", self.session.id)
            self.end(Closed("fault", f"the session failed: {type(error).__name__}: {error}"))

    def _notice(self, event: Event) -> None:
        if isinstance(event, Closed):
            self.end(event)

    async def _converse(self, socket: Socket) -> None:
        """Open the session and obey the client's messages."""
        await self.session.open()
        while True:
            message = await socket.receive()
            self._latest_s = self._shared.clock.now_s()
            if message.type in {WSMsgType.TEXT, WSMsgType.BINARY} and len(message.data) > MAX_FRAME_BYTES:
                self.end(Closed("client", _REASONS[WSCloseCode.MESSAGE_TOO_BIG]), WSCloseCode.MESSAGE_TOO_BIG)
                return
            if self._outbox.overflows:
                raise TooSlowError  # before its next request adds to what it does not read
            if message.type is WSMsgType.TEXT:
                await self._obey(message.data)
            elif message.type is WSMsgType.BINARY:
                self._outbox.refuse(
                    WireError("invalid_message", "Binary messages mean nothing here: send JSON text, sound as base64.")
                )
            else:
                error = socket.exception()
                self.end(Closed("client", f"the connection was lost: {error}" if error else "the client hung up"))
                return

    async def _obey(self, message: bytes) -> None:
        for inbound in self._codec.decode(message):
            if isinstance(inbound, Undecoded):
                # decoded in the pool, and waited for, so that the client's messages keep their order
                loop = asyncio.get_running_loop()
                command = await loop.run_in_executor(self._shared.pool, inbound.decode)
            else:
                command = inbound
            if isinstance(command, WireError):
                self._outbox.refuse(command)
            else:
                await self.session.handle(command)

    async def _mind(self) -> None:
        """End a call that is too long, a client that says nothing, and one that takes far too little."""
        clock, shared = self._shared.clock, self._shared
        while True:
            now_s = clock.now_s()
            if now_s >= self._opened_s + shared.max_session_s:
                self.end(Closed("expired", f"a call lasts at most {shared.max_session_s:.0f} s; call again to go on"))
            if now_s >= self._latest_s + shared.idle_timeout_s:
                self.end(Closed("idle", f"nothing came from this client for {shared.idle_timeout_s:.0f} s"))
            if self._outbox.overflows:
                raise TooSlowError
            due_s = min(self._opened_s + shared.max_session_s, self._latest_s + shared.idle_timeout_s)
            await clock.sleep_until(min(due_s, now_s + 1.0))


async def _stop(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
