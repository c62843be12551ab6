"""One WebRTC connection: its offer answered, its tracks and channel wired, its end noticed. The link of a call."""

import asyncio
import contextlib
import logging
import re
from collections.abc import Coroutine, Sequence
from concurrent.futures import Executor

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.exceptions import OperationError

from omni.timing import Timing
from streaming.commands import AppendImage, Heard
from streaming.events import Closed, Event
from streaming.gateway.call import CLOSE_S
from streaming.gateway.webrtc.backlog import Backlog, keep_up
from streaming.gateway.webrtc.camera import CODECS, Camera
from streaming.gateway.webrtc.link import Channel, Inbox
from streaming.gateway.webrtc.microphone import Microphone
from streaming.gateway.webrtc.player import LEAD_S, Player
from streaming.gateway.webrtc.sdp import Declined, decline_video, with_declined
from streaming.gateway.wire.deferred import Undecoded
from streaming.gateway.wire.fields import WireError
from streaming.gateway.wire.realtime import Carriage, Inbound
from streaming.ice import IceServer
from streaming.tdm.clock import Clock
from streaming.tdm.jitter import Jitter

log = logging.getLogger(__name__)

CONNECT_S = 20.0
"""patience with a client that has our answer and does not connect"""
SILENT_S = 10.0
"""a peer of which no packet came for so long has vanished. A network may be gone for 5 s"""
EVENTS = "oai-events"
"""label of the client's data channel"""
MAX_FRAME_BYTES = 256 * 1024 - 1
"""of one message to a client that says nothing smaller"""
_DEFAULT_FRAME_BYTES = 64 * 1024
"""… to one that says nothing at all (RFC 8841)"""
MOST_TRACKS, MOST_CANDIDATES = 16, 256
"""of an offer; each of them costs memory and time"""
CUT_OFF_S = 1.0
"""a peer that spoke, and of which no packet came for so long, does not hear either: an answer waits for it"""
QUIET_CUT_OFF_S = 2.0
"""… one that did not speak, and was spoken to for so long. The words of an answer go by the channel, which confirms
what it gets, so that something comes of such a peer too"""
_AGAIN_S = 0.2
"""sound that left so shortly before the last packet came met the same trouble on its way"""
_LISTENER_S = 0.08
"""sound that a browser keeps back to play evenly: 0.09 in Chromium on a busy machine"""
_CHECK_S = 0.25
_FLOWING_S = 0.2
"""a microphone whose sound came so lately was on"""
_ADVICE = "send the SDP of RTCPeerConnection.createOffer() with an audio track and a data channel"


