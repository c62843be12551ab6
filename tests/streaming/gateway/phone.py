"""A client over WebRTC: aiortc at the other end of the wire, with a microphone that says what it is given."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

import aiohttp
import numpy as np
import orjson
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
    VideoStreamTrack,
)
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from omni.timing import Timing
from omni.types import Pcm
from tests import grammar
from tests.streaming.gateway.place import Place

RATE = Timing().input_rate
_N_FRAME = RATE // 50
SDP = {"Content-Type": "application/sdp"}


class Mouth(MediaStreamTrack):
    """Says what it is given in real time, and is silent between."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._rest = np.zeros(0, np.float32)
        self._n_sent = 0
        self._start_s: float | None = None

    def say(self, pcm: Pcm) -> None:
        self._rest = np.concatenate([self._rest, pcm])

    async def recv(self) -> AudioFrame:
        loop = asyncio.get_running_loop()
        self._start_s = self._start_s or loop.time()
        await asyncio.sleep(self._start_s + self._n_sent / RATE - loop.time())
        now, self._rest = np.split(self._rest, [_N_FRAME])
        # both channels: FFmpeg makes one into two at half the power each
        pcm = np.zeros((1, 2 * _N_FRAME), np.int16)
        pcm[0, : 2 * len(now)] = np.repeat(now * 32_767, 2)
        frame = AudioFrame.from_ndarray(pcm, format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._n_sent, Fraction(1, RATE)
        self._n_sent += _N_FRAME
        return frame


class Scene(VideoStreamTrack):
    """A camera before a wall whose colour changes."""

    def __init__(self) -> None:
        super().__init__()
        self.colour = (0, 0, 0)
        self.n_frames = 0

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = VideoFrame.from_ndarray(np.full((240, 320, 3), self.colour, np.uint8), format="rgb24")
        frame.pts, frame.time_base = pts, time_base
        self.n_frames += 1
        return frame


class Phone:
    """One end of a call; keeps every event and all that it hears."""

    def __init__(
        self, http: aiohttp.ClientSession, scene: Scene | None = None, codec: str = "VP8", *, silent: bool = False
    ) -> None:
        self.http = http
        self.connection = RTCPeerConnection(RTCConfiguration([]))
        self.mouth = Mouth()
        if not silent:
            self.connection.addTrack(self.mouth)
        if scene is not None:
            camera = self.connection.addTransceiver(scene, "sendonly")
            capabilities = RTCRtpSender.getCapabilities("video").codecs
            camera.setCodecPreferences([one for one in capabilities if one.mimeType == f"video/{codec}"])
        self.channel: RTCDataChannel = self.connection.createDataChannel("oai-events")
        self.channel.on("message", self._received)
        self.connection.on("track", self._listen)
        self.events: list[dict[str, Any]] = []
        self.heard: list[tuple[float, Pcm]] = []
        """when, and what, mono at Opus' rate"""
        self.location = ""
        self._changed = asyncio.Event()
        self._ears: list[asyncio.Task[None]] = []

    async def dial(self, url: str, session: dict[str, Any] | None = None, *, deaf: bool = False, **how: Any) -> None:
        """Offer, and take the answer."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        offer = self.connection.localDescription.sdp
        body: Any = offer
        headers = {**SDP, **how.pop("headers", {})}
        if session is not None:
            body = aiohttp.FormData()
            body.add_field("sdp", offer, content_type="application/sdp")
            body.add_field("session", orjson.dumps(session).decode(), content_type="application/json")
            del headers["Content-Type"]
        async with self.http.post(url, data=body, headers=headers, **how) as response:
            answer = await response.text()
            assert response.status == 201, answer
            assert response.content_type == "application/sdp"
            self.location = response.headers.get("Location", "")
        if not deaf:
            await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    def send(self, type_: str, **fields: Any) -> None:
        self.channel.send(orjson.dumps({"type": type_, **fields}).decode())

    async def until(self, type_: str, after: int = 0) -> dict[str, Any]:
        """The first event of a type, of those from a number on."""
        async with asyncio.timeout(20):
            while True:
                for event in self.events[after:]:
                    if event["type"] == type_:
                        return event
                self._changed.clear()
                await self._changed.wait()

    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    def of(self, type_: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == type_]

    def sound(self) -> Pcm:
        """All that was heard, one after another."""
        return np.concatenate([np.zeros(0, np.float32), *(pcm for _, pcm in self.heard)])

    def n_loud(self) -> int:
        """Samples of packets in which something sounds."""
        frames = [pcm for _, pcm in self.heard if np.abs(pcm).max() > 0.1]
        return sum(len(pcm) for pcm in frames)

    async def vanish(self) -> None:
        """Be gone without a word, as when a network is."""
        for transport in {self.channel.transport.transport.transport}:
            await transport._connection.close()

    async def hang_up(self) -> None:
        await self.connection.close()
        for ear in self._ears:
            ear.cancel()
        await asyncio.gather(*self._ears, return_exceptions=True)

    def _received(self, message: str) -> None:
        assert isinstance(message, str)
        self.events.append(orjson.loads(message))
        self._changed.set()

    def _listen(self, track: MediaStreamTrack) -> None:
        self._ears.append(asyncio.create_task(self._hear(track)))

    async def _hear(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                assert isinstance(frame, AudioFrame)
                sound = np.asarray(frame.to_ndarray()[0, ::2] / 32_768, np.float32)
                self.heard.append((asyncio.get_running_loop().time(), sound))
        except MediaStreamError:
            pass


@asynccontextmanager
async def ringing(
    http: aiohttp.ClientSession,
    place: Place,
    path: str = "/calls",
    session: dict[str, Any] | None = None,
    **of_phone: Any,
) -> AsyncIterator[Phone]:
    """A call that is connected."""
    phone = Phone(http, **of_phone)
    try:
        await phone.dial(f"{place.realtime}{path}", session)
        await phone.until("session.created")
        yield phone
    finally:
        await phone.hang_up()
    order = grammar.Grammar()
    for event in phone.events:
        order.push(event)
