"""Calls over WebRTC: aiortc as the client, the real server, a scripted model."""

import asyncio
import contextlib
import gc
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp
import numpy as np
import psutil
import pytest

from omni.timing import Timing
from omni.types import Delta, Pcm, Picture, SpeechDelta, Transcript, Unit, Word
from streaming.config import Config
from streaming.gateway.webrtc import camera, peer
from tests.fakes import ScriptedModel, ScriptedState
from tests.streaming.gateway.phone import SDP, Phone, Scene, ringing
from tests.streaming.gateway.place import Peer, Place, serving

RATE = Timing().input_rate
QUESTION_HZ, ANSWER_HZ = 440.0, 700.0
LEVEL = 0.3
WORD_S = 0.3
OPUS_RATE = 48_000


def tone(hz: float, seconds: float, rate: int) -> Pcm:
    sound: Pcm = (LEVEL * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)
    return sound


def share(pcm: Pcm, hz: float, rate: int) -> float:
    """How much of a sound's energy lies within 30 Hz of a frequency."""
    power = np.abs(np.fft.rfft(pcm)) ** 2
    near = np.abs(np.fft.rfftfreq(len(pcm), 1 / rate) - hz) < 30
    return float(power[near].sum() / power.sum())


def check(sound: Pcm, hz: float, seconds: float, rate: int) -> None:
    """Whether it is a tone of LEVEL and of this length, with silence around it."""
    loud = np.flatnonzero(np.abs(sound) > LEVEL / 2)
    assert (loud[-1] - loud[0]) / rate == pytest.approx(seconds, abs=0.05)
    whole = sound[loud[0] : loud[-1]]
    assert share(whole, hz, rate) > 0.9
    assert np.sqrt(np.mean(whole**2)) == pytest.approx(LEVEL / np.sqrt(2), rel=0.15)


class Toned(ScriptedModel):
    """Understands any sound, and answers in a tone: the fakes' own spelling does not outlive a speech codec."""

    def __init__(self, n_words: int = 3) -> None:
        super().__init__(answer=lambda state, text: "la " * n_words)
        self.units: list[Pcm] = []

    def listen(self, units: Sequence[Unit], states: Sequence[ScriptedState]) -> list[list[Delta]]:
        self.units += [unit.audio for unit in units if unit.audio is not None]
        return [[Transcript("what time is it", 0.9)] if unit.audio is not None else [] for unit in units]

    def _speak(self, state: ScriptedState) -> list[Delta]:
        deltas = super()._speak(state)
        return [self._sung(delta) if isinstance(delta, SpeechDelta) else delta for delta in deltas]

    def _sung(self, delta: SpeechDelta) -> SpeechDelta:
        words = tuple(Word(word.text, index * WORD_S) for index, word in enumerate(delta.words))
        return SpeechDelta(tone(ANSWER_HZ, WORD_S * len(words), self.timing.output_rate), words)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


@contextlib.asynccontextmanager
async def toned(n_words: int = 3, config: Config | None = None) -> AsyncIterator[tuple[Place, Toned]]:
    model = Toned(n_words)
    async with serving(config, model) as place:
        yield place, model


def ask(phone: Phone) -> None:
    """A question that is typed, to be answered in sound."""
    content = [{"type": "input_text", "text": "Sing"}]
    phone.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
    phone.send("response.create")


# ---------------------------------------------------------------- conversations


async def test_what_is_said_arrives_and_what_is_answered_is_heard(http: aiohttp.ClientSession) -> None:
    async with toned() as (place, model):
        async with ringing(http, place) as phone:
            phone.mouth.say(tone(QUESTION_HZ, 1.2, RATE))
            await phone.until("output_audio_buffer.stopped")
            await asyncio.sleep(0.3)  # what this client keeps back to play it evenly
        await place.empty()
        async with http.get(f"{place.address}/metrics") as reply:
            (line,) = (line for line in (await reply.text()).splitlines() if '"received"' in line)
    assert int(line.split()[1]) >= 1.2 / 0.02
    check(np.concatenate(model.units), QUESTION_HZ, 1.2, RATE)
    check(phone.sound(), ANSWER_HZ, 3 * WORD_S, OPUS_RATE)
    types = phone.types()
    assert "response.output_audio.delta" not in types
    assert types.index("output_audio_buffer.started") < types.index("response.output_audio_transcript.delta")
    assert types[types.index("response.done") + 1] == "output_audio_buffer.stopped"
    assert [one["response"]["status"] for one in phone.of("response.done")] == ["completed"]


