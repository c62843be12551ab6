"""How a person gets in and out, in a real browser: over https with a scanned key, and with a word before the end."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from streaming.config import Config
from streaming.gateway import http
from streaming.gateway.invitation import with_key
from streaming.gateway.listening import listening
from streaming.gateway.server import Gateway
from streaming.gateway.tls import kept_context
from streaming.tdm.clock import SystemClock
from tests.browser.chromium import PHONE, needs_chromium, page_at, screenshot
from tests.browser.fake_server import FakeServer
from tests.fakes import ScriptedModel
from tests.streaming.gateway.place import Loudness

pytestmark = [pytest.mark.browser, needs_chromium]


async def begin(page: Page) -> None:
    await page.get_by_role("button", name="Start a call").click()
    await expect(page.locator("body")).to_have_attribute("data-phase", "live")


async def ask(page: Page, text: str) -> None:
    field = page.get_by_role("textbox", name="Type a message")
    await field.fill(text)
    await field.press("Enter")


async def test_a_scanned_code_is_all_that_a_phone_needs(tmp_path: Path) -> None:
    gateway = Gateway(Config(api_keys=("sekret~key",)), http.find_page(), SystemClock())
    async with listening(gateway, "127.0.0.1", 0, kept_context(tmp_path)) as address:
        gateway.start(ScriptedModel(), Loudness())
        async with page_at(with_key(address, "sekret~key"), size=PHONE, any_certificate=True) as page:
            assert await page.evaluate("[location.href, isSecureContext]") == [f"{address}/", True]
            await begin(page)
            await ask(page, "Is it safe?")
            await expect(page.locator("#captions .assistant")).to_contain_text("You said Is it safe?")
            await screenshot(page, "page-https")
            await page.reload()  # the key is remembered
            await begin(page)


async def test_a_code_that_is_scanned_again_brings_a_new_key(tmp_path: Path) -> None:
    gateway = Gateway(Config(api_keys=("sekret~key",)), http.find_page(), SystemClock())
    async with listening(gateway, "127.0.0.1", 0, kept_context(tmp_path)) as address:
        gateway.start(ScriptedModel(), Loudness())
        async with page_at(with_key(address, "of-yesterday"), any_certificate=True) as page:
            await page.get_by_role("button", name="Start a call").click()
            await expect(page.get_by_role("alert")).to_contain_text("access key")
            await page.goto(with_key(address, "sekret~key"))
            await begin(page)


async def test_that_the_call_will_end_is_said_in_words() -> None:
    async with FakeServer() as server, page_at(server.url, size=PHONE) as page:
        await begin(page)
        await server.send(
            {"type": "session.go_away", "seconds_left": 60, "message": "this call ends in 60 seconds"},
        )
        notice = page.get_by_role("alert")
        await expect(notice).to_contain_text("This call will soon end")
        await expect(notice).to_contain_text("60 seconds")
        await screenshot(page, "page-going-away")
        await server.send({"type": "session.closed", "reason": "expired", "message": "a call lasts at most 3600 s"})
        await server.close(1001, "a call lasts at most 3600 s")
        await expect(notice).to_contain_text("The time of this call is over")
        await expect(page.locator("body")).to_have_attribute("data-phase", "idle")
        await screenshot(page, "page-time-over")
