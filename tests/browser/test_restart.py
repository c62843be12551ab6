"""The real server goes down in the middle of a call, and one comes back: the page calls again by itself."""

import asyncio
import signal
from contextlib import ExitStack

import pytest
from playwright.async_api import Page, expect

from tests.browser.calls import PATIENCE_MS, call, serving, until_heard
from tests.browser.chromium import needs_chromium, page_at, screenshot
from tests.browser.network import Network

pytestmark = [pytest.mark.browser, pytest.mark.models, needs_chromium]


async def ask(page: Page, text: str) -> None:
    field = page.get_by_role("textbox", name="Type a message")
    await field.fill(text)
    await field.press("Enter")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_a_server_that_is_restarted_in_a_call_is_called_again(server: str, how: signal.Signals) -> None:
    """Whether it said goodbye, or was gone at once. The one that comes back runs already: how long one takes to
    start on a busy machine is nothing that a page can wait for."""
    with ExitStack() as first:
        address = await asyncio.to_thread(first.enter_context, serving(end=how))
        async with Network(address).up() as network, page_at(network.url) as page:
            await call(page)
            await ask(page, "Please tell me a long story about a dog and a cat.")
            await until_heard(page, 500)
            await asyncio.to_thread(first.close)
            await expect(page.locator("body")).not_to_have_attribute("data-phase", "live", timeout=PATIENCE_MS)
            await expect(page.locator("#mood")).not_to_have_text("Speaking")
            await screenshot(page, f"call-restart-{how.name.lower()}")
            network.lead_to(server)
            await expect(page.locator("body")).to_have_attribute("data-phase", "live", timeout=PATIENCE_MS)
            await ask(page, "What is the capital of France?")
            await expect(page.locator("#captions .assistant").last).to_contain_text("Paris", timeout=PATIENCE_MS)
            await until_heard(page, 500)
