"""A connection whose client speaks the dialect from before the GA protocol, as the link of a call."""

from collections.abc import Mapping

from streaming.commands import Heard
from streaming.events import Closed, Event
from streaming.gateway.link import Link
from streaming.gateway.wire.beta import from_beta, to_beta
from streaming.gateway.wire.fields import WireError
from streaming.gateway.wire.realtime import Inbound


def speaks_beta(headers: Mapping[str, str]) -> bool:
    """Whether a request asks for the old dialect: by header, or as browsers must, by subprotocol."""
    offered = headers.get("Sec-WebSocket-Protocol", "").split(",")
    return "realtime=v1" in headers.get("OpenAI-Beta", "") or "openai-beta.realtime-v1" in map(str.strip, offered)


class BetaLink:
    """Another link, with every message translated on its way."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.carriage = link.carriage

    def watch(self, event: Event) -> None:
        """Take what happens in the session."""
        self._link.watch(event)

    async def receive(self) -> bytes | Inbound:
        """The next message, as the codec reads it. Raises LinkEndedError."""
        message = await self._link.receive()
        if not isinstance(message, bytes):
            return message
        try:
            return from_beta(message)
        except WireError as error:
            return error

    async def send(self, frame: bytes) -> None:
        """Send a message if the old dialect has one for it. Raises ConnectionError."""
        translated = to_beta(frame)
        if translated is not None:
            await self._link.send(translated)

    async def close(self, closed: Closed, code: int | None = None) -> None:
        """Say goodbye, and why."""
        await self._link.close(closed, code)

    def let_go(self) -> Heard | None:
        """How far the listener of the sound beside the messages has surely got."""
        return self._link.let_go()

    def abort(self) -> None:
        """Let go of everything that the peer does not take."""
        self._link.abort()
