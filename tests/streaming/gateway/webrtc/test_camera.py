"""Key frames among the packets of a video track, and what of them is looked at."""

import random
from fractions import Fraction

import av
import numpy as np
import pytest
from aiortc.codecs.h264 import H264Encoder, h264_depayload
from aiortc.codecs.vpx import Vp8Encoder, vp8_depayload
from aiortc.rtp import RtpPacket

from omni.types import Picture
from streaming.commands import AppendImage
from streaming.gateway.webrtc.camera import ASK_AGAIN_S, CODECS, Camera, KeyFrames, decode_key_frame
from streaming.gateway.wire.deferred import Undecoded
from streaming.gateway.wire.fields import WireError
from streaming.tdm.clock import ManualClock

Part = tuple[RtpPacket, bytes]


class Sender:
    """A track: every frame as the packets that carry it."""

    def __init__(self, codec: str, sequence: int = 65_530) -> None:
        self._encoder = Vp8Encoder() if codec == "VP8" else H264Encoder()
        self._depayload = vp8_depayload if codec == "VP8" else h264_depayload
        self._sequence = sequence
        self._n_frames = 0

    def frame(self, picture: Picture, *, key: bool) -> list[Part]:
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = self._n_frames * 3_000, Fraction(1, 90_000)
        payloads, timestamp = self._encoder.encode(frame, key)
        parts = []
        for payload in payloads:
            packet = RtpPacket(sequence_number=self._sequence, timestamp=timestamp, marker=int(payload is payloads[-1]))
            packet.payload = payload
            packet._data = self._depayload(payload)  # type: ignore[attr-defined]
            parts.append((packet, self._depayload(payload)))
            self._sequence = (self._sequence + 1) % 2**16
        self._n_frames += 1
        return parts


def noise(seed: int = 0) -> Picture:
    """A picture that takes several packets."""
    rough = np.random.default_rng(seed).integers(0, 255, (60, 80, 3), np.uint8)
    return np.kron(rough, np.ones((4, 4, 1), np.uint8))


def found(keys: KeyFrames, parts: list[Part]) -> list[bytes]:
    return [whole for packet, data in parts if (whole := keys.add(packet, data)) is not None]


@pytest.mark.parametrize("codec", CODECS)
def test_a_key_frame_is_found_whatever_the_order_of_its_packets(codec: str) -> None:
    decoder, begins = CODECS[codec]
    sender = Sender(codec)
    key, delta = sender.frame(noise(), key=True), sender.frame(noise(1), key=False)
    assert len(key) > 6  # past the place where sequence numbers begin anew
    mixed = [*key, *delta]
    random.Random(1).shuffle(mixed)
    (whole,) = found(KeyFrames(begins), mixed)
    assert whole == b"".join(data for _, data in key)
    assert np.abs(decode_key_frame(decoder, whole).astype(int) - noise()).mean() < 20


@pytest.mark.parametrize("codec", CODECS)
def test_what_is_not_whole_or_no_key_frame_is_never_shown(codec: str) -> None:
    sender = Sender(codec)
    keys = KeyFrames(CODECS[codec][1])
    key = sender.frame(noise(), key=True)
    assert not found(keys, [*key[:2], *key[3:]])
    for seed in range(5):
        assert not found(keys, sender.frame(noise(seed), key=False))
    assert not found(keys, [key[2]])  # too late: newer frames have come


async def test_a_camera_asks_for_a_picture_a_unit_and_hands_on_no_other() -> None:
    clock = ManualClock()
    taken: list[Undecoded] = []
    camera = Camera("VP8", clock, 1.0, taken.append)
    sender = Sender("VP8")
    key, delta = sender.frame(noise(), key=True), sender.frame(noise(), key=False)

    def asks(parts: list[Part]) -> bool:
        return sum(camera.add(packet)[0] for packet, _ in parts) > 0

    assert asks(delta[:1])
    assert not asks(delta[1:])
    await clock.advance(ASK_AGAIN_S)
    assert asks(delta)
    assert not asks(key)
    assert len(taken) == 1
    again = sender.frame(noise(2), key=True)
    assert not asks(again)  # as good as the one before
    assert len(taken) == 1
    await clock.advance(1.0)
    assert asks(sender.frame(noise(), key=False))
    sender.frame(noise(3), key=True)
    command = taken[0].decode()
    assert isinstance(command, AppendImage)
    assert command.image.shape == (240, 320, 3)


def test_damaged_and_huge_pictures_are_refused() -> None:
    for frame in (b"", bytes(50), bytes([16, 0, 0, 0x9D, 1, 0x2A, 255, 63, 255, 63, *bytes(100)])):
        with pytest.raises(WireError, match="video track"):
            decode_key_frame("vp8", frame)


def test_a_large_picture_is_shrunk() -> None:
    sender = Sender("VP8")
    large = np.full((1200, 1920, 3), 90, np.uint8)
    (whole,) = found(KeyFrames(CODECS["VP8"][1]), sender.frame(large, key=True))
    assert decode_key_frame("vp8", whole).shape == (800, 1280, 3)
