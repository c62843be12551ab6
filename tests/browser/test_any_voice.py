"""Voices and characters from a real browser to the real server with its packaged models, on a phone."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.async_api import Page, expect

from omni.packaged.speaking.synthesizer import Synthesizer
from omni.timing import Timing
from omni.types import Pcm
from tests.browser.calls import PATIENCE_MS, call, serving, until_heard
from tests.browser.chromium import PHONE, needs_chromium, page_at, screenshot

pytestmark = [pytest.mark.browser, pytest.mark.models, needs_chromium]

MAKING_MS = 150_000
"""ten seconds on a machine that does nothing else"""
READ = (
    "On a bright, cold morning the old ferry pushed away from the quay, and six children waved their yellow scarves "
    "at anyone who would look up from the shore."
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One of its own: a voice that is made takes the whole machine, for longer than a test that gives up on it."""
    with serving("--data-dir", str(tmp_path_factory.mktemp("data"))) as address:
        yield address


def microphone(path: Path, sound: Pcm) -> tuple[str, ...]:
    """Flags for a microphone into which this is read again and again."""
    soundfile.write(path, 0.5 * sound / np.abs(sound).max(), Timing().output_rate, subtype="PCM_16")
    return (f"--use-file-for-fake-audio-capture={path}",)


async def type_in(page: Page, text: str) -> None:
    field = page.get_by_role("textbox", name="Type a message")
    await field.fill(text)
    await field.press("Enter")


async def test_a_few_seconds_become_a_voice_that_answers_in_the_same_call(
    server: str, synthesizer: Synthesizer, tmp_path: Path
) -> None:
    reader = synthesizer.speak(READ, synthesizer.voices[1]).pcm
    async with page_at(server, size=PHONE, scheme="dark", flags=microphone(tmp_path / "mic.wav", reader)) as page:
        await call(page)
        await page.keyboard.press("m")  # the microphone reads without end
        await page.locator("#company").click()
        await page.get_by_role("tab", name="Voices").click()
        await page.get_by_role("button", name="Make a voice").click()
        await page.get_by_role("button", name="Record", exact=True).click()
        await page.locator(".maker[data-enough]").wait_for(timeout=PATIENCE_MS)
        await page.get_by_role("button", name="Stop").click()
        await page.get_by_label("Name", exact=True).fill("Mara")
        await page.get_by_role("checkbox").check()
        await page.get_by_role("button", name="Make the voice").click()
        await expect(page.locator(".maker")).to_contain_text("“Mara” is ready, and chosen", timeout=MAKING_MS)
        await page.get_by_role("button", name="Done").click()
        await expect(page.get_by_role("radio", name="Mara")).to_be_checked()
        await screenshot(page, "voice-made-phone")
        await page.get_by_role("button", name="Close").click()
        await type_in(page, "What is the capital of France?")
        await until_heard(page, 600)
        await expect(page.locator("#captions .assistant").last).to_contain_text("Paris")
        await expect(page.locator("#company")).to_contain_text("Mara")
        await expect(page.get_by_role("alert")).to_be_hidden()
        await page.reload()
        await expect(page.locator("#choose-voice")).to_contain_text("Mara")
        await page.locator("#choose-voice").click()
        await page.get_by_role("button", name="Hear Mara").click()
        await expect(page.get_by_role("button", name="Stop")).to_have_attribute(
            "aria-busy", "false", timeout=PATIENCE_MS
        )


async def test_a_character_speaks_first_and_answers_as_itself_and_one_of_ones_own_does_too(server: str) -> None:
    async with page_at(server, size=PHONE) as page:
        await page.locator("#choose-character").click()
        await page.get_by_text("Captain Marlow", exact=True).click()
        await page.get_by_role("button", name="Talk to Captain Marlow").click()
        captions = page.locator("#captions .assistant")
        await expect(captions).to_contain_text("Captain Marlow", timeout=PATIENCE_MS)
        await until_heard(page, 600)
        await screenshot(page, "character-greets-phone")
        await page.get_by_role("button", name="Hang up").click()
        await page.locator("#choose-character").click()
        await page.get_by_role("button", name="Write your own").click()
        await page.get_by_label("Name").fill("Old Tom")
        await page.get_by_label("Who are they?").fill("You are Old Tom, who keeps a lighthouse.")
        await page.get_by_label("What do they say first?").fill("Mind the step, friend.")
        await page.get_by_role("button", name="Save").click()
        await page.get_by_role("button", name="Talk to Old Tom").click()
        await expect(captions).to_contain_text("Mind the step, friend.", timeout=PATIENCE_MS)
        await expect(captions.locator(".who")).to_have_text("Old Tom")


async def test_a_recording_that_cannot_be_used_says_why(server: str, tmp_path: Path) -> None:
    sound = tmp_path / "silence.wav"
    soundfile.write(sound, np.zeros(6 * 24_000), 24_000)
    async with page_at(server, size=PHONE) as page:
        await page.locator("#choose-voice").click()
        await page.get_by_role("button", name="Make a voice").click()
        await page.locator("#upload").set_input_files(sound)
        await page.get_by_label("Name", exact=True).fill("Nobody")
        await page.get_by_role("checkbox").check()
        await page.get_by_role("button", name="Make the voice").click()
        await expect(page.locator("#panel-words")).to_be_visible(timeout=PATIENCE_MS)
        await expect(page.get_by_role("button", name="Record again")).to_be_visible()
        await screenshot(page, "voice-refused-phone")
