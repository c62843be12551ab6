"""A headless Chromium with a microphone and a camera that play files, and an ear on what the page plays."""

import base64
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from playwright.async_api import Browser, Page, Playwright, async_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OUT = Path(__file__).parents[2] / "out"
"""where screenshots are left for people to look at"""

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt install chromium")

DESK = (1280, 800)
PHONE = (360, 740)

_QUIET = (
    "--no-sandbox",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--no-pings",
)

_TAP = (Path(__file__).parent / "tap.js").read_text()


@dataclass(frozen=True, slots=True)
class Recording:
    """Sound that passed a place in the page."""

    samples: npt.NDArray[np.float32]
    rate: int
    start_ms: float
    """page time (performance.now) of the first sample, to about 10 ms"""

    def loud_ms(self, threshold: float = 0.01, window_ms: int = 10) -> npt.NDArray[np.float64]:
        """Page times of the windows in which something is to be heard."""
        n = self.rate * window_ms // 1000
        windows = self.samples[: len(self.samples) // n * n].reshape(-1, n)
        loud = np.flatnonzero(np.sqrt((windows**2).mean(axis=1)) > threshold)
        return np.asarray(self.start_ms + loud * window_ms, np.float64)


class Browsers:
    """Chromium, started when it is first wanted and kept: to start it takes longer than most tests do.

    Pages share nothing but the program: each has a context of its own, with its own storage and permissions.
    """

    def __init__(self) -> None:
        self._playwright: Playwright | None = None
        self._kept: dict[str, Browser] = {}

    @asynccontextmanager
    async def one(self, asked: str, flags: tuple[str, ...]) -> AsyncIterator[Browser]:
        """A browser.

        Args:
            asked: the flag by which it answers when a page asks for a microphone or a camera.
            flags: hold for the whole program, so that whoever has some gets a browser for himself.
        """
        if self._playwright is None:
            self._playwright = await async_playwright().start()
        launch = self._playwright.chromium.launch
        if flags:
            browser = await launch(executable_path=CHROMIUM, args=[*_QUIET, asked, *flags])
            try:
                yield browser
            finally:
                await browser.close()
            return
        # one that fell over in a test is not there for the next
        if asked not in self._kept or not self._kept[asked].is_connected():
            self._kept[asked] = await launch(executable_path=CHROMIUM, args=[*_QUIET, asked])
        yield self._kept[asked]

    async def close(self) -> None:
        """End what was started. In the loop in which it was."""
        for browser in self._kept.values():
            await browser.close()
        self._kept.clear()
        if self._playwright:
            await self._playwright.stop()
        self._playwright = None


BROWSERS = Browsers()


@asynccontextmanager
async def page_at(
    url: str,
    *,
    size: tuple[int, int] = DESK,
    scheme: str = "light",
    allows: bool = True,
    flags: tuple[str, ...] = (),
    script: str = "",
    any_certificate: bool = False,
) -> AsyncIterator[Page]:
    """A page of somebody who was never here. A script error in it fails the test.

    Args:
        allows: whether the person allows microphone and camera.
        script: run in the page before its own.
        any_certificate: the person goes on where the browser warns of a certificate.
    """
    asked = "--use-fake-ui-for-media-stream" + ("" if allows else "=deny")
    errors: list[str] = []
    async with BROWSERS.one(asked, flags) as browser:
        context = await browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if scheme == "dark" else "light",
            device_scale_factor=2 if size == PHONE else 1,
            ignore_https_errors=any_certificate,
        )
        try:
            page = await context.new_page()
            page.set_default_timeout(20_000)
            page.on("pageerror", lambda error: errors.append(str(error)))
            await page.add_init_script(_TAP)
            if script:
                await page.add_init_script(script)
            await page.goto(url)
            yield page
        finally:
            await context.close()
    assert not errors, errors


async def recorded(page: Page, what: str) -> Recording:
    """What the page has played so far ("heard"), or what its microphone has delivered ("spoken")."""
    tapped = await page.evaluate("(what) => window.tapped(what)", what)
    samples = np.frombuffer(base64.b64decode(tapped["pcm"]), np.float32)
    return Recording(samples, round(tapped["rate"]), tapped["startMs"])


async def screenshot(page: Page, name: str) -> None:
    """Leave a picture of the page in out/."""
    OUT.mkdir(exist_ok=True)
    await page.screenshot(path=OUT / f"{name}.png")
