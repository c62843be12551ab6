"""WebRTC's HTTP side: calls are offered, answered and hung up."""

import math
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import BodyPartReader, hdrs, web

from streaming.events import Closed
from streaming.gateway.access import Caller
from streaming.gateway.call import Call
from streaming.gateway.http import CALLER, error_response
from streaming.gateway.link import Link, LinkEndedError
from streaming.gateway.resume import Arrivals
from streaming.gateway.webrtc.peer import Peer
from streaming.gateway.wire.fields import WireError
from streaming.gateway.wire.messages import CLOSED_CODES
from streaming.ice import IceServer
from streaming.metrics import Received
from streaming.tdm.clock import Clock
from streaming.tdm.pipeline import Engine

SDP = "application/sdp"
_PREFIX = "rtc_"
"""of a call's id, which is its session's but for this"""
MAX_OFFER_BYTES = 256 * 1024
"""of an offer and its session together; a browser's offer has about 5 KiB"""


@dataclass(frozen=True, slots=True)
class Reception:
    """What calls over WebRTC need of the server."""

    admit: Callable[[Caller], Engine | Closed]
    """what a new call works with, or why there can be none"""
    begin: Callable[[web.Request, Mapping[str, Any], Peer], Awaitable[Call]]
    """a new call, with what the client chooses of its session; raises WireError"""
    engine: Callable[[], Engine | Closed]
    """what a call works with that is there already"""
    resume: Callable[[Link, Caller], Awaitable[None]]
    """lets a client that lost its connection go on with its call over this one, which says which"""
    find: Callable[[str, Caller], Call | None]
    """a call of the caller's, by its session's id"""
    keep: Callable[[Coroutine[None, None, None]], None]
    """lets work go on that no request waits for"""


class WebRtc:
    """The requests that begin and end calls over WebRTC."""

    def __init__(self, ice_servers: Sequence[IceServer], clock: Clock, pool: Executor, reception: Reception) -> None:
        """Wire it; pool encodes sound."""
        self._ice_servers = ice_servers
        self._clock = clock
        self._pool = pool
        self._reception = reception
        self._arrivals = Arrivals()
        self.received = Received()
        """what comes of all microphones"""

    def add_routes(self, app: web.Application) -> None:
        """Serve them."""
        app.router.add_post("/v1/realtime/calls", self._offer)
        app.router.add_post("/v1/realtime", self._offer)  # from before there were calls
        app.router.add_post("/v1/realtime/calls/{call_id}/hangup", self._hang_up)
        app.router.add_get("/v1/realtime/ice", self._ice)

    async def _offer(self, request: web.Request) -> web.Response:
        """A call begins, or goes on (?resume=1): the answer to its offer."""
        if request.query.get("resume"):
            return await self._come_back(request)
        caller, peer = request[CALLER], None
        engine = self._reception.admit(caller)
        if isinstance(engine, Closed):
            return _refused(engine)
        try:
            offer = await _read_offer(request)
            sees = engine.capabilities.sees
            peer = Peer(self._ice_servers, self._clock, engine.timing, self._pool, sees=sees)
            await peer.accept(offer.sdp)
            # somebody else may have taken the place meanwhile; it is taken before candidates are looked for, which
            # takes its time
            if isinstance(taken := self._reception.admit(caller), Closed):
                await peer.hang_up()
                return _refused(taken)
            call = await self._reception.begin(request, offer.session, peer)
        except WireError as error:
            if peer is not None:
                await peer.hang_up()
            return error_response(400, error.code, error.message)
        try:
            answer = await peer.answer()
        except BaseException:
            # nobody would carry it, and its place would be taken until it is idle for too long
            call.end(Closed("fault", "the server could not answer the offer"))
            raise
        self._reception.keep(self._counted(peer, _carry(call, peer)))
        location = f"/v1/realtime/calls/{_PREFIX}{call.session.id.removeprefix('sess_')}"
        return web.Response(status=201, text=answer, content_type=SDP, headers={hdrs.LOCATION: location})

    async def _come_back(self, request: web.Request) -> web.Response:
        """Another connection for a call that lost its own. Which call that is, its channel says when it is open."""
        engine = self._reception.engine()
        if isinstance(engine, Closed):
            return _refused(engine)
        sees = engine.capabilities.sees
        with ExitStack() as arriving:
            try:
                arriving.enter_context(self._arrivals.of(request[CALLER].account))
            except WireError as error:
                return error_response(429, error.code, error.message)
            peer = Peer(self._ice_servers, self._clock, engine.timing, self._pool, sees=sees)
            try:
                await peer.accept((await _read_offer(request)).sdp)
            except WireError as error:
                await peer.hang_up()
                return error_response(400, error.code, error.message)
            answer = await peer.answer()
            work = _resume(self._reception, peer, request[CALLER], arriving.pop_all())
            self._reception.keep(self._counted(peer, work))
        return web.Response(status=201, text=answer, content_type=SDP)

    async def _counted(self, peer: Peer, work: Coroutine[None, None, None]) -> None:
        with self.received.of(peer.jitter):
            await work

    async def _hang_up(self, request: web.Request) -> web.Response:
        call = self._reception.find(session_of_call(request.match_info["call_id"]), request[CALLER])
        if call is None:
            return error_response(404, "call_not_found", "there is no such call; it may be over already")
        call.end(Closed("client", "the call was hung up"))
        await call.gone.wait()  # whoever calls again at once finds the place free
        return web.Response()

    async def _ice(self, _: web.Request) -> web.Response:
        """The configuration of a page's RTCPeerConnection."""
        return web.json_response({"iceServers": [server.as_json() for server in self._ice_servers]})


