"""One call: a session, the client's messages in, its events out, and what ends it. Knows no transport."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Literal

from streaming.commands import AppendAudio
from streaming.company.catalogue import BuiltIn, Catalogue
from streaming.events import Closed, Event
from streaming.gateway.link import Link, LinkEndedError
from streaming.gateway.outbox import Outbox, TooSlowError, Watcher
from streaming.gateway.resume import Passes, unknown_token
from streaming.gateway.sideband import MOST_FOLLOWERS, Follower
from streaming.gateway.term import Term
from streaming.gateway.wire.connection import Acknowledged, Heartbeat, Resume
from streaming.gateway.wire.deferred import Undecoded
from streaming.gateway.wire.fields import WireError
from streaming.gateway.wire.realtime import WEBSOCKET, Carriage, Inbound, RealtimeCodec
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
    resume_within_s: float
    """a call whose link was lost waits so long for another"""


class _Carrier:
    """A link while it carries a call, with the two tasks that read and write it."""

    def __init__(self, link: Link, obeying: asyncio.Lock) -> None:
        self.link = link
        self.obeying = obeying
        """held while a message is obeyed: half a message obeyed would leave the session in two minds"""
        self.over: asyncio.Future[Literal["lost", "replaced", "closed"]] = asyncio.get_running_loop().create_future()
        self.tasks: tuple[asyncio.Task[None], ...] = ()

    def end(self, how: Literal["lost", "replaced", "closed"]) -> None:
        """The link carries the call no more. What is said first counts."""
        if not self.over.done():
            self.over.set_result(how)

    async def stop(self) -> None:
        """Leave the link, between two of its messages."""
        async with self.obeying:
            await _stop(self.tasks)


class Call:
    """One client's conversation, over one link after another.

    open() comes first; live() returns with the session closed and nothing left behind, whatever ended it. Meanwhile
    a link carries it, and when that is lost it waits Shared.resume_within_s for another.

    Args:
        chosen: fields of the session object that the client chose before the call.
        carriage: of its first link.
        lead_s: how far ahead of the listener sound is sent.
        catalogue: the voices and characters that this caller may choose; None: the model's own.

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
        carriage: Carriage = WEBSOCKET,
        lead_s: float = LEAD_S,
        catalogue: Catalogue | None = None,
    ) -> None:
        self._shared = shared
        self._term = term
        self._passes = Passes(session_id)
        expires_at = int(time.time() + term.left_s)  # a date for the client; nothing is measured with it
        can = shared.engine.capabilities
        catalogue = catalogue or BuiltIn(can)
        opened = opening(session_id, shared.engine, opening_settings(can), catalogue)
        begun = SessionObject.begun(opened, (model_alias,) if model_alias else (), expires_at, chosen, catalogue)
        self._codec = RealtimeCodec(session_id, begun=begun, carriage=carriage, offer=self._offer())
        self._outbox = Outbox(self._codec, [*watchers, self._notice], self._passed_on)
        self.session = Session(
            session_id,
            shared.engine,
            shared.open_activity(),
            shared.clock,
            self._outbox,
            begun.settings,
            lead_s,
            catalogue,
        )
        self.gone = asyncio.Event()
        """nothing is left of the call, and its place is free; whoever gave it the place says so"""
        self._ending: asyncio.Future[Closed] = asyncio.get_running_loop().create_future()
        self._code: int | None = None
        self._latest_s = shared.clock.now_s()
        self._carrier: _Carrier | None = None
        self._changing = asyncio.Lock()
        """held while one link gives way to another, or to none"""
        self._obeying = asyncio.Lock()
        """the session takes one command at a time, whoever sent it"""
        self._followers: list[Follower] = []
        self._lost_s: float | None = None
        """since when no link carries the call, if one had"""
        self._n_received = 0
        self._sound_apart = carriage.sound_apart
        """the latest link plays the sound itself"""

    def end(self, closed: Closed, code: int | None = None) -> None:
        """Let the call end. The first reason given is the one that counts.

        Args:
            code: for a closing frame, instead of the one that stands for the reason.
        """
        if not self._ending.done():
            self._code = code
            self._ending.set_result(closed)

    async def open(self) -> None:
        """Open the session: its first events wait for a link."""
        await self._watched(self.session.open())

    async def live(self) -> None:
        """Go on until something ends the call, with or without a link."""
        minder = asyncio.create_task(self._watched(self._mind()))
        closed = Closed("shutdown", "the server stops")
        try:
            closed = await self._ending
        finally:
            await _stop([minder])
            async with self._changing:
                await self._close(closed)

    async def carry(self, link: Link) -> None:
        """Converse over the first link until it is lost, replaced or closed with the call."""
        async with self._changing:
            carrier = self._attach(link)
        async with self._obeying:
            self.session.greet()
        await self._carried(carrier)

    async def follow(self, link: Link) -> None:
        """Let another connection see what happens, and say what is to be done, until it leaves or the call is over.

        Raises:
            WireError: there are too many already. Nothing was sent over the link.
        """
        if len(self._followers) >= MOST_FOLLOWERS or self._ending.done():
            raise WireError("session_limit_reached", f"No more than {MOST_FOLLOWERS} connections may follow a call.")
        follower = Follower(link)
        follower.push(self._codec.encode_created())
        self._followers.append(follower)
        parts = (follower.write(self._shared.patience_s), self._hear(follower))
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._followers.remove(follower)
            async with self._obeying:
                await _stop(tasks)
            await link.close(self._ending.result() if self._ending.done() else Closed("client", "it hung up"))

    async def _hear(self, follower: Follower) -> None:
        """Obey a follower's messages."""
        while True:
            message = await follower.link.receive()
            async with self._obeying:
                await self._obey(message, follows=True)

    def _passed_on(self, frame: bytes) -> None:
        for follower in self._followers:
            follower.push(frame)

    async def resume(self, link: Link, resume: Resume) -> None:
        """Go on over another link, which takes the place of one that is still there, until that one is gone too.

        Raises:
            WireError: the client may not, or cannot, go on with this call. Nothing was sent over the link.
        """
        async with self._changing:
            if not self._passes.admits(resume.token) or self._ending.done():
                raise unknown_token()
            if self._carrier is not None:
                # seen from here it may look alive long after the client has lost it
                await self._leave(self._carrier)
                self._carrier.end("replaced")
                self._carrier = None
            if not self._outbox.go_on_after(resume.last_event_seq):
                message = f"What followed event {resume.last_event_seq} is not kept any more: begin a new session."
                self.end(Closed("lost", message))
                raise WireError("resume_events_gone", message, "last_event_seq")
            log.info("%s goes on over another connection", self.session.id)
            self._outbox.push(self._codec.encode_resumed(self._offer(), self._n_received))
            # what a link has not played of the sound that it plays itself, nobody heard; of messages none was lost
            anew = self._sound_apart or link.carriage.sound_apart
            carrier = self._attach(link)
            self.session.reach(anew=anew)
        await self._carried(carrier)

    async def _leave(self, carrier: _Carrier) -> None:
        """Take a link from the call; what its listener has not heard of an answer is still to be heard."""
        await carrier.stop()
        if (heard := carrier.link.let_go()) is not None:
            await self.session.handle(heard)

    def _offer(self) -> dict[str, Any]:
        """How the client can come back, if it loses its connection."""
        return {"resume_token": self._passes.issue(), "resume_within_s": round(self._shared.resume_within_s)}

    def _attach(self, link: Link) -> _Carrier:
        carrier = self._carrier = _Carrier(link, self._obeying)
        self._codec.carried_by(link.carriage)
        self._sound_apart = link.carriage.sound_apart
        self._lost_s = None
        self._latest_s = self._shared.clock.now_s()
        work = (self._converse(carrier), self._outbox.write(link, self._shared.patience_s))
        carrier.tasks = tuple(asyncio.create_task(self._watched(part, carrier)) for part in work)
        if self._ending.done():
            carrier.end("closed")
        return carrier

    async def _carried(self, carrier: _Carrier) -> None:
        """Wait until a link carries the call no more, and let go of it."""
        how = await carrier.over
        if how == "replaced":
            await carrier.link.close(Closed("client", "the call goes on over another connection"))
        elif how == "lost":
            async with self._changing:
                if self._carrier is carrier:
                    await self._leave(carrier)
                    self._carrier = None
                    self._lost_s = self._shared.clock.now_s()
                    self.session.cut_off()
                    log.info("%s lost its connection and waits for another", self.session.id)
            carrier.link.abort()

    async def _close(self, closed: Closed) -> None:
        """Close the session, and tell the client if it is there."""
        carrier, self._carrier = self._carrier, None
        if carrier is not None:
            await _stop(carrier.tasks[:1])
        try:
            await self.session.close(closed.reason, closed.message, closed.retry_s)
            self._outbox.finish()
            for follower in self._followers:
                follower.finish()
            if carrier is not None and closed.reason != "too_slow":
                await asyncio.wait(carrier.tasks[1:], timeout=CLOSE_S)
        finally:
            if carrier is not None:
                await _stop(carrier.tasks)
                if closed.reason == "too_slow":
                    carrier.link.abort()  # else what it does not read would be kept for it until it does
                await carrier.link.close(closed, self._code)
                carrier.end("closed")

    async def _watched(self, work: Coroutine[None, None, None], carrier: _Carrier | None = None) -> None:
        """Run a part of the call; whatever stops it stops the link or the call, and nothing else."""
        try:
            await work
        except LinkEndedError as ended:
            if carrier is not None and ended.lost:
                carrier.end("lost")
            else:
                self.end(ended.closed, ended.code)
        except TooSlowError:
            self.end(Closed("too_slow", "this client does not read what it is sent"))
        except ConnectionError:
            if carrier is not None:
                # what was read before knows whether the client has gone without a word
                waits: set[asyncio.Future[Any]] = {carrier.over, self._ending}
                await asyncio.wait(waits, timeout=CLOSE_S, return_when=asyncio.FIRST_COMPLETED)
                if not self._ending.done():
                    carrier.end("lost")
        except Exception as error:
            log.exception("%s failed", self.session.id)
            self.end(Closed("fault", f"the session failed: {type(error).__name__}: {error}"))

    def _notice(self, event: Event) -> None:
        if self._carrier is not None:
            self._carrier.link.watch(event)
        if isinstance(event, Closed):
            self.end(event)

    async def _converse(self, carrier: _Carrier) -> None:
        """Obey the client's messages."""
        while True:
            message = await carrier.link.receive()
            if not isinstance(message, AppendAudio):  # a track goes on for ever, be it with silence
                self._latest_s = self._shared.clock.now_s()
            if isinstance(message, bytes | WireError):
                # sound beside the messages does not show that any was read
                self._n_received += 1
                self._passes.received()
            if self._outbox.overflows:
                raise TooSlowError  # before its next request adds to what it does not read
            async with carrier.obeying:
                await self._obey(message)

    async def _obey(self, message: bytes | Inbound, *, follows: bool = False) -> None:
        for inbound in self._codec.decode(message) if isinstance(message, bytes) else [message]:
            match inbound:
                case Acknowledged(seq):
                    if not follows:  # what a follower has read, the client may not have
                        self._outbox.acknowledge(seq)
                    continue
                case Heartbeat():
                    self._outbox.push(self._codec.encode_heartbeat())
                    continue
                case Undecoded():
                    # decoded in the pool, and waited for, so that the client's messages keep their order
                    loop = asyncio.get_running_loop()
                    command = await loop.run_in_executor(self._shared.pool, inbound.decode)
                case _:
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
            if not self.session.idle:
                self._latest_s = now_s
            # who cannot be reached is not idle
            since_s, patience_s = self._latest_s, shared.idle_timeout_s
            closed = Closed("idle", f"nothing came from this client for {patience_s:.0f} s")
            if self._lost_s is not None:
                since_s, patience_s = self._lost_s, shared.resume_within_s
                closed = Closed("lost", f"the connection was lost, and no other came within {patience_s:.0f} s")
            if now_s >= since_s + patience_s:
                self.end(closed)
            if self._outbox.overflows:
                raise TooSlowError
            await clock.sleep_until(min(since_s + patience_s, now_s + _MIND_S))


async def _stop(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
