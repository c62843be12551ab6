"""The server on a real port, with a scripted model behind it and the clients that people really use in front."""

import asyncio
import base64
import contextlib
import gc
import socket
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import psutil
import pytest
from openai import AsyncOpenAI

from omni.types import Delta, Picture, Transcript, Unit
from streaming.company.voices import Voices
from streaming.config import Config
from streaming.gateway import websocket
from streaming.gateway.listening import StartError, listening
from streaming.gateway.server import Gateway
from streaming.gateway.wire import deferred
from streaming.tdm.clock import ManualClock, SystemClock
from tests.fakes import ScriptedModel, ScriptedState, read, say, silence
from tests.streaming.gateway.place import RATE, Peer, Place, call, encoded, serving


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with serving() as place:
        yield place


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


# ---------------------------------------------------------------- conversations


async def test_the_official_client_asks_in_text(place: Place) -> None:
    client = AsyncOpenAI(api_key="none", base_url=f"{place.address}/v1")
    async with client.realtime.connect(model="gpt-realtime") as connection:
        await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        await connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello there"}]}
        )
        await connection.response.create()
        text = ""
        async for event in connection:
            if event.type == "response.output_text.delta":
                text += event.delta
            if event.type == "response.done":
                assert event.response.status == "completed"
                break
    assert text.strip() == "You said Hello there ."
    await place.empty()


class Listening(ScriptedModel):
    """Understands any sound: what it is spelled with in these tests does not outlive the resampling on the way in."""

    def listen(self, units: Sequence[Unit], states: Sequence[ScriptedState]) -> list[list[Delta]]:
        return [[Transcript("what time is it", 0.9)] if unit.audio is not None else [] for unit in units]


async def test_a_spoken_question_is_answered_in_sound(http: aiohttp.ClientSession) -> None:
    model = Listening(answer=lambda state, text: "It is noon .")
    async with serving(model=model) as place, call(http, place) as peer:
        await peer.until("session.created")
        sound = np.concatenate((say("what time is it", RATE), silence(2.0, RATE)))
        packet = RATE // 50
        for begin in range(0, len(sound), packet):
            await peer.send("input_audio_buffer.append", audio=encoded(sound[begin : begin + packet]))
            await asyncio.sleep(0.002)
        done = await peer.until("response.done")
    types = [event["type"] for event in peer.events]
    heard = [event["transcript"] for event in peer.events if event["type"].endswith("transcription.completed")]
    assert heard == ["what time is it"]
    assert types.index("input_audio_buffer.speech_started") < types.index("input_audio_buffer.committed")
    assert done["response"]["output"][0]["content"][0]["transcript"].strip() == "It is noon ."
    pcm = [base64.b64decode(event["delta"]) for event in peer.events if event["type"] == "response.output_audio.delta"]
    played = np.frombuffer(b"".join(pcm), "<i2") / np.float32(32_768)
    assert read(played.round(3).astype(np.float32)) == "It is noon ."


async def test_a_fault_of_one_session_is_not_the_others(place: Place, http: aiohttp.ClientSession) -> None:
    async with call(http, place) as unlucky, call(http, place) as lucky:
        await unlucky.until("session.created")
        await lucky.until("session.created")
        place.model.fail = RuntimeError("the model stumbled")
        await unlucky.send("response.create")
        assert (await unlucky.until("response.done"))["response"]["status"] == "failed"
        assert await lucky.ask("Hello") == "You said Hello ."
        assert await unlucky.ask("again") == "You said again ."


# ---------------------------------------------------------------- who may come in


async def test_a_browser_offers_its_key_as_a_subprotocol_and_never_gets_it_back(http: aiohttp.ClientSession) -> None:
    async with serving(Config(api_keys=("first", "second"))) as place:
        protocols = ("realtime", "openai-insecure-api-key.second")
        async with call(http, place, protocols=protocols) as peer:
            assert peer.socket.protocol == "realtime"
            assert await peer.until("session.created")
        async with call(http, place, headers={"Authorization": "Bearer first"}) as peer:
            assert await peer.until("session.created")


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"headers": {"Authorization": "Bearer wrong"}},
        {"headers": {"Authorization": "Basic first"}},
        {"protocols": ("realtime", "openai-insecure-api-key.")},
    ],
)
async def test_without_a_valid_key_there_is_a_reason_and_no_session(
    http: aiohttp.ClientSession, how: dict[str, Any]
) -> None:
    async with serving(Config(api_keys=("first",))) as place:
        async with call(http, place, **how) as peer:
            code, reason = await peer.closed()
        assert (code, [event["error"]["code"] for event in peer.events]) == (1008, ["invalid_api_key"])
        assert "key" in reason
        assert not place.model.states
        async with http.get(f"{place.address}/v1/models", headers=how.get("headers")) as reply:
            assert reply.status == 401
            assert (await reply.json())["error"]["code"] == "invalid_api_key"
        async with http.get(f"{place.address}/health") as reply:
            assert reply.status == 200


