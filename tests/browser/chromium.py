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
from playwright.async_api import Page, async_playwright

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
    """A page in a fresh browser. A script error in it fails the test.

    Args:
        allows: whether the person allows microphone and camera.
        script: run in the page before its own.
        any_certificate: the person goes on where the browser warns of a certificate.
    """
    asked = "--use-fake-ui-for-media-stream" + ("" if allows else "=deny")
    errors: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*_QUIET, asked, *flags])
        try:
            page = await browser.new_page(
                viewport={"width": size[0], "height": size[1]},
                color_scheme="dark" if scheme == "dark" else "light",
                device_scale_factor=2 if size == PHONE else 1,
                ignore_https_errors=any_certificate,
            )
            page.set_default_timeout(20_000)
            page.on("pageerror", lambda error: errors.append(str(error)))
            await page.add_init_script(_TAP)
            if script:
                await page.add_init_script(script)
            await page.goto(url)
            yield page
        finally:
            await browser.close()
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
