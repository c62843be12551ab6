"""The page in a real browser, opposite a server that says what the test wants."""

import asyncio
import base64
import io

import numpy as np
import pytest
from PIL import Image
from playwright.async_api import Page, expect

from tests.browser.chromium import PHONE, needs_chromium, page_at, recorded, screenshot
from tests.browser.fake_server import FakeServer

pytestmark = [pytest.mark.browser, needs_chromium]

ANSWER = "The capital of France is Paris. It lies on the river Seine, and about two million people live there."
NO_CAMERA = """
const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = (wanted) =>
  wanted.video ? Promise.reject(new DOMException("no", "NotAllowedError")) : real(wanted);
"""

WATCHED_MICROPHONE = """
window.streams = [];
const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => {
  await new Promise((resolve) => setTimeout(resolve, 300));
  window.streams.push(await real(wanted));
  return window.streams.at(-1);
};
"""
LACKING = """
const realAddModule = AudioWorklet.prototype.addModule;
AudioWorklet.prototype.addModule = function (url) {
  if (String(url).includes("%s")) return Promise.reject(new DOMException("no module", "AbortError"));
  return realAddModule.call(this, url);
};
"""
DEAD_SERVER = """
window.WebSocket = class {
  constructor() { queueMicrotask(() => this.onclose({ code: 1006, reason: "" })); }
  close() {}
};
"""


async def call(page: Page, server: FakeServer) -> None:
    await page.get_by_role("button", name="Start a call").click()
    await server.connected()
    await expect(page.locator("#mood")).to_have_text("Listening")


async def until_heard(page: Page, ms: float) -> None:
    """Wait until the page has played so much."""
    async with asyncio.timeout(20):
        while await heard_ms(page) < ms:
            await page.wait_for_timeout(50)


async def heard_ms(page: Page) -> int:
    return len((await recorded(page, "heard")).loud_ms()) * 10


async def test_an_interruption_silences_the_page_and_strikes_out_what_was_not_heard() -> None:
    async with FakeServer() as server, page_at(server.url) as page:
        await call(page, server)
        await server.user_says("u1", "What is the capital of France?")
        await server.answer("a1", ANSWER, 6.0, done=False)
        await until_heard(page, 1500)
        await expect(page.locator("#mood")).to_have_text("Speaking")
        await screenshot(page, "page-speaking")
        await server.send({"type": "input_audio_buffer.speech_started", "item_id": "u2", "audio_start_ms": 1})
        await expect(page.locator("#mood")).to_have_text("Listening to you")
        ack = server.latest("playback.ack")
        heard = await heard_ms(page)
        assert ack["item_id"] == "a1"
        assert abs(ack["audio_end_ms"] - heard) < 150
        await server.end("a1", "The capital of France is Paris.", "cancelled", "turn_detected")
        await expect(page.locator("#captions s")).to_contain_text("live there")  # however much was heard meanwhile
        await asyncio.sleep(0.5)
        assert await heard_ms(page) <= heard + 50, "it went on after the interruption"
        await screenshot(page, "page-interrupted")


async def test_after_a_cough_the_answer_goes_on() -> None:
    async with FakeServer() as server, page_at(server.url) as page:
        await call(page, server)
        await server.answer("a1", ANSWER, 2.0, done=False)
        await until_heard(page, 500)
        await server.send({"type": "input_audio_buffer.speech_started", "item_id": "u2", "audio_start_ms": 1})
        await expect(page.locator("#mood")).to_have_text("Listening to you")
        await server.resume("a1", "u2", server.latest("playback.ack")["audio_end_ms"], 2.0)
        await until_heard(page, 1800)
        await server.end("a1", ANSWER, "completed")
        await expect(page.locator("#captions .assistant")).to_contain_text("live there.")
        await expect(page.locator("#captions s")).to_have_count(0)


