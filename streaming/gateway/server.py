"""The server's routes: the page, /v1/realtime and what monitors ask, with the engine in a thread behind them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiohttp import web
from aiohttp.typedefs import Handler

from omni.model import OmniModel
from streaming.company.catalogue import Catalogue
from streaming.company.characters import Characters
from streaming.config import Config
from streaming.events import Closed
from streaming.gateway import http
from streaming.gateway.access import RETRY_S, Access, Caller, Visit
from streaming.gateway.beta_link import BetaLink, speaks_beta
from streaming.gateway.call import Call, Shared
from streaming.gateway.libraries import CHARACTERS, Libraries
from streaming.gateway.link import Link, LinkEndedError, turn_away
from streaming.gateway.media import ActivityModel, PooledActivity
from streaming.gateway.minutes import UsedMinutes
from streaming.gateway.requests.characters import CharacterRequests
from streaming.gateway.requests.secrets import client_secret, flat_client_secret
from streaming.gateway.requests.speech import SpeechRequests
from streaming.gateway.requests.voices import list_voices, make_voice, remove_voice
from streaming.gateway.resume import Arrivals, asked_for, session_of, unknown_token
from streaming.gateway.term import Term
from streaming.gateway.webrtc.calls import Reception, WebRtc, session_of_call
from streaming.gateway.webrtc.peer import Peer
from streaming.gateway.websocket import Socket, WebSocketLink
from streaming.gateway.wire.fields import WireError
from streaming.gateway.wire.realtime import WEBSOCKET
from streaming.ice import read_ice_servers
from streaming.keys import read_keys
from streaming.logs import SessionLog
from streaming.metrics import CONTENT_TYPE, Metrics
from streaming.session import LEAD_S
from streaming.tdm.clock import Clock
from streaming.tdm.jobs import Result
from streaming.tdm.pipeline import Engine
from streaming.tdm.worker import Worker

log = logging.getLogger(__name__)

PATIENCE_S = 10.0
"""a client that takes nothing of what it is sent for so long is let go"""
STOP_S = 5.0
"""time that calls have to end when the server stops"""
_MEDIA_THREADS = 2
"""decode pictures and long sound; voice activity has a thread of its own, so that it never waits behind these"""

_LOADING = Closed("busy", "the models are still being loaded; call again in a moment", RETRY_S)


@dataclass(frozen=True, slots=True)
class _Service:
    """What exists once the models are warm."""

    worker: Worker[Any]
    shared: Shared
    metrics: Metrics
    libraries: Libraries


class Gateway:
    """Everything between the network and the engine. Serves `app`; calls are accepted once start() was called."""

    def __init__(self, config: Config, page: Path | None, clock: Clock, patience_s: float = PATIENCE_S) -> None:
        self._config = config
        self._clock = clock
        self._access = Access(read_keys(config.api_keys), clock)
        self._characters = Characters(config.data_folder / CHARACTERS)
        self._patience_s = patience_s
        self._speech = SpeechRequests(clock)
        self._calls: dict[str, Call] = {}
        self._visits: dict[str, Visit] = {}
        """whose calls they are, by the same ids"""
        self._arrivals = Arrivals()
        self._lives: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()
        self._stopping = False
        self._service: _Service | None = None
        self._media_pool = ThreadPoolExecutor(_MEDIA_THREADS, thread_name_prefix="media")
        self._activity_pool = ThreadPoolExecutor(1, thread_name_prefix="activity")
        self._sound_pool = ThreadPoolExecutor(1, thread_name_prefix="opus")
        self.app = self._routes(page)

    @property
    def n_calls(self) -> int:
        """Calls now."""
        return len(self._calls)

    def start(self, model: OmniModel[Any], activity: ActivityModel[Any]) -> None:
        """Run the engine and accept calls."""
        loop = asyncio.get_running_loop()

        def deliver(result: Result) -> None:
            loop.call_soon_threadsafe(self._route, result)

        worker = Worker(model, deliver)
        shared = Shared(
            engine=worker,
            clock=self._clock,
            pool=self._media_pool,
            open_activity=PooledActivity(activity, model.timing, self._activity_pool, self._clock).open,
            idle_timeout_s=self._config.idle_timeout_s,
            patience_s=self._patience_s,
            resume_within_s=self._config.resume_within_s,
        )
        worker.start()
        libraries = Libraries(self._config.data_folder, self._characters, model, activity)
        self._service = _Service(worker, shared, Metrics(model.timing.output_rate), libraries)
        self._keep(libraries.look())  # many voices take a while: only who calls at once waits for them
        self._keep(asyncio.to_thread(libraries.tidy))

    async def stop(self) -> None:
        """End every call with a word of why, then the engine."""
        self._stopping = True
        for call in self._calls.values():
            call.end(Closed("shutdown", "the server stops; call again when it is back"))
        try:
            async with asyncio.timeout(STOP_S):
                while self._calls:
                    self._ended.clear()
                    await self._ended.wait()
        except TimeoutError:
            log.warning("%d calls did not end in time", len(self._calls))
        if self._service is not None:
            # waits for the engine's thread, which finishes what it has in hand
            await asyncio.to_thread(self._service.worker.stop)
            self._service.libraries.stop()
        for pool in (self._media_pool, self._activity_pool, self._sound_pool):
            pool.shutdown(wait=False, cancel_futures=True)

    def _routes(self, page: Path | None) -> web.Application:
        guards = [http.share(self._config), http.guard(self._config, self._access)]
        app = web.Application(middlewares=[*guards, self._once_read])
        app.cleanup_ctx.append(UsedMinutes(self._config.data_folder, self._access, self._clock).while_serving)
        app.router.add_get("/v1/realtime", self._realtime)
        reception = Reception(self._admit, self._begin, self._engine, self._resume, self._find, self._keep)
        ice_servers = read_ice_servers(self._config.ice_servers)
        self._webrtc = WebRtc(ice_servers, self._clock, self._sound_pool, reception)
        self._webrtc.add_routes(app)
        app.router.add_post("/v1/realtime/client_secrets", self._with_engine(client_secret))
        app.router.add_post("/v1/realtime/sessions", self._with_engine(flat_client_secret))
        app.router.add_post("/v1/audio/speech", self._with_engine(self._speech.speak))
        app.router.add_get("/v1/audio/voices", self._with_libraries(list_voices))
        app.router.add_post("/v1/audio/voices", self._with_libraries(make_voice))
        app.router.add_delete("/v1/audio/voices/{id}", self._with_libraries(remove_voice))
        CharacterRequests(self._characters).add_routes(app)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/v1/models/{id:.+}", self._models)
        app.router.add_get("/health", self._health)
        app.router.add_get("/ready", self._ready)
        app.router.add_get("/metrics", self._measurements)
        if page is not None:
            http.add_page(app, page)
        return app

    @web.middleware
    async def _once_read(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let who calls in the moments after the start wait until the voices are known, of which it may choose one."""
        service = self._service
        if service is not None and not service.libraries.voices.read and request.path.startswith("/v1/realtime"):
            await service.libraries.look()
        return await handler(request)

    def _with_engine(
        self, handler: Callable[[web.Request, Engine, Catalogue], Awaitable[web.StreamResponse]]
    ) -> Handler:
        """A handler that needs to know what the model can do, and what its caller may choose from."""

        async def handle(request: web.Request, service: _Service) -> web.StreamResponse:
            await service.libraries.look()
            return await handler(request, service.worker, _choices(service, request))

        return self._once_warm(handle)

    def _with_libraries(self, handler: Callable[[web.Request, Libraries], Awaitable[web.Response]]) -> Handler:
        """A handler that needs all that callers choose from."""
        return self._once_warm(lambda request, service: handler(request, service.libraries))

    def _once_warm(self, handler: Callable[[web.Request, _Service], Awaitable[web.StreamResponse]]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            if self._service is None:
                return http.error_response(503, "not_ready", "the models are still being loaded; try again in a moment")
            return await handler(request, self._service)

        return handle

    def _route(self, result: Result) -> None:
        """Hand a result to whoever asked. One whose session has gone is dropped."""
        call = self._calls.get(result.job.session_id)
        if call is not None:
            call.session.deliver(result)
        else:
            self._speech.deliver(result)

    # ------------------------------------------------------------ calls

    async def _realtime(self, request: web.Request) -> web.StreamResponse:
        socket = Socket()
        if not socket.can_prepare(request):
            return http.error_response(426, "websocket_required", "/v1/realtime is spoken over WebSocket")
        await socket.prepare(request)
        link: Link = WebSocketLink(socket, request.transport)
        if speaks_beta(request.headers):
            link = BetaLink(link)
        caller = request.get(http.CALLER)
        if caller is None:
            await turn_away(link, WireError("invalid_api_key", http.KEY_NEEDED))
            return socket
        if request.query.get("resume"):
            await self._resume(link, caller)
            return socket
        if call_id := request.query.get("call_id"):
            await self._follow(link, caller, call_id)
            return socket
        if isinstance(admitted := self._admit(caller), Closed):
            await turn_away(link, admitted)
            return socket
        try:
            call = await self._begin(request)
        except WireError as error:  # what a secret chose may be gone since
            await turn_away(link, error)
        else:
            await call.carry(link)
        return socket

    async def _begin(
        self,
        request: web.Request,
        session: Mapping[str, Any] | None = None,
        peer: Peer | None = None,
    ) -> Call:
        """A new call; it lives until something ends it, whatever becomes of the connection.

        Args:
            session: what the client chooses of the session, beyond what a secret chose for it.
            peer: its connection, if it will be carried over WebRTC.

        Raises:
            WireError: what was chosen is wrong.
        """
        service, caller = self._service, request[http.CALLER]
        if service is None:
            raise RuntimeError("only who was admitted may begin a call")
        session_id = f"sess_{uuid4().hex[:24]}"
        who = " as ".join(filter(None, (request.remote or "a local socket", caller.account.name)))
        watchers = [service.metrics.watch, SessionLog(session_id, who).watch]
        visit = caller.enter()
        term = Term(self._clock, self._config.max_session_s, visit)
        chosen = {**(caller.secret.session if caller.secret else {}), **(session or {})}
        try:
            call = Call(
                session_id,
                service.shared,
                term,
                model_alias=request.query.get("model"),
                chosen=chosen,
                watchers=watchers,
                carriage=peer.carriage if peer else WEBSOCKET,
                lead_s=peer.lead_s if peer else LEAD_S,
                catalogue=_choices(service, request),
            )
        except BaseException:
            visit.leave()  # a call that never was must not count for ever
            raise
        self._calls[session_id] = call
        self._visits[session_id] = visit
        await call.open()
        self._keep(self._live(call, peer))
        self._keep(service.libraries.look())  # not waited for: what is chosen and not known is looked for then
        return call

    def _keep(self, work: Coroutine[None, None, None]) -> None:
        """Let work go on that no request waits for."""
        task = asyncio.create_task(work)
        self._lives.add(task)
        task.add_done_callback(self._lives.discard)

    async def _live(self, call: Call, peer: Peer | None) -> None:
        try:
            await call.live()
        finally:
            if peer is not None:
                await peer.hang_up()  # else one that never came to carry the call would go on trying
            del self._calls[call.session.id]
            self._visits.pop(call.session.id).leave()
            call.gone.set()
            self._ended.set()

    async def _follow(self, link: Link, caller: Caller, call_id: str) -> None:
        """Let a second connection see and steer a call."""
        call = self._find(session_of_call(call_id), caller)
        try:
            if call is None:
                raise WireError("call_not_found", "There is no such call; it may be over already.", "call_id")
            await call.follow(link)
        except WireError as error:
            await turn_away(link, error)

    def _find(self, session_id: str, caller: Caller) -> Call | None:
        """A call of the caller's."""
        visit = self._visits.get(session_id)
        return self._calls[session_id] if visit is not None and caller.owns(visit) else None

    async def _resume(self, link: Link, caller: Caller) -> None:
        """Let a client that lost its connection go on with its call over this one."""
        try:
            with self._arrivals.of(caller.account):
                resume = await asked_for(link)
            session_id = session_of(resume.token)
            visit = self._visits.get(session_id)
            # not only its owner's: another secret of the same key may have taken the place of one that expired
            if visit is None or visit.account is not caller.account:
                raise unknown_token()
            call = self._calls[session_id]
            await call.resume(link, resume)
        except WireError as error:
            await turn_away(link, error)
        except (LinkEndedError, TimeoutError):
            await link.close(Closed("client", "nothing came that says which call to go on with"))

    def _engine(self) -> Engine | Closed:
        """What calls work with."""
        return self._service.worker if self._service is not None else _LOADING

    def _admit(self, caller: Caller) -> Engine | Closed:
        """What a new call of the caller's works with, or why there is none, which is counted."""
        refusal = self._refusal(caller)
        if self._service is None or refusal is not None:
            if self._service is not None and refusal is not None:
                self._service.metrics.watch(refusal)
            return refusal or _LOADING
        return self._service.worker

    def _refusal(self, caller: Caller | None) -> Closed | None:
        """Why a new call is not possible; without a caller, whether any would be."""
        if self._stopping:
            return Closed("shutdown", "the server stops; call again when it is back", RETRY_S)
        if self._service is None:
            return _LOADING
        if caller is not None and (refusal := caller.account.refusal):
            return refusal
        if len(self._calls) >= self._config.max_sessions:
            most = self._config.max_sessions
            return Closed(
                "busy", f"all {most} places of this server are taken; call again later (--max-sessions)", RETRY_S
            )
        return None

    # ------------------------------------------------------------ for monitors

    async def _models(self, request: web.Request) -> web.Response:
        name = None if self._service is None else self._service.worker.capabilities.name
        return http.models_response(name, request.match_info.get("id"))

    async def _health(self, _: web.Request) -> web.Response:
        """200 once the models are warm."""
        warm = self._service is not None
        return web.json_response({"status": "ok" if warm else "loading"}, status=200 if warm else 503)

    async def _ready(self, _: web.Request) -> web.Response:
        """200 while a call would be accepted: for a balancer that has other servers to choose from."""
        refusal = self._refusal(None)
        body = {
            "status": refusal.message if refusal else "ready",
            "sessions": len(self._calls),
            "max_sessions": self._config.max_sessions,
        }
        return web.json_response(body, status=503 if refusal else 200)

    async def _measurements(self, _: web.Request) -> web.Response:
        if self._service is None:
            raise web.HTTPServiceUnavailable(text="the models are still being loaded")
        text = self._service.metrics.text(len(self._calls), self._webrtc.received)
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})


def _choices(service: _Service, request: web.Request) -> Catalogue:
    """What a caller may choose from."""
    return service.libraries.of(request[http.CALLER].account.owner)
