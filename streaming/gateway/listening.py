"""The server on its port: listens, loads the models, says how to call, and stops when it is told to."""

import asyncio
import errno
import gc
import logging
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import web

from omni.model import OmniModel
from streaming.config import Config
from streaming.gateway import http
from streaming.gateway.heap import give_back
from streaming.gateway.invitation import invitation, with_key
from streaming.gateway.kept import KEY_FILE, kept_key
from streaming.gateway.media import ActivityModel
from streaming.gateway.server import Gateway
from streaming.gateway.tls import fingerprint, given_context, kept_context, own_addresses
from streaming.keys import HOST
from streaming.tdm.clock import SystemClock
from streaming.whole_files import obstacle

log = logging.getLogger(__name__)

Load = Callable[[Config], tuple[OmniModel[Any], ActivityModel[Any]]]

_EVERYWHERE = {"0.0.0.0", "::"}


class StartError(RuntimeError):
    """The server cannot start. The message says what to do."""


async def serve(config: Config, load: Load) -> None:
    """Run a server until SIGINT or SIGTERM.

    Args:
        config: what the person chose.
        load: gives the model and voice activity, warm; called in a thread.

    Raises:
        StartError: the port cannot be had.
        RuntimeError: the models or the certificate cannot be had; the message says what to do.
    """
    clock = SystemClock()
    started_s = clock.now_s()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    page = http.find_page()
    if page is None:
        log.warning("the page (web/) was not found; only the protocol is served")
    if problem := obstacle(config.data_folder):
        log.warning("nothing that people make can be kept: %s; name another folder with --data-dir", problem)
    key = _made_key(config)
    # whoever shows the key that was made here is the one who could do without on this machine
    gateway = Gateway(replace(config, api_keys=(f"{key}:name={HOST}",)) if key else config, page, clock)
    stopped = asyncio.create_task(stop.wait())
    # Listens before it loads: that the port is taken is better known now than after the models are warm.
    async with listening(gateway, config.listens_on, config.port, _tls(config)) as address:
        loading = asyncio.create_task(asyncio.to_thread(load, config))
        await asyncio.wait({loading, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            return
        gateway.start(*loading.result())
        keep_what_is_loaded()
        print(f"Omni is ready: {address} ({clock.now_s() - started_s:.1f} s)", flush=True)
        if config.secure:
            print(_how_to_call(config, address, key), flush=True)
        await stopped
        print("Omni stops.", flush=True)


def keep_what_is_loaded() -> None:
    """Let the garbage collector leave alone what is there now: to search it held up all calls for 50 ms at a time."""
    gc.collect()
    gc.freeze()


@asynccontextmanager
async def listening(gateway: Gateway, host: str, port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve a gateway on a port; gives its address, such as http://127.0.0.1:8000.

    Raises:
        StartError: nothing can listen there.
    """
    runner = web.AppRunner(gateway.app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    giving_back = asyncio.create_task(give_back(lambda: gateway.n_calls, SystemClock()))
    try:
        try:
            await web.TCPSite(runner, host, port, ssl_context=tls).start()
        except OSError as error:
            raise StartError(_why_not_there(host, port, error)) from error
        yield _address("https" if tls else "http", "127.0.0.1" if host in _EVERYWHERE else host, runner.addresses[0][1])
    finally:
        giving_back.cancel()
        await gateway.stop()
        await runner.cleanup()


def _why_not_there(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is in use: end the program that has it, or choose another with --port"
    if error.errno == errno.EACCES:
        return f"port {port} may not be used by this user: choose one above 1023 with --port"
    return f"cannot listen on {host}:{port}: {error.strerror or error}"


def _address(scheme: str, host: str, port: int) -> str:
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _made_key(config: Config) -> str | None:
    """The key of a server that would be open to the whole network though nobody said so."""
    by_itself = config.secure and config.host is None and not config.api_keys
    return kept_key(config.data_folder) if by_itself else None


def _tls(config: Config) -> ssl.SSLContext | None:
    if config.tls_cert is not None and config.tls_key is not None:
        return given_context(Path(config.tls_cert).expanduser(), Path(config.tls_key).expanduser())
    return kept_context(config.data_folder) if config.tls else None


def _how_to_call(config: Config, address: str, key: str | None) -> str:
    """Where other devices call, and how this one does where it needs a key."""
    port = int(address.rpartition(":")[2])
    everywhere = config.listens_on in _EVERYWHERE
    hosts = [str(one) for one in own_addresses(config.listens_on)] if everywhere else [config.listens_on]
    reachable = [_address("https", host, port) for host in hosts if not http.is_local(host)]
    made_here = None if config.tls_cert else fingerprint(config.data_folder)
    if key and not sys.stdout.isatty():
        # what is not read by a person at a terminal ends up in a file: no place for a key
        named = ", ".join(reachable) or address
        return f"Others call at {named} with the key that is kept in {config.data_folder / KEY_FILE}"
    here = [f"Here: {with_key(address, key)}"] if key else []
    return "\n".join([*here, invitation(reachable, key, made_here)])
