"""What a camera or a screen shows over WebRTC: one key frame a unit is asked for and decoded, all else dropped.

A decoder needs every frame to know the next one; a key frame needs none. So the sender is asked for one when a picture
is due, and the twenty-nine between two are never touched.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import av
from aiortc.codecs.vpx import VpxPayloadDescriptor
from aiortc.rtp import RtpPacket

from omni.types import Picture
from omni.vision.image import MAX_PIXELS
from streaming.commands import AppendImage
from streaming.gateway.wire.deferred import Undecoded
from streaming.gateway.wire.fields import WireError
from streaming.tdm.clock import Clock

LONGEST_SIDE = 1280
"""pixels; a larger picture is shrunk to it"""
MAX_FRAME_BYTES = 4 * 1024 * 1024
"""of one key frame; what is larger is given up"""
ASK_AGAIN_S = 0.5
"""a key frame that was asked for and did not come is asked for again"""
_EARLY_S = 0.25
"""a key frame that comes unasked shortly before one is due is taken for it"""
_N_FRAMES = 3
"""frames whose packets may come mixed up"""


def begins_vp8(packet: RtpPacket) -> bool:
    """Whether a packet is the first of a key frame in VP8 (RFC 7741)."""
    try:
        descriptor, data = VpxPayloadDescriptor.parse(packet.payload)
    except ValueError:
        return False
    return bool(descriptor.partition_start and not descriptor.partition_id and data and not data[0] & 1)


def begins_h264(packet: RtpPacket) -> bool:
    """Whether a packet is the first of a key frame in H.264 (RFC 6184): it brings the stream's parameters."""
    kind = packet.payload[0] & 31 if packet.payload else 0
    if kind == 24 and len(packet.payload) > 3:  # several units in one packet, each after its length
        kind = packet.payload[3] & 31
    return kind == 7


CODECS = {"VP8": ("vp8", begins_vp8), "H264": ("h264", begins_h264)}
"""by their names in SDP: FFmpeg's decoder, and what tells a key frame; in the order in which they are preferred"""


@dataclass(slots=True)
class _Frame:
    """The packets of a frame so far, by sequence number."""

    parts: dict[int, bytes] = field(default_factory=dict)
    first: int | None = None
    """known once the frame is known to be a key frame"""
    last: int | None = None
    n_bytes: int = 0

    def add(self, packet: RtpPacket, data: bytes, *, begins: bool) -> None:
        self.parts[packet.sequence_number] = data
        self.n_bytes += len(data)
        if begins:
            self.first = packet.sequence_number
        if packet.marker:
            self.last = packet.sequence_number

    def whole(self) -> bytes | None:
        """The key frame, if this is one and nothing of it is missing."""
        if self.first is None or self.last is None:
            return None
        numbers = [(self.first + i) % 2**16 for i in range((self.last - self.first) % 2**16 + 1)]
        if len(numbers) > len(self.parts) or not all(number in self.parts for number in numbers):
            return None
        return b"".join(self.parts[number] for number in numbers)


class KeyFrames:
    """Finds whole key frames among the packets of a stream.

    Args:
        begins: whether a packet is the first of one.
    """

    def __init__(self, begins: Callable[[RtpPacket], bool]) -> None:
        self._begins = begins
        self._frames: dict[int, _Frame] = {}

    def add(self, packet: RtpPacket, data: bytes) -> bytes | None:
        """Take a packet and what it holds of its frame; a key frame, if that makes one whole."""
        frame = self._frames.get(packet.timestamp)
        if frame is None:
            frame = self._frames[packet.timestamp] = _Frame()
            if len(self._frames) > _N_FRAMES:
                del self._frames[next(iter(self._frames))]
        frame.add(packet, data, begins=self._begins(packet))
        whole = frame.whole()
        if whole is not None or frame.n_bytes > MAX_FRAME_BYTES:
            del self._frames[packet.timestamp]
        return whole


class Camera:
    """Stands in the place of an RTCRtpReceiver's own jitter buffer, and lets nothing through to its decoder.

    Args:
        codec: a name in CODECS.
        every_s: how often a picture is looked at.
        deliver: takes it, still encoded.
    """

    def __init__(self, codec: str, clock: Clock, every_s: float, deliver: Callable[[Undecoded], None]) -> None:
        self._decoder, begins = CODECS[codec]
        self._key_frames = KeyFrames(begins)
        self._clock = clock
        self._every_s = every_s
        self._deliver = deliver
        self._due_s = self._ask_s = clock.now_s()

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        """Take a packet; answers the receiver whether to ask for a key frame, and that it has nothing to decode."""
        now_s = self._clock.now_s()
        data: bytes = packet._data  # type: ignore[attr-defined]  # what aiortc took out of the payload
        whole = self._key_frames.add(packet, data)
        if whole is not None and now_s >= self._due_s - _EARLY_S:
            self._due_s = self._ask_s = now_s + self._every_s
            self._deliver(Undecoded(partial(_looked_at, self._decoder, whole), None))
        if now_s < self._ask_s:
            return False, None
        self._ask_s = now_s + ASK_AGAIN_S
        return True, None


def _looked_at(decoder: str, frame: bytes) -> AppendImage:
    return AppendImage(decode_key_frame(decoder, frame))


def decode_key_frame(decoder: str, frame: bytes) -> Picture:
    """A key frame as a picture, no larger than LONGEST_SIDE.

    Raises:
        WireError: it is damaged, or too large.
    """
    context = av.CodecContext.create(decoder, "r")
    assert isinstance(context, av.VideoCodecContext)
    context.thread_count = 1
    context.options = {"max_pixels": str(MAX_PIXELS)}
    try:
        pictures = [*context.decode(av.Packet(frame)), *context.decode(None)]
    except av.FFmpegError as error:
        raise WireError("invalid_image", "What the video track shows cannot be decoded.") from error
    if not pictures:
        raise WireError("invalid_image", "What the video track shows is no whole picture.")
    shown = pictures[0]
    scale = min(1.0, LONGEST_SIDE / max(shown.width, shown.height))
    width, height = max(1, round(shown.width * scale)), max(1, round(shown.height * scale))
    return cast(Picture, shown.to_ndarray(format="rgb24", width=width, height=height))
