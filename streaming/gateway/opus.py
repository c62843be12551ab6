"""Opus packets, as they come over a network, to sound; and what is heard in place of those that do not come."""

import av
import numpy as np
from aiortc.codecs.opus import SAMPLE_RATE as OPUS_RATE

from omni.audio.resample import Resampler
from omni.types import Pcm

FADE_FROM_S, FADE_UNTIL_S = 0.02, 0.08
"""a sound whose packets stay away goes on for so long, and is faded from the first to the second"""
RISE_S = 0.005
"""fade-in after that"""
_STEPS_PER_S = 400
"""Opus counts in steps of 2.5 ms"""
_SILK_STEPS = (4, 8, 16, 24)
_HYBRID_STEPS = (4, 8)
_CELT_STEPS = (1, 2, 4, 8)
_MAX_STEPS = 48
"""of a packet: 120 ms"""
_STEP = np.float32(2**-15)
"""of 16-bit samples"""


def opus_ticks(packet: bytes) -> int:
    """Length of a packet's sound at OPUS_RATE, from its header (RFC 6716, section 3.1); 0 if it is no packet."""
    if not packet:
        return 0
    mode, count = packet[0] >> 3, packet[0] & 3
    lengths = _SILK_STEPS if mode < 12 else _HYBRID_STEPS if mode < 16 else _CELT_STEPS
    n_frames = (1, 2, 2, packet[1] & 63 if len(packet) > 1 else 0)[count]
    n_steps = lengths[mode % len(lengths)] * n_frames
    return n_steps * OPUS_RATE // _STEPS_PER_S if n_steps <= _MAX_STEPS else 0


class OpusDecoder:
    """One stream's packets, in their order and with its gaps, to mono sound.

    Args:
        rate: Hz, of what comes out.
    """

    def __init__(self, rate: int) -> None:
        decoder = av.CodecContext.create("libopus", "r")
        assert isinstance(decoder, av.AudioCodecContext)
        decoder.layout = "mono"
        decoder.sample_rate = OPUS_RATE
        self._decoder = decoder
        self._resampler = Resampler(OPUS_RATE, rate)
        self._packet = b""
        """the newest; empty before the first"""
        self._n_concealed = 0
        """samples of the gap so far"""

    def decode(self, packet: bytes) -> Pcm:
        """Sound [S] of the next packet. One that cannot be read counts as lost."""
        try:
            sound = self._decoded(packet) if opus_ticks(packet) else None
        except av.FFmpegError:
            sound = None
        if sound is None:
            return self.conceal()
        if self._n_concealed and (level := self._levels(1)[0]) < 1:
            n = min(len(sound), round(RISE_S * OPUS_RATE))
            sound[:n] *= np.linspace(level, 1, n, dtype=np.float32)
        self._packet, self._n_concealed = packet, 0
        return self._resampler.push(sound)

    def conceal(self) -> Pcm:
        """In place of a packet as long as the one before [S]: the sound goes on, and has soon faded."""
        n = opus_ticks(self._packet) or OPUS_RATE * _HYBRID_STEPS[-1] // _STEPS_PER_S
        gone = self._n_concealed >= FADE_UNTIL_S * OPUS_RATE
        levels = None if gone or not self._packet else self._levels(n)
        self._n_concealed += n
        sound = np.zeros(n, np.float32)
        if levels is not None:
            # A frame without a body tells libopus that it was lost, and to go on from what it knows of the voice.
            # What it knows to be noise goes on for ever: therefore the levels.
            drawn = self._decoded(bytes([self._packet[0] & ~3]))[:n]
            sound[: len(drawn)] = drawn * levels[: len(drawn)]
        return self._resampler.push(sound)

    def _decoded(self, packet: bytes) -> Pcm:
        frames = self._decoder.decode(av.Packet(packet))
        # not to_ndarray(): this runs for each packet of each call, on the event loop
        parts = [np.frombuffer(memoryview(frame.planes[0]), np.int16, frame.samples) for frame in frames]
        sound: Pcm = np.multiply(parts[0] if len(parts) == 1 else np.concatenate(parts), _STEP, dtype=np.float32)
        return sound

    def _levels(self, n: int) -> Pcm:
        """Of the next n samples of a gap: 1, falling to 0."""
        gone_s = (self._n_concealed + np.arange(n)) / OPUS_RATE
        levels = (FADE_UNTIL_S - gone_s) / (FADE_UNTIL_S - FADE_FROM_S)
        return np.clip(levels, 0, 1).astype(np.float32)
