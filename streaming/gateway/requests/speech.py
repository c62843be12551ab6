"""POST /v1/audio/speech, with OpenAI's fields: a text is read out, and sent while it is being spoken."""

import asyncio
import base64
import logging
import math
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass

import orjson
from aiohttp import hdrs, web

from omni.types import FASTEST, SLOWEST, Voice
from streaming.company.catalogue import Catalogue
from streaming.gateway import http
from streaming.gateway.access import RETRY_S, Account, Caller
from streaming.gateway.wire.fields import Fields, WireError, fields_of
from streaming.gateway.wire.session_object import stand_in, voice_name
from streaming.sound_formats import FORMATS, StreamEncoder
from streaming.speech import Reading, Script
from streaming.tdm.clock import Clock
from streaming.tdm.jobs import Result
from streaming.tdm.pipeline import Engine, EngineError

MAX_INPUT = 4096
"""characters of a text (OpenAI's own limit)"""
MAX_BODY = 64 * 1024
MOST = 4
"""texts that are read out at the same time; what each costs is memory, for the engine takes them in turns"""
MOST_OF_A_KEY = 2
PATIENCE_S = 30.0
"""a client that takes nothing of what it is sent for so long is let go"""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Order:
    """What a client asks for."""

    script: Script
    kind: str
    """one of FORMATS"""
    as_events: bool


class _BusyError(Exception):
    """No place is free, or no time left. The message says what to do."""

    def __init__(self, code: str, message: str, retry_s: float) -> None:
        super().__init__(message)
        self.code = code
        self.retry_s = retry_s


class _UsedUpError(Exception):
    """The caller's minutes are used up in the middle of a text. The message says what to do."""


class SpeechRequests:
    """Texts that are being read out, some at a time. Results of the engine with their ids are for deliver()."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._readings: dict[str, Reading] = {}
        self._places: Counter[Account] = Counter()

    def deliver(self, result: Result) -> None:
        """Hand a result to the text that it is of; one that nobody waits for is dropped."""
        if (reading := self._readings.get(result.job.session_id)) is not None:
            reading.deliver(result)

    async def speak(self, request: web.Request, engine: Engine, catalogue: Catalogue) -> web.StreamResponse:
        """Read a text out."""
        caller: Caller = request[http.CALLER]
        try:
            order = _order(await _fields_of(request), engine, catalogue)
            with self._place(caller.account):
                return await self._read(request, order, engine, caller.account)
        except WireError as error:
            return http.error_response(400, error.code, error.message, error.param)
        except _BusyError as error:
            response = http.error_response(429, error.code, str(error))
            response.headers[hdrs.RETRY_AFTER] = str(math.ceil(error.retry_s))
            return response

    @contextmanager
    def _place(self, account: Account) -> Iterator[None]:
        if account.left_s <= 0:
            raise _BusyError("insufficient_quota", account.used_up.message, account.used_up.retry_s or RETRY_S)
        most_of_it = MOST if account.name is None else MOST_OF_A_KEY
        if self._places.total() >= MOST or self._places[account] >= most_of_it:
            message = f"{most_of_it} texts of yours, or {MOST} of all, are being spoken; try again in a moment"
            raise _BusyError("rate_limit_exceeded", message, RETRY_S)
        self._places[account] += 1
        try:
            yield
        finally:
            self._places[account] -= 1

    async def _read(self, request: web.Request, order: _Order, engine: Engine, account: Account) -> web.StreamResponse:
        reading = Reading(engine, self._clock)
        self._readings[reading.id] = reading
        try:
            async with aclosing(self._pieces(reading, order, engine, account)) as pieces:
                try:
                    # before anything is said to the client, so that it can still be told of a failure
                    first = await anext(pieces)
                except EngineError as error:
                    return http.error_response(500, "model_failed", f"the text could not be spoken: {error}")
                response = web.StreamResponse(headers=_headers(request, order))
                await response.prepare(request)
                try:
                    await self._send(response, order, first, pieces)
                    if order.as_events:
                        await _write(response, _done(reading.n_tokens))
                    await _end(response)
                except EngineError as error:
                    log.error("speech failed: %s", error)
                    message = f"the text could not be spoken to its end: {error}"
                    told = {"type": "server_error", "code": "model_failed", "message": message}
                    await _break_off(request, response, order, told)
                except _UsedUpError as error:
                    told = {"type": "insufficient_quota", "code": "insufficient_quota", "message": str(error)}
                    await _break_off(request, response, order, told)
                except (ConnectionError, TimeoutError):
                    log.info("the client of %s went away, or takes nothing", reading.id)
                    _abort(request)
                return response
        finally:
            del self._readings[reading.id]

    async def _pieces(self, reading: Reading, order: _Order, engine: Engine, account: Account) -> AsyncGenerator[bytes]:
        """The bytes to send, as they come to be; empty ones at the end of what gives none.

        Raises:
            EngineError: the model failed.
            WireError: it has nothing to say; no bytes came before.
            _UsedUpError: no time is left for the rest; what came before can be played.
        """
        rate, spoken_s = engine.timing.output_rate, 0.0
        encoder = await asyncio.to_thread(StreamEncoder, order.kind, rate)
        async with aclosing(reading.speech(order.script)) as speech:
            async for delta in speech:
                if spoken_s and account.left_s <= 0:
                    yield await asyncio.to_thread(encoder.finish)
                    raise _UsedUpError(account.used_up.message)
                spoken_s += len(delta.pcm) / rate
                account.use(len(delta.pcm) / rate)
                # the head of a file waits for sound
                if spoken_s and (data := await asyncio.to_thread(encoder.add, delta.pcm)):
                    yield data
        if not spoken_s:
            raise WireError("invalid_value", "Nothing of this text can be spoken: give words.", "input")
        yield await asyncio.to_thread(encoder.finish)

    async def _send(
        self, response: web.StreamResponse, order: _Order, first: bytes, pieces: AsyncIterator[bytes]
    ) -> None:
        await _write(response, _delta(first) if order.as_events else first)
        async for data in pieces:
            await _write(response, _delta(data) if order.as_events else data)


async def _write(response: web.StreamResponse, data: bytes) -> None:
    if data:
        async with asyncio.timeout(PATIENCE_S):
            await response.write(data)


async def _end(response: web.StreamResponse) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await response.write_eof()


def _abort(request: web.Request) -> None:
    """Cut the connection: a response that ends properly would be taken for the whole."""
    if request.transport is not None:
        request.transport.abort()


async def _break_off(request: web.Request, response: web.StreamResponse, order: _Order, told: dict[str, str]) -> None:
    """It does not come to its end; what was made of it still arrives, and where events are sent, the reason too."""
    if not order.as_events:
        if (transport := request.transport) is not None:
            transport.close()  # once all has left
            asyncio.get_running_loop().call_later(PATIENCE_S, transport.abort)
        return
    with suppress(ConnectionError, TimeoutError):
        await _write(response, _event({"type": "error", "error": {**told, "param": None}}))
        await _end(response)


def _headers(request: web.Request, order: _Order) -> dict[str, str]:
    headers = {
        hdrs.CONTENT_TYPE: "text/event-stream" if order.as_events else FORMATS[order.kind].content_type,
        hdrs.CACHE_CONTROL: "no-store",
        # proxies that gather a response would make it late
        "X-Accel-Buffering": "no",
    }
    if (origin := request.headers.get(hdrs.ORIGIN)) is not None:
        # the guard has let this page in; once a response streams, nobody adds to its head
        headers |= {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin, hdrs.VARY: hdrs.ORIGIN}
    return headers


def _event(value: dict[str, object]) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def _delta(data: bytes) -> bytes:
    return _event({"type": "speech.audio.delta", "audio": base64.b64encode(data).decode()}) if data else b""


def _done(n_tokens: int) -> bytes:
    usage = {"input_tokens": n_tokens, "output_tokens": 0, "total_tokens": n_tokens}
    return _event({"type": "speech.audio.done", "usage": usage})


async def _fields_of(request: web.Request) -> Fields:
    """The request's JSON object."""
    if (request.content_length or 0) > MAX_BODY:
        raise WireError("string_above_max_length", f"The body is longer than {MAX_BODY // 1024} KiB; shorten it.")
    return fields_of(await request.read())


