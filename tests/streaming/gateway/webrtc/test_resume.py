"""Calls over WebRTC whose network goes away, and that go on over another connection."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from omni.timing import Timing
from tests.grammar import check as check_order
from tests.streaming.gateway.breaks import back, seq, sound, token
from tests.streaming.gateway.phone import Phone, ringing
from tests.streaming.gateway.place import Peer
from tests.streaming.gateway.webrtc.test_calls import OPUS_RATE, WORD_S, ask, toned

N_WORDS = 10
WIRE_RATE = Timing().wire_rate


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


async def come_back(http: aiohttp.ClientSession, url: str, before: Phone) -> Phone:
    """Another phone that goes on with the call of one whose network is gone."""
    phone = Phone(http)
    offer = before.events[0]["omni"]
    latest = before.events[-1]["server_event_seq"]
    phone.channel.on(
        "open",
        lambda: phone.send("session.resume", resume_token=offer["resume_token"], last_event_seq=latest),
    )
    await phone.dial(f"{url}/calls?resume=1")
    return phone


async def test_a_call_goes_on_over_another_connection_with_what_was_not_heard(http: aiohttp.ClientSession) -> None:
    async with toned(N_WORDS) as (place, model):
        async with ringing(http, place) as first:
            ask(first)
            await first.until("output_audio_buffer.started")
            await asyncio.sleep(1.0)
            await first.vanish()
            second = await come_back(http, place.realtime, first)
            try:
                await second.until("session.resumed")
                assert len(model.states) == place.gateway.n_calls == 1
                await second.until("output_audio_buffer.stopped")
                await asyncio.sleep(0.3)  # what this client keeps back to play it evenly
            finally:
                await second.hang_up()
        await place.empty()
    check_order([*first.events, *second.events])
    sung_s = (first.n_loud() + second.n_loud()) / OPUS_RATE
    # what was on its way when the network went is heard by nobody; the new connection took a moment to make
    assert sung_s == pytest.approx(N_WORDS * WORD_S, abs=0.5)
    assert first.n_loud() / OPUS_RATE < 0.6 * N_WORDS * WORD_S
    assert [one["response"]["status"] for one in second.of("response.done")] == ["completed"]


async def test_a_call_over_webrtc_goes_on_over_a_websocket(http: aiohttp.ClientSession) -> None:
    async with toned(N_WORDS) as (place, _):
        async with ringing(http, place) as first:
            ask(first)
            await first.until("output_audio_buffer.started")
            await asyncio.sleep(0.5)
            await first.vanish()
            before = Peer(None)  # type: ignore[arg-type]
            before.events = first.events
            assert seq(before) and token(before)
            async with back(http, place, before) as second:
                await second.until("session.resumed")
                goes_on = await second.until("response.output_audio.delta")
                # what waited to be played is not taken for heard
                assert goes_on["start_ms"] / 1_000 < first.n_loud() / OPUS_RATE + 0.3
                await second.until("response.done")
        await place.empty()


async def swallowed(http: aiohttp.ClientSession, *, muted: bool) -> None:
    """The network goes away before the end of an answer, and another connection comes when it would be over."""
    n_words = 5
    async with toned(n_words) as (place, _):
        async with ringing(http, place) as first:
            if muted:
                first.connection.getSenders()[0].replaceTrack(None)
                await asyncio.sleep(1.0)
            ask(first)
            await first.until("output_audio_buffer.started")
            await asyncio.sleep(0.6 * n_words * WORD_S)
            await first.vanish()
            heard_s = first.n_loud() / OPUS_RATE
            await asyncio.sleep(1.5)
            before = Peer(None)  # type: ignore[arg-type]
            before.events = first.events
            async with back(http, place, before) as second:
                goes_on = await second.until("response.output_audio.delta")
                done = await second.until("response.done")
        await place.empty()
    assert goes_on["start_ms"] / 1_000 < heard_s + 0.1
    assert goes_on["start_ms"] / 1_000 + len(sound(second.events)) / WIRE_RATE == pytest.approx(n_words * WORD_S)
    assert done["response"]["status"] == "completed"


async def test_the_end_of_an_answer_that_nobody_heard_is_sent_again(http: aiohttp.ClientSession) -> None:
    await asyncio.gather(swallowed(http, muted=False), swallowed(http, muted=True))


async def test_a_connection_that_is_for_no_call_is_closed(http: aiohttp.ClientSession) -> None:
    async with toned() as (place, _), ringing(http, place) as first:
        first.events[0]["omni"]["resume_token"] = "sess_1.nothing"
        second = await come_back(http, place.realtime, first)
        assert (await second.until("error"))["error"]["code"] == "resume_token_unknown"
        await second.hang_up()
        ask(first)
        await first.until("response.done")