async def test_without_a_microphone_there_are_words_and_a_way_on() -> None:
    async with FakeServer() as server, page_at(server.url, size=PHONE, allows=False) as page:
        await page.get_by_role("button", name="Start a call").click()
        notice = page.get_by_role("alert")
        await expect(notice).to_contain_text("may not use the microphone")
        await screenshot(page, "page-microphone-denied")
        await notice.get_by_role("button", name="Type instead").click()
        await server.connected()
        field = page.get_by_role("textbox", name="Type a message")
        await field.fill("What is the capital of France?")
        await field.press("Enter")
        item = await server.message("conversation.item.create")
        assert item["item"]["content"] == [{"type": "input_text", "text": "What is the capital of France?"}]
        await server.message("response.create")
        silence = await server.message("input_audio_buffer.append")
        assert not any(base64.b64decode(silence["audio"]))


async def test_two_clicks_are_one_call() -> None:
    async with FakeServer() as server, page_at(server.url, script=WATCHED_MICROPHONE) as page:
        await page.get_by_role("button", name="Start a call").dblclick()
        await server.connected()
        await page.wait_for_timeout(500)
        assert await page.evaluate("window.streams.length") == 1


async def test_a_call_that_fails_at_once_lets_go_of_the_microphone() -> None:
    async with FakeServer() as server, page_at(server.url, script=WATCHED_MICROPHONE + DEAD_SERVER) as page:
        await page.get_by_role("button", name="Start a call").click()
        await expect(page.get_by_role("alert")).to_contain_text("does not answer")
        assert await page.evaluate("window.streams[0].getTracks()[0].readyState") == "ended"


@pytest.mark.parametrize("worklet", ["playback_worklet", "capture_worklet"])
async def test_sound_that_cannot_start_ends_the_call_in_words_and_it_can_be_tried_again(worklet: str) -> None:
    async with FakeServer() as server, page_at(server.url, script=WATCHED_MICROPHONE + LACKING % worklet) as page:
        await page.get_by_role("button", name="Start a call").click()
        notice = page.get_by_role("alert")
        await expect(notice).to_contain_text("sound of the call could not start")
        await expect(notice).to_contain_text("no module")
        await expect(notice.get_by_role("button", name="Try again")).to_be_visible()
        await expect(page.get_by_role("button", name="Start a call")).to_be_visible()
        assert await page.evaluate("window.streams[0].getTracks()[0].readyState") == "ended"


async def test_the_camera_sends_small_pictures_and_the_call_survives_its_refusal() -> None:
    async with FakeServer() as server, page_at(server.url) as page:
        await call(page, server)
        await page.get_by_role("button", name="Turn camera on").click()
        await expect(page.locator("#tile")).to_be_visible()
        frame = await server.message_with("video_frames")
        with Image.open(io.BytesIO(base64.b64decode(frame["video_frames"][0]))) as picture:
            assert picture.format == "JPEG"
            assert max(picture.size) == 640
        await page.get_by_role("button", name="Share screen").click()
        await expect(page.locator("#tile-caption")).to_have_text("Your screen")
        await page.get_by_role("button", name="Stop sharing").click()
        await expect(page.locator("#tile")).to_be_hidden()
    async with FakeServer() as server, page_at(server.url, script=NO_CAMERA) as page:
        await call(page, server)
        await page.get_by_role("button", name="Turn camera on").click()
        await expect(page.get_by_role("alert")).to_contain_text("The camera stays off")
        await expect(page.locator("#mood")).to_have_text("Listening")


async def test_a_muted_microphone_sends_silence() -> None:
    async with FakeServer() as server, page_at(server.url) as page:
        await call(page, server)
        await page.keyboard.press("m")
        await expect(page.locator("#mood")).to_have_text("You are muted")
        await asyncio.sleep(0.3)
        n_before = len(server.received)
        await asyncio.sleep(0.5)
        packets = server.received[n_before:]
        assert packets
        assert not any(np.frombuffer(base64.b64decode(one["audio"]), np.int16).any() for one in packets)


