"""Who cannot have a call is told why, in the event and where the connection closes."""

import orjson
import pytest

from streaming.commands import Heard
from streaming.events import Closed, Event
from streaming.gateway.link import turn_away
from streaming.gateway.wire.fields import WireError
from streaming.gateway.wire.realtime import WEBSOCKET, Inbound


class Recorded:
    """A link that remembers what it was given, or breaks at the first message."""

    carriage = WEBSOCKET

    def __init__(self, *, broken: bool = False) -> None:
        self.types: list[str] = []
        self.closed: tuple[str, int | None] | None = None
        self._broken = broken

    def watch(self, event: Event) -> None:
        raise AssertionError(event)

    async def receive(self) -> Inbound:
        raise AssertionError

    async def send(self, frame: bytes) -> None:
        if self._broken:
            raise ConnectionError
        self.types.append(orjson.loads(frame)["type"])

    async def close(self, closed: Closed, code: int | None = None) -> None:
        self.closed = closed.message, code

    def let_go(self) -> Heard | None:
        raise AssertionError

    def abort(self) -> None:
        raise AssertionError


@pytest.mark.parametrize(
    ("why", "closed"),
    [
        (WireError("call_not_found", "There is no such call."), ("There is no such call.", 1008)),
        (Closed("busy", "all places are taken", 5.0), ("all places are taken", None)),
    ],
)
async def test_the_reason_is_an_event_and_closes_the_connection(
    why: Closed | WireError, closed: tuple[str, int | None]
) -> None:
    link = Recorded()
    await turn_away(link, why)
    assert "error" in link.types
    assert link.closed == closed
    gone = Recorded(broken=True)
    await turn_away(gone, why)
    assert gone.closed == closed
