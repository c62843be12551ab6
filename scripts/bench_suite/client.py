"""A client of the Realtime protocol with a microphone and a loudspeaker that keep real time.

The microphone sends every packet when its last sample has "been spoken"; the loudspeaker plays what arrives at
the pace of sound. All times are those of this process' monotonic clock, so that what is measured is what a
person at this client would notice.
"""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp
import numpy as np
import orjson

from omni.timing import Timing, exact_div
from omni.types import Pcm
from scripts.bench_suite.speakers import Utterance, noise_floor

RATE = Timing().wire_rate
PACKET_S = Timing().packet_ms / 1_000
PACKET_SAMPLES = exact_div(RATE * Timing().packet_ms, 1_000)

AUDIO_DELTA = "response.output_audio.delta"
TEXT_DELTA = "response.output_audio_transcript.delta"
SPEECH_STARTED = "input_audio_buffer.speech_started"
ACK_EVERY_S = 0.2


class GoneError(RuntimeError):
    """The connection closed while an event was awaited; the message carries the close code and its reason."""


@dataclass(frozen=True, slots=True)
class Received:
    """One server event and when it arrived."""

    at_s: float
    type: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Spoken:
    """When an utterance sounded: onset of its first and end of its last audible sample."""

    onset_s: float
    end_s: float


def encode_pcm(pcm: Pcm) -> str:
    """float32 in [-1, 1] to base64 of little-endian 16-bit samples."""
    return base64.b64encode((np.clip(pcm, -1, 1) * 32767).astype("<i2").tobytes()).decode()


def decode_pcm(text: str) -> Pcm:
    """The reverse of encode_pcm."""
    samples = np.frombuffer(base64.b64decode(text), "<i2").astype(np.float32)
    return samples / np.float32(32768)