def session_of_call(call_id: str) -> str:
    """Id of the session of a call."""
    return f"sess_{call_id.removeprefix(_PREFIX)}"


async def _carry(call: Call, peer: Peer) -> None:
    """Carry a call once it is connected."""
    try:
        await peer.opened()
    except LinkEndedError as ended:
        call.end(ended.closed)
    else:
        await call.carry(peer)


async def _resume(reception: Reception, peer: Peer, caller: Caller, arriving: ExitStack) -> None:
    """Carry a call that is there already once this is connected; arriving is its place until then."""
    try:
        with arriving:
            await peer.opened()
        await reception.resume(peer, caller)
    except LinkEndedError:
        pass  # the call waits for another
    finally:
        await peer.hang_up()


@dataclass(frozen=True, slots=True)
class _Offer:
    """What a client sends to begin a call."""

    sdp: str
    session: Mapping[str, Any]
    """fields of the session object that it chooses"""


async def _read_offer(request: web.Request) -> _Offer:
    """The offer in a request: SDP alone, or a form with `sdp` and `session`.

    Raises:
        WireError: the body is neither.
    """
    if request.content_type == SDP:
        return _Offer(_text(await request.content.read(MAX_OFFER_BYTES + 1), "the offer"), {})
    if request.content_type != "multipart/form-data":
        raise WireError(
            "invalid_offer", f"send the offer as {SDP}, or as multipart/form-data with the fields sdp and session"
        )
    fields: dict[str, bytes] = {}
    try:
        async for part in await request.multipart():
            if isinstance(part, BodyPartReader) and part.name in {"sdp", "session"} and part.name not in fields:
                fields[part.name] = await _read(part)
    except ValueError as error:
        raise WireError("invalid_offer", f"the form cannot be read: {error}") from error
    if "sdp" not in fields:
        raise WireError("invalid_offer", "the form has no field sdp, which holds the offer")
    return _Offer(_text(fields["sdp"], "sdp"), _session(fields.get("session", b"{}")))


async def _read(part: BodyPartReader) -> bytes:
    data = bytearray()
    while chunk := await part.read_chunk():
        data += chunk
        if len(data) > MAX_OFFER_BYTES:
            break
    return bytes(data)


def _text(data: bytes, name: str) -> str:
    if len(data) > MAX_OFFER_BYTES:
        raise WireError("invalid_offer", f"{name} has more than {MAX_OFFER_BYTES} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise WireError("invalid_offer", f"{name} is not UTF-8") from error


def _session(data: bytes) -> Mapping[str, Any]:
    try:
        session = orjson.loads(_text(data, "session"))
    except orjson.JSONDecodeError as error:
        raise WireError("invalid_offer", f"session is no JSON: {error}") from error
    if not isinstance(session, dict):
        raise WireError("invalid_offer", "session must be a JSON object, as in session.update")
    return session


def _refused(closed: Closed) -> web.Response:
    """The response to an offer for which there is no place."""
    response = error_response(429 if closed.reason == "quota" else 503, CLOSED_CODES[closed.reason], closed.message)
    if closed.retry_s is not None:
        response.headers[hdrs.RETRY_AFTER] = str(math.ceil(closed.retry_s))
    return response
