"""A call from a real browser to the real server with its packaged models, by voice and camera."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image, ImageDraw, ImageFont
from playwright.async_api import Page, expect

from omni.timing import Timing
from omni.types import Pcm
from tests.browser.calls import PATIENCE_MS, VOICE, WIRE, call, say, until_heard
from tests.browser.chromium import DESK, OUT, PHONE, Recording, needs_chromium, page_at, recorded, screenshot
from tests.browser.listening import likeness, understood

pytestmark = [pytest.mark.browser, pytest.mark.models, needs_chromium]

TIMING = Timing()


def silence(seconds: float) -> Pcm:
    return np.zeros(round(seconds * TIMING.output_rate), np.float32)


def microphone(path: Path, *sound: Pcm) -> tuple[str, ...]:
    """Flags for a microphone that plays this once and is silent then."""
    soundfile.write(path, np.concatenate(sound), TIMING.output_rate, subtype="PCM_16")
    return (f"--use-file-for-fake-audio-capture={path}%noloop",)


def camera(path: Path, text: str) -> tuple[str, ...]:
    """Flags for a camera that looks at a sign."""
    picture = Image.new("RGB", (640, 480), "white")
    font = ImageFont.load_default(110)
    ImageDraw.Draw(picture).text((320, 240), text, "black", font, anchor="mm")
    with path.open("wb") as file:
        for _ in range(5):
            picture.save(file, "JPEG")
    return (f"--use-file-for-fake-video-capture={path}",)


async def answer_of(page: Page) -> str:
    """The answer's caption, when all of it has been heard."""
    caption = page.locator("#captions .assistant").last
    await expect(caption).to_be_visible(timeout=PATIENCE_MS)
    await expect(page.locator("body")).to_have_attribute("data-mood", "listening", timeout=PATIENCE_MS)
    return (await caption.inner_text()).removeprefix("Omni").strip()


async def test_a_spoken_question_is_answered_aloud(server: str, speak: Callable[[str], Pcm], tmp_path: Path) -> None:
    flags = microphone(tmp_path / "q.wav", silence(4), speak("What is the capital of France?"), silence(1))
    async with page_at(server, size=PHONE, scheme="dark", flags=flags) as page:
        await call(page)
        await expect(page.locator("#mood")).to_have_text("Speaking", timeout=PATIENCE_MS)
        await page.wait_for_timeout(700)
        await screenshot(page, "call-phone")
        said = await answer_of(page)
        assert "capital of France" in await page.locator("#captions .user").last.inner_text()
        assert "Paris" in said
        await expect(page.locator("#latency-value")).to_contain_text("s")
        heard = await recorded(page, "heard")
    assert likeness(understood(heard), said) > 0.7, (understood(heard), said)


async def test_speaking_over_the_answer_stops_it(server: str, speak: Callable[[str], Pcm]) -> None:
    interruption = speak("No, wait, please stop now, because I would like to ask you something else.")
    async with page_at(server, size=DESK, script=VOICE) as page:
        await call(page)
        await say(page, speak("Please tell me a long story about a dog and a cat."), TIMING.output_rate)
        await until_heard(page, 600)
        await say(page, interruption, TIMING.output_rate)
        # Whether words were under way that nobody heard is chance; test_page.py sees them struck out.
        await expect(page.locator("#captions .user").nth(1)).to_be_visible(timeout=PATIENCE_MS)
        spoken, heard = await recorded(page, "spoken"), await recorded(page, "heard")
        await screenshot(page, "call-interrupted")
    onset_ms = second_speech_ms(spoken)
    end_ms = onset_ms + len(interruption) / TIMING.output_rate * 1000
    loud = heard.loud_ms()
    over = loud[(loud > onset_ms) & (loud < end_ms)]
    assert (loud < onset_ms).any(), "nothing was being said when the interruption came"
    OUT.mkdir(exist_ok=True)
    silent_ms = round(float(over.max() - onset_ms)) if len(over) else 0
    (OUT / "barge_in.json").write_text(json.dumps({"onset_to_silence_ms": silent_ms}))
    assert silent_ms < 0.8 * (end_ms - onset_ms), "the answer was not stopped by the interruption"


def second_speech_ms(spoken: Recording) -> float:
    """Begin of the second utterance in what the microphone delivered."""
    loud = spoken.loud_ms(threshold=0.02)
    gaps = np.flatnonzero(np.diff(loud) > 700)
    return float(loud[gaps[0] + 1])


async def test_what_the_camera_sees_reaches_the_model(server: str, speak: Callable[[str], Pcm], tmp_path: Path) -> None:
    flags = camera(tmp_path / "sign.mjpeg", "OPEN")
    # in messages the picture is there before the question; test_video_call.py sends video
    address = f"{server}/?transport=ws"
    async with page_at(address, size=DESK, scheme="dark", script=VOICE + WIRE, flags=flags) as page:
        await call(page)
        await page.get_by_role("button", name="Turn camera on").click()
        await expect(page.locator("#tile")).to_be_visible()
        await page.wait_for_function("() => window.wire().sent.filter((message) => message.n_pictures).length >= 2")
        await say(page, speak("Can you read this sign?"), TIMING.output_rate)
        await until_heard(page, 400)
        await screenshot(page, "call-desktop")
        assert "open" in (await answer_of(page)).lower()


async def test_typed_words_are_answered_in_the_same_call(server: str) -> None:
    async with page_at(server, allows=False) as page:
        await page.get_by_role("button", name="Start a call").click()
        await page.get_by_role("button", name="Type instead").click()
        field = page.get_by_role("textbox", name="Type a message")
        await expect(field).to_be_enabled(timeout=PATIENCE_MS)
        await field.fill("What is the capital of France?")
        await field.press("Enter")
        assert "Paris" in await answer_of(page)
        assert len((await recorded(page, "heard")).loud_ms()) > 20
