"""The real server goes down in the middle of a call, and comes back: the page calls again by itself."""

import asyncio
import signal
import socket
from contextlib import ExitStack

import pytest
from playwright.async_api import Page, expect

from tests.browser.calls import PATIENCE_MS, call, serving, until_heard
from tests.browser.chromium import needs_chromium, page_at, screenshot

pytestmark = [pytest.mark.browser, pytest.mark.models, needs_chromium]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


async def ask(page: Page, text: str) -> None:
    field = page.get_by_role("textbox", name="Type a message")
    await field.fill(text)
    await field.press("Enter")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_a_server_that_is_restarted_in_a_call_is_called_again(how: signal.Signals) -> None:
    """Whether it said goodbye, or was gone at once."""
    port = f"--port={free_port()}"
    with ExitStack() as first, ExitStack() as second:
        address = first.enter_context(serving(port, end=how))
        async with page_at(address) as page:
            await call(page)
            await ask(page, "Please tell me a long story about a dog and a cat.")
            await until_heard(page, 500)
            first.close()
            again = asyncio.create_task(asyncio.to_thread(second.enter_context, serving(port)))
            await expect(page.locator("body")).not_to_have_attribute("data-phase", "live", timeout=PATIENCE_MS)
            await expect(page.locator("#mood")).not_to_have_text("Speaking")
            await screenshot(page, f"call-restart-{how.name.lower()}")
            await again
            await expect(page.locator("body")).to_have_attribute("data-phase", "live", timeout=PATIENCE_MS)
            await ask(page, "What is the capital of France?")
            await expect(page.locator("#captions .assistant").last).to_contain_text("Paris", timeout=PATIENCE_MS)
            await until_heard(page, 500)
