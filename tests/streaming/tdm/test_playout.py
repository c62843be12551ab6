"""Pacing, holding and the heard position, on a manual clock."""

import asyncio

import numpy as np
import pytest

from omni.timing import Timing
from omni.types import SpeechDelta, Word
from streaming.tdm.clock import ManualClock
from streaming.tdm.playout import Chunk, Playout

RATE = Timing().output_rate


def speech(seconds: float, *words: tuple[str, float]) -> SpeechDelta:
    pcm = np.arange(round(seconds * RATE), dtype=np.float32)
    return SpeechDelta(pcm, tuple(Word(text, at_s) for text, at_s in words))


class Listener:
    """Takes chunks as they come due."""

    def __init__(self, lead_s: float = 0.3) -> None:
        self.clock = ManualClock()
        self.playout = Playout(self.clock, Timing(), lead_s)
        self.chunks: list[tuple[float, Chunk]] = []
        self.done = False
        self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        while (chunk := await self.playout.next()) is not None:
            self.chunks.append((self.clock.now_s(), chunk))
        self.done = True

    @property
    def sound(self) -> np.ndarray:
        return np.concatenate([chunk.pcm for _, chunk in self.chunks]) if self.chunks else np.zeros(0)

    @property
    def text(self) -> str:
        return "".join(chunk.text for _, chunk in self.chunks)


async def test_sound_is_sent_as_far_ahead_as_the_lead_and_no_further() -> None:
    listener = Listener(0.3)
    listener.playout.push(speech(2.0))
    await listener.clock.advance(0.5)
    assert not listener.chunks
    listener.playout.release()
    await listener.clock.advance(0.0)
    assert 0.3 <= listener.playout.sent_s <= 0.4 + 1e-6
    await listener.clock.advance(1.0)
    assert 1.3 <= listener.playout.sent_s <= 1.4 + 1e-6
    assert listener.playout.heard_s == pytest.approx(1.0)


async def test_an_answer_is_over_when_it_was_heard() -> None:
    listener = Listener()
    listener.playout.push(speech(0.5, (" one", 0.0), (" two", 0.25)))
    listener.playout.finish()
    listener.playout.release()
    await listener.clock.advance(0.49)
    assert not listener.done
    assert len(listener.sound) == round(0.5 * RATE)
    await listener.clock.advance(0.02)
    assert listener.done
    assert listener.text == " one two"


async def test_a_model_that_is_late_moves_the_listeners_time() -> None:
    listener = Listener()
    listener.playout.push(speech(0.2))
    listener.playout.release()
    await listener.clock.advance(1.0)
    assert listener.playout.heard_s == pytest.approx(0.2)
    listener.playout.push(speech(1.0))
    await listener.clock.advance(0.1)
    assert listener.playout.heard_s == pytest.approx(0.3)


async def test_hold_freezes_and_resume_goes_back_to_the_word() -> None:
    listener = Listener()
    listener.playout.push(speech(2.0, (" one", 0.0), (" two", 0.5), (" three", 1.0)))
    listener.playout.release()
    await listener.clock.advance(0.8)
    listener.playout.hold()
    n = len(listener.chunks)
    await listener.clock.advance(3.0)
    assert len(listener.chunks) == n
    assert listener.playout.heard_s == pytest.approx(0.8)
    assert listener.playout.heard_text == " one two"
    assert listener.playout.resume() == pytest.approx(0.5)
    await listener.clock.advance(0.05)
    assert listener.chunks[n][1].at_s == pytest.approx(0.5)
    assert listener.chunks[n][1].pcm[0] == 0.0  # fades in
    # Words that were sent before are not sent again.
    listener.playout.finish()
    await listener.clock.advance(2.0)
    assert listener.text == " one two three"


async def test_the_players_report_counts_more_than_the_clock() -> None:
    listener = Listener(1.0)
    listener.playout.push(speech(3.0))
    listener.playout.release()
    await listener.clock.advance(1.0)
    listener.playout.report(0.4)
    await listener.clock.advance(0.2)
    assert listener.playout.heard_s == pytest.approx(0.6)
    listener.playout.report(99.0)
    assert listener.playout.heard_s == pytest.approx(listener.playout.sent_s)


async def test_a_long_answer_keeps_little_sound() -> None:
    listener = Listener()
    listener.playout.release()
    for _ in range(30):
        listener.playout.push(speech(1.0))
        await listener.clock.advance(1.0)
    assert len(listener.playout._sound) <= 6 * RATE
    assert len(listener.sound) == 30 * RATE


async def test_a_listener_who_is_cut_off_is_waited_for() -> None:
    listener = Listener(1.0)
    listener.playout.push(speech(3.0))
    listener.playout.finish()
    listener.playout.release()
    await listener.clock.advance(1.0)
    listener.playout.cut_off()
    await listener.clock.advance(0.01)  # a piece that was due at that very moment
    n = len(listener.chunks)
    await listener.clock.advance(10.0)
    assert len(listener.chunks) == n
    assert listener.playout.heard_s == pytest.approx(1.0)
    listener.playout.reach(anew=False)
    await listener.clock.advance(1.0)
    assert listener.playout.heard_s == pytest.approx(2.0)
    await listener.clock.advance(2.0)
    assert len(listener.sound) == 3 * RATE


async def test_a_new_player_is_sent_what_was_not_heard_and_no_more() -> None:
    listener = Listener(1.0)
    listener.playout.push(speech(3.0, (" one", 0.0), (" two", 1.2)))
    listener.playout.finish()
    listener.playout.release()
    await listener.clock.advance(1.0)
    listener.playout.report(0.9)
    listener.playout.cut_off()
    await listener.clock.advance(5.0)
    n = len(listener.chunks)
    listener.playout.reach(anew=True)
    await listener.clock.advance(3.0)
    assert listener.chunks[n][1].at_s == pytest.approx(0.9)
    assert sum(len(chunk.pcm) for _, chunk in listener.chunks[n:]) == round(2.1 * RATE)
    assert listener.text == " one two"


async def test_a_position_that_stands_is_carried_on_by_nobody() -> None:
    listener = Listener(1.0)
    listener.playout.push(speech(1.0))
    listener.playout.finish()
    listener.playout.release()
    await listener.clock.advance(0.9)
    listener.playout.report(0.7, 0.7)
    await listener.clock.advance(30.0)
    assert not listener.done
    n = len(listener.chunks)
    listener.playout.reach(anew=True)
    await listener.clock.advance(0.2)
    assert sum(len(chunk.pcm) for _, chunk in listener.chunks[n:]) == round(0.3 * RATE)
    assert not listener.done
    await listener.clock.advance(0.2)
    assert listener.done


async def test_a_position_that_stood_is_carried_on_again_after_the_next_report() -> None:
    listener = Listener(1.0)
    listener.playout.push(speech(1.0))
    listener.playout.finish()
    listener.playout.release()
    await listener.clock.advance(0.5)
    listener.playout.report(0.4, 0.4)
    await listener.clock.advance(1.0)
    listener.playout.report(0.4)
    await listener.clock.advance(0.5)
    assert listener.playout.heard_s == pytest.approx(0.9)
    await listener.clock.advance(0.2)
    assert listener.done


async def test_an_answer_on_hold_stays_on_hold_while_its_listener_is_cut_off() -> None:
    listener = Listener(1.0)
    listener.playout.push(speech(3.0, (" one", 0.0), (" two", 0.8)))
    listener.playout.release()
    await listener.clock.advance(1.0)
    listener.playout.hold()
    listener.playout.cut_off()
    listener.playout.reach(anew=True)
    n = len(listener.chunks)
    await listener.clock.advance(5.0)
    assert len(listener.chunks) == n
    assert listener.playout.heard_s == pytest.approx(1.0)
    assert listener.playout.resume() == pytest.approx(0.8)