async def test_a_session_that_comes_with_the_offer_holds_from_the_start(http: aiohttp.ClientSession) -> None:
    chosen = {"type": "realtime", "model": "gpt-realtime", "instructions": "Be brief.", "output_modalities": ["text"]}
    async with serving() as place:
        async with ringing(http, place, session=chosen) as phone:
            session = phone.events[0]["session"]
            assert (session["instructions"], session["output_modalities"]) == ("Be brief.", ["text"])
            assert phone.location == f"/v1/realtime/calls/rtc_{session['id'].removeprefix('sess_')}"
            ask(phone)
            assert (await phone.until("response.output_text.done"))["text"].strip() == "You said Sing ."
        await place.empty()


async def test_speech_over_an_answer_ends_it_where_it_was_heard(http: aiohttp.ClientSession) -> None:
    async with toned(n_words=20) as (place, _):
        async with ringing(http, place) as phone:
            ask(phone)
            await phone.until("output_audio_buffer.started")
            await asyncio.sleep(0.7)
            phone.mouth.say(tone(QUESTION_HZ, 1.5, RATE))
            truncated = await phone.until("conversation.item.truncated")
            n_sung = phone.n_loud()
        await place.empty()
    types = phone.types()
    assert phone.of("response.done")[0]["response"]["status_details"]["reason"] == "turn_detected"
    assert types.index("response.done") < types.index("output_audio_buffer.cleared")
    assert types.index("output_audio_buffer.cleared") < types.index("conversation.item.truncated")
    assert truncated["audio_end_ms"] / 1_000 == pytest.approx(n_sung / OPUS_RATE, abs=0.08)
    assert 1 < len(truncated["transcript"].split()) < 20


class Nodding(Toned):
    """Hears nothing but "uh-huh"."""

    def listen(self, units: Sequence[Unit], states: Sequence[ScriptedState]) -> list[list[Delta]]:
        return [[Transcript("uh-huh", 0.9)] if unit.audio is not None else [] for unit in units]


async def test_after_a_nod_the_answer_goes_on_from_the_word_that_was_cut(http: aiohttp.ClientSession) -> None:
    async with serving(model=Nodding(n_words=8)) as place:
        async with ringing(http, place) as phone:
            ask(phone)
            await phone.until("output_audio_buffer.started")
            await asyncio.sleep(0.8)
            phone.mouth.say(tone(QUESTION_HZ, 0.3, RATE))
            decision = await phone.until("overlap.decision")
            await phone.until("output_audio_buffer.stopped")
            await asyncio.sleep(0.3)
        await place.empty()
    assert "output_audio_buffer.cleared" not in phone.types()
    assert phone.of("response.done")[0]["response"]["status"] == "completed"
    assert decision["resumes_at_ms"] in {round(1_000 * WORD_S * word) for word in range(1, 8)}
    # whole, and once more what had been heard of that word
    assert 8 * WORD_S - 0.05 < phone.n_loud() / OPUS_RATE < 9 * WORD_S + 0.1


async def test_output_is_cleared_and_input_is_not_appended(http: aiohttp.ClientSession) -> None:
    async with toned(n_words=20) as (place, _):
        async with ringing(http, place) as phone:
            phone.send("input_audio_buffer.append", audio="AAAA")
            assert (await phone.until("error"))["error"]["code"] == "invalid_event_for_transport"
            phone.channel.send(b"binary")
            assert (await phone.until("error", after=len(phone.events)))["error"]["code"] == "invalid_message"
            phone.send("output_audio_buffer.clear")  # nothing sounds: nothing happens
            ask(phone)
            await phone.until("output_audio_buffer.started")
            phone.send("output_audio_buffer.clear")
            done = await phone.until("response.done")
            assert done["response"]["status_details"]["reason"] == "client_cancelled"
            cleared = await phone.until("output_audio_buffer.cleared")
            assert cleared["response_id"] == done["response"]["id"]
        await place.empty()


