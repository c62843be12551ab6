"""What waits in a socket's own buffer while the event loop is busy: read at once, and of sound only the newest kept.

asyncio hands on one datagram of a socket each time the loop turns. A loop that turns too seldom for the sound of all
calls falls behind by all that the buffers hold, 12 s of Opus in each: messages are as late as that, and ICE, which is
answered late as well, gives the connections up.
"""

import contextlib
import re
from collections.abc import Callable, Collection
from typing import Any

from aiortc import RTCPeerConnection

MOST_SOUND, LEAST_SOUND = 25, 5
"""packets that are kept: at first 0.5 s, as what is older was given up by now (tdm/jitter.py); ever fewer while the
loop stays behind, so that it turns more often, and more again when it does not"""
MOST = 1000
"""datagrams that are read at a time; more than a buffer holds"""
_MAX_BYTES = 64 * 1024

Datagram = tuple[bytes, Any]
"""what came, and from where"""


class Backlog:
    """Stands in the place of a protocol's datagram_received().

    Args:
        read: the next datagram of the same socket; raises OSError when there is none.
        sound: payload types of sound.
        hand_on: takes those that are not dropped, one after another: all else before the sound.
    """

    def __init__(
        self, read: Callable[[int], Datagram], sound: Collection[int], hand_on: Callable[[bytes, Any], None]
    ) -> None:
        self._read = read
        self._sound = sound
        self._hand_on = hand_on
        self._n_kept = MOST_SOUND
        self.n_dropped = 0

    def __call__(self, data: bytes, address: Any) -> None:
        """Take a datagram, and all that wait behind it."""
        arrived: list[Datagram] = [(data, address)]
        with contextlib.suppress(OSError):
            while len(arrived) < MOST:
                arrived.append(self._read(_MAX_BYTES))
        sound = [one for one in arrived if self._is_sound(one[0])]
        for datagram in arrived:
            if not self._is_sound(datagram[0]):
                self._hand_on(*datagram)
        self.n_dropped += max(0, len(sound) - self._n_kept)
        for datagram in sound[-self._n_kept :]:
            self._hand_on(*datagram)
        if len(sound) > LEAST_SOUND:
            self._n_kept = max(LEAST_SOUND, self._n_kept // 2)
        else:
            self._n_kept = min(MOST_SOUND, self._n_kept + 1)

    def _is_sound(self, data: bytes) -> bool:
        # first byte: RTP shares the socket with STUN and DTLS (RFC 7983); second: marker and payload type
        return len(data) > 1 and 127 < data[0] < 192 and data[1] & 127 in self._sound


def keep_up(connection: RTCPeerConnection) -> list[Backlog]:
    """Put one in the place of each protocol of a connection whose local description is set."""
    backlogs = []
    lines = re.findall(r"^m=audio \d+ \S+ (.*)$", connection.localDescription.sdp, re.MULTILINE)
    sound = {int(number) for line in lines for number in line.split()}
    transports = {transceiver.receiver.transport for transceiver in connection.getTransceivers()}
    if connection.sctp is not None:
        transports.add(connection.sctp.transport)
    for transport in transports:
        for protocol in transport.transport._connection._protocols:
            socket = getattr(protocol.transport, "_sock", None)
            if socket is not None:  # that of a TURN server is not its own
                backlogs.append(Backlog(socket.recvfrom, sound, protocol.datagram_received))
                protocol.datagram_received = backlogs[-1]  # type: ignore[method-assign, assignment]
    return backlogs