async def test_a_lost_connection_comes_back_with_the_conversation() -> None:
    async with FakeServer() as server, page_at(server.url, size=PHONE, scheme="dark") as page:
        await call(page, server)
        await server.user_says("u1", "What is the capital of France?")
        await server.answer("a1", "It is Paris.", 0.5)
        await expect(page.locator("#mood")).to_have_text("Listening")
        n_before = len(server.received)
        await server.close(1012)
        await expect(page.get_by_role("alert")).to_contain_text("restarting")
        await screenshot(page, "page-restarting")
        await server.connected()
        item = await server.message("conversation.item.create", n_before)
        assert item["item"]["content"][0]["text"] == "What is the capital of France?"
        await expect(page.get_by_role("alert")).to_be_hidden()
        await expect(page.locator("#captions li")).to_have_count(2)


async def test_a_busy_server_and_a_refusal_have_words() -> None:
    async with FakeServer() as server, page_at(server.url) as page:
        server.refuse = (1013, "all 4 places of this server are taken")
        await page.get_by_role("button", name="Start a call").click()
        notice = page.get_by_role("alert")
        await expect(notice).to_contain_text("All lines are busy")
        await expect(notice).to_contain_text("all 4 places")
        server.refuse, server.keyless = None, "a valid key is needed"
        await notice.get_by_role("button", name="Try again").click()
        await expect(notice).to_contain_text("access key")
        await notice.get_by_role("button", name="Enter the key").click()
        await page.get_by_label("Access key").fill("secret-1")
        server.keyless = None
        await page.get_by_role("button", name="Done").click()
        await page.get_by_role("button", name="Start a call").click()
        await server.connected()
        assert server.protocols == "realtime, openai-insecure-api-key.secret-1"


async def test_who_omni_should_be_is_told_in_the_call_and_remembered() -> None:
    async with FakeServer() as server, page_at(server.url) as page:
        await call(page, server)
        await page.get_by_role("button", name="Settings").click()
        await page.get_by_label("Who should Omni be?").fill("A pirate.")
        await page.get_by_role("button", name="Done").click()
        wanted = {"type": "realtime", "instructions": "A pirate."}
        assert (await server.message("session.update"))["session"] == wanted
        await page.reload()
        n_before = len(server.received)
        await call(page, server)
        assert (await server.message("session.update", n_before))["session"] == wanted


async def test_turns_without_words_are_shown_by_their_length() -> None:
    async with FakeServer() as server, page_at(server.url) as page:
        server.transcribes = False
        await call(page, server)
        turns = page.locator("#captions .user")
        await server.user_speaks("u1", 3200)
        await expect(turns).to_have_text(["You spoke, 3.2 s"])
        await server.answer("a1", ANSWER, 2.0)
        await until_heard(page, 600)
        await server.user_speaks("u2", 1450)
        await expect(turns.last).to_have_text("You spoke, 1.4 s")
        await screenshot(page, "page-wordless-desktop")
        await page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        await screenshot(page, "page-wordless-phone")
        n_before = len(server.received)
        await server.close(1012)
        await server.connected()
        await server.message("conversation.item.create", n_before)
        await expect(turns).to_have_count(2)


async def test_an_insecure_address_is_explained_before_the_call() -> None:
    async with FakeServer() as server:
        url = server.url.replace("localhost", "omni.test")
        async with page_at(url, flags=("--host-resolver-rules=MAP omni.test 127.0.0.1",)) as page:
            await expect(page.get_by_role("alert")).to_contain_text("https://")
            await screenshot(page, "page-insecure")


async def test_the_page_keeps_to_its_server_and_fits_a_small_phone() -> None:
    async with FakeServer() as server, page_at("about:blank", size=PHONE) as page:
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        await page.goto(server.url)
        await page.keyboard.press("Tab")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("button", name="Start a call")).to_be_focused()
        await page.keyboard.press("Enter")
        await server.connected()
        await expect(page.locator("#mood")).to_have_text("Listening")
        assert requests
        assert all(url.startswith((server.url, "blob:")) for url in requests), requests
        assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
        nameless = "(buttons) => buttons.filter((b) => !(b.ariaLabel || b.innerText.trim())).length"
        assert await page.locator("button").evaluate_all(nameless) == 0
