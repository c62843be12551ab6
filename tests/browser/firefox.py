"""A headless Firefox, driven by WebDriver BiDi, the protocol that it speaks itself: no driver needs to be installed.

Its microphone hums without a pause and its camera shows colours. Where there is no loudspeaker its audio contexts stand
still, but tracks flow: calls over WebRTC can be held, and what arrives can be measured.
"""

import asyncio
import json
import re
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import pytest

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")

needs_firefox = pytest.mark.skipif(FIREFOX is None, reason="Firefox is not installed: apt install firefox-esr")

PATIENCE_S = 20.0

_PREFERENCES = {
    "media.navigator.permission.disabled": True,  # the person allows everything
    "media.navigator.streams.fake": True,
    "media.autoplay.default": 0,
    "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}


class Firefox:
    """One page in it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count()
        self._context = ""
        self.errors: list[str] = []
        """what went wrong in the page's scripts"""

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its result.

        Raises:
            RuntimeError: Firefox says that it cannot.
        """
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while True:
            message = await self._socket.receive_json()
            if message["type"] == "event":
                self._note(message["params"])
            elif message["id"] == number:
                break
        if message["type"] == "error":
            raise RuntimeError(f"{method}: {message['message']}")
        return dict(message["result"])

    def _note(self, entry: dict[str, Any]) -> None:
        if entry["level"] == "error":
            self.errors.append(entry["text"])

    async def open(self, url: str, script: str) -> None:
        """Show a page, with a script that runs before its own."""
        await self.ask("session.new", capabilities={})
        await self.ask("session.subscribe", events=["log.entryAdded"])
        (tab,) = (await self.ask("browsingContext.getTree"))["contexts"]
        self._context = tab["context"]
        await self.ask("script.addPreloadScript", functionDeclaration=f"() => {{ {script} }}")
        await self.ask("browsingContext.navigate", context=self._context, url=url, wait="complete")

    async def get(self, expression: str) -> Any:
        """What an expression, or the promise that it is, comes to in the page: anything that JSON can hold."""
        code = f"(async () => JSON.stringify((await ({expression})) ?? null))()"
        target = {"context": self._context}
        answer = await self.ask("script.evaluate", expression=code, target=target, awaitPromise=True)
        if answer["type"] == "exception":
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']['text']}")
        return json.loads(answer["result"]["value"])

    async def until(self, condition: str) -> None:
        """Wait for an expression to be true."""
        async with asyncio.timeout(PATIENCE_S):
            while not await self.get(f"Boolean({condition})"):  # noqa: ASYNC110  the browser has no event for it
                await asyncio.sleep(0.02)

    async def click(self, selector: str) -> None:
        """As a person does, in the middle of it."""
        box = await self.get(f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()")
        middle = {"x": round(box["x"] + box["width"] / 2), "y": round(box["y"] + box["height"] / 2)}
        steps: list[dict[str, Any]] = [{"type": "pointerMove", **middle}]
        steps += [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        mouse = {"type": "pointer", "id": "mouse", "actions": steps}
        await self.ask("input.performActions", context=self._context, actions=[mouse])


@contextmanager
def _profile() -> Iterator[str]:
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in _PREFERENCES.items()]
        Path(folder, "user.js").write_text("\n".join(lines))
        yield folder


@asynccontextmanager
async def firefox_at(url: str, *, script: str = "") -> AsyncIterator[Firefox]:
    """A page in a fresh browser. A script error in it fails the test.

    Args:
        script: run in the page before its own.
    """
    assert FIREFOX
    with _profile() as profile:
        how = ("--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0")
        process = await asyncio.create_subprocess_exec(FIREFOX, *how, stdout=DEVNULL, stderr=PIPE)
        try:
            assert process.stderr
            address = await asyncio.wait_for(_address(process.stderr), PATIENCE_S)
            rest = asyncio.create_task(process.stderr.read())  # a full pipe would stop it
            async with aiohttp.ClientSession() as http, http.ws_connect(f"{address}/session", max_msg_size=0) as socket:
                firefox = Firefox(socket)
                await firefox.open(url, script)
                yield firefox
                await firefox.get("null")  # and with it all that was noted before
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
        await rest
    assert not firefox.errors, firefox.errors


async def _address(stderr: asyncio.StreamReader) -> str:
    async for line in stderr:
        if found := re.search(rb"BiDi listening on (ws://\S+)", line):
            return found[1].decode()
    raise AssertionError("Firefox ended before it was ready")
