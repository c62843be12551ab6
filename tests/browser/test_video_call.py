"""What the person shows, in a real browser with the real server: the answers follow the picture."""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.calls import PATIENCE_MS, call
from tests.browser.chromium import DESK, needs_chromium, page_at, screenshot

pytestmark = [pytest.mark.browser, pytest.mark.models, needs_chromium]

SCENERY, KEY_FRAMES = ((Path(__file__).parent / name).read_text() for name in ("scenery.js", "key_frames.js"))


async def shown(page: Page) -> None:
    """Return when the server has a picture of what has just begun to be shown, and asked for the one after it."""
    n_before = await page.evaluate("keyFrames()")
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while await page.evaluate("keyFrames()") < n_before + 2:
            await page.wait_for_timeout(50)


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


async def test_the_answer_follows_the_picture(server: str) -> None:
    sign = 'window.sign = ["OPEN", "white", "black"];'
    async with page_at(server, size=DESK, script=SCENERY + KEY_FRAMES + sign) as page:
        await call(page)
        assert "WebRTC" in (await page.locator("#way").text_content() or "")
        await page.get_by_role("button", name="Turn camera on").click()
        await shown(page)
        assert "open" in await read(page)
        await page.evaluate('window.sign = ["CLOSED", "black", "white"]')
        await shown(page)
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