async def test_a_second_connection_sees_and_steers_the_call(http: aiohttp.ClientSession) -> None:
    async with toned() as (place, _), ringing(http, place) as phone:
        call_id = phone.location.rpartition("/")[2]
        async with http.ws_connect(f"{place.realtime}?call_id={call_id}") as socket:
            aside = Peer(socket)
            assert (await aside.until("session.created"))["session"]["id"] == phone.events[0]["session"]["id"]
            await aside.send("input_audio_buffer.append", audio="AAAA")
            assert (await aside.until("error"))["error"]["code"] == "invalid_event_for_transport"
            await aside.send("session.update", session={"type": "realtime", "instructions": "Sing low."})
            assert (await phone.until("session.updated"))["session"]["instructions"] == "Sing low."
            ask(phone)
            await aside.until("response.done")
            await aside.until("output_audio_buffer.stopped")
            assert "response.output_audio_transcript.delta" in [event["type"] for event in aside.events]
            phone.channel.close()
            assert (await aside.until("session.closed"))["reason"] == "client"
            await aside.closed()
        await place.empty()
        async with http.ws_connect(f"{place.realtime}?call_id={call_id}") as socket:
            assert (await Peer(socket).until("error"))["error"]["code"] == "call_not_found"


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_of_a_camera_one_picture_a_unit_is_looked_at(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch, codec: str
) -> None:
    seen: list[Picture] = []
    decode = camera.decode_key_frame

    def look(decoder: str, frame: bytes) -> Picture:
        seen.append(decode(decoder, frame))
        return seen[-1]

    monkeypatch.setattr(camera, "decode_key_frame", look)
    scene = Scene()
    async with serving() as place:
        async with ringing(http, place, scene=scene, codec=codec):
            for colour in ((200, 30, 30), (30, 30, 200)):
                scene.colour = colour
                async with asyncio.timeout(10):
                    # looked at in a pool, which has no event
                    while not seen or np.abs(seen[-1].mean((0, 1)) - colour).max() > 20:  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
        await place.empty()
        assert place.model.log.count("open default") == 1
    assert seen[0].shape == (240, 320, 3)
    assert scene.n_frames > 10 * len(seen)


# ---------------------------------------------------------------- who may call


