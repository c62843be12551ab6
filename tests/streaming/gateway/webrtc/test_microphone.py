"""A microphone's packets to an even stream, on a manual clock."""

import asyncio

import numpy as np
import pytest
from aiortc.codecs.opus import SAMPLES_PER_FRAME
from aiortc.rtp import RtpPacket

from omni.timing import Timing
from omni.types import Pcm
from streaming.gateway.webrtc.microphone import Microphone
from streaming.gateway.webrtc.player import OpusEncoder
from streaming.tdm.clock import ManualClock, settle

RATE = Timing().input_rate
PACKET_S = 0.02
HZ = 440.0


class Line:
    """A microphone, and packets of one tone for it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.heard: list[Pcm] = []
        self.microphone = Microphone(self.clock, RATE, self.heard.append)
        encoder, n = OpusEncoder(RATE), round(RATE * PACKET_S)
        tone = (0.3 * np.sin(2 * np.pi * HZ * np.arange(100 * n) / RATE)).astype(np.float32)
        self._payloads = [encoder.encode(tone[begin : begin + n]) for begin in range(0, len(tone), n)]

    def arrive(self, number: int, payload: bytes | None = None) -> tuple[bool, None]:
        data = self._payloads[number] if payload is None else payload
        return self.microphone.add(RtpPacket(111, 0, number, number * SAMPLES_PER_FRAME, 7, data))

    async def talk(self, first: int, last: int, without: tuple[int, ...] = ()) -> None:
        for number in range(first, last):
            if number not in without:
                self.arrive(number)
            await self.clock.advance(PACKET_S)
            await settle()

    @property
    def sound(self) -> Pcm:
        return np.concatenate([np.zeros(0, np.float32), *self.heard])


async def test_what_comes_in_time_is_delivered_at_once_and_leaves_nothing_to_decode() -> None:
    line = Line()
    assert line.microphone.latest_s == float("-inf")
    for number in range(50):
        assert line.arrive(number) == (False, None)
        assert len(line.heard) == number + 1
        assert line.microphone.latest_s == line.clock.now_s()
        await line.clock.advance(PACKET_S)
    power = np.abs(np.fft.rfft(line.sound)) ** 2
    assert abs(np.fft.rfftfreq(len(line.sound), 1 / RATE)[power.argmax()] - HZ) < 3


async def test_packets_that_overtake_each_other_are_put_in_order() -> None:
    even, mixed = Line(), Line()
    for number in range(20):
        even.arrive(number)
    for number in range(0, 20, 2):
        for one in (number + 1, number) if number else (0, 1):
            mixed.arrive(one)
    assert np.array_equal(mixed.sound, even.sound)


async def test_what_does_not_come_is_filled_in_real_time_and_fades() -> None:
    line = Line()
    running = asyncio.create_task(line.microphone.run())
    await line.talk(0, 50, without=(20, 21))
    assert line.microphone.jitter.n_lost == 2
    n_before = len(line.sound)
    assert n_before == pytest.approx(50 * PACKET_S * RATE, abs=5 * PACKET_S * RATE)
    for _ in range(50):
        await line.clock.advance(PACKET_S)
        await settle()
    silence = line.sound[n_before + RATE // 4 :]
    assert len(silence) > RATE // 2
    assert np.abs(silence).max() < 1e-3
    running.cancel()


async def test_what_is_no_opus_costs_its_own_sound_alone() -> None:
    line = Line()
    for number in range(30):
        line.arrive(number, (b"", b"\xff" * 40, b"\x0b\xff\x00")[number % 3] if 10 <= number < 16 else None)
        await line.clock.advance(PACKET_S)
    assert len(line.heard) >= 28
    assert np.abs(line.sound[-RATE // 10 :]).max() > 0.2
