"""The user's voice over WebRTC: packets, as the network brings them, to an even stream of samples."""

from collections.abc import Callable

from aiortc.codecs.opus import SAMPLE_RATE as OPUS_RATE
from aiortc.rtp import RtpPacket

from omni.types import Pcm
from streaming.gateway.opus import OpusDecoder, opus_ticks
from streaming.tdm.clock import Clock
from streaming.tdm.jitter import Gap, Jitter

_CHECK_S = 1.0
"""while nothing has come yet, so often is looked"""


class Microphone:
    """Stands in the place of an RTCRtpReceiver's own jitter buffer, and lets nothing through to its decoder.

    Args:
        rate: Hz, of the samples that are delivered.
        deliver: takes them [S], as soon as they are known, in real time also while no packets come.
    """

    def __init__(self, clock: Clock, rate: int, deliver: Callable[[Pcm], None]) -> None:
        self._clock = clock
        self._deliver = deliver
        self.jitter = Jitter(OPUS_RATE, opus_ticks)
        self._decoder = OpusDecoder(rate)
        self.latest_s = float("-inf")
        """when the newest packet came"""

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        """Take a packet; answers the receiver that it asks for no picture, and has nothing to decode."""
        self.latest_s = self._clock.now_s()
        self.jitter.push(packet.sequence_number, packet.timestamp, packet.payload, self.latest_s)
        self._drain()
        return False, None

    async def run(self) -> None:
        """Fill what does not come, for ever."""
        while True:
            await self._clock.sleep_until(min(self.jitter.due_s, self._clock.now_s() + _CHECK_S))
            self._drain()

    def _drain(self) -> None:
        while (found := self.jitter.pull(self._clock.now_s())) is not None:
            self._deliver(self._decoder.conceal() if found is Gap.LOST else self._decoder.decode(found))
