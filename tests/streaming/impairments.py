"""A bad network between two ends that speak Opus, seeded, on a clock of the test's own."""

import av
import numpy as np

from omni.audio.resample import Resampler
from omni.timing import Timing
from tests.chunks import Samples

OPUS_RATE = 48_000
PACKET_S = 0.02


def voiced(seconds: float, seed: int = 0) -> Samples:
    """Something like a vowel [S] at Timing.input_rate: harmonics of a gliding pitch, always loud."""
    rate = Timing().input_rate
    time_s = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(140 + 30 * np.sin(2 * np.pi * (1.1 + 0.1 * seed) * time_s)) / rate
    sound = sum(np.sin(k * phase) / k**1.5 for k in range(1, 12))
    return np.asarray(0.3 * sound / np.abs(sound).max(), np.float32)


def encode(sound: Samples, bit_rate: int = 32_000, packet_ms: int = 20) -> list[bytes]:
    """Sound [S] at Timing.input_rate as a browser sends it; what does not fill a packet is left out."""
    resampler = Resampler(Timing().input_rate, OPUS_RATE)
    pcm = np.clip(np.concatenate([resampler.push(sound), resampler.flush()]), -1, 1)
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = OPUS_RATE, "mono", "s16", bit_rate
    encoder.options = {"application": "voip", "frame_duration": str(packet_ms)}
    n = OPUS_RATE * packet_ms // 1000
    packets = []
    for begin in range(0, len(pcm) - n + 1, n):
        frame = av.AudioFrame.from_ndarray((pcm[None, begin : begin + n] * 32767).astype(np.int16), "s16", "mono")
        frame.sample_rate, frame.pts = OPUS_RATE, begin
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets
