"""The assistant's voice as packets: paced, faded, reported."""

from concurrent.futures import ThreadPoolExecutor
from math import inf

import numpy as np
import pytest
from aiortc.codecs.opus import SAMPLE_RATE as OPUS_RATE
from aiortc.codecs.opus import SAMPLES_PER_FRAME
from aiortc.mediastreams import MediaStreamError

from omni.timing import Timing
from omni.types import Pcm
from streaming.commands import Heard
from streaming.events import AudioPart, Item, ResponseEnded, ResponseSpeech, SpeechStarted
from streaming.gateway.opus import OpusDecoder
from streaming.gateway.webrtc.player import FRAME_S, Player

TIMING = Timing()
RATE = TIMING.output_rate
HZ, LEVEL = 500.0, 0.3


class Jumping:
    """A clock on which waiting takes no time."""

    def __init__(self) -> None:
        self.now = 100.0

    def now_s(self) -> float:
        return self.now

    async def sleep_until(self, time_s: float) -> None:
        self.now = max(self.now, time_s)


class Loudspeaker:
    """Takes a player's packets and decodes them."""

    def __init__(self) -> None:
        self.clock = Jumping()
        self.reports: list[Heard] = []
        self.gone_s = inf
        """when the listener went away"""
        there_s = lambda: min(self.clock.now, self.gone_s)  # noqa: E731
        self.player = Player(self.clock, TIMING, ThreadPoolExecutor(1), self.reports.append, there_s)
        self.at: list[tuple[float, int]] = []
        self._decoder = OpusDecoder(RATE)

    def say(self, seconds: float, at_s: float = 0.0, item_id: str = "item") -> None:
        pcm = (LEVEL * np.sin(2 * np.pi * HZ * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)
        for begin in range(0, len(pcm), RATE // 10):
            part = pcm[begin : begin + RATE // 10]
            self.player.watch(ResponseSpeech("resp", item_id, part, "", at_s + begin / RATE, 1))

    async def hear(self, n: int) -> Pcm:
        sound = []
        for _ in range(n):
            packet = await self.player.recv()
            self.at.append((self.clock.now, packet.pts or 0))
            sound.append(self._decoder.decode(bytes(packet)))
        return np.concatenate(sound)


def ended(status: str) -> ResponseEnded:
    item = Item("item", "assistant", (AudioPart("la", 0.1),))
    return ResponseEnded("resp", item, status, None, None, "la", 1, 1)  # type: ignore[arg-type]


async def test_an_answer_sounds_between_silences_a_packet_every_20_ms() -> None:
    ear = Loudspeaker()
    before = await ear.hear(20)
    ear.say(0.5)
    answer = await ear.hear(25)
    after = await ear.hear(30)
    assert np.abs(before).max() < 1e-3
    assert np.sqrt(np.mean(answer[RATE // 10 :] ** 2)) == pytest.approx(LEVEL / np.sqrt(2), rel=0.1)
    assert np.abs(after[RATE // 20 :]).max() < 0.01
    times, stamps = zip(*ear.at, strict=True)
    assert np.allclose(np.diff(times), FRAME_S)
    assert set(np.diff(stamps)) == {SAMPLES_PER_FRAME}


async def test_it_tells_how_far_the_listener_has_got() -> None:
    ear = Loudspeaker()
    ear.player.network_s = 0.06
    ear.say(0.3)
    await ear.hear(15)
    assert [heard.item_id for heard in ear.reports] == ["item"] * 4
    assert [heard.heard_s for heard in ear.reports] == pytest.approx([0.0, 0.06, 0.16, 0.24])


@pytest.mark.parametrize("event", [SpeechStarted("user", 0.0, 2), ended("cancelled"), ended("failed")])
async def test_it_falls_silent_within_a_packet_and_forgets_the_rest(event: SpeechStarted | ResponseEnded) -> None:
    ear = Loudspeaker()
    ear.say(1.0)
    loud = await ear.hear(10)
    ear.player.watch(event)
    fading = await ear.hear(1)
    after = await ear.hear(10)
    assert np.abs(loud[-RATE // 50 :]).max() > 0.8 * LEVEL
    assert np.abs(fading[-RATE // 500 :]).max() < np.abs(fading[: RATE // 100]).max()
    assert np.abs(after[RATE // 50 :]).max() < 0.02
    assert ear.reports[-1].heard_s == pytest.approx(0.22)  # also what is still on its way will be heard


async def test_an_answer_goes_on_from_where_it_is_sent_again() -> None:
    ear = Loudspeaker()
    ear.say(1.0)
    await ear.hear(10)
    ear.player.watch(SpeechStarted("user", 0.0, 2))
    await ear.hear(5)
    ear.say(0.4, at_s=0.15)
    await ear.hear(20)
    assert ear.reports[-1].heard_s == pytest.approx(0.55)


async def test_an_answer_that_was_heard_to_its_end_is_not_cut() -> None:
    ear = Loudspeaker()
    ear.say(0.2)
    ear.player.watch(ended("completed"))
    assert np.abs((await ear.hear(10))[RATE // 10 :]).max() > 0.8 * LEVEL


async def test_after_a_stall_nothing_is_sent_in_a_burst() -> None:
    ear = Loudspeaker()
    await ear.hear(5)
    ear.clock.now += 1.0
    await ear.hear(5)
    times, stamps = zip(*ear.at, strict=True)
    assert max(stamps[index + 1] - stamps[index] for index in range(9)) == pytest.approx(OPUS_RATE, rel=0.03)
    assert times[9] - times[5] >= 3 * FRAME_S


async def test_who_was_cut_off_hears_the_rest_from_where_it_broke() -> None:
    ear = Loudspeaker()
    ear.say(1.0)
    await ear.hear(20)
    broke_s = ear.clock.now - 0.1
    ear.player.pause(broke_s)
    assert ear.reports[-1].heard_s == pytest.approx(0.3, abs=0.03)
    waiting = await ear.hear(100)
    assert np.abs(waiting[RATE // 2 :]).max() < 0.01
    assert ear.reports[-1].heard_s == pytest.approx(0.3, abs=0.03)
    ear.player.go_on()
    rest = await ear.hear(60)
    assert (np.abs(rest) > LEVEL / 2).nonzero()[0][-1] / RATE == pytest.approx(0.7, abs=0.05)
    assert ear.reports[-1].heard_s == pytest.approx(1.0)


async def test_an_answer_whose_end_nobody_heard_is_not_over() -> None:
    ear = Loudspeaker()
    ear.say(0.4)
    await ear.hear(10)
    ear.gone_s = ear.clock.now
    await ear.hear(50)
    assert ear.reports[-1].most_s == ear.reports[-1].heard_s
    assert ear.reports[-1].heard_s == pytest.approx(0.2, abs=0.03)
    ear.gone_s = inf
    await ear.hear(1)
    assert ear.reports[-1].heard_s == pytest.approx(0.4)
    assert ear.reports[-1].most_s == inf
    n_reports = len(ear.reports)
    await ear.hear(10)
    assert len(ear.reports) == n_reports


async def test_an_answer_that_begins_while_nobody_is_there_waits() -> None:
    ear = Loudspeaker()
    await ear.hear(5)
    ear.player.pause(ear.clock.now)
    ear.say(0.4)
    assert np.abs(await ear.hear(20)).max() < 0.01
    assert ear.reports[-1] == Heard("item", 0.0, 0.0)
    ear.player.go_on()
    assert np.abs(await ear.hear(20)).max() > 0.8 * LEVEL
    await ear.hear(1)
    assert ear.reports[-1].heard_s == pytest.approx(0.4)
    assert ear.reports[-1].most_s == inf


async def test_of_an_answer_that_was_cut_off_nothing_is_said_again() -> None:
    ear = Loudspeaker()
    ear.say(0.2)
    await ear.hear(10)
    ear.player.watch(ended("cancelled"))
    assert ear.player.pause(0.0) is None


async def test_it_ends_with_the_connection() -> None:
    ear = Loudspeaker()
    ear.player.stop()
    with pytest.raises(MediaStreamError):
        await ear.player.recv()
