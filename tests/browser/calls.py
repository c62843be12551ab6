"""A call that a test holds from a real browser with the real server."""

import asyncio
import base64
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from playwright.async_api import Page, expect

from omni.types import Pcm
from tests.browser.chromium import recorded

VOICE = (Path(__file__).parent / "voice.js").read_text()
WIRE = (Path(__file__).parent / "wire.js").read_text()
PATIENCE_MS = 60_000
"""a shared machine may be slow; nothing is concluded from how slow"""


@contextmanager
def serving(*options: str, end: signal.Signals = signal.SIGTERM) -> Iterator[str]:
    """`omni serve`, warm: its address. Options come after --port 0, and count before it."""
    command = [sys.executable, "-m", "streaming", "serve", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            ready = next((line for line in process.stdout if line.startswith("Omni is ready: ")), None)
            assert ready, "the server ended before it was ready"
            yield ready.split()[3].replace("127.0.0.1", "localhost")
        finally:
            process.send_signal(end)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()  # it must not outlive the test
                raise


async def call(page: Page) -> None:
    await page.get_by_role("button", name="Start a call").click()
    await expect(page.locator("body")).to_have_attribute("data-phase", "live", timeout=PATIENCE_MS)


async def say(page: Page, pcm: Pcm, rate: int, after: str = "Promise.resolve()") -> None:
    """Speak into the page's microphone (voice.js), at once or when a promise of the page is kept."""
    encoded = base64.b64encode(pcm.astype(np.float32).tobytes()).decode()
    await page.evaluate(f"([pcm, rate]) => {after}.then(() => window.say(pcm, rate))", [encoded, rate])


async def until_heard(page: Page, ms: int) -> None:
    """Wait until the page has played so much speech."""
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while len((await recorded(page, "heard")).loud_ms()) * 10 < ms:
            await page.wait_for_timeout(50)
