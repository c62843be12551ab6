"""A whole call between two real WebRTC peers, with a bad network in between: sound, events and all."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

import aiohttp
import numpy as np
from aiortc import RTCPeerConnection

from omni.timing import Timing
from omni.types import Delta, SpeechDelta
from scripts.bench_suite.client import server_vad
from scripts.bench_suite.rtc_client import RtcCall, rtc_call
from scripts.bench_suite.scripted_server import ANSWER, SteadyModel, SteadyState
from streaming.config import Config
from streaming.gateway.listening import listening
from streaming.gateway.opus import OpusDecoder
from streaming.gateway.server import Gateway
from streaming.gateway.webrtc.player import OpusEncoder
from streaming.tdm.clock import SystemClock
from tests.chunks import Samples
from tests.streaming.gateway.place import Loudness
from tests.streaming.impairments import EVEN, LEVELS, OUTAGE, PACKET_S, Network, Trouble, voiced
from tests.streaming.line import TonesModel

RATE = Timing().input_rate
N_PACKET = Timing().packet_samples
DONE = "response.done"
PER_NOTE = 15
"""packets of one"""
NOTES_HZ = 300 * 1.2 ** np.arange(len(ANSWER))


class Wire:
    """Everything between two peers, DTLS and RTP alike, as the two networks let it through.

    It stands where the caller's DTLS meets its ICE, so that both directions pass; both ends are the real ones.
    """

    def __init__(self, connection: RTCPeerConnection) -> None:
        assert connection.sctp is not None
        self._ice = connection.sctp.transport.transport
        self._send, self._receive = self._ice._send, self._ice._recv
        self._arrived: asyncio.Queue[bytes] = asyncio.Queue()
        self.weather = [(0.0, EVEN)]
        self._up, self._down = Network(self.weather, 1), Network(self.weather, 2)
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    def put_on(self) -> None:
        self._ice._send, self._ice._recv = self._leave, self._arrived.get
        self._start(self._pump())

    def turn(self, trouble: Trouble) -> None:
        """The weather changes."""
        self.weather.append((time.monotonic(), trouble))

    async def take_off(self) -> None:
        self._ice._send, self._ice._recv = self._send, self._receive
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _leave(self, data: bytes) -> None:
        if (arrival_s := self._up.arrival_s(time.monotonic())) is not None:
            self._start(self._deliver(data, arrival_s))

    async def _deliver(self, data: bytes, arrival_s: float) -> None:
        await asyncio.sleep(arrival_s - time.monotonic())
        with contextlib.suppress(ConnectionError):  # hung up meanwhile
            await self._send(data)

    async def _pump(self) -> None:
        while True:
            data = await self._receive()
            if (arrival_s := self._down.arrival_s(time.monotonic())) is not None:
                self._loop.call_later(arrival_s - time.monotonic(), self._arrived.put_nowait, data)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Voice:
    """A microphone that is silent but for what it is told to say."""

    def __init__(self) -> None:
        self._encoder = OpusEncoder(RATE)
        self._waiting: Samples = np.zeros(0, np.float32)

    def say(self, pcm: Samples) -> None:
        self._waiting = np.concatenate([self._waiting, pcm])

    def packet(self) -> bytes:
        pcm = np.zeros(N_PACKET, np.float32)
        now, self._waiting = self._waiting[:N_PACKET], self._waiting[N_PACKET:]
        pcm[: len(now)] = now
        return self._encoder.encode(pcm)


class BriefTones(TonesModel):
    """Says 0.6 s of tones."""

    def _speak(self, state: SteadyState) -> list[Delta]:
        if state.n_spoken == 3:
            state.n_spoken = len(ANSWER)
        return super()._speak(state)


class Scale(SteadyModel):
    """Says a scale to everything: each word a tone of its own."""

    def _speak(self, state: SteadyState) -> list[Delta]:
        number, deltas = state.n_spoken, super()._speak(state)
        if number == len(ANSWER) or number is None:
            return deltas
        rate = self.timing.output_rate
        time_s = np.arange(round(PER_NOTE * PACKET_S * rate)) / rate
        sung = (0.3 * np.sin(2 * np.pi * NOTES_HZ[number] * time_s)).astype(np.float32)
        return [SpeechDelta(sung, delta.words) for delta in deltas if isinstance(delta, SpeechDelta)]


@asynccontextmanager
async def calling(voice: Voice, model: SteadyModel) -> AsyncIterator[tuple[RtcCall, Wire]]:
    gateway = Gateway(Config(), None, SystemClock())
    async with listening(gateway, "127.0.0.1", 0) as address:
        gateway.start(model, Loudness())
        async with (
            aiohttp.ClientSession() as http,
            rtc_call(http, address, voice.packet, server_vad(320)) as call,
        ):
            wire = Wire(call.connection)
            wire.put_on()
            yield call, wire
            await wire.take_off()
        async with asyncio.timeout(10):
            while gateway.n_calls:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


def audible_turns(call: RtcCall) -> int:
    """Answers among what the caller heard: stretches of sound with half a second of silence between them."""
    decoder = OpusDecoder(RATE)
    loud = [np.abs(decoder.decode(arrival.payload)).max(initial=0) > 0.02 for arrival in call.ear.arrivals]
    sounding = np.flatnonzero(loud)
    return int((np.diff(sounding) > 25).sum()) + 1 if len(sounding) else 0


async def test_a_call_goes_on_through_loss_and_an_outage() -> None:
    voice = Voice()
    async with calling(voice, BriefTones()) as (call, wire):

        async def ask() -> float:
            """Seconds from the question's beginning until its answer was heard to its end."""
            before, began_s = len(call.caller.events), time.monotonic()
            voice.say(voiced(0.5))
            done = await call.caller.wait_for(lambda event: event.type == DONE, 20, before)
            assert done.data["response"]["status"] == "completed"
            return done.at_s - began_s

        at_first_s = await ask()
        wire.turn(LEVELS[-1])
        await ask()
        before = len(call.caller.events)
        voice.say(voiced(0.8))
        await asyncio.sleep(0.5)
        wire.turn(OUTAGE)  # in the middle of a question
        await asyncio.sleep(5.0)
        wire.turn(EVEN)
        await call.caller.wait_for(lambda event: event.type == DONE, 20, before)
        assert await ask() < at_first_s + 1.0
        assert len([event for event in call.caller.events if event.type == DONE]) == 4
        assert not [event for event in call.caller.events if event.type == "error"]
        assert audible_turns(call) == 4  # the answer to what was cut off waited for the end of the outage


