"""Paced output of one answer: what was sent, when the next is due, and how far the listener has got (law 9)."""

import asyncio
from bisect import bisect_right
from dataclasses import dataclass
from math import inf

import numpy as np

from omni.speech.words import heard_text
from omni.timing import Timing
from omni.types import Pcm, SpeechDelta, Word
from streaming.tdm.clock import Clock

CHUNK_MS = 100
"""sound in one event"""
BEHIND_S = 4.0
"""sound that is kept behind the heard position, to go on from after a false interruption, or where the listener turns
out to have heard less: a peer over WebRTC that is gone is noticed after 1 to 3 s"""
FADE_MS = 10
"""fade-in where an answer goes on"""


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Sound that is to be sent now."""

    pcm: Pcm
    text: str
    """words that start to sound in it"""
    at_s: float


class Playout:
    """One answer's sound, from the model to the transport.

    It starts on hold: a speculative answer is prepared but not sent. The listener's position is what the
    player reported, carried on by the clock as far as it says; without reports, the time since sending began.
    """

    def __init__(self, clock: Clock, timing: Timing, lead_s: float) -> None:
        self._clock = clock
        self._rate = timing.output_rate
        self._n_chunk = timing.output_rate * CHUNK_MS // 1000
        self._lead_s = lead_s
        self._sound = np.zeros(0, np.float32)
        self._sound_from = 0
        self._words: list[Word] = []
        self._starts: list[float] = []
        self._n_pushed = 0
        self._n_sent = 0
        self._n_text_sent = 0
        self._anchor_s = 0.0
        self._anchor_time_s = 0.0
        self._holding = True
        self._cut_off = False
        self._most_s = inf
        self._awaits_report = False
        self._finished = False
        self._fade_in = False
        self._changed = asyncio.Event()

    @property
    def total_s(self) -> float:
        """Length of the sound that the model has given so far."""
        return self._n_pushed / self._rate

    @property
    def sent_s(self) -> float:
        """Position up to which sound was sent."""
        return self._n_sent / self._rate

    @property
    def heard_s(self) -> float:
        """The listener's position now."""
        if self._holding or self._cut_off:
            return self._anchor_s
        return min(self.sent_s, self._most_s, self._anchor_s + self._clock.now_s() - self._anchor_time_s)

    @property
    def ahead_s(self) -> float:
        """Sound that is ready beyond the listener's position."""
        return self.total_s - self.heard_s

    @property
    def holding(self) -> bool:
        """Nothing is sent for now."""
        return self._holding

    @property
    def words(self) -> tuple[Word, ...]:
        """All words so far, start_s counted from the beginning of the answer."""
        return tuple(self._words)

    def push(self, delta: SpeechDelta) -> None:
        """Take more of the answer from the model."""
        base_s = self.total_s
        for word in delta.words:
            self._words.append(Word(word.text, base_s + word.start_s))
            self._starts.append(base_s + word.start_s)
        keep_from = max(self._sound_from, min(self._n_sent, round((self.heard_s - BEHIND_S) * self._rate)))
        self._sound = np.concatenate([self._sound[keep_from - self._sound_from :], delta.pcm])
        self._sound_from = keep_from
        self._n_pushed += len(delta.pcm)
        self._changed.set()

    def finish(self) -> None:
        """The model will give no more."""
        self._finished = True
        self._changed.set()

    def release(self) -> None:
        """Start, or go on, sending."""
        self._holding = False
        self._most_s = inf
        self._anchor_time_s = self._clock.now_s()
        self._changed.set()

    def hold(self) -> None:
        """Stop sending and freeze the listener's position: the user speaks over the answer."""
        if not self._holding:
            self._anchor_s = self.heard_s
            self._holding = True

    def resume(self) -> float:
        """Go on from the word in which the listener was stopped; returns its position in seconds."""
        index = max(0, bisect_right(self._starts, self._anchor_s + 1e-6) - 1)
        at_s = min(self._starts[index] if self._starts else 0.0, self._anchor_s)
        self._anchor_s = max(at_s, self._sound_from / self._rate)
        self._n_sent = round(self._anchor_s * self._rate)
        self._fade_in = self._n_sent > 0
        self.release()
        return self._anchor_s

    def cut_off(self) -> None:
        """The listener cannot be reached: like hold(), for a reason of its own."""
        self._anchor_s = self.heard_s
        self._cut_off = True

    def reach(self, *, anew: bool) -> None:
        """The listener is there again.

        Args:
            anew: with a player that has nothing of what was sent: it is sent again, from the listener's position.
        """
        if anew:
            self._anchor_s = max(self.heard_s, self._sound_from / self._rate)
            self._n_sent = round(self._anchor_s * self._rate)
            self._fade_in = self._n_sent > 0
        if anew or self._cut_off:
            self._anchor_time_s = self._clock.now_s()
            self._cut_off = False
            self._most_s = inf
        self._changed.set()

    def report(self, heard_s: float, most_s: float = inf) -> None:
        """The player says how far it has got. Clamped to what was sent.

        Args:
            most_s: nothing beyond this is heard until the next report, so that the answer cannot be over before.
        """
        self._anchor_s = min(max(0.0, heard_s), self.sent_s)
        self._anchor_time_s = self._clock.now_s()
        self._most_s = most_s
        if self._awaits_report:
            self._changed.set()

    @property
    def heard_text(self) -> str:
        """The words that the listener has heard."""
        return heard_text(self._words, self.total_s, self.heard_s)

    @property
    def sent_text(self) -> str:
        """The words that were sent, heard or not."""
        return "".join(word.text for word in self._words[: self._n_text_sent])

    async def going(self) -> None:
        """Wait while the answer is on hold."""
        while self._holding:
            await self._wait()

    async def next(self) -> Chunk | None:
        """Wait until the next sound is due; None when the listener has heard the answer to its end."""
        while True:
            if self._holding or self._cut_off or (self._n_sent == self._n_pushed and not self._finished):
                await self._wait()
                continue
            if self._n_sent < self._n_pushed:
                due_s = self.sent_s - self._lead_s
            elif self.heard_s < self.total_s - 1e-6:
                due_s = self.total_s
            else:
                return None
            wait_s = due_s - self.heard_s
            if self._n_sent == 0 or (wait_s <= 0 and self._n_sent < self._n_pushed):
                return self._cut()
            self._awaits_report = due_s > self._most_s
            await self._wait(None if self._awaits_report else self._clock.now_s() + max(wait_s, 1e-3))

    def _cut(self) -> Chunk:
        begin, end = self._n_sent, min(self._n_sent + self._n_chunk, self._n_pushed)
        if self.heard_s >= self.sent_s:
            # The listener had run dry (or has just started): their time goes on from here.
            self._anchor_s, self._anchor_time_s = self.sent_s, self._clock.now_s()
        pcm = self._sound[begin - self._sound_from : end - self._sound_from]
        if self._fade_in:
            n = min(len(pcm), self._rate * FADE_MS // 1000)
            pcm = np.concatenate([pcm[:n] * np.linspace(0, 1, n, dtype=np.float32), pcm[n:]])
            self._fade_in = False
        self._n_sent = end
        last = self._finished and end == self._n_pushed
        n_words = len(self._words) if last else bisect_right(self._starts, end / self._rate - 1e-6)
        text = "".join(word.text for word in self._words[self._n_text_sent : n_words])
        self._n_text_sent = max(self._n_text_sent, n_words)
        return Chunk(pcm, text, begin / self._rate)

    async def _wait(self, until_s: float | None = None) -> None:
        """Return when something changed, or at a time."""
        self._changed.clear()
        # one task, and none where no time is due: this runs for each chunk of each call
        alarm = None if until_s is None else asyncio.ensure_future(self._ring(until_s))
        try:
            await self._changed.wait()
        finally:
            if alarm is not None:
                alarm.cancel()

    async def _ring(self, at_s: float) -> None:
        await self._clock.sleep_until(at_s)
        self._changed.set()