async def test_offers_that_cannot_be_answered_are_refused_with_advice(http: aiohttp.ClientSession) -> None:
    async with serving() as place:
        for body, headers, code in (
            ("", SDP, "invalid_offer"),
            ("v=0\r\no=nonsense", SDP, "invalid_offer"),
            ("x" * 300_000, SDP, "invalid_offer"),
            ("v=0\r\n" + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" * 100, SDP, "invalid_offer"),
            ("{}", {"Content-Type": "application/json"}, "invalid_offer"),
        ):
            async with http.post(f"{place.realtime}/calls", data=body, headers=headers) as response:
                assert response.status == 400
                assert (await response.json())["error"]["code"] == code
        phone = Phone(http)
        with pytest.raises(AssertionError, match="no voice 'nobody'"):
            await phone.dial(f"{place.realtime}/calls", {"audio": {"output": {"voice": "nobody"}}})
        await phone.hang_up()
        await place.empty()


async def test_places_keys_and_origins_hold_for_offers_too(http: aiohttp.ClientSession) -> None:
    async with serving(Config(max_sessions=1, api_keys=("sekret",))) as place:
        key = {"Authorization": "Bearer sekret"}
        url = f"{place.realtime}/calls"
        for headers, status in ((SDP, 401), ({**SDP, **key, "Origin": "https://evil.example"}, 403)):
            async with http.post(url, data="", headers=headers) as response:
                assert response.status == status
        first, second = Phone(http), Phone(http)
        await first.dial(url, headers=key)
        with pytest.raises(AssertionError, match="session_limit_reached"):
            await second.dial(url, headers=key)
        await first.until("session.created")
        for phone in (first, second):
            await phone.hang_up()
        await place.empty()


async def test_pages_are_told_of_the_ice_servers(http: aiohttp.ClientSession) -> None:
    servers = '[{"urls": "turn:turn.example", "username": "u", "credential": "c"}]'
    async with serving(Config(ice_servers=servers)) as place, http.get(f"{place.realtime}/ice") as response:
        told = {"urls": ["turn:turn.example"], "username": "u", "credential": "c"}
        assert await response.json() == {"iceServers": [told]}


# ---------------------------------------------------------------- ends


async def test_a_call_is_hung_up_over_http(http: aiohttp.ClientSession) -> None:
    async with serving() as place, ringing(http, place) as phone:
        async with http.post(f"{place.address}{phone.location}/hangup") as response:
            assert response.status == 200
            assert not place.gateway.n_calls, "whoever calls again at once finds the place free"
        assert (await phone.until("session.closed"))["reason"] == "client"
        await place.empty()
        async with http.post(f"{place.address}{phone.location}/hangup") as response:
            assert response.status == 404


async def test_closing_the_channel_ends_the_call(http: aiohttp.ClientSession) -> None:
    async with serving() as place, ringing(http, place, path="?model=gpt-realtime") as phone:
        phone.channel.close()
        await place.empty()


async def test_a_caller_who_is_silent_for_long_is_idle_and_one_who_speaks_is_not(http: aiohttp.ClientSession) -> None:
    async with toned(config=Config(idle_timeout_s=1.5)) as (place, _):
        async with ringing(http, place) as phone:
            phone.mouth.say(tone(QUESTION_HZ, 2.5, RATE))
            assert (await phone.until("session.closed"))["reason"] == "idle"
            assert "response.done" in phone.types()
        await place.empty()


async def test_a_peer_that_vanishes_is_let_go(http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(Config(resume_within_s=0)) as place, ringing(http, place) as phone:
        monkeypatch.setattr(peer, "SILENT_S", 0.5)
        await phone.vanish()
        await place.empty()


async def test_a_call_may_be_in_text_alone(http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "SILENT_S", 0.5)
    async with serving() as place:
        async with ringing(http, place, session={"output_modalities": ["text"]}, silent=True) as phone:
            await asyncio.sleep(1.0)  # nothing comes of it meanwhile
            ask(phone)
            assert (await phone.until("response.output_text.done"))["text"].strip() == "You said Sing ."
        await place.empty()


async def test_a_peer_that_never_connects_is_let_go(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "CONNECT_S", 0.3)
    async with serving() as place:
        phone = Phone(http)
        with contextlib.suppress(ConnectionError):
            await phone.dial(f"{place.realtime}/calls", deaf=True)
        await place.empty()
        await phone.hang_up()


async def test_the_server_says_goodbye_when_it_stops(http: aiohttp.ClientSession) -> None:
    async with serving() as place, ringing(http, place) as phone:
        await place.gateway.stop()
        assert (await phone.until("session.closed"))["reason"] == "shutdown"


async def test_a_message_without_an_end_ends_the_call(http: aiohttp.ClientSession) -> None:
    async with serving() as place, ringing(http, place) as phone:
        phone.channel.transport._remote_max_message_size = 0  # a client that heeds no limit
        phone.channel.send("x" * 4_000_000)
        await place.empty()


async def test_a_call_leaves_nothing_behind(http: aiohttp.ClientSession) -> None:
    async with toned() as (place, _):
        async with ringing(http, place) as phone:  # what is made once, threads of pools included, is not counted
            phone.mouth.say(tone(QUESTION_HZ, 0.5, RATE))
            await phone.until("output_audio_buffer.started")
        await place.empty()
        before = await _settled()
        for _ in range(2):
            async with ringing(http, place) as phone:
                ask(phone)
                await phone.until("output_audio_buffer.started")
            await place.empty()
        assert await _settled() == before


async def _settled() -> dict[str, Any]:
    """What is there once nothing changes any more: on a busy machine the last of a call takes its time to end."""
    now = await _holdings()
    while now != (latest := await _holdings()):
        now = latest
    return now


async def _holdings() -> dict[str, Any]:
    """Tasks, file descriptors and connections that are there, once what is ending has ended."""
    gc.collect()  # clients of other tests close themselves then, in tasks
    await asyncio.sleep(0.2)
    gc.collect()
    tasks = sorted(str(task.get_coro()) for task in asyncio.all_tasks())
    peers = sum(type(thing) is peer.Peer for thing in gc.get_objects())
    # but for asyncio's own pool, which grows as it likes
    threads = [thread.name for thread in threading.enumerate() if not thread.name.startswith("asyncio_")]
    return {"tasks": len(tasks), "files": psutil.Process().num_fds(), "threads": sorted(threads), "peers": peers}
