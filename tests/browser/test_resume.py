"""A network that breaks in the middle of a call, between a real browser and the real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from playwright.async_api import Page, expect

from omni.types import Pcm
from tests.browser.calls import PATIENCE_MS, VOICE, call, say, until_heard
from tests.browser.chromium import needs_chromium, page_at, recorded, screenshot
from tests.browser.fake_server import WEB
from tests.browser.network import Network
from tests.fakes import ScriptedModel
from tests.fakes import say as spelled
from tests.streaming.gateway.place import RATE, Place, serving
from tests.streaming.gateway.test_sdk import Hearing

pytestmark = [pytest.mark.browser, needs_chromium]

WORDS = [f"word{n}" for n in range(16)]
OUTAGE_S = 3.0


@asynccontextmanager
async def called(model: ScriptedModel) -> AsyncIterator[tuple[Place, Network, Page]]:
    """A call over a network that can be cut."""
    async with (
        serving(model=model, page=WEB) as place,
        Network(place.address).up() as network,
        page_at(f"{network.url}?transport=ws", script=VOICE) as page,  # over WebRTC a call would not come this way
    ):
        await call(page)
        await sounding(page)
        yield place, network, page


async def sounding(page: Page) -> None:
    """Wait until microphone and loudspeaker run: their parts of the page come over the network too."""
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while not all([len((await recorded(page, what)).samples) for what in ("spoken", "heard")]):
            await page.wait_for_timeout(50)


async def ask(page: Page, text: str) -> None:
    field = page.get_by_role("textbox", name="Type a message")
    await field.fill(text)
    await field.press("Enter")


async def outage(network: Network, page: Page) -> None:
    network.cut()
    await expect(page.locator("#mood")).to_have_text("Reconnecting…")
    await expect(page.locator("#notice-title")).to_have_text("Connection lost")
    await page.wait_for_timeout(OUTAGE_S * 1000)
    network.mend()


async def restored(page: Page) -> None:
    await expect(page.locator("body")).to_have_attribute("data-phase", "live", timeout=PATIENCE_MS)
    await expect(page.locator("#notice")).to_be_hidden()


def word_lengths(pcm: Pcm) -> list[float]:
    """How many seconds of each word are to be heard, in whatever pieces."""
    levels = {word: float(spelled(word, 1000)[0]) for word in WORDS}
    return [float((np.abs(pcm - level) < 4e-4).sum() / RATE) for level in levels.values()]


async def test_an_answer_goes_on_in_mid_sentence_after_a_break() -> None:
    model = ScriptedModel(answer=lambda state, text: " ".join(WORDS))
    async with called(model) as (place, network, page):
        await ask(page, "go")
        await until_heard(page, 1000)
        await outage(network, page)
        await screenshot(page, "call-reconnecting")
        before = len((await recorded(page, "heard")).loud_ms()) * 10
        assert before < len(WORDS) * 240 / 2, "the answer did not wait"
        await restored(page)
        caption = page.locator("#captions .assistant")
        await expect(page.locator("body")).to_have_attribute("data-mood", "listening", timeout=PATIENCE_MS)
        heard = (await recorded(page, "heard")).samples
        assert await caption.count() == 1
        assert (await caption.inner_text()).removeprefix("Omni").split() == WORDS
        assert await page.locator("#captions .user").count() == 1
        assert place.gateway.n_calls == len(model.states) == 1
    expected = len(spelled("x", RATE)) * 11 / 12 / RATE
    # nothing twice and nothing lost: but for the two milliseconds in which a voice fades in after a gap
    np.testing.assert_allclose(word_lengths(heard), expected, atol=0.02)


async def test_what_is_said_during_a_break_is_heard_after_it() -> None:
    model = Hearing(answer=lambda state, text: "yes")
    question = "can you hear me now"
    async with called(model) as (place, network, page):
        network.cut()
        await expect(page.locator("#mood")).to_have_text("Reconnecting…")
        await say(page, spelled(question, RATE), RATE)
        await page.wait_for_timeout(1500)
        network.mend()
        await restored(page)
        await expect(page.locator("#captions .user")).to_contain_text(question, timeout=PATIENCE_MS)
        await until_heard(page, 100)
        assert place.gateway.n_calls == 1
