"""The assistant's voice over WebRTC: an answer's sound as Opus packets, paced on the clock."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from fractions import Fraction
from math import inf

import numpy as np
from aiortc.codecs.opus import SAMPLE_RATE as OPUS_RATE
from aiortc.codecs.opus import SAMPLES_PER_FRAME
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, Packet
from av.audio.codeccontext import AudioCodecContext
from av.codec.context import CodecContext
from av.stream import Stream

from omni.timing import Timing, exact_div
from omni.types import Pcm
from streaming.commands import Heard
from streaming.events import Event, ResponseEnded, ResponseSpeech, SpeechStarted
from streaming.tdm.clock import Clock

FRAME_S = SAMPLES_PER_FRAME / OPUS_RATE
"""sound in one packet, both ways"""
LEAD_S = 0.2
"""sound in the queue ahead of the listener's position. What is on the network counts as not heard yet, so that this
must be more than MAX_NETWORK_S; a larger one costs nothing, because the queue is on this side and is emptied at once"""
MAX_NETWORK_S = 0.15
LATE_S = 0.1
"""a packet that is later goes out as if the packets before it had been left out: sent in a burst, they would stay in
the listener's buffer as delay for the rest of the call"""

_KEPT = 150
"""packets whose sound is kept, 3 s, for a listener who turns out not to have heard it"""
_REPORT_EVERY = 5
"""packets between two reports of the listener's position"""
_BIT_RATE = 40_000
_QUIET_AFTER = 10
"""packets of silence after which the encoder has forgotten the sound before them, and its output is used again"""
_OPUS_TIME = Fraction(1, OPUS_RATE)
_FULL_SCALE = 32_767


class OpusEncoder:
    """Mono speech to Opus packets of 20 ms, each with a coarse copy of the one before, for listeners that lose it."""

    def __init__(self, rate: int) -> None:
        """Make an encoder for samples at rate, in Hz: one of Opus' own (8, 12, 16, 24, 48 kHz)."""
        context = CodecContext.create("libopus", "w")
        assert isinstance(context, AudioCodecContext)
        context.sample_rate = rate
        context.layout = "mono"
        context.format = "s16"
        context.bit_rate = _BIT_RATE
        # half of libopus' effort: a quarter less time, and no difference that the tests' recogniser could hear
        context.options = {"application": "voip", "fec": "1", "packet_loss": "10", "compression_level": "5"}
        self._context = context
        self._rate = rate
        self._n_encoded = 0

    def encode(self, pcm: Pcm) -> bytes:
        """One packet of FRAME_S of sound. Samples beyond [-1, 1] are clipped."""
        scaled = (np.clip(pcm, -1.0, 1.0) * _FULL_SCALE).astype(np.int16)
        frame = AudioFrame.from_ndarray(scaled[None], format="s16", layout="mono")
        frame.sample_rate = self._rate
        frame.pts = self._n_encoded
        self._n_encoded += len(pcm)
        return b"".join(bytes(packet) for packet in self._context.encode(frame))


@dataclass(slots=True, eq=False)
class _Piece:
    """Sound of an answer that is still to be sent."""

    item_id: str
    at_s: float
    """position of its first sample in the answer"""
    pcm: Pcm


