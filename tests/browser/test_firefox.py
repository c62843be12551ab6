"""A whole call over WebRTC in Firefox, whose microphone hums: a question lasts until it is muted."""

import asyncio

import numpy as np
import pytest

from omni.types import Picture
from streaming.gateway.webrtc import camera
from tests.browser.fake_server import WEB
from tests.browser.firefox import PATIENCE_S, Firefox, firefox_at, needs_firefox
from tests.streaming.gateway.place import serving
from tests.streaming.gateway.webrtc.test_calls import RATE, Toned, share

pytestmark = [pytest.mark.browser, needs_firefox]

HUM_HZ = 1000.0
KEEP_PEERS = """
window.peers = [];
const Real = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Real { constructor(how) { super(how); peers.push(this); } };
"""
ARRIVED = """
peers[0].getStats().then((all) => [...all.values()].find((one) => one.type === "inbound-rtp" && one.kind === "audio"))
"""
N_WORDS = 30


async def mood(page: Firefox, words: str) -> None:
    await page.until(f"document.getElementById('mood').textContent === '{words}'")


async def answer_sounds(page: Firefox) -> None:
    """Wait until what arrives and is played is loud: the root mean square of a fifth of a second."""
    before = await page.get(ARRIVED)
    loudness = 0.0
    async with asyncio.timeout(PATIENCE_S):
        while loudness < 0.1:
            await asyncio.sleep(0.2)
            after = await page.get(ARRIVED)
            energy, seconds = (after[what] - before[what] for what in ("totalAudioEnergy", "totalSamplesDuration"))
            loudness, before = float(np.sqrt(energy / seconds)) if seconds else 0.0, after


async def test_a_call_over_webrtc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked and answered aloud, spoken over, shown something, hung up."""
    seen: list[Picture] = []
    decode = camera.decode_key_frame

    def look(decoder: str, frame: bytes) -> Picture:
        seen.append(decode(decoder, frame))
        return seen[-1]

    monkeypatch.setattr(camera, "decode_key_frame", look)
    model = Toned(N_WORDS)
    async with (
        serving(model=model, page=WEB) as place,
        firefox_at(place.address.replace("127.0.0.1", "localhost"), script=KEEP_PEERS) as page,
    ):
        await page.click("#call")
        await page.until("document.body.dataset.phase === 'live'")
        await page.click("#camera")
        await asyncio.sleep(1)
        await page.click("#mute")
        await mood(page, "Speaking")
        await page.until("document.querySelector('#captions .user')?.textContent.includes('what time is it')")
        await answer_sounds(page)
        await page.click("#mute")
        await page.until("document.querySelector('#captions .cut-note')")
        said = await page.get("document.querySelector('#captions .assistant').textContent.split('la').length - 1")
        assert 0 < said < N_WORDS
        assert "WebRTC" in await page.get("document.getElementById('way').textContent")
        assert seen
        await page.click("#call")
        await place.empty()
    assert share(np.concatenate(model.units), HUM_HZ, RATE) > 0.8