def _order(fields: Fields, engine: Engine, catalogue: Catalogue) -> _Order:
    """What a client's fields ask for.

    Raises:
        WireError: they cannot be obeyed.
    """
    fields.only(("model", "input", "voice", "instructions", "response_format", "speed", "stream_format"))
    fields.identifier("model")  # whatever it is called: there is one model here
    fields.require("input")
    text = (_short_text(fields, "input") or "").strip()
    if not text:
        raise WireError("invalid_value", "input is empty; give the text that is to be spoken.", "input")
    if not engine.capabilities.voices:
        raise WireError("speech_not_made", "The model of this server does not speak.")
    speed = fields.number("speed", SLOWEST, FASTEST)
    instructions = _short_text(fields, "instructions") or ""
    most = engine.capabilities.max_text_bytes
    if most is not None and len(instructions.encode()) > most:
        message = f"instructions may have {most} bytes in UTF-8; shorten them."
        raise WireError("string_above_max_length", message, "instructions")
    script = Script(text, _voice(fields, engine, catalogue), instructions, 1.0 if speed is None else speed)
    as_events = fields.choice("stream_format", ("audio", "sse")) == "sse"
    return _Order(script, fields.choice("response_format", FORMATS) or "mp3", as_events)


def _short_text(fields: Fields, name: str) -> str | None:
    text = fields.text(name)
    if text is not None and len(text) > MAX_INPUT:
        message = f"{name} has {len(text)} characters, and {MAX_INPUT} are the most; send it in parts."
        raise WireError("string_above_max_length", message, name)
    return text


def _voice(fields: Fields, engine: Engine, catalogue: Catalogue) -> Voice | None:
    """The voice that is named; None: the default."""
    name = voice_name(fields)
    if name is None:
        return None
    return catalogue.voice(name) or stand_in(name, engine.capabilities, catalogue, fields)