class Microphone:
    """A room that is never silent: noise, and on top of it what was said."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._waiting: list[Pcm] = []
        self._taken = 0
        self._t0_s = time.monotonic()

    def say(self, utterance: Utterance) -> Spoken:
        """Speak from now on (after what is being spoken, if anything is)."""
        onset = self._taken + sum(len(pcm) for pcm in self._waiting)
        self._waiting.append(utterance.pcm)
        onset_s = self._t0_s + onset / RATE
        return Spoken(onset_s, onset_s + len(utterance.pcm) / RATE)

    def start(self, at_s: float | None = None) -> None:
        """Hear the room from a moment on; without one, from now on."""
        self._t0_s = time.monotonic() if at_s is None else at_s

    def next_due_s(self) -> float:
        """When the last sample of the next packet has been spoken."""
        return self._t0_s + self._taken / RATE + PACKET_S

    def packet(self) -> Pcm:
        """The next PACKET_SAMPLES of sound."""
        pcm = noise_floor(PACKET_SAMPLES, self._rng)
        at = 0
        while self._waiting and at < PACKET_SAMPLES:
            head = self._waiting[0]
            n = min(len(head), PACKET_SAMPLES - at)
            pcm[at : at + n] += head[:n]
            at += n
            if n == len(head):
                self._waiting.pop(0)
            else:
                self._waiting[0] = head[n:]
        self._taken += PACKET_SAMPLES
        return pcm


@dataclass(slots=True)
class Segment:
    """A piece of an answer in the loudspeaker."""

    item_id: str
    start_s: float
    """when it begins to sound"""
    position_s: float
    """where in the answer it lies"""
    duration_s: float


class Loudspeaker:
    """Plays deltas one after another and knows how much of an answer has sounded."""

    def __init__(self) -> None:
        self.segments: list[Segment] = []
        self._position_s: dict[str, float] = {}

    def push(self, item_id: str, duration_s: float, now_s: float) -> None:
        last = self.segments[-1] if self.segments else None
        start_s = max(now_s, last.start_s + last.duration_s) if last else now_s
        position_s = self._position_s.get(item_id, 0.0)
        self.segments.append(Segment(item_id, start_s, position_s, duration_s))
        self._position_s[item_id] = position_s + duration_s

    def stop(self, now_s: float) -> None:
        """Fall silent and forget what has not sounded yet."""
        kept = [segment for segment in self.segments if segment.start_s < now_s]
        if kept:
            kept[-1].duration_s = min(kept[-1].duration_s, now_s - kept[-1].start_s)
        self.segments = kept

    def resume_at(self, item_id: str, position_s: float) -> None:
        """What comes next of this answer lies at position_s."""
        self._position_s[item_id] = position_s

    def playing(self, now_s: float) -> str | None:
        """The answer that sounds now."""
        for segment in reversed(self.segments):
            if segment.start_s <= now_s < segment.start_s + segment.duration_s:
                return segment.item_id
        return None

    def silent_from_s(self) -> float:
        """When the last sound of what is loaded ends."""
        return self.segments[-1].start_s + self.segments[-1].duration_s if self.segments else 0.0

    def heard_s(self, item_id: str, now_s: float) -> float:
        """How far into an answer the listener has got."""
        heard_s = 0.0
        for segment in self.segments:
            if segment.item_id == item_id and segment.start_s < now_s:
                heard_s = segment.position_s + min(segment.duration_s, now_s - segment.start_s)
        return heard_s


@dataclass(slots=True)
class Answer:
    """What one response said."""

    response_id: str
    item_id: str = ""
    transcript: str = ""
    pieces: list[tuple[float, str]] = field(default_factory=list)
    """(position in the answer in seconds, text) of each transcript delta"""
    pcm: list[Pcm] = field(default_factory=list)
    first_audio_s: float | None = None
    last_audio_s: float | None = None
    status: str | None = None


class Socket(Protocol):
    """What a caller needs of its connection."""

    @property
    def close_code(self) -> int | None:
        """Once it is closed."""
        ...

    async def send_str(self, text: str) -> None:
        """Send one message."""
        ...

    def __aiter__(self) -> AsyncIterator[aiohttp.WSMessage]:
        """The messages that come."""
        ...


class Caller:
    """One call: a connection, a microphone, a loudspeaker, and everything that was received."""

    def __init__(self, socket: Socket, seed: int) -> None:
        self._socket = socket
        self.microphone = Microphone(seed)
        self.loudspeaker = Loudspeaker()
        self.events: list[Received] = []
        self.answers: dict[str, Answer] = {}
        self._arrived = asyncio.Condition()
        self._gone: str | None = None

    async def send(self, type_: str, **fields: Any) -> None:
        """Send one client event."""
        await self._socket.send_str(orjson.dumps({"type": type_, **fields}).decode())

    async def wait_for(self, wanted: Callable[[Received], bool], timeout_s: float, after: int = 0) -> Received:
        """The first event from index `after` on that is wanted.

        Raises:
            TimeoutError: none came in time.
            GoneError: the connection closed first.
        """
        async with asyncio.timeout(timeout_s), self._arrived:
            seen = after
            while True:
                for event in self.events[seen:]:
                    if wanted(event):
                        return event
                seen = len(self.events)
                if self._gone is not None:
                    raise GoneError(self._gone)
                await self._arrived.wait()

    async def talk(self) -> None:
        """Microphone: packets by the clock until cancelled."""
        self.microphone.start()
        while True:
            await asyncio.sleep(max(0.0, self.microphone.next_due_s() - time.monotonic()))
            await self.send("input_audio_buffer.append", audio=encode_pcm(self.microphone.packet()))

    async def acknowledge(self) -> None:
        """Tell the server how far the loudspeaker has got, now and then while it plays."""
        while True:
            await asyncio.sleep(ACK_EVERY_S)
            now_s = time.monotonic()
            if (item_id := self.loudspeaker.playing(now_s)) is not None:
                heard_ms = round(self.loudspeaker.heard_s(item_id, now_s) * 1_000)
                await self.send("playback.ack", item_id=item_id, audio_end_ms=heard_ms)

    async def receive(self) -> None:
        """Take events until the connection closes."""
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                break
            data = orjson.loads(message.data)
            event = Received(time.monotonic(), data["type"], data)
            await self._take(event)
            async with self._arrived:
                self.events.append(event)
                self._arrived.notify_all()
        async with self._arrived:
            self._gone = f"closed with {self._socket.close_code}"
            self._arrived.notify_all()

    async def _take(self, event: Received) -> None:
        data = event.data
        if event.type == "response.created":
            response_id = data["response"]["id"]
            self.answers[response_id] = Answer(response_id)
        elif event.type == AUDIO_DELTA:
            answer, pcm = self.answers[data["response_id"]], decode_pcm(data["delta"])
            answer.item_id = data["item_id"]
            answer.first_audio_s = answer.first_audio_s or event.at_s
            answer.last_audio_s = event.at_s
            answer.pcm.append(pcm)
            self.loudspeaker.push(answer.item_id, len(pcm) / RATE, event.at_s)
        elif event.type == TEXT_DELTA:
            answer = self.answers[data["response_id"]]
            answer.transcript += data["delta"]
            answer.pieces.append((sum(len(pcm) for pcm in answer.pcm) / RATE, data["delta"]))
        elif event.type == "response.done":
            response_id = data["response"]["id"]
            self.answers.setdefault(response_id, Answer(response_id)).status = data["response"]["status"]
        elif event.type == SPEECH_STARTED:
            await self._hold(event.at_s)
        elif event.type == "overlap.decision":
            self._resume(data)

    async def _hold(self, now_s: float) -> None:
        """The user speaks: be silent at once and say how much was heard."""
        item_id = self.loudspeaker.playing(now_s)
        self.loudspeaker.stop(now_s)
        if item_id is not None:
            heard_ms = round(self.loudspeaker.heard_s(item_id, now_s) * 1_000)
            await self.send("playback.ack", item_id=item_id, audio_end_ms=heard_ms)

    def _resume(self, data: dict[str, Any]) -> None:
        if data["decision"] == "resume" and (answer := self.answers.get(data["response_id"])):
            self.loudspeaker.resume_at(answer.item_id, data["resumes_at_ms"] / 1_000)


@asynccontextmanager
async def call(url: str, session: dict[str, Any], seed: int = 0) -> AsyncIterator[Caller]:
    """Open a session at url (ws://…/v1/realtime), update it, and keep talking until the block ends."""
    async with aiohttp.ClientSession() as http, http.ws_connect(url, max_msg_size=0) as socket:
        caller = Caller(socket, seed)
        tasks = [asyncio.create_task(caller.receive())]
        try:
            await caller.wait_for(lambda event: event.type == "session.created", 30)
            await caller.send("session.update", session={"type": "realtime", **session})
            await caller.wait_for(lambda event: event.type == "session.updated", 30)
            tasks += [asyncio.create_task(caller.talk()), asyncio.create_task(caller.acknowledge())]
            yield caller
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError, ConnectionError):
                    await task


def server_vad(silence_ms: int) -> dict[str, Any]:
    """The session setting for turns found by voice activity."""
    return {"audio": {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": silence_ms}}}}
