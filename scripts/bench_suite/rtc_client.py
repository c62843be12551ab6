"""A client of the Realtime protocol over WebRTC: its microphone is a track, its events a data channel."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import aiohttp
from aiortc import MediaStreamTrack, RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.codecs.opus import SAMPLE_RATE as OPUS_RATE
from aiortc.codecs.opus import SAMPLES_PER_FRAME
from aiortc.rtp import RtpPacket
from av import Packet

from scripts.bench_suite.client import Caller
from streaming.gateway.webrtc.backlog import keep_up
from streaming.gateway.webrtc.peer import EVENTS, replace_jitter_buffer

CONNECT_S = 30.0
_SDP = {"Content-Type": "application/sdp"}
_CLOSED = aiohttp.WSMessage(aiohttp.WSMsgType.CLOSED, None, None)


class Track(MediaStreamTrack):
    """A microphone that keeps real time.

    Args:
        packet: gives the next 20 ms as Opus, when they have been spoken.
    """

    kind = "audio"

    def __init__(self, packet: Callable[[], bytes]) -> None:
        super().__init__()
        self._packet = packet
        self._numbers = itertools.count()
        self._start_s: float | None = None
        self.due_s = 0.0
        """when the last sample of the newest packet had been spoken"""

    async def recv(self) -> "Packet[Any]":
        number = next(self._numbers)
        self._start_s = time.monotonic() if self._start_s is None else self._start_s
        due_s = self._start_s + number * SAMPLES_PER_FRAME / OPUS_RATE
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        packet, self.due_s = Packet(self._packet()), due_s
        packet.pts, packet.time_base = number * SAMPLES_PER_FRAME, Fraction(1, OPUS_RATE)
        return packet


@dataclass(frozen=True, slots=True)
class Arrival:
    """A packet of the assistant's voice."""

    at_s: float
    sequence: int
    timestamp: int
    payload: bytes


class Ear:
    """Stands in the place of a receiver's jitter buffer and notes what comes, before anything is decoded."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        self.arrivals.append(Arrival(time.monotonic(), packet.sequence_number, packet.timestamp, packet.payload))
        return False, None


class ChannelSocket:
    """A data channel with as much of a WebSocket as a Caller needs."""

    close_code: int | None = None

    def __init__(self, channel: RTCDataChannel) -> None:
        self._channel = channel
        self._messages: asyncio.Queue[aiohttp.WSMessage] = asyncio.Queue()
        self.opened = asyncio.Event()
        channel.on("open", self.opened.set)
        channel.on("message", self._received)
        channel.on("close", lambda: self._messages.put_nowait(_CLOSED))

    async def send_str(self, text: str) -> None:
        self._channel.send(text)

    def __aiter__(self) -> "ChannelSocket":
        return self

    async def __anext__(self) -> aiohttp.WSMessage:
        return await self._messages.get()

    def _received(self, message: str | bytes) -> None:
        self._messages.put_nowait(aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, message, None))


@dataclass(slots=True)
class RtcCall:
    """One call over WebRTC."""

    caller: Caller
    """its events; what it hears comes to the ear instead"""
    ear: Ear
    track: Track
    connection: RTCPeerConnection


@asynccontextmanager
async def rtc_call(
    http: aiohttp.ClientSession, address: str, packet: Callable[[], bytes], session: dict[str, Any], seed: int = 0
) -> AsyncIterator[RtcCall]:
    """Open a call at a server's address (http://…), set up its session, and talk until the block ends.

    Args:
        packet: the microphone, as of Track.
    """
    connection = RTCPeerConnection(RTCConfiguration([]))
    socket, ear = ChannelSocket(connection.createDataChannel(EVENTS)), Ear()
    track, caller, listening = Track(packet), Caller(socket, seed), None
    try:
        connection.addTrack(track)
        replace_jitter_buffer(connection.getTransceivers()[0].receiver, ear)
        await connection.setLocalDescription(await connection.createOffer())
        keep_up(connection)  # as a browser does, which reads in a thread of its own
        offer = connection.localDescription.sdp
        async with http.post(f"{address}/v1/realtime/calls", data=offer, headers=_SDP) as reply:
            answer = await reply.text()
            if reply.status != 201:
                raise RuntimeError(f"the server refused the call with {reply.status}: {answer}")
        listening = asyncio.create_task(caller.receive())
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        async with asyncio.timeout(CONNECT_S):
            await socket.opened.wait()
        await caller.wait_for(lambda event: event.type == "session.created", CONNECT_S)
        await caller.send("session.update", session={"type": "realtime", **session})
        await caller.wait_for(lambda event: event.type == "session.updated", CONNECT_S)
        yield RtcCall(caller, ear, track, connection)
    finally:
        await connection.close()
        if listening is not None:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
