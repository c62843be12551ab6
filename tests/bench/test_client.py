"""The bench's client against a server of a few lines whose delays are known."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import orjson
import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from scripts.bench_suite.client import RATE, Loudspeaker, Microphone, decode_pcm, encode_pcm
from scripts.bench_suite.speakers import AUDIBLE_DBFS, Utterance, frame_levels
from scripts.bench_suite.turns import ask

ANSWER = np.full(RATE // 10, 0.1, np.float32)
BEEP = Utterance("test", "Beep?", np.sin(np.arange(RATE // 2) * 0.1).astype(np.float32) * np.float32(0.2))


async def scripted(request: web.Request) -> web.WebSocketResponse:
    """Answers 200 ms after the sound of the microphone has ended, however it is cut into packets."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)

    async def say(type_: str, **fields: Any) -> None:
        await socket.send_str(orjson.dumps({"type": type_, **fields}).decode())

    await say("session.created")
    quiet_s: float | None = None
    async for message in socket:
        assert message.type is WSMsgType.TEXT
        event = orjson.loads(message.data)
        if event["type"] == "session.update":
            await say("session.updated")
        elif event["type"] == "input_audio_buffer.append":
            pcm = decode_pcm(event["audio"])
            if frame_levels(pcm).max() > AUDIBLE_DBFS:
                quiet_s = 0.0
            elif quiet_s is not None:
                quiet_s += len(pcm) / RATE
                if quiet_s >= 0.2:
                    quiet_s = None
                    await answer(say)
    return socket


async def answer(say: Any) -> None:
    await say("input_audio_buffer.committed", item_id="u1")
    await say("conversation.item.input_audio_transcription.completed", item_id="u1", transcript="Beep?")
    await say("response.created", response={"id": "r1"})
    await say("response.output_audio_transcript.delta", response_id="r1", item_id="a1", delta="Boop.")
    await say("response.output_audio.delta", response_id="r1", item_id="a1", delta=encode_pcm(ANSWER))
    await say("omni.turn_measured", response_id="r1", turn_latency_ms=210, first_audio_ms=5)
    await say("response.done", response={"id": "r1", "status": "completed"})


@pytest.fixture
async def url() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/v1/realtime", scripted)
    async with TestServer(app) as server:
        yield str(server.make_url("/v1/realtime")).replace("http", "ws", 1)


async def test_a_turn_is_measured_from_the_true_end_of_speech(url: str) -> None:
    turn, reply = await ask(url, BEEP, 320, whole=True, seed=0)
    assert reply is not None and reply.status == "completed"
    assert (turn.question, turn.understood, turn.answer) == ("Beep?", "Beep?", "Boop.")
    assert turn.latency_s is not None and turn.latency_s >= 0.2
    assert turn.audible_latency_s == turn.latency_s
    assert (turn.server_latency_s, turn.server_first_audio_s) == (0.21, 0.005)
    assert (turn.n_commits, turn.early) == (1, False)


async def test_sound_before_the_end_of_the_utterance_is_an_early_answer(url: str) -> None:
    hesitating = Utterance("test", "", np.concatenate([BEEP.pcm, np.zeros(RATE // 2, np.float32), BEEP.pcm]))
    turn, _ = await ask(url, hesitating, 320, whole=False, seed=0)
    assert turn.early
    assert turn.n_commits == 2


def test_what_is_said_starts_at_the_next_packet_and_ends_with_its_last_sample() -> None:
    microphone = Microphone(seed=1)
    microphone.packet()
    spoken = microphone.say(BEEP)
    assert spoken.end_s - spoken.onset_s == pytest.approx(BEEP.duration_s)
    sound = np.concatenate([microphone.packet() for _ in range(40)])
    loud = np.flatnonzero(frame_levels(sound) > AUDIBLE_DBFS)
    assert (loud[0], loud[-1]) == (0, 49)


def test_a_loudspeaker_knows_what_was_heard_after_it_was_stopped_and_resumed() -> None:
    loudspeaker = Loudspeaker()
    loudspeaker.push("a", 1.0, now_s=10.0)
    loudspeaker.push("a", 1.0, now_s=10.1)
    assert loudspeaker.heard_s("a", 11.5) == pytest.approx(1.5)
    loudspeaker.stop(11.25)
    assert loudspeaker.playing(11.3) is None
    assert loudspeaker.heard_s("a", 99.0) == pytest.approx(1.25)
    loudspeaker.resume_at("a", 1.2)
    loudspeaker.push("a", 0.8, now_s=12.0)
    assert loudspeaker.heard_s("a", 99.0) == pytest.approx(2.0)
    assert loudspeaker.silent_from_s() == pytest.approx(12.8)


async def test_a_lost_connection_is_not_waited_for() -> None:
    async def refuse(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.close(code=1013, message=b"full")
        return socket

    app = web.Application()
    app.router.add_get("/v1/realtime", refuse)
    async with TestServer(app) as server:
        with pytest.raises(RuntimeError, match="1013"):
            async with asyncio.timeout(5):
                await ask(str(server.make_url("/v1/realtime")), BEEP, 320, whole=True, seed=0)
