"""POST /v1/audio/speech as the official client and a browser use it."""

import asyncio
import base64
import contextlib
import io
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import replace
from http.client import IncompleteRead
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import orjson
import pytest
import soundfile
from openai import AsyncOpenAI

from omni.timing import Timing
from omni.types import Pcm, SpeechDelta, Voice
from streaming.config import Config
from streaming.gateway.requests import speech
from streaming.sound_formats import FORMATS
from streaming.tdm.clock import ManualClock
from tests.fakes import ScriptedModel, ScriptedState, say
from tests.streaming.gateway.place import Place, call, serving

RATE = Timing().output_rate
TEXT = "one two three four five six seven eight"
SOUND = say(TEXT, RATE)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


def config(folder: Path, **how: Any) -> Config:
    return Config(data_dir=str(folder), **how)


def client_of(place: Place, key: str = "none") -> AsyncOpenAI:
    return AsyncOpenAI(api_key=key, base_url=f"{place.address}/v1", max_retries=0)


async def ask(
    http: aiohttp.ClientSession, place: Place, body: Any, key: str | None = None, **headers: str
) -> tuple[int, bytes, aiohttp.ClientResponse]:
    if key:
        headers["Authorization"] = f"Bearer {key}"
    async with http.post(f"{place.address}/v1/audio/speech", json=body, headers=headers) as reply:
        return reply.status, await reply.read(), reply


