"""Two people who call the real server at the same moment, each from a page of their own."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from playwright.async_api import Page, expect

from omni.timing import Timing
from omni.types import Pcm
from tests.browser.calls import PATIENCE_MS, VOICE, call, say
from tests.browser.chromium import Recording, needs_chromium, page_at, recorded
from tests.browser.listening import likeness, understood

pytestmark = [pytest.mark.browser, pytest.mark.models, needs_chromium]


@dataclass(frozen=True, slots=True)
class Side:
    """What one of the two has of a question and its answer."""

    asked: str
    answered: str
    heard: Recording
    loud: frozenset[int]
    """tenths of seconds, by the time of day, in which something was to be heard"""


async def converse(page: Page, question: Pcm) -> Side:
    await say(page, question, Timing().output_rate)
    await expect(page.locator("#captions .assistant")).to_be_visible(timeout=PATIENCE_MS)
    await expect(page.locator("#mood")).to_have_text("Listening", timeout=PATIENCE_MS)
    asked = await page.locator("#captions .user").all_inner_texts()
    answered = await page.locator("#captions .assistant").all_inner_texts()
    heard, origin_ms = await recorded(page, "heard"), float(await page.evaluate("performance.timeOrigin"))
    loud = frozenset(round((origin_ms + ms) / 100) for ms in heard.loud_ms())
    return Side(" ".join(asked), " ".join(answered).removeprefix("Omni").strip(), heard, loud)


async def test_each_of_two_pages_hears_its_own_answer_alone(server: str, speak: Callable[[str], Pcm]) -> None:
    france, sky = speak("What is the capital of France?"), speak("Why is the sky blue?")
    # sound that comes in messages is whole, however busy the machine is
    address = f"{server}/?transport=ws"
    async with page_at(address, script=VOICE) as one, page_at(address, script=VOICE) as other:
        await asyncio.gather(call(one), call(other))
        here, there = await asyncio.gather(converse(one, france), converse(other, sky))
    assert "France" in here.asked and "sky" not in here.asked
    assert "sky" in there.asked and "France" not in there.asked
    assert "Paris" in here.answered and "Paris" not in there.answered
    for own, foreign in ((here, there), (there, here)):
        words = understood(own.heard)
        # a busy machine leaves gaps in the sound, over which the recogniser guesses
        near, far = likeness(words, own.answered), likeness(words, foreign.answered)
        assert near > 0.4 and far < near - 0.1, (words, own.answered, foreign.answered)
    assert here.loud & there.loud, "one was over before the other: nothing could have gone astray"
