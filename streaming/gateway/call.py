"""One call: a session, the client's messages in, its events out, and what ends it. Knows no transport."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from streaming.events import Closed, Event
from streaming.gateway.link import Link, LinkEndedError
from streaming.gateway.outbox import Outbox, TooSlowError, Watcher
from streaming.gateway.term import Term
from streaming.gateway.wire.deferred import Undecoded
from streaming.gateway.wire.fields import WireError
from streaming.gateway.wire.realtime import RealtimeCodec
from streaming.gateway.wire.session_object import SessionObject
from streaming.session import LEAD_S, Session
from streaming.tdm.clock import Clock
from streaming.tdm.conversation import opening, opening_settings
from streaming.tdm.pipeline import Engine
from streaming.tdm.turns import Activity

log = logging.getLogger(__name__)

CLOSE_S = 2.0
"""patience with a peer that is told goodbye"""
_MIND_S = 0.5
"""between two looks at what may end a call"""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all calls of a server use together."""

    engine: Engine
    clock: Clock
    pool: Executor
    """decodes pictures and long sound"""
    open_activity: Callable[[], Activity]
    idle_timeout_s: float
    patience_s: float
    """a client that takes nothing of what it is sent for so long is let go"""


class Call:
    """One client's conversation. Whatever ends it, run() returns with its session closed and nothing left behind.

    Args:
        chosen: fields of the session object that the client chose before the call.

    Raises:
        WireError: one of them is wrong.
    """

    def __init__(
        self,
        session_id: str,
        shared: Shared,
        term: Term,
        *,
        model_alias: str | None,
        chosen: Mapping[str, Any],
        watchers: Sequence[Watcher],
    ) -> None:
        self._shared = shared
        self._term = term
        expires_at = int(time.time() + term.left_s)  # a date for the client; nothing is measured with it
        opened = opening(session_id, shared.engine, opening_settings(shared.engine.capabilities))
        begun = SessionObject.begun(opened, (model_alias,) if model_alias else (), expires_at, chosen)
        self._codec = RealtimeCodec(session_id, begun=begun)
        self._outbox = Outbox(self._codec, [*watchers, self._notice])
        self.session = Session(
            session_id, shared.engine, shared.open_activity(), shared.clock, self._outbox, begun.settings, LEAD_S
        )
        self._ending: asyncio.Future[Closed] = asyncio.get_running_loop().create_future()
        self._code: int | None = None
        self._latest_s = shared.clock.now_s()

    def end(self, closed: Closed, code: int | None = None) -> None:
        """Let the call end. The first reason given is the one that counts.

        Args:
            code: for a closing frame, instead of the one that stands for the reason.
        """
        if not self._ending.done():
            self._code = code
            self._ending.set_result(closed)

    async def run(self, link: Link) -> None:
        """Converse until something ends it."""
        writer = asyncio.create_task(self._watched(self._outbox.write(link, self._shared.patience_s)))
        others = [asyncio.create_task(self._watched(work)) for work in (self._converse(link), self._mind())]
        try:
            closed = await self._ending
        except asyncio.CancelledError:
            closed = Closed("shutdown", "the server stops")
            raise
        finally:
            await _stop(others)
            try:
                await self.session.close(closed.reason, closed.message, closed.retry_s)
                self._outbox.finish()
                if closed.reason != "too_slow":
                    await asyncio.wait([writer], timeout=CLOSE_S)
            finally:
                await _stop([writer])
                if closed.reason == "too_slow":
                    link.abort()  # else what it does not read would be kept for it until it does
                await link.close(closed, self._code)

    async def _watched(self, work: Coroutine[None, None, None]) -> None:
        """Run a part of the call; whatever stops it stops the call, and nothing else."""
        try:
            await work
        except LinkEndedError as ended:
            self.end(ended.closed, ended.code)
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

    async def _converse(self, link: Link) -> None:
        """Open the session and obey the client's messages."""
        await self.session.open()
        while True:
            message = await link.receive()
            self._latest_s = self._shared.clock.now_s()
            if self._outbox.overflows:
                raise TooSlowError  # before its next request adds to what it does not read
            if isinstance(message, WireError):
                self._outbox.refuse(message)
            else:
                await self._obey(message)

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
        clock, shared, term = self._shared.clock, self._shared, self._term
        while True:
            now_s = clock.now_s()
            if closed := term.over(quiet=self.session.idle):
                self.end(closed)
            if warning := term.warning():
                self._outbox.send(warning)
            if now_s >= self._latest_s + shared.idle_timeout_s:
                self.end(Closed("idle", f"nothing came from this client for {shared.idle_timeout_s:.0f} s"))
            if self._outbox.overflows:
                raise TooSlowError
            await clock.sleep_until(min(self._latest_s + shared.idle_timeout_s, now_s + _MIND_S))


async def _stop(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