class Peer:
    """A connection to one client. accept() and answer() first, then opened(), then a call's messages."""

    lead_s = LEAD_S
    """how far ahead of the listener a session should send sound over it"""

    def __init__(
        self, ice_servers: Sequence[IceServer], clock: Clock, timing: Timing, pool: Executor, *, sees: bool
    ) -> None:
        """Make an end of a connection.

        Args:
            ice_servers: may be none: the addresses of this machine's own networks are enough where they are reached.
            pool: encodes sound.
            sees: pictures are wanted.
        """
        self._clock = clock
        self._timing = timing
        self._sees = sees
        self._inbox = Inbox()
        self._channel = Channel(self._inbox)
        self._microphone = Microphone(clock, timing.input_rate, self._inbox.put_sound)
        self._player = Player(clock, timing, pool, self._inbox.put_heard, self._there_s)
        self.carriage = Carriage(sound_apart=True, max_frame_bytes=_DEFAULT_FRAME_BYTES)
        self._opened = asyncio.Event()
        self._has_channel = self._has_sound = False
        self._since_s = clock.now_s()
        """the newest packet had come by then, as far as was looked"""
        self._declined: list[Declined] = []
        self._backlogs: list[Backlog] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._aborting: asyncio.Task[None] | None = None
        # one transport for everything: a second would only mean a second set of candidates
        servers = [RTCIceServer(list(one.urls), one.username, one.credential) for one in ice_servers]
        configuration = RTCConfiguration(servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        self._connection = RTCPeerConnection(configuration)
        self._connection.on("datachannel", self._channel_opened)
        self._connection.on("connectionstatechange", self._state_changed)

    async def accept(self, offer: str) -> None:
        """Take a client's offer. What is not used of it is declined in the answer.

        Raises:
            WireError: it is none, or offers nothing that can be used here.
        """
        kinds = re.findall(r"^m=(\w+) ", offer, re.MULTILINE)
        if len(kinds) > MOST_TRACKS or offer.count("a=candidate:") > MOST_CANDIDATES:
            raise WireError("invalid_offer", f"far more is offered than a call can use; {_ADVICE}")
        if "audio" not in kinds and "application" not in kinds:
            raise WireError("invalid_offer", f"neither sound nor a data channel is offered; {_ADVICE}")
        try:
            offer, self._declined = decline_video(offer, CODECS)
            if "audio" in kinds:
                _prefer(self._connection.addTransceiver(self._player), "audio/opus")
            codec = next((name for name in CODECS if re.search(rf"^a=rtpmap:\d+ {name}/", offer, re.MULTILINE)), None)
            if codec is not None:
                _prefer(self._connection.addTransceiver("video", "recvonly"), f"video/{codec}", "video/rtx")
            await self._connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            self._wire(codec)
        except OperationError as error:
            message = f"the offer has no codec that this server knows (Opus, and for video VP8 or H.264); {_ADVICE}"
            raise WireError("invalid_offer", message) from error
        # aiortc's parser stumbles over what is no SDP with whatever comes first
        except Exception as error:
            raise WireError("invalid_offer", f"this is no offer that can be read ({error}); {_ADVICE}") from error
        self._has_channel = self._connection.sctp is not None
        self._has_sound = "audio" in kinds
        self.carriage = Carriage(sound_apart=True, max_frame_bytes=_most_frame_bytes(offer))

    async def answer(self) -> str:
        """The SDP answer, with all candidates in it."""
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        self._backlogs = keep_up(self._connection)
        return with_declined(self._connection.localDescription.sdp, self._declined)

    async def opened(self) -> None:
        """Return when messages can be sent.

        Raises:
            LinkEndedError: it did not come to that.
        """
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._opened.wait()
        except TimeoutError:
            self._inbox.end(Closed("client", f"no connection was made within {CONNECT_S:.0f} s"))
        if self._inbox.ended is not None:
            raise self._inbox.ended
        if self._declined and self._sees:
            self._inbox.put_picture(Undecoded(_unseen, None))
        stop_decoders(self._connection)
        self._tasks = [asyncio.create_task(self._going(work)) for work in (self._microphone.run(), self._watch())]

    @property
    def jitter(self) -> Jitter:
        """What the microphone's packets pass, and are counted by."""
        return self._microphone.jitter

    def watch(self, event: Event) -> None:
        """Take what happens in the session: what is to be heard."""
        self._player.watch(event)

    async def receive(self) -> bytes | Inbound:
        """The client's next message, sound or picture. Raises LinkEndedError."""
        return await self._inbox.take()

    async def send(self, frame: bytes) -> None:
        """Send a message. Raises ConnectionError."""
        await self._channel.send(frame)

    async def close(self, _closed: Closed, _code: int | None = None) -> None:
        """Let what was sent arrive, then hang up. Why was said in the last message: WebRTC has no place for it."""
        if self._inbox.ended is None:
            with contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(CLOSE_S):
                    await self._channel.flush()
        await self.hang_up()

    def let_go(self) -> Heard | None:
        """See Link. What left when the last packet came is not taken for heard."""
        return self._player.pause(self._reached_s)

    def abort(self) -> None:
        """Let go of everything that the peer does not take."""
        self._inbox.end(Closed("client", "the connection was given up"))
        self._aborting = asyncio.create_task(self.hang_up())

    async def hang_up(self) -> None:
        """Close the connection. Further calls of this wait for the first."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._connection.close()
        n_dropped = self._inbox.n_dropped + sum(backlog.n_dropped for backlog in self._backlogs)
        if n_dropped:
            log.warning("%d packets of a microphone were not taken in time, and dropped", n_dropped)
            self._inbox.n_dropped, self._backlogs = 0, []

    def _wire(self, codec: str | None) -> None:
        """Put our own ends where aiortc would decode everything into queues without a bound."""
        ends: dict[str, Microphone | Camera] = {"audio": self._microphone}
        if codec is not None and self._sees:
            every_s = self._timing.unit_ms / 1_000
            ends["video"] = Camera(codec, self._clock, every_s, self._inbox.put_picture)
        for transceiver in self._connection.getTransceivers():
            end = ends.pop(transceiver.kind, None)
            if end is None:
                transceiver.direction = "inactive"  # a second of its kind, or of no use here
            else:
                replace_jitter_buffer(transceiver.receiver, end)

    def _channel_opened(self, channel: RTCDataChannel) -> None:
        if channel.label == EVENTS and not self._opened.is_set():
            self._channel.open(channel)
            self._opened.set()

    def _state_changed(self) -> None:
        state = self._connection.connectionState
        if state == "failed":
            self._lost()
        elif state == "closed":
            self._inbox.end(Closed("client", "the client hung up"))
            self._opened.set()
            if self._connection.sctp is not None:
                # else it would send again, and fail in a task that nobody asks how it went
                self._connection.sctp._t3_cancel()
            if self._aborting is None:
                self._aborting = asyncio.create_task(self.hang_up())
        elif state == "connected" and not self._has_channel:
            self._opened.set()

    @property
    def _overfull(self) -> bool:
        """Parts of messages that are not whole are more than a peer may send: aiortc keeps them without a bound."""
        sctp = self._connection.sctp
        return sctp is not None and sctp._advertised_rwnd < -MAX_FRAME_BYTES

    async def _going(self, work: Coroutine[None, None, None]) -> None:
        """Run a part of the connection. One that fails costs the connection, not the call: the client may come back."""
        try:
            await work
        except Exception:
            log.exception("a connection over WebRTC failed")
            self._lost()

    def _lost(self) -> None:
        self._inbox.end(Closed("lost", "the connection was lost"), lost=True)
        self._opened.set()

    def _there_s(self) -> float:
        """When the newest sign of the client came. One without a channel cannot be asked for any."""
        return max(self._since_s, self._microphone.latest_s) if self._has_channel else self._clock.now_s()

    @property
    def _reached_s(self) -> float:
        """What left before has surely arrived."""
        return max(self._since_s - _CHECK_S, self._microphone.latest_s) - _AGAIN_S

    async def _watch(self) -> None:
        """Notice a peer that has vanished, and how far away it is."""
        n_received, self._since_s = -1, self._clock.now_s()
        while True:
            now_s = self._clock.now_s()
            for stats in (await self._connection.getStats()).values():
                if stats.type == "transport" and stats.packetsReceived != n_received:
                    n_received, self._since_s = stats.packetsReceived, now_s
                    self._player.go_on()
                elif stats.type == "remote-inbound-rtp" and stats.roundTripTime is not None:
                    self._player.network_s = stats.roundTripTime / 2 + _LISTENER_S
            if self._player.readyState == "ended" and self._connection.connectionState == "connected":
                # aiortc's own task has failed, and said so in its log
                self._lost()
            if self._overfull:
                self._inbox.end(Closed("client", "a message is far longer than was agreed on; send shorter ones"))
            if self._is_cut_off(now_s):
                self._player.pause(self._reached_s)
            elif self._player.sounds and now_s - self._microphone.latest_s > _FLOWING_S:
                await self._channel.ping()
            # of one without sound nothing need come: ICE itself notices, later, that it is gone
            if now_s - self._since_s > SILENT_S and self._has_sound:
                self._lost()
            await self._clock.sleep_until(now_s + _CHECK_S)

    def _is_cut_off(self, now_s: float) -> bool:
        """Whether the peer would have sent a packet since the last one, if it could."""
        if self._since_s - self._microphone.latest_s < _CHECK_S + _FLOWING_S:
            return now_s - self._since_s > CUT_OFF_S
        begun_s = self._player.first_sent_s(self._since_s)
        return self._has_channel and begun_s is not None and now_s - begun_s > QUIET_CUT_OFF_S


def stop_decoders(connection: RTCPeerConnection) -> None:
    """End the threads in which a connection's receivers wait for something to decode: nothing will come."""
    for transceiver in connection.getTransceivers():
        transceiver.receiver._RTCRtpReceiver__stop_decoder()  # type: ignore[attr-defined]


def replace_jitter_buffer(receiver: RTCRtpReceiver, buffer: object) -> None:
    """Let a receiver give its packets to an add() of ours, which returns (whether to ask for a picture, None).

    aiortc offers no such place: its receivers decode everything they get, behind a buffer of fixed length.
    """
    name = "_RTCRtpReceiver__jitter_buffer"
    if not hasattr(receiver, name):
        raise RuntimeError("this aiortc is not the one in constraints.txt; install that version")
    setattr(receiver, name, buffer)


def _prefer(transceiver: RTCRtpTransceiver, *names: str) -> None:
    capabilities = RTCRtpReceiver.getCapabilities(transceiver.kind)
    codecs = capabilities.codecs if capabilities else []
    transceiver.setCodecPreferences([codec for codec in codecs if codec.mimeType in names])


def _unseen() -> AppendImage:
    """In the place of pictures that cannot be had: why there are none."""
    known = " or ".join(CODECS)
    raise WireError("video_not_supported", f"The video track offers no {known}: the call goes on without pictures.")


def _most_frame_bytes(offer: str) -> int:
    """What the client takes in one message; a limit of 0 means any."""
    found = re.search(r"^a=max-message-size:(\d{1,10})\s*$", offer, re.MULTILINE)
    said = int(found[1]) if found else _DEFAULT_FRAME_BYTES
    return min(said, MAX_FRAME_BYTES) if said else MAX_FRAME_BYTES
