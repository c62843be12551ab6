"""One connection by itself: what it takes of an offer, and what its parts do when something fails. No network."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from omni.timing import Timing
from streaming.events import Closed
from streaming.gateway.link import LinkEndedError
from streaming.gateway.webrtc import peer as module
from streaming.gateway.webrtc.peer import (
    CUT_OFF_S,
    EVENTS,
    MAX_FRAME_BYTES,
    MOST_CANDIDATES,
    MOST_TRACKS,
    QUIET_CUT_OFF_S,
    Peer,
)
from streaming.gateway.wire.fields import WireError
from streaming.tdm.clock import ManualClock, settle
from tests.streaming.line import AtOnce

HEAD = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"


@asynccontextmanager
async def peer_of(clock: ManualClock | None = None) -> AsyncIterator[Peer]:
    peer = Peer((), clock or ManualClock(), Timing(), AtOnce(), sees=False)
    yield peer
    await peer.hang_up()


async def offer(*, sound: bool = True, channel: bool = True) -> str:
    """A client's, as aiortc makes it."""
    client = RTCPeerConnection(RTCConfiguration([]))
    if sound:
        client.addTransceiver("audio")
    if channel:
        client.createDataChannel(EVENTS)
    made = await client.createOffer()
    await client.setLocalDescription(made)
    sdp: str = client.localDescription.sdp
    await client.close()
    return sdp


async def fails() -> None:
    raise ZeroDivisionError


# ---------------------------------------------------------------- offers


@pytest.mark.parametrize(
    "sdp",
    [
        "",
        "hello",
        HEAD,
        f"{HEAD}m=video 9 UDP/TLS/RTP/SAVPF 96\r\n",
        f"{HEAD}m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=rtpmap:0 PCMU/8000\r\n",
        HEAD + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" * (MOST_TRACKS + 1),
        HEAD + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" + "a=candidate:1\r\n" * (MOST_CANDIDATES + 1),
    ],
)
async def test_what_is_no_offer_is_refused_with_advice(sdp: str) -> None:
    async with peer_of() as peer:
        with pytest.raises(WireError, match=r"createOffer|a call can use") as refused:
            await peer.accept(sdp)
        assert refused.value.code == "invalid_offer"


@pytest.mark.parametrize(
    ("line", "most"),
    [("", 65_536), ("a=max-message-size:0", MAX_FRAME_BYTES), ("a=max-message-size:1200", 1200)],
)
async def test_messages_are_no_longer_than_the_client_takes(line: str, most: int) -> None:
    said = [one for one in (await offer()).splitlines() if not one.startswith("a=max-message-size")]
    async with peer_of() as peer:
        await peer.accept("\r\n".join([*said, *([line] if line else []), ""]))
        assert peer.carriage.max_frame_bytes == most
        assert peer.carriage.sound_apart


async def test_the_answer_takes_up_what_was_offered() -> None:
    async with peer_of() as peer:
        await peer.accept(await offer(sound=False))
        answer = await peer.answer()
    assert "m=application" in answer
    assert "m=audio" not in answer
    assert "a=candidate" in answer


# ---------------------------------------------------------------- the end


async def test_a_client_that_does_not_connect_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECT_S", 0.01)
    async with peer_of() as peer:
        with pytest.raises(LinkEndedError, match="no connection") as ended:
            await peer.opened()
        assert not ended.value.lost


async def test_a_part_that_fails_costs_the_connection_and_not_the_call() -> None:
    """The client may come back over another."""
    async with peer_of() as peer:
        await peer._going(fails())
        with pytest.raises(LinkEndedError) as ended:
            await peer.receive()
        assert ended.value.lost


async def test_a_voice_that_stopped_by_itself_costs_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """aiortc ends the task that sends it, and goes on without."""
    async with peer_of() as peer:
        monkeypatch.setattr(type(peer._connection), "connectionState", "connected")
        peer._player.stop()
        watching = asyncio.create_task(peer._watch())
        await settle()
        watching.cancel()
        with pytest.raises(LinkEndedError) as ended:
            await peer.receive()
        assert ended.value.lost


async def test_hanging_up_twice_is_hanging_up_once() -> None:
    async with peer_of() as peer:
        await peer.accept(await offer())
        await asyncio.gather(peer.hang_up(), peer.hang_up())
        peer.abort()
        await peer.close(Closed("client", "over"))
        with pytest.raises(LinkEndedError):
            await peer.receive()


# ---------------------------------------------------------------- who is there


@pytest.mark.parametrize(("speaks", "patience_s"), [(True, CUT_OFF_S), (False, QUIET_CUT_OFF_S)])
async def test_who_does_not_send_what_was_to_be_expected_is_cut_off(speaks: bool, patience_s: float) -> None:
    clock = ManualClock()
    async with peer_of(clock) as peer:
        await peer.accept(await offer())
        await clock.advance(10.0)
        peer._since_s = clock.now_s()
        if speaks:
            peer._microphone.latest_s = clock.now_s()
        else:
            peer._player._sent.append((clock.now_s(), None))  # type: ignore[arg-type]
        await clock.advance(patience_s - 0.01)
        assert not peer._is_cut_off(clock.now_s())
        await clock.advance(0.02)
        assert peer._is_cut_off(clock.now_s())


async def test_of_whom_nothing_is_to_be_expected_nothing_is_missed() -> None:
    clock = ManualClock()
    async with peer_of(clock) as peer:
        await peer.accept(await offer())
        await clock.advance(60.0)
        assert not peer._is_cut_off(clock.now_s())
        assert peer.let_go() is None


async def test_a_client_that_cannot_be_asked_is_taken_to_be_there() -> None:
    clock = ManualClock()
    async with peer_of(clock) as deaf, peer_of(clock) as peer:
        await deaf.accept(await offer(channel=False))
        await peer.accept(await offer())
        await clock.advance(60.0)
        assert deaf._there_s() == clock.now_s()
        assert peer._there_s() == 0.0


async def test_before_there_are_decoders_there_are_none_to_stop() -> None:
    async with peer_of() as peer:
        await peer.accept(await offer())
        module.stop_decoders(peer._connection)
