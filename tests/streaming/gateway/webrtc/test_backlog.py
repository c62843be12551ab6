"""After the loop was busy: everything but old sound is handed on."""

import asyncio
import re
import socket

from aiortc import RTCPeerConnection

from streaming.gateway.webrtc.backlog import LEAST_SOUND, MOST_SOUND, Backlog, keep_up

SOUND, VIDEO, STUN, DTLS = b"\x80\x6f", b"\x80\x60", b"\x00\x01", b"\x16\xfe"


class Waiting:
    """Datagrams in a socket's buffer, and what comes of them."""

    def __init__(self) -> None:
        self.datagrams: list[bytes] = []
        self.got: list[bytes] = []
        self.backlog = Backlog(self._read, {111}, lambda data, _: self.got.append(data))

    def come(self, *datagrams: bytes) -> list[bytes]:
        """What is handed on when these are there at once."""
        self.datagrams, self.got = [*datagrams[1:]], []
        self.backlog(datagrams[0], "there")
        return self.got

    def _read(self, _: int) -> tuple[bytes, str]:
        if not self.datagrams:
            raise BlockingIOError
        return self.datagrams.pop(0), "there"


def said(n: int) -> list[bytes]:
    return [SOUND + bytes([number]) for number in range(n)]


def test_one_alone_is_handed_on() -> None:
    for datagram in (SOUND, STUN, b"", b"\x80"):
        assert Waiting().come(datagram) == [datagram]


def test_of_sound_the_newest_is_kept_and_all_else_comes_before_it() -> None:
    waiting, sound = Waiting(), said(MOST_SOUND + 3)
    assert waiting.come(*sound[:9], STUN, *sound[9:], *[VIDEO] * 100, DTLS) == [STUN, *[VIDEO] * 100, DTLS, *sound[3:]]
    assert waiting.backlog.n_dropped == 3


def test_what_is_not_much_stays_in_its_order() -> None:
    sound = said(MOST_SOUND)
    assert Waiting().come(*sound) == sound


def test_while_the_loop_stays_behind_ever_less_sound_is_kept_and_more_again_after() -> None:
    waiting = Waiting()
    kept = [len(waiting.come(*said(60))) for _ in range(4)]
    assert kept == [MOST_SOUND, MOST_SOUND // 2, MOST_SOUND // 4, LEAST_SOUND]
    for _ in range(MOST_SOUND):
        waiting.come(SOUND)
    assert len(waiting.come(*said(60))) == MOST_SOUND


async def test_the_sockets_of_a_connection_are_read_to_their_ends() -> None:
    connection = RTCPeerConnection()
    try:
        connection.addTransceiver("audio")
        await connection.setLocalDescription(await connection.createOffer())
        backlogs = keep_up(connection)
        (transport,) = {transceiver.receiver.transport for transceiver in connection.getTransceivers()}
        sockets = [
            protocol.transport.get_extra_info("sockname") for protocol in transport.transport._connection._protocols
        ]
        # what goes by the name that aiortc gives to things today would otherwise be missed without a word
        assert len(backlogs) == len(sockets) > 0
        address = next(address for address in sockets if ":" not in address[0])
        kind = re.search(r"^m=audio \d+ \S+ (\d+)", connection.localDescription.sdp, re.MULTILINE)
        assert kind
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(MOST_SOUND + 3):
                sender.sendto(bytes([0x80, int(kind[1])]) + bytes(20), address[:2])
            await asyncio.sleep(0.1)  # the loop was busy until now
        assert sum(backlog.n_dropped for backlog in backlogs) == 3
    finally:
        await connection.close()