def notes(call: RtcCall) -> list[int]:
    """Which notes of the scale the caller heard, one after another."""
    decoder, heard = OpusDecoder(RATE), []
    for arrival in call.ear.arrivals:
        sound = decoder.decode(arrival.payload)
        if np.abs(sound).max(initial=0) > 0.1:
            hz = np.abs(np.fft.rfft(sound, 4 * RATE)).argmax() / 4
            heard.append(int(np.abs(np.log(NOTES_HZ / hz)).argmin()))
    return heard


async def broken_off(*, muted: bool) -> list[int]:
    """What is heard of a scale whose fourth note an outage of 5 s breaks off."""
    voice = Voice()
    async with calling(voice, Scale()) as (call, wire):
        voice.say(voiced(0.5))
        await call.caller.wait_for(lambda event: event.type == "output_audio_buffer.started", 20)
        if muted:
            call.connection.getSenders()[0].replaceTrack(None)
        await asyncio.sleep(1.0)
        wire.turn(OUTAGE)
        await asyncio.sleep(5.0)
        wire.turn(EVEN)
        done = await call.caller.wait_for(lambda event: event.type == DONE, 20)
        assert done.data["response"]["status"] == "completed"
        async with asyncio.timeout(10):
            while notes(call).count(len(ANSWER) - 1) <= PER_NOTE / 2:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        return notes(call)


async def test_of_an_answer_that_an_outage_breaks_off_nothing_is_lost() -> None:
    """Whether packets of the caller stay away, or were not expected."""
    for heard in await asyncio.gather(broken_off(muted=False), broken_off(muted=True)):
        assert all(heard.count(note) > PER_NOTE / 2 for note in range(len(ANSWER)))
        # about half a second of it twice
        assert len(heard) < PER_NOTE * len(ANSWER) + 0.7 / PACKET_S
