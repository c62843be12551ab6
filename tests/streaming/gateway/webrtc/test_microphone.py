"""Packets of a voice, out of order, missing or at an end, on a clock of the test's own."""

import asyncio
from collections.abc import Sequence

import numpy as np
from aiortc.codecs.opus import SAMPLES_PER_FRAME
from aiortc.rtp import RtpPacket

from omni.timing import Timing
from omni.types import Pcm
from streaming.gateway.webrtc.microphone import Microphone
from streaming.gateway.webrtc.player import OpusEncoder
from streaming.tdm.clock import ManualClock

RATE = Timing().input_rate
N_PACKET = Timing().packet_samples
PACKET_S = N_PACKET / RATE
FIRST = 2**16 - 3
"""number of the first packet: they begin again at 0 soon"""


def packets(n: int) -> list[RtpPacket]:
    """A tone that rises."""
    encoder, time_s = OpusEncoder(RATE), np.arange(n * N_PACKET) / RATE
    pcm = (0.3 * np.sin(2 * np.pi * (200 + 100 * time_s) * time_s)).astype(np.float32)
    payloads = [encoder.encode(one) for one in pcm.reshape(n, N_PACKET)]
    return [
        RtpPacket(111, 0, (FIRST + i) % 2**16, i * SAMPLES_PER_FRAME, 7, payload) for i, payload in enumerate(payloads)
    ]


async def heard(arriving: Sequence[RtpPacket | None], then_s: float = 0.0) -> Pcm:
    """What becomes of packets that come one in PACKET_S, or do not, and of the time after them."""
    clock, sound = ManualClock(), list[Pcm]()
    microphone = Microphone(clock, RATE, sound.append)
    running = asyncio.create_task(microphone.run())
    for packet in arriving:
        if packet is not None:
            assert microphone.add(packet) == (False, None)
            assert microphone.latest_s == clock.now_s()
        await clock.advance(PACKET_S)
    for _ in range(round(then_s / PACKET_S)):
        await clock.advance(PACKET_S)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return np.concatenate(sound)


async def test_an_even_stream_is_the_sound_itself() -> None:
    sent = packets(50)
    sound = await heard(sent, then_s=0.3)
    assert len(sound) >= 50 * N_PACKET
    assert np.abs(sound[RATE // 5 : RATE // 2]).max() > 0.25


async def test_order_is_restored() -> None:
    sent = packets(50)
    swapped = list(sent)
    for i in range(20, 40, 4):
        swapped[i], swapped[i + 1] = sent[i + 1], sent[i]
    even, uneven = await heard(sent, then_s=0.5), await heard(swapped, then_s=0.5)
    n = 48 * N_PACKET
    np.testing.assert_array_equal(uneven[:n], even[:n])


async def test_what_is_lost_leaves_everything_else_in_its_place() -> None:
    sent: list[RtpPacket | None] = [*packets(50)]
    whole = await heard(sent, then_s=0.5)
    sent[25] = sent[26] = None
    holed = await heard(sent, then_s=0.5)
    before, after = slice(0, 24 * N_PACKET), slice(32 * N_PACKET, 48 * N_PACKET)
    np.testing.assert_array_equal(holed[before], whole[before])
    # a decoder that missed something comes back to the same sound
    assert np.corrcoef(holed[after], whole[after])[0, 1] > 0.95
    assert not np.array_equal(holed[25 * N_PACKET : 27 * N_PACKET], whole[25 * N_PACKET : 27 * N_PACKET])


async def test_twice_is_once() -> None:
    sent = packets(50)
    twice = list(sent)
    twice[30:30] = [sent[29]]
    n = 48 * N_PACKET
    np.testing.assert_array_equal((await heard(twice, then_s=0.5))[:n], (await heard(sent, then_s=0.5))[:n])


async def test_a_voice_that_stays_away_becomes_silence_in_real_time() -> None:
    brief, long = await heard(packets(50), then_s=1.0), await heard(packets(50), then_s=3.0)
    assert abs(len(long) - len(brief) - 2 * RATE) < RATE / 10
    assert np.abs(brief[40 * N_PACKET : 49 * N_PACKET]).max() > 0.2
    assert not long[-RATE:].any()
