"""A bad network between two ends that speak Opus: seeded, and on time of the test's own."""

from collections.abc import Sequence
from dataclasses import dataclass

import av
import numpy as np
from aiortc.codecs.opus import SAMPLE_RATE as OPUS_RATE

from omni.audio.resample import Resampler
from omni.timing import Timing
from streaming.gateway.opus import OpusDecoder, opus_ticks
from streaming.tdm.jitter import Gap, Jitter
from tests.chunks import Samples

PACKET_S = 0.02
MEAN_BURST = 2.0
"""packets that are lost one after another"""


@dataclass(frozen=True)
class Trouble:
    """What a network does to packets while it lasts."""

    loss: float = 0.0
    """share of packets, in bursts of MEAN_BURST"""
    jitter_s: float = 0.0
    """each packet takes longer by anything up to this, so that they overtake each other"""

    def __str__(self) -> str:
        if self.loss == 1:
            return "outage"
        return f"{self.loss:.0%} lost, {1000 * self.jitter_s:.0f} ms jitter" if self.loss or self.jitter_s else "even"


EVEN = Trouble()
LEVELS = (Trouble(0.01, 0.03), Trouble(0.05, 0.06), Trouble(0.1, 0.1))
OUTAGE = Trouble(loss=1.0)
ONE_WAY_S = 0.1
"""200 ms there and back"""


class Network:
    """One direction of a connection.

    Args:
        weather: (from when on, what it does then), in order of time.
    """

    def __init__(self, weather: Sequence[tuple[float, Trouble]], seed: int) -> None:
        self._weather = weather
        self._rng = np.random.default_rng(seed)
        self._losing = False

    def arrival_s(self, sent_s: float) -> float | None:
        """When a packet comes that was sent now; None: never. To be asked in order of time."""
        trouble = [trouble for from_s, trouble in self._weather if from_s <= sent_s][-1]
        if 0 < trouble.loss < 1:
            begin = trouble.loss / (1 - trouble.loss) / MEAN_BURST
            self._losing = self._rng.random() < (1 - 1 / MEAN_BURST if self._losing else begin)
        else:
            self._losing = trouble.loss == 1
        late_s = trouble.jitter_s * float(self._rng.random())
        return None if self._losing else sent_s + ONE_WAY_S + late_s


@dataclass
class Heard:
    """What came of a stream of packets."""

    pcm: Samples
    """[S] at Timing.input_rate, gaps filled"""
    delay_s: list[float]
    """of each PACKET_S of it: how much later it was heard than on an even network"""
    jitter: Jitter


def carried(packets: Sequence[bytes], network: Network) -> Heard:
    """A packet sent every PACKET_S over a network, put in order and decoded."""
    jitter, decoder = Jitter(OPUS_RATE, opus_ticks), OpusDecoder(Timing().input_rate)
    heard: list[Samples] = []
    delay_s: list[float] = []

    def drain(now_s: float) -> None:
        while (got := jitter.pull(now_s)) is not None:
            heard.append(decoder.conceal() if got is Gap.LOST else decoder.decode(got))
            delay_s.append(now_s - (len(delay_s) + 1) * PACKET_S - ONE_WAY_S)

    sent = [(network.arrival_s((index + 1) * PACKET_S), index) for index in range(len(packets))]
    for arrival_s, index in sorted((at_s, index) for at_s, index in sent if at_s is not None):
        while jitter.due_s < arrival_s:
            drain(jitter.due_s)
        jitter.push(index % 2**16, index * round(PACKET_S * OPUS_RATE), packets[index], arrival_s)
        drain(arrival_s)
    return Heard(np.concatenate(heard), delay_s, jitter)


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
