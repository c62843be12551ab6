"""A call from a real browser to the real server with a small MiniCPM-o of random weights.

Its answers mean nothing and their lengths are chance, so nothing here depends on words: what the server says it
produced is compared with what the page plays.
"""

import asyncio
import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.async_api import Page, expect

from omni.timing import Timing
from tests.browser.calls import PATIENCE_MS, VOICE, WIRE, call, say, serving
from tests.browser.chromium import DESK, PHONE, Recording, needs_chromium, page_at, recorded, screenshot
from tests.spoken import say as spoken

pytest.importorskip("torch", reason="MiniCPM-o needs torch: pip install -e '.[minicpm-o]'")
pytestmark = [pytest.mark.browser, pytest.mark.models, needs_chromium]

TIMING = Timing()
QUESTION = "What do you see in front of you?"
AT_ITS_END = (
    "() => (({scrollHeight, scrollTop, clientHeight}) => scrollHeight - scrollTop - clientHeight < 2)(captions)"
)
MOST_TRIES = 8
"""some answers are over before anybody could interrupt them"""
LATE_MS = 500
"""gaps that a busy machine may leave in an answer, all together"""


@pytest.fixture(scope="module")
def server(tiny_folder: Path) -> Iterator[str]:
    with serving("--model", str(tiny_folder), "--device", "cpu", "--offline") as address:
        yield address


@dataclass(frozen=True, slots=True)
class Wire:
    """What page and server have said to each other."""

    received: list[dict[str, Any]]
    sent: list[dict[str, Any]]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.received if message["type"] == kind]

    def answers(self) -> list[dict[str, Any]]:
        """Those that are over, in order."""
        return [message["response"] for message in self.of("response.done")]

    def sound(self, response: dict[str, Any]) -> Recording:
        """What the server sent of an answer."""
        deltas = self.of("response.output_audio.delta")
        pieces = [base64.b64decode(delta["delta"]) for delta in deltas if delta["response_id"] == response["id"]]
        pcm = np.frombuffer(b"".join(pieces), "<i2") / 32_768
        return Recording(pcm.astype(np.float32), TIMING.wire_rate, 0.0)

    def acks_ms(self, response: dict[str, Any]) -> list[float]:
        """How much of an answer the page has played, each time that it said so."""
        (item,) = response["output"]
        acks = [message for message in self.sent if message["type"] == "playback.ack"]
        return [float(ack["audio_end_ms"]) for ack in acks if ack["item_id"] == item["id"]]

    def heard_ms(self, response: dict[str, Any]) -> float:
        return self.acks_ms(response)[-1]


async def wire(page: Page) -> Wire:
    return Wire(**await page.evaluate("() => window.wire()"))


async def answered(page: Page, n: int) -> Wire:
    """Wait until so many answers are over and have sounded, which for a short one comes later."""
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while len((said := await wire(page)).answers()) < n or not said.acks_ms(said.answers()[-1]):
            await page.wait_for_timeout(100)
    await expect(page.locator("body")).to_have_attribute("data-mood", "listening", timeout=PATIENCE_MS)
    return await wire(page)


def duration_ms(recording: Recording) -> float:
    return len(recording.samples) / recording.rate * 1000


def span_ms(loud: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    return float(loud[-1] - loud[0])


async def test_a_call_is_held_with_sound_of_the_right_length_at_the_right_pace(server: str) -> None:
    # sound that comes in messages can be compared with what is played
    async with page_at(f"{server}/?transport=ws", size=DESK, script=VOICE + WIRE) as page:
        await call(page)
        await page.get_by_role("button", name="Turn camera on").click()
        await expect(page.locator("#tile")).to_be_visible()
        await asks_and_hears_all_of_the_answer(page)
        await interrupts_and_is_answered_again(page)
        await asks_in_writing(page)
        said = await wire(page)
        assert any(message["n_pictures"] for message in said.sent)
        assert not said.of("error")
        assert not [message for message in said.received if "input_audio_transcription" in message["type"]]
        await expect(page.get_by_role("alert")).to_be_hidden()
        await screenshot(page, "tiny-desktop")
        await page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        await page.wait_for_function(AT_ITS_END)
        await screenshot(page, "tiny-phone")


async def asks_and_hears_all_of_the_answer(page: Page) -> None:
    await say(page, spoken(QUESTION), TIMING.input_rate)
    said = await answered(page, 1)
    (answer,) = said.answers()
    produced, played = said.sound(answer), (await recorded(page, "heard")).loud_ms()
    assert answer["status"] == "completed"
    assert said.heard_ms(answer) == pytest.approx(duration_ms(produced), abs=2)
    assert -30 < span_ms(played) - span_ms(produced.loud_ms()) < LATE_MS
    assert len(played) == pytest.approx(len(produced.loud_ms()), rel=0.1, abs=5)
    await expect(page.locator("#captions .user")).to_contain_text("You spoke, ")


async def interrupts_and_is_answered_again(page: Page) -> None:
    """Speak over an answer, which falls silent; what was said then is answered."""
    for _ in range(MOST_TRIES):
        n_answers = len((await wire(page)).answers())
        await say(page, spoken(QUESTION), TIMING.input_rate)
        async with asyncio.timeout(PATIENCE_MS / 1000):
            await say(page, spoken(QUESTION), TIMING.input_rate, after="window.nextSound()")
        said = await answered(page, n_answers + 2)
        first, second = said.answers()[n_answers:]
        if first["status"] == "cancelled":
            break
    else:
        pytest.fail(f"none of {MOST_TRIES} answers was interrupted")
    assert first["status_details"]["reason"] == "turn_detected"
    assert first["output"][0]["status"] == "incomplete"
    # the player was emptied: some had been sent ahead
    assert said.heard_ms(first) < duration_ms(said.sound(first))
    assert second["status"] == "completed"
    assert said.heard_ms(second) == pytest.approx(duration_ms(said.sound(second)), abs=2)
    await expect(page.locator("#captions .cut-note")).to_have_count(1)


async def asks_in_writing(page: Page) -> None:
    n_answers = len((await wire(page)).answers())
    field = page.get_by_role("textbox", name="Type a message")
    await field.fill("Why is the sky blue?")
    await field.press("Enter")
    said = await answered(page, n_answers + 1)
    answer = said.answers()[-1]
    assert answer["status"] == "completed"
    assert said.heard_ms(answer) == pytest.approx(duration_ms(said.sound(answer)), abs=2)
    (part,) = answer["output"][0]["content"]
    caption = page.locator("#captions .assistant").last
    assert part["transcript"].strip() == (await caption.inner_text()).removeprefix("Omni").strip()