class Player(MediaStreamTrack):
    """The assistant's voice as a track: what the session sends, 20 ms at a time when they are due, else silence.

    It watches the session's events, falls silent with a fade when the user speaks or an answer is cut off, and
    reports how far the listener has got.
    """

    kind = "audio"

    def __init__(
        self,
        clock: Clock,
        timing: Timing,
        pool: Executor,
        report: Callable[[Heard], None],
        there_s: Callable[[], float],
    ) -> None:
        """Wire it.

        Args:
            pool: encodes.
            report: takes the listener's position, now and then while an answer plays.
            there_s: when the newest sign came that the listener is there, on the clock.
        """
        super().__init__()
        self._clock = clock
        self._pool = pool
        self._report = report
        self._there_s = there_s
        self._rate = timing.output_rate
        self._n_frame = exact_div(timing.output_rate * SAMPLES_PER_FRAME, OPUS_RATE)
        self._encoder = OpusEncoder(timing.output_rate)
        self._queue: deque[_Piece] = deque()
        self._sent: deque[tuple[float, _Piece]] = deque(maxlen=_KEPT)
        """what has left, and when"""
        self._ramp: Pcm = np.linspace(0, 1, self._n_frame, dtype=np.float32)
        self._paused = False
        self._rising = False
        self._fading: Pcm | None = None
        self._heard: Heard | None = None
        """where what has left ends; None: the listener has surely heard all of it"""
        self._n_unreported = 0
        self._n_silent = 0
        self._silence: bytes | None = None
        self._start_s: float | None = None
        self._n_sent = 0
        self.network_s = 0.0
        """estimated time from here to the listener's ear"""

    def watch(self, event: Event) -> None:
        """Take what concerns the loudspeaker of a session's event."""
        match event:
            case ResponseSpeech(item_id=item_id, pcm=pcm, at_s=at_s):
                self._queue.append(_Piece(item_id, at_s, pcm))
            case SpeechStarted():
                self._fall_silent()
            case ResponseEnded(status="cancelled" | "failed"):
                self._fall_silent()
            case _:
                pass

    @property
    def sounds(self) -> bool:
        """Something is to be heard, or was sent, and may not have been heard."""
        return bool(self._queue) or self._heard is not None

    def pause(self, since_s: float) -> Heard | None:
        """Nobody has heard anything since a moment of the clock: take back what left then, and wait.

        Returns:
            where the listener stopped; None: there is nothing more to be heard.
        """
        self._paused = True
        while self._sent and self._sent[-1][0] >= since_s:
            self._queue.appendleft(self._sent.pop()[1])
        stopped = self._stopped
        if stopped is not None:
            self._heard = stopped
            self._report(stopped)
        return stopped

    @property
    def _stopped(self) -> Heard | None:
        """Where it goes on after a pause."""
        return _standing(self._queue[0]) if self._queue else None

    def first_sent_s(self, since_s: float) -> float | None:
        """When sound first left since a moment of the clock; None: none has."""
        return next((at_s for at_s, _ in self._sent if at_s >= since_s), None)

    def go_on(self) -> None:
        """The listener is there again."""
        self._rising = self._rising or self._paused
        self._paused = False

    async def recv(self) -> "Packet[Stream]":
        """The next packet, when it is due."""
        if self.readyState != "live":
            raise MediaStreamError
        await self._wait()
        data = await self._next()
        packet = Packet(data)
        packet.pts = self._n_sent * SAMPLES_PER_FRAME
        packet.time_base = _OPUS_TIME
        self._n_sent += 1
        return packet

    async def _wait(self) -> None:
        now_s = self._clock.now_s()
        if self._start_s is None:
            self._start_s = now_s
        late_s = now_s - (self._start_s + self._n_sent * FRAME_S)
        if late_s > LATE_S:
            self._n_sent += int(late_s / FRAME_S)
        await self._clock.sleep_until(self._start_s + self._n_sent * FRAME_S)

    async def _next(self) -> bytes:
        if self._paused and (stopped := self._stopped) is not None:
            self._report(stopped)  # also of an answer that begins only now
        elif not self._queue and self._heard is not None:
            self._settle(self._heard)
        if self._fading is not None:
            pcm, self._fading = self._fading, None
        elif self._queue and not self._paused:
            due = self._heard is None or self._rising or self._n_unreported >= _REPORT_EVERY - 1
            pcm = self._take()
            if self._rising:
                pcm, self._rising = pcm * self._ramp, False
            self._n_unreported += 1
            if not self._queue and self._heard is not None:
                self._settle(self._heard)
            elif due:
                self._tell(min(self.network_s, MAX_NETWORK_S))
        elif self._silence is not None:
            return self._silence
        else:
            pcm = np.zeros(self._n_frame, np.float32)
        data = await asyncio.get_running_loop().run_in_executor(self._pool, self._encoder.encode, pcm)
        self._n_silent = 0 if pcm.any() else self._n_silent + 1
        self._silence = data if self._n_silent >= _QUIET_AFTER else None
        return data

    def _take(self) -> Pcm:
        """The next FRAME_S of what is queued, silence after it if that is less."""
        frame = np.zeros(self._n_frame, np.float32)
        n_taken = 0
        while self._queue and n_taken < self._n_frame:
            piece = self._queue[0]
            part, piece.pcm = np.split(piece.pcm, [self._n_frame - n_taken])
            self._sent.append((self._clock.now_s(), _Piece(piece.item_id, piece.at_s, part)))
            frame[n_taken : n_taken + len(part)] = part
            n_taken += len(part)
            piece.at_s += len(part) / self._rate
            self._heard = Heard(piece.item_id, piece.at_s)
            if not len(piece.pcm):
                self._queue.popleft()
        return frame

    def _fall_silent(self) -> None:
        """Fade out within a packet, and forget the rest."""
        if self._queue:
            self._fading = self._take() * self._ramp[::-1]
            self._queue.clear()
        # what has left will be heard, also what is still on its way
        self._tell(0.0)
        self._sent.clear()
        self._heard = None

    def _settle(self, end: Heard) -> None:
        """All that there is has left: report how much of it was surely heard, until that is all.

        The session's own clock would carry the position on to the end of an answer that nobody has heard to its end.
        """
        sure_s = self._there_s() - min(self.network_s, MAX_NETWORK_S)
        unsure = next((piece for left_s, piece in self._sent if left_s > sure_s), None)
        if unsure is not None:
            self._report(_standing(unsure))
            return
        self._report(Heard(end.item_id, end.heard_s))
        self._heard = None
        self._sent.clear()

    def _tell(self, network_s: float) -> None:
        self._n_unreported = 0
        if self._heard is None:
            return
        left_s, most_s = self._heard.heard_s, inf
        if self._queue and self._queue[-1].item_id == self._heard.item_id:
            # however long the event loop may be busy: the end of what is here has not been heard before it has left
            most_s = self._queue[-1].at_s + len(self._queue[-1].pcm) / self._rate - FRAME_S
        self._report(Heard(self._heard.item_id, max(0.0, left_s - network_s), most_s))


def _standing(piece: _Piece) -> Heard:
    """Nothing from here on was heard."""
    return Heard(piece.item_id, piece.at_s, piece.at_s)