class Slow(ScriptedModel):
    """Speaks only while it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = asyncio.Event()

    def step(self, phase: Any, states: Any) -> Any:
        return super().step(phase, states) if self.may.is_set() else [[] for _ in states]


async def test_the_official_client_streams_a_file(tmp_path: Path) -> None:
    async with serving(config(tmp_path)) as place:
        client = client_of(place)
        async with client.audio.speech.with_streaming_response.create(
            model="tts-1", voice="other", input=TEXT, response_format="wav", instructions="Speak up.", speed=1.2
        ) as response:
            assert response.headers["content-type"] == "audio/wav"
            pieces = [piece async for piece in response.iter_bytes()]
        sound, rate = soundfile.read(io.BytesIO(b"".join(pieces)), dtype="float32")
        assert rate == RATE
        assert np.abs(sound - SOUND).max() < 1e-3
        assert len(pieces) > 1
        await place.empty()
        assert "open other" in place.model.log


@pytest.mark.parametrize("kind", FORMATS)
async def test_every_format_comes_as_what_it_is(http: aiohttp.ClientSession, tmp_path: Path, kind: str) -> None:
    magic = {"mp3": b"\xff", "opus": b"OggS", "aac": b"\xff\xf1", "flac": b"fLaC", "wav": b"RIFF", "pcm": b""}
    async with serving(config(tmp_path)) as place:
        status, data, reply = await ask(http, place, {"input": TEXT, "response_format": kind})
        assert (status, reply.content_type) == (200, FORMATS[kind].content_type)
        assert data.startswith(magic[kind])
        assert len(data) > 1_000


async def test_mp3_is_what_one_gets_without_asking(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with serving(config(tmp_path)) as place:
        _, _, reply = await ask(http, place, {"model": "tts-1", "input": TEXT, "voice": "nova"})
        assert reply.content_type == "audio/mpeg"


async def test_events_carry_the_same_sound_and_say_when_it_is_over(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with serving(config(tmp_path)) as place:
        body = {"input": TEXT, "response_format": "pcm", "stream_format": "sse"}
        _, data, reply = await ask(http, place, body, Origin="http://localhost:3000")
        assert reply.content_type == "text/event-stream"
        assert reply.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
        lines = data.decode().strip().split("\n\n")
        assert all(line.startswith("data: ") for line in lines)
        *deltas, done = [orjson.loads(line.removeprefix("data: ")) for line in lines]
        assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
        pcm = b"".join(base64.b64decode(delta["audio"]) for delta in deltas)
        assert np.abs(np.frombuffer(pcm, "<i2") / 2**15 - SOUND).max() < 1e-3
        usage = {"input_tokens": 8, "output_tokens": 0, "total_tokens": 8}
        assert done == {"type": "speech.audio.done", "usage": usage}


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "missing_required_parameter", "input"),
        ({"input": " \n"}, "invalid_value", "input"),
        ({"input": "x" * 4_097}, "string_above_max_length", "input"),
        ({"input": TEXT, "instructions": "x" * 4_097}, "string_above_max_length", "instructions"),
        ({"input": TEXT, "speed": 2.0}, "invalid_value", "speed"),
        ({"input": TEXT, "speed": 0.1}, "invalid_value", "speed"),
        ({"input": TEXT, "voice": "nobody"}, "voice_not_found", "voice"),
        ({"input": TEXT, "voice": {"id": "nobody"}}, "voice_not_found", "voice"),
        ({"input": TEXT, "voice": {"name": "other"}}, "unknown_parameter", "voice.name"),
        ({"input": TEXT, "voice": {}}, "missing_required_parameter", "voice.id"),
        ({"input": TEXT, "response_format": "midi"}, "invalid_value", "response_format"),
        ({"input": TEXT, "stream_format": "both"}, "invalid_value", "stream_format"),
        ({"input": TEXT, "pitch": 2}, "unknown_parameter", "pitch"),
        ({"input": 3}, "invalid_type", "input"),
        ([], "invalid_json", None),
    ],
)
async def test_what_cannot_be_spoken_is_refused(
    http: aiohttp.ClientSession, tmp_path: Path, body: Any, code: str, param: str | None
) -> None:
    async with serving(config(tmp_path)) as place:
        status, data, _ = await ask(http, place, body)
        error = orjson.loads(data)["error"]
        assert (status, error["code"], error["param"]) == (400, code, param)
        assert place.model.states == []


async def test_voices_are_known_by_name_id_and_openais_names(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with serving(config(tmp_path)) as place:
        for voice in ("other", {"id": "other"}, "ash", "fable"):
            assert (await ask(http, place, {"input": "one", "voice": voice}))[0] == 200
        await place.empty()
        opened = [line for line in place.model.log if line.startswith("open")]
        assert opened == ["open other", "open other", "open other", "open plain"]


async def test_only_so_many_are_read_out_at_once(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    model = Slow()
    async with serving(config(tmp_path, api_keys=("one", "two", "three")), model) as place:
        body = {"input": TEXT, "response_format": "pcm"}
        waiting = [asyncio.ensure_future(ask(http, place, body, key)) for key in ("one", "one", "two", "two")]
        await asyncio.wait_for(_opened(model, 4), 20)
        for key in ("one", "three"):
            status, data, reply = await ask(http, place, body, key)
            assert (status, orjson.loads(data)["error"]["code"]) == (429, "rate_limit_exceeded")
            assert int(reply.headers["Retry-After"]) >= 1
        model.may.set()
        assert {status for status, _, _ in await asyncio.gather(*waiting)} == {200}
        assert (await ask(http, place, body, "one"))[0] == 200


async def _opened(model: ScriptedModel, n: int) -> None:
    while len(model.states) < n:  # noqa: ASYNC110  the engine's thread has no event
        await asyncio.sleep(0.01)


async def test_what_is_spoken_counts_as_use_of_the_key(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    seconds = len(SOUND) / RATE
    keys = (f"sekret:name=ann:minutes={2 * seconds / 60}",)
    async with serving(config(tmp_path, api_keys=keys), clock=ManualClock()) as place:
        body = {"input": TEXT}
        assert [(await ask(http, place, body, "sekret"))[0] for _ in range(2)] == [200] * 2
        status, data, reply = await ask(http, place, body, "sekret")
        assert (status, orjson.loads(data)["error"]["code"]) == (429, "insufficient_quota")
        assert int(reply.headers["Retry-After"]) >= 1
        assert (await ask(http, place, body))[0] == 401


def partial_pcm(address: str, key: str) -> Pcm:
    """What comes of a text before its connection is cut."""
    body = orjson.dumps({"input": TEXT, "response_format": "pcm"})
    request = urllib.request.Request(f"{address}/v1/audio/speech", body, {"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=20) as reply, pytest.raises(IncompleteRead) as cut:
        reply.read()
    pcm: Pcm = np.frombuffer(cut.value.partial, "<i2").astype(np.float32) / np.float32(2**15)
    return pcm


async def test_a_text_ends_where_the_minutes_of_the_key_do(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    """What was made can be played, and does not pass for the whole."""
    keys = tuple(f"{key}:minutes={1.2 / 60}" for key in ("one", "two"))
    async with serving(config(tmp_path, api_keys=keys), clock=ManualClock()) as place:
        sound = await asyncio.to_thread(partial_pcm, place.address, "one")
        assert 1.2 * RATE <= len(sound) < len(SOUND)
        assert np.abs(sound - SOUND[: len(sound)]).max() < 1e-3
        body = {"input": TEXT, "response_format": "pcm", "stream_format": "sse"}
        status, told, _ = await ask(http, place, body, "two")
        last = orjson.loads(told.decode().strip().split("data: ")[-1])
        assert (status, last["type"], last["error"]["code"]) == (200, "error", "insufficient_quota")
        await place.empty()


async def test_a_client_that_goes_away_stops_the_engine(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    long = "word " * 800
    async with serving(config(tmp_path)) as place:
        url = f"{place.address}/v1/audio/speech"
        async with http.post(url, json={"input": long, "response_format": "wav"}) as reply:
            await reply.content.readany()
            reply.close()
        await asyncio.wait_for(place.empty(), 20)
        assert place.model.log.count("speak") < 400


async def test_a_client_that_takes_nothing_is_let_go_and_never_gets_what_looks_like_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech, "PATIENCE_S", 0.2)
    body = orjson.dumps({"input": "word " * 800, "response_format": "pcm"})
    head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
    async with serving(config(tmp_path)) as place:
        port = int(place.address.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(head.encode() + body)
        await reader.readline()
        await asyncio.wait_for(place.empty(), 20)
        data = b""
        with contextlib.suppress(ConnectionResetError):
            data = await reader.read()
        assert not data.endswith(b"0\r\n\r\n")  # the end of a chunked response
        writer.close()


async def test_a_failure_before_the_first_sound_is_an_error(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with serving(config(tmp_path)) as place:
        place.model.fail = RuntimeError("out of memory")
        status, data, _ = await ask(http, place, {"input": TEXT})
        assert (status, orjson.loads(data)["error"]["code"]) == (500, "model_failed")
        assert (await ask(http, place, {"input": TEXT}))[0] == 200
        await place.empty()


class Breaking(ScriptedModel):
    """Fails in the middle of a text."""

    def _speak(self, state: ScriptedState) -> Any:
        if state.spoken_s > 1:
            raise RuntimeError("out of memory")
        return super()._speak(state)


async def test_a_failure_in_the_middle_never_looks_like_the_end(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with serving(config(tmp_path), Breaking()) as place:
        with pytest.raises(aiohttp.ClientError):
            await ask(http, place, {"input": TEXT, "response_format": "pcm"})
        _, data, _ = await ask(http, place, {"input": TEXT, "response_format": "pcm", "stream_format": "sse"})
        last = orjson.loads(data.decode().strip().split("data: ")[-1])
        assert (last["type"], last["error"]["code"]) == ("error", "model_failed")
        await place.empty()


async def test_calls_and_speech_do_not_hear_each_other(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with serving(config(tmp_path)) as place, call(http, place) as peer:
        await peer.until("session.created")
        spoken = asyncio.ensure_future(ask(http, place, {"input": TEXT, "response_format": "pcm"}))
        assert await peer.ask("Hello") == "You said Hello ."
        _, data, _ = await spoken
        assert len(data) == 2 * len(SOUND)
        assert not [event for event in peer.events if event["type"] == "error"]


class Wordless(ScriptedModel):
    """Finds nothing in a text that could be spoken."""

    def _speak(self, state: ScriptedState) -> Any:
        deltas = super()._speak(state)
        return [replace(delta, pcm=delta.pcm[:0]) if isinstance(delta, SpeechDelta) else delta for delta in deltas]


@pytest.mark.parametrize("kind", ["wav", "pcm"])
async def test_a_text_without_words_makes_no_empty_file(http: aiohttp.ClientSession, tmp_path: Path, kind: str) -> None:
    async with serving(config(tmp_path), Wordless()) as place:
        status, data, _ = await ask(http, place, {"input": "...", "response_format": kind})
        assert (status, orjson.loads(data)["error"]["param"]) == (400, "input")
        await place.empty()


async def test_a_model_that_does_not_speak_says_so(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    model = ScriptedModel()
    silent: tuple[Voice, ...] = ()
    object.__setattr__(model.capabilities, "voices", silent)
    async with serving(config(tmp_path), model) as place:
        _, data, _ = await ask(http, place, {"input": TEXT})
        assert orjson.loads(data)["error"]["code"] == "speech_not_made"


def test_limits_are_those_that_are_told() -> None:
    assert speech.MOST_OF_A_KEY < speech.MOST
    assert speech.MAX_INPUT * 6 * 2 <= speech.MAX_BODY