@pytest.mark.parametrize(
    ("origin", "welcome"),
    [
        ("https://evil.example", False),
        ("null", False),
        ("http://localhost:3000", True),
        ("http://127.0.0.1:9", True),
        ("https://friend.example", True),
        ("https://friend.example.evil.example", False),
    ],
)
async def test_only_known_pages_may_connect(http: aiohttp.ClientSession, origin: str, welcome: bool) -> None:
    async with serving(Config(allowed_origins=("https://friend.example",))) as place:
        if welcome:
            async with call(http, place, origin=origin) as peer:
                assert await peer.until("session.created")
        else:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                async with call(http, place, origin=origin):
                    pass
            assert refused.value.status == 403


async def test_a_page_from_our_own_address_may_connect(place: Place, http: aiohttp.ClientSession) -> None:
    headers = {"Host": "192.168.1.7:8000"}
    async with call(http, place, origin="http://192.168.1.7:8000", headers=headers) as peer:
        assert await peer.until("session.created")


async def test_over_the_limit_a_caller_is_told_to_come_back(http: aiohttp.ClientSession) -> None:
    async with serving(Config(max_sessions=1)) as place:
        async with call(http, place) as first:
            await first.until("session.created")
            async with call(http, place) as second:
                code, reason = await second.closed()
            assert code == 1013
            assert "later" in reason
            assert second.events[0]["type"] == "error"
            async with http.get(f"{place.address}/ready") as reply:
                assert reply.status == 503
        await place.empty()
        async with call(http, place) as third:
            await third.until("session.created")


async def test_before_the_models_are_warm_nobody_is_let_in(http: aiohttp.ClientSession) -> None:
    gateway = Gateway(Config(), None, SystemClock())
    async with listening(gateway, "127.0.0.1", 0) as address:
        async with http.get(f"{address}/health") as reply:
            assert reply.status == 503
        async with http.ws_connect(f"{address}/v1/realtime") as connection:
            assert (await Peer(connection).closed())[0] == 1013


