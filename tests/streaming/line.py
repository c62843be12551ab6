"""A caller and a session with a bad network in between, both ways, on a manual clock: WebRTC without its sockets."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Any

from aiortc.codecs.opus import SAMPLES_PER_FRAME
from aiortc.rtp import RtpPacket

from omni.audio.resample import Resampler
from omni.types import Pcm
from scripts.bench_suite.scripted_server import PIECE_S, SteadyModel
from streaming.commands import AppendAudio, Command
from streaming.events import Event
from streaming.gateway.webrtc.microphone import Microphone
from streaming.gateway.webrtc.player import OpusEncoder, Player
from streaming.session import LEAD_S, Session
from streaming.tdm.clock import ManualClock, settle
from streaming.tdm.conversation import opening_settings
from streaming.tdm.jobs import Result
from streaming.tdm.worker import Worker
from tests.chunks import Samples
from tests.fakes import LevelActivity
from tests.streaming.impairments import ONE_WAY_S, PACKET_S, Network, Trouble, voiced


class AtOnce(Executor):
    """A pool without threads: on a manual clock, work takes no time."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


class TonesModel(SteadyModel):
    """Says two seconds of tones to everything: sound that Opus can carry."""

    def __init__(self) -> None:
        super().__init__()
        n, rate = round(PIECE_S * self.timing.output_rate), self.timing.output_rate
        self._pcm = Resampler(self.timing.input_rate, rate).push(voiced(PIECE_S + 0.1))[:n]


class End:
    """Where sound arrives, and how late it is."""

    def __init__(self, clock: ManualClock, rate: int) -> None:
        self._clock = clock
        self._n_sent = 0
        self._start_s: float | None = None
        self._arriving: set[asyncio.Task[None]] = set()
        self.microphone = Microphone(clock, rate, self._deliver)
        self.heard: list[Samples] = []
        self.delay_s: list[float] = []
        """of each PACKET_S: how much later it was heard than on an even network"""

    def send(self, payload: bytes, network: Network) -> None:
        """A packet leaves for here."""
        now_s = self._clock.now_s()
        self._start_s = now_s if self._start_s is None else self._start_s
        number, self._n_sent = self._n_sent, self._n_sent + 1
        arrival_s = network.arrival_s(now_s)
        if arrival_s is not None:
            packet = RtpPacket(111, 0, number % 2**16, number * SAMPLES_PER_FRAME % 2**32, 7, payload)
            arriving = asyncio.create_task(self._arrive(packet, arrival_s))
            self._arriving.add(arriving)
            arriving.add_done_callback(self._arriving.discard)

    async def _arrive(self, packet: RtpPacket, arrival_s: float) -> None:
        await self._clock.sleep_until(arrival_s)
        self.microphone.add(packet)

    def _deliver(self, pcm: Pcm) -> None:
        assert self._start_s is not None
        due_s = self._start_s + len(self.heard) * PACKET_S + ONE_WAY_S
        self.delay_s.append(self._clock.now_s() - due_s)
        self.heard.append(pcm)


class Line:
    """One call. It is also the session's Outlet.

    Args:
        weather: of the network, both ways: (from when on, what it does then).
    """

    def __init__(self, weather: Sequence[tuple[float, Trouble]], seed: int) -> None:
        model = TonesModel()
        self.clock = ManualClock()
        self.events: list[Event] = []
        self.server, self.caller = (End(self.clock, model.timing.input_rate) for _ in range(2))
        self._worker = Worker(model, self._take)
        settings = opening_settings(model.capabilities)
        self.session = Session("sess_line", self._worker, LevelActivity(), self.clock, self, settings, LEAD_S)
        self._commands: list[Command] = []
        self._player = Player(
            self.clock, model.timing, AtOnce(), self._commands.append, lambda: self.server.microphone.latest_s
        )
        self._up, self._down = Network(weather, seed), Network(weather, seed + 1)
        self._encoder = OpusEncoder(model.timing.input_rate)
        self._n_packet = model.timing.packet_samples
        self._n_obeyed = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Line":
        await self.session.open()
        works = (self.server.microphone.run(), self.caller.microphone.run(), self._play())
        self._tasks = [asyncio.create_task(work) for work in works]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.session.close("client", "over")
        await self._compute()

    def send(self, event: Event) -> None:
        self.events.append(event)
        self._player.watch(event)

    def _take(self, result: Result) -> None:
        self.session.deliver(result)

    async def drain(self) -> None:
        """There is always room."""

    async def speak(self, pcm: Samples) -> None:
        """The caller's microphone, for as long as pcm [S] lasts."""
        for begin in range(0, len(pcm) - self._n_packet + 1, self._n_packet):
            self.server.send(self._encoder.encode(pcm[begin : begin + self._n_packet]), self._up)
            await self.clock.advance(PACKET_S)
            await self._compute()

    async def _compute(self) -> None:
        heard = self.server.heard[self._n_obeyed :]
        self._n_obeyed += len(heard)
        commands, self._commands[:] = list(self._commands), []
        for command in (*commands, *(AppendAudio(pcm) for pcm in heard if len(pcm))):
            await self.session.handle(command)
            await settle()
            while self._worker.step():
                await settle()

    async def _play(self) -> None:
        while True:
            packet = await self._player.recv()
            self.caller.send(bytes(packet), self._down)
