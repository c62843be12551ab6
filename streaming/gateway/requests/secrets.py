"""POST /v1/realtime/client_secrets, and /v1/realtime/sessions as older clients know it: short-lived secrets."""

import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from aiohttp import web

from streaming.company.catalogue import Catalogue
from streaming.gateway import http
from streaming.gateway.access import Caller
from streaming.gateway.client_secrets import DEFAULT_S, LONGEST_S, SHORTEST_S, TooManySecretsError
from streaming.gateway.wire import flat_session
from streaming.gateway.wire.fields import Fields, WireError, fields_of
from streaming.gateway.wire.session_object import SessionObject
from streaming.tdm.conversation import opening, opening_settings
from streaming.tdm.pipeline import Engine


async def client_secret(request: web.Request, engine: Engine, catalogue: Catalogue) -> web.Response:
    """Hand out a secret with a session baked in.

    Args:
        catalogue: what the caller may choose from. The call looks again, when the secret is used.
    """
    try:
        fields = await _fields_of(request)
        fields.only(("expires_after", "session"))
        chosen = _chosen(fields, "session")
        begun = _begun(engine, catalogue, chosen)
        value, expires_at = _make(request, chosen, _lifetime_s(fields))
    except (WireError, _RefusedError) as error:
        return _refusal(error)
    return web.json_response({"value": value, "expires_at": expires_at, "session": begun.render()})


async def flat_client_secret(request: web.Request, engine: Engine, catalogue: Catalogue) -> web.Response:
    """Hand out a secret in the way from before the GA protocol: one flat session object there and back."""
    try:
        flat = await _fields_of(request)
        chosen = flat_session.nested(flat)
        begun = _begun(engine, catalogue, chosen)
        value, expires_at = _make(request, chosen, _lifetime_s(flat.object("client_secret") or Fields({})))
    except (WireError, _RefusedError) as error:
        return _refusal(error)
    secret = {"value": value, "expires_at": expires_at}
    return web.json_response({**flat_session.flattened(begun.render()), "client_secret": secret})


class _RefusedError(Exception):
    """A request that is well-formed and not granted."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def _refusal(error: WireError | _RefusedError) -> web.Response:
    if isinstance(error, WireError):
        return http.error_response(400, error.code, error.message, error.param)
    return http.error_response(error.status, error.code, str(error))


async def _fields_of(request: web.Request) -> Fields:
    """The request's JSON object; without a body an empty one."""
    body = await request.read()
    return fields_of(body) if body else Fields({})


def _chosen(fields: Fields, name: str) -> Mapping[str, Any]:
    fields.object(name)  # complains of what is no object
    return fields[name] or {}


def _begun(engine: Engine, catalogue: Catalogue, chosen: Mapping[str, Any]) -> SessionObject:
    """The session as a call with these fields would begin it: checked now, while somebody can mend them."""
    opened = opening(f"sess_{uuid4().hex[:24]}", engine, opening_settings(engine.capabilities), catalogue)
    return SessionObject.begun(opened, (), None, chosen, catalogue)


def _lifetime_s(fields: Fields) -> int:
    after = fields.object("expires_after")
    if after is None:
        return DEFAULT_S
    after.only(("anchor", "seconds"))
    after.choice("anchor", ("created_at",))
    return after.whole("seconds", SHORTEST_S, LONGEST_S) or DEFAULT_S


def _make(request: web.Request, chosen: Mapping[str, Any], lasts_s: int) -> tuple[str, int]:
    """A secret of the caller's account, and the Unix time until which it is good."""
    caller: Caller = request[http.CALLER]
    if caller.secret is not None:
        # else whoever is given a short-lived secret could prolong it for ever
        raise _RefusedError(403, "key_needed", "a secret cannot make another: show the key itself")
    try:
        value = caller.account.secrets.make(chosen, lasts_s)
    except TooManySecretsError:
        message = "too many secrets are good at the same time; let some expire, or ask for shorter ones"
        raise _RefusedError(429, "rate_limit_exceeded", message) from None
    return value, int(time.time()) + lasts_s