async def test_a_start_does_not_wait_for_voices_and_who_calls_at_once_does(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, may_be_read = Voices.look, threading.Event()

    def slow(voices: Voices, *, wait: bool = True) -> None:
        assert threading.current_thread() is not threading.main_thread()
        may_be_read.wait(20)
        read(voices, wait=wait)

    monkeypatch.setattr(Voices, "look", slow)
    async with serving() as place:
        async with http.get(f"{place.address}/health") as reply:
            assert reply.status == 200
        calling = asyncio.create_task(http.ws_connect(place.realtime))
        await asyncio.wait([calling], timeout=0.1)
        assert not calling.done()
        may_be_read.set()
        async with await calling as connection:
            assert (await Peer(connection).until("session.created"))["omni"]["voices"] == ["plain", "other"]


async def test_pictures_that_take_their_time_hold_up_nobody_who_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()

    def decode_slowly(_: bytes) -> Picture:
        held.wait(60)
        return np.zeros((8, 8, 3), np.uint8)

    monkeypatch.setattr(deferred, "decode_image", decode_slowly)
    content = [{"type": "input_image", "image_url": "data:image/png;base64,AAAA"}]
    async with serving() as place, contextlib.AsyncExitStack() as clients:
        http = await clients.enter_async_context(aiohttp.ClientSession())
        for _ in range(3):
            shower = await clients.enter_async_context(call(http, place))
            await shower.until("session.created")
            await shower.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        speaker = await clients.enter_async_context(call(http, place))
        await speaker.until("session.created")
        try:
            await speaker.send("input_audio_buffer.append", audio=encoded(say("hello", RATE)))
            assert await speaker.until("input_audio_buffer.speech_started")
        finally:
            held.set()


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize("frame", ["{", "[]", "{}", '{"type": "no.such"}', '{"type": "input_audio_buffer.append"}'])
async def test_a_malformed_frame_is_answered_and_the_session_lives(
    place: Place, http: aiohttp.ClientSession, frame: str
) -> None:
    async with call(http, place) as peer:
        await peer.until("session.created")
        await peer.socket.send_str(frame)
        assert (await peer.until("error"))["error"]["type"] == "invalid_request_error"
        assert await peer.ask("still here") == "You said still here ."


async def test_binary_frames_are_refused_in_words(place: Place, http: aiohttp.ClientSession) -> None:
    async with call(http, place) as peer:
        await peer.until("session.created")
        await peer.socket.send_bytes(b"\x00\x01")
        assert "base64" in (await peer.until("error"))["error"]["message"]


async def test_an_oversized_frame_closes_with_its_reason(place: Place, http: aiohttp.ClientSession) -> None:
    async with call(http, place) as peer:
        await peer.until("session.created")
        await peer.socket.send_str(" " * (websocket.MAX_FRAME_BYTES + 1))
        code, reason = await peer.closed()
    assert code == 1009
    assert str(websocket.MAX_FRAME_BYTES) in reason
    await place.empty()


async def test_what_is_no_handshake_is_told_so(place: Place, http: aiohttp.ClientSession) -> None:
    async with http.get(place.realtime) as reply:
        assert reply.status == 426
    async with http.get(f"{place.address}/v1/nothing") as reply:
        assert reply.status == 404
        assert "error" in await reply.json()


# ---------------------------------------------------------------- ends


async def test_two_hundred_callers_who_vanish_leave_nothing(http: aiohttp.ClientSession) -> None:
    async with serving(Config(max_sessions=500, resume_within_s=0.2)) as place:

        async def visit(number: int) -> None:
            async with aiohttp.ClientSession() as own, call(own, place) as peer:
                await peer.until("session.created")
                await peer.send("input_audio_buffer.append", audio=encoded(say("hello", RATE)))
                if number % 2 and (transport := peer.socket.get_extra_info("socket")) is not None:
                    transport.shutdown(socket.SHUT_RDWR)  # gone without a word

        async def crowd() -> None:
            await asyncio.gather(*(visit(number) for number in range(200)), return_exceptions=True)
            await place.empty()

        def held() -> tuple[int, int]:
            gc.collect()
            return len(asyncio.all_tasks()), psutil.Process().num_fds()

        await crowd()
        n_tasks, n_files = held()
        await crowd()
        async with asyncio.timeout(20):  # on a busy machine the last of a connection takes its time to end
            while (now := held())[0] > n_tasks or now[1] > n_files:  # noqa: ASYNC110
                await asyncio.sleep(0.1)


async def test_a_client_that_does_not_read_is_let_go(http: aiohttp.ClientSession) -> None:
    async with serving(patience_s=0.2) as place, call(http, place) as peer:
        await peer.until("session.created")
        connection = peer.socket.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        peer.socket._conn.transport.pause_reading()  # type: ignore[union-attr]
        content = [{"type": "input_text", "text": "word " * 4_000}]
        with contextlib.suppress(ConnectionError):  # it is hung up on while it still talks
            for _ in range(400):
                item = {"type": "message", "role": "user", "content": content}
                await peer.send("conversation.item.create", item=item)
        await place.empty()
        async with http.get(f"{place.address}/metrics") as reply:
            assert 'omni_sessions_closed_total{reason="too_slow"} 1' in await reply.text()


async def test_a_silent_client_and_a_long_call_are_ended_with_their_reason(http: aiohttp.ClientSession) -> None:
    for config, code, word in (
        (Config(idle_timeout_s=5), 1000, "nothing came"),
        (Config(max_session_s=5), 1001, "at most 5 s"),
    ):
        clock = ManualClock()
        async with serving(config, clock=clock) as place, call(http, place) as peer:
            created = await peer.until("session.created")
            assert created["session"]["expires_at"] > 0
            await clock.advance(5.1)
            closed, reason = await peer.closed()
            assert closed == code
            assert word in reason
            await place.empty()


async def test_when_the_server_stops_callers_are_told(http: aiohttp.ClientSession) -> None:
    async with serving() as place, call(http, place) as peer:
        await peer.until("session.created")
        stopping = asyncio.create_task(place.gateway.stop())
        code, reason = await peer.closed()
        await stopping
        assert code == 1012
        assert "stops" in reason
        assert peer.events[-1]["type"] == "session.closed"
        assert not place.model.states


async def test_a_port_that_is_taken_is_named(place: Place) -> None:
    port = int(place.address.rsplit(":", 1)[1])
    with pytest.raises(StartError, match=rf"port {port} .*--port"):
        async with listening(Gateway(Config(), None, SystemClock()), "127.0.0.1", port):
            pass


# ---------------------------------------------------------------- monitors and the page


async def test_monitors_see_what_happened(place: Place, http: aiohttp.ClientSession) -> None:
    async with call(http, place) as peer:
        await peer.until("session.created")
        await peer.ask("Hello")
        async with http.get(f"{place.address}/metrics") as reply:
            text = await reply.text()
        assert "omni_sessions_active 1" in text
        assert 'omni_responses_total{status="completed"} 1' in text
    async with http.get(f"{place.address}/v1/models") as reply:
        assert [entry["id"] for entry in (await reply.json())["data"]] == ["scripted"]


async def test_the_page_has_its_types_and_keeps_its_folder(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    web = tmp_path / "web"
    web.mkdir()
    (web / "index.html").write_text("<!doctype html>hello")
    (web / "page.js").write_text("export {}")
    (tmp_path / "secret.js").write_text("no")
    async with serving(page=web) as place:
        for path, kind in (("/", "text/html"), ("/web/page.js", "text/javascript")):
            async with http.get(place.address + path) as reply:
                assert (reply.status, reply.content_type, reply.headers["Cache-Control"]) == (200, kind, "no-cache")
        for path in ("/web/none.js", "/web/%2e%2e/secret.js", "/web/..%2fsecret.js"):
            async with http.get(place.address + path) as reply:
                assert reply.status == 404
