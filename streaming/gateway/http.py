"""The plain HTTP side: the page, who may come in, and what monitors ask."""

import ipaddress
import sys
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

import streaming
from streaming.config import Config
from streaming.gateway.access import Access, Caller

KEY_PROTOCOL = "openai-insecure-api-key."
"""prefix of the WebSocket subprotocol in which a browser, which cannot set headers, presents its key"""

_CALLS = ("/v1/realtime", "/v1/realtime/calls")
"""where calls begin, or with ?resume=1 only go on"""
_LOCAL_NAMES = {"localhost", "127.0.0.1", "::1"}

# Spelled out because the tables of operating systems differ, and a browser refuses a module of the wrong type.
_CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}


CALLER = web.RequestKey("caller", Caller)
"""who makes the request, found by guard(); absent: nobody who may"""
KEY_NEEDED = "a valid key is needed: Authorization: Bearer <key>; secrets (ek_...) are good for a short time only"


def caller_of(request: web.Request, access: Access, *, late: bool = False) -> Caller | None:
    """Who makes the request, by the keys that it shows; None if nobody may.

    Args:
        late: to go on with a call, for which a secret need not be good any more.
    """
    scheme, _, offered = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    keys = [offered.strip()] if scheme.lower() == "bearer" else []
    protocols = request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "").split(",")
    keys += [name.strip().removeprefix(KEY_PROTOCOL) for name in protocols if name.strip().startswith(KEY_PROTOCOL)]
    return access.identify((key for key in keys if key), late=late)


def is_welcome_origin(request: web.Request, config: Config) -> bool:
    """Whether the page that makes this request may: our own, one on this machine, a configured one, or no page."""
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None or origin in config.allowed_origins:
        return True
    name = _host_name(origin)
    return name in _LOCAL_NAMES or (name is not None and urlsplit(origin).netloc == request.host)


def is_known_host(request: web.Request, config: Config) -> bool:
    """Whether the request names a host that may be this server; always, where a key guards it.

    Without a key, the address alone protects a server on a private network: a stranger's page must not reach it by
    pointing the stranger's own name at that address (DNS rebinding). An address in digits cannot be pointed
    anywhere. A client that names no host is no browser.
    """
    named = request.headers.get(hdrs.HOST)
    if config.api_keys or named is None:
        return True
    name = _host_name(f"//{named}")
    known = {_host_name(origin) for origin in config.allowed_origins} | {config.listens_on.lower(), *_LOCAL_NAMES}
    return name is not None and (name in known or _is_address(name))


def _host_name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:  # a bracket without its other half
        return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_local(host: str) -> bool:
    """Whether a host is this machine and cannot be another."""
    return host in _LOCAL_NAMES or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def error_response(status: int, code: str, message: str, param: str | None = None) -> web.Response:
    """An error as OpenAI's clients read it."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    error = {"message": message, "type": kind, "code": code, "param": param}
    return web.json_response({"error": error}, status=status)


def models_response(name: str | None, wanted: str | None) -> web.Response:
    """The model that there is, by its name (None: it is being loaded), in a list or alone where that one is wanted."""
    entry = {"id": name, "object": "model", "created": 0, "owned_by": "omni"}
    if wanted is None:
        return web.json_response({"object": "list", "data": [entry] if name else []})
    if wanted == name:
        return web.json_response(entry)
    there = f"there is {name}, which answers to any name in a call" if name else "the models are still being loaded"
    return error_response(404, "model_not_found", f"there is no model {wanted[:80]!r} here; {there}", "model")


def guard(config: Config, access: Access) -> Middleware:
    """Middleware: the host must be known, and what is under /v1 and /metrics needs a key and no stranger's page.

    It tells handlers who the caller is (CALLER). The WebSocket answers for a missing key itself, in its own words.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_known_host(request, config):
            message = (
                f"this server does not know itself as {request.host!r}: open it by its address in digits, "
                f"or start it with --allowed-origins http://{request.host}, or with --api-keys"
            )
            return error_response(403, "host_not_allowed", message)
        closed = request.path.startswith("/v1/") or request.path == "/metrics"
        if closed and not is_welcome_origin(request, config):
            message = f"pages of {request.headers[hdrs.ORIGIN]} may not connect; allow them with --allowed-origins"
            return error_response(403, "origin_not_allowed", message)
        goes_on = request.path in _CALLS and bool(request.query.get("resume"))
        caller = caller_of(request, access, late=goes_on)
        if caller is not None:
            request[CALLER] = caller
        upgrades = request.headers.get(hdrs.UPGRADE, "").lower() == "websocket"
        if closed and not upgrades and caller is None:
            return error_response(401, "invalid_api_key", KEY_NEEDED)
        try:
            return await handler(request)
        except web.HTTPException as error:
            if request.path.startswith("/v1/") and error.status >= 400:
                code = error.reason.lower().replace(" ", "_")
                return error_response(error.status, code, f"{request.method} {request.path}: {error.reason}")
            raise

    return middleware


def share(config: Config) -> Middleware:
    """Middleware: welcome pages from elsewhere may read what is under /v1, which their browser asks for (CORS)."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or not request.path.startswith("/v1/") or not is_welcome_origin(request, config):
            return await handler(request)
        asks = request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
        response = web.Response(status=204) if asks else await handler(request)
        if not response.prepared:  # a WebSocket is, and needs none of this
            response.headers[hdrs.VARY] = hdrs.ORIGIN
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = f"{hdrs.LOCATION}, {hdrs.RETRY_AFTER}"
        if asks:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = "GET, POST, DELETE"
            wanted = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS, "")
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = wanted
            response.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = "600"
        return response

    return middleware


def add_page(app: web.Application, folder: Path) -> None:
    """Serve the page at / and its files under /web/, always checked for newness."""
    root = folder.resolve()

    async def file(request: web.Request) -> web.StreamResponse:
        path = (root / request.match_info.get("path", "index.html")).resolve()
        content_type = _CONTENT_TYPES.get(path.suffix)
        if not path.is_relative_to(root) or not path.is_file() or content_type is None:
            raise web.HTTPNotFound(text=f"there is no {request.path} here")
        headers = {"Content-Type": content_type, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        return web.FileResponse(path, headers=headers)

    app.router.add_get("/", file)
    app.router.add_get("/web/{path:.+}", file)


def find_page() -> Path | None:
    """The folder with the page: beside the package in a checkout, among the environment's data when installed."""
    for folder in (Path(streaming.__file__).parents[1] / "web", Path(sys.prefix, "share", "omni-live", "web")):
        if (folder / "index.html").is_file():
            return folder
    return None
