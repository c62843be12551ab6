"""Calls over WebRTC from a real browser, and what becomes of them where it does not work."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page, expect

from omni.types import Picture
from streaming.config import Config
from streaming.events import Closed
from streaming.gateway.webrtc import camera
from tests.browser.calls import VOICE, call, say, until_heard
from tests.browser.chromium import PHONE, needs_chromium, page_at, recorded, screenshot
from tests.browser.fake_server import WEB
from tests.streaming.gateway.place import Place, serving
from tests.streaming.gateway.webrtc.test_calls import ANSWER_HZ, QUESTION_HZ, RATE, WORD_S, Toned, share, tone

pytestmark = [pytest.mark.browser, needs_chromium]

QUESTION = tone(QUESTION_HZ, 1.0, RATE)
BLOCKED = """
const Real = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Real {
  constructor(how) { super({ ...how, iceTransportPolicy: "relay" }); } // and there is no relay
};
"""


@asynccontextmanager
async def called(n_words: int = 3, config: Config | None = None, script: str = "") -> AsyncIterator[tuple[Place, Page]]:
    """A call, hung up at the end."""
    async with (
        serving(config, Toned(n_words), page=WEB) as place,
        page_at(place.address.replace("127.0.0.1", "localhost"), script=VOICE + script) as page,
    ):
        page.on("websocket", lambda socket: place.model.log.append(f"socket {socket.url.partition('?')[2]}"))
        await call(page)
        yield place, page
        await page.get_by_role("button", name="Hang up").click()
        await place.empty()


def sockets(place: Place) -> list[str]:
    """The WebSockets that the page has opened, by their parameters."""
    return [line.removeprefix("socket ") for line in place.model.log if line.startswith("socket ")]


async def way(page: Page) -> str:
    """What the settings say of how the call travels."""
    return await page.locator("#way").text_content() or ""


async def test_a_spoken_question_is_answered_aloud_a_muted_one_is_not_and_another_microphone_takes_over() -> None:
    async with called() as (place, page):
        await page.keyboard.press("m")
        await expect(page.locator("#mood")).to_have_text("You are muted")
        await say(page, QUESTION, RATE)
        await page.wait_for_timeout(1500)
        await page.keyboard.press("m")
        await expect(page.locator("#mood")).to_have_text("Listening")
        assert await page.locator("#captions li").count() == 0
        await page.evaluate("window.unplug()")
        await say(page, QUESTION, RATE)
        await expect(page.locator("#mood")).to_have_text("Speaking", timeout=10_000)
        await expect(page.locator("#captions .user")).to_contain_text("what time is it")
        await expect(page.locator("#mood")).to_have_text("Listening", timeout=10_000)
        caption = page.locator("#captions .assistant")
        assert (await caption.inner_text()).removeprefix("Omni").split() == ["la"] * 3
        assert await caption.locator(".ahead, s").count() == 0
        heard = await recorded(page, "heard")
        assert "WebRTC" in await way(page)
        await page.get_by_role("button", name="Settings").click()
        await screenshot(page, "page-way-webrtc")
        await page.get_by_role("button", name="Done").click()
        assert sockets(place) == []
    loud = heard.loud_ms()
    # a busy machine leaves gaps, and browsers stretch what they have over them
    assert 0.7 < len(loud) * 10 / (3 * WORD_S * 1000) < 1.6
    first, last = (round((ms - heard.start_ms) / 1000 * heard.rate) for ms in (loud[0], loud[-1]))
    assert share(heard.samples[first:last], ANSWER_HZ, heard.rate) > 0.8


async def test_speaking_over_the_answer_stops_it() -> None:
    async with called(n_words=20) as (_, page):
        await say(page, QUESTION, RATE)
        await until_heard(page, 700)
        before = (await recorded(page, "heard")).loud_ms()
        await say(page, QUESTION, RATE)
        await expect(page.locator("#captions .cut-note")).to_be_visible(timeout=10_000)
        cut = page.locator("#captions .assistant").first
        assert 1 < len((await cut.inner_text()).removeprefix("Omni").replace("interrupted", "").split()) < 20
        loud = (await recorded(page, "heard")).loud_ms()
        await screenshot(page, "page-interrupted-webrtc")
    after = loud[loud > before[-1]]
    gaps = after[1:][after[1:] - after[:-1] > 300]
    stopped_ms = after[after < gaps[0]][-1] if len(gaps) else after[-1]
    assert stopped_ms - before[-1] < 20 * WORD_S * 1000 / 2


async def test_a_typed_question_is_answered_aloud_without_a_microphone() -> None:
    async with (
        serving(model=Toned(), page=WEB) as place,
        page_at(place.address.replace("127.0.0.1", "localhost"), allows=False, size=PHONE) as page,
    ):
        await page.get_by_role("button", name="Start a call").click()
        await page.get_by_role("button", name="Type instead").click()
        field = page.get_by_role("textbox", name="Type a message")
        await field.fill("Sing")
        await field.press("Enter")
        await until_heard(page, 600)
        await expect(page.locator("#mood")).to_have_text("Type a message", timeout=10_000)
        assert "WebRTC" in await way(page)


async def test_camera_and_screen_are_seen_as_video(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Picture] = []
    decode = camera.decode_key_frame

    def look(decoder: str, frame: bytes) -> Picture:
        seen.append(decode(decoder, frame))
        return seen[-1]

    monkeypatch.setattr(camera, "decode_key_frame", look)

    async def more() -> None:
        n_before = len(seen)
        async with asyncio.timeout(20):
            while len(seen) < n_before + 2:  # noqa: ASYNC110  looked at in a pool, which has no event
                await asyncio.sleep(0.05)

    async with called() as (_, page):
        await page.get_by_role("button", name="Turn camera on").click()
        await more()
        await page.get_by_role("button", name="Share screen").click()
        await expect(page.locator("#tile-caption")).to_have_text("Your screen")
        await more()
        await page.get_by_role("button", name="Stop sharing").click()
        await page.wait_for_timeout(500)
        n_before = len(seen)
        await page.wait_for_timeout(1500)
        assert len(seen) == n_before


async def test_a_network_that_lets_no_webrtc_through_is_noticed_once() -> None:
    """With one place only: the try that failed has left it."""
    async with called(config=Config(max_sessions=1), script=BLOCKED) as (place, page):
        assert "the network lets no WebRTC through" in await way(page)
        await expect(page.get_by_role("alert")).to_be_hidden()
        await say(page, QUESTION, RATE)
        await until_heard(page, 600)
        await page.get_by_role("button", name="Settings").click()
        await screenshot(page, "page-way-blocked")
        await page.get_by_role("button", name="Done").click()
        await page.get_by_role("button", name="Hang up").click()
        await place.empty()
        offers: list[str] = []
        page.on("request", lambda request: offers.append(request.url) if request.method == "POST" else None)
        await page.get_by_role("button", name="Call again").click()
        await expect(page.locator("body")).to_have_attribute("data-phase", "live")
        assert offers == []
        assert sockets(place) == ["", ""]


async def test_a_lost_call_is_taken_up_and_its_answer_goes_on() -> None:
    async with called(n_words=12) as (place, page):
        await say(page, QUESTION, RATE)
        await until_heard(page, 700)
        (call,) = place.gateway._calls.values()
        assert call._carrier is not None
        call._carrier.link._inbox.end(Closed("lost", "the cable was pulled"), lost=True)  # type: ignore[attr-defined]
        await expect(page.locator("#mood")).to_have_text("Reconnecting…")
        await expect(page.locator("body")).to_have_attribute("data-phase", "live", timeout=10_000)
        await expect(page.locator("#captions .assistant")).to_contain_text("la " * 11 + "la", timeout=10_000)
        await expect(page.locator("#mood")).to_have_text("Listening", timeout=10_000)
        assert await page.locator("#captions .assistant").count() == 1
        assert await page.locator("#captions .cut-note").count() == 0
        assert sockets(place) == ["resume=1"]
        await say(page, QUESTION, RATE)
        await expect(page.locator("#captions .assistant")).to_have_count(2, timeout=10_000)


VP9_ALONE = """
const add = RTCPeerConnection.prototype.addTransceiver;
RTCPeerConnection.prototype.addTransceiver = function (track, how) {
  const transceiver = add.call(this, track, how);
  const { codecs } = RTCRtpReceiver.getCapabilities("video");
  if (how) transceiver.setCodecPreferences(codecs.filter(({ mimeType }) => mimeType === "video/VP9"));
  return transceiver;
};
"""


async def test_a_browser_without_our_video_codecs_calls_without_video() -> None:
    async with called(script=VP9_ALONE) as (place, page):
        assert "WebRTC" in await way(page)
        await expect(page.get_by_role("alert")).to_contain_text("VP8")
        await say(page, QUESTION, RATE)
        await until_heard(page, 600)
        assert sockets(place) == []
