"""What the person shows, in a real browser with the real server: the answers follow the picture."""

import asyncio
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont
from playwright.async_api import Page, expect

from tests.browser.calls import PATIENCE_MS, call
from tests.browser.chromium import DESK, needs_chromium, page_at, screenshot

pytestmark = [pytest.mark.browser, pytest.mark.models, needs_chromium]

SCENERY, KEY_FRAMES = ((Path(__file__).parent / name).read_text() for name in ("scenery.js", "key_frames.js"))
PERIOD_S, RATE = 4, 30
"""for so long the camera sees a sign, before it sees the other; pictures a second in its file"""


@pytest.fixture(scope="module")
def signs(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Flags for a camera before which two signs are held up in turn, black on white and white on black."""
    path = tmp_path_factory.mktemp("camera") / "signs.mjpeg"
    with path.open("wb") as file:
        for text, paper, ink in (("OPEN", "white", "black"), ("CLOSED", "black", "white")):
            sign = Image.new("RGB", (640, 480), paper)
            ImageDraw.Draw(sign).text((320, 240), text, ink, ImageFont.load_default(110), anchor="mm")
            for _ in range(PERIOD_S * RATE):
                sign.save(file, "JPEG")
    return (f"--use-file-for-fake-video-capture={path}",)


async def shown(page: Page) -> None:
    """Return when the server has a picture of what has just begun to be shown, and asked for the one after it."""
    n_before = await page.evaluate("keyFrames()")
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while await page.evaluate("keyFrames()") < n_before + 2:
            await page.wait_for_timeout(50)


async def until_seen(page: Page, *, bright: bool) -> None:
    """Wait until a sign has just come before the camera, and the server has a picture of it."""
    brightness = """() => {
        const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
        pen.drawImage(document.querySelector("#preview"), 0, 0, 1, 1);
        return pen.getImageData(0, 0, 1, 1).data[1];
    }"""
    async with asyncio.timeout(3 * PERIOD_S):
        for wanted in (not bright, bright):
            while (await page.evaluate(brightness) > 128) != wanted:
                await page.wait_for_timeout(50)
    await shown(page)


async def read(page: Page) -> str:
    """What is answered when the page is asked to read the sign."""
    answers = page.locator("#captions .assistant")
    n_before = await answers.count()
    field = page.get_by_role("textbox", name="Type a message")
    await field.fill("Can you read this sign?")
    await field.press("Enter")
    await expect(answers).to_have_count(n_before + 1, timeout=PATIENCE_MS)
    await expect(page.locator("body")).to_have_attribute("data-mood", "listening", timeout=PATIENCE_MS)
    return (await answers.last.inner_text()).lower()


async def test_the_answer_follows_the_picture(server: str, signs: tuple[str, ...]) -> None:
    async with page_at(server, size=DESK, flags=signs, script=KEY_FRAMES) as page:
        await call(page)
        assert "WebRTC" in (await page.locator("#way").text_content() or "")
        await page.get_by_role("button", name="Turn camera on").click()
        await until_seen(page, bright=True)
        assert "open" in await read(page)
        await until_seen(page, bright=False)
        assert "closed" in await read(page)


async def test_another_camera_and_a_screen_take_over_in_the_call(server: str) -> None:
    async with page_at(server, size=DESK, script=SCENERY + KEY_FRAMES) as page:
        await call(page)
        await page.get_by_role("button", name="Turn camera on").click()
        await page.get_by_role("button", name="Switch camera").click()
        await shown(page)
        assert "bakery" in await read(page)
        await page.get_by_role("button", name="Share screen").click()
        await expect(page.locator("#tile-caption")).to_have_text("Your screen")
        await shown(page)
        assert "invoice" in await read(page)
        await screenshot(page, "call-screen")
        await page.get_by_role("button", name="Turn camera on").click()
        await expect(page.locator("#tile-caption")).to_have_text("Omni sees this")
        await shown(page)
        assert "bakery" in await read(page)
