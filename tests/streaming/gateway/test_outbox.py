"""What is kept for a client until it has it."""

import asyncio

from streaming.gateway.outbox import Outbox
from streaming.gateway.wire.realtime import RealtimeCodec


class Taker:
    """A link that takes everything."""

    async def send(self, frame: bytes) -> None:
        """Take it."""


async def filled(frames: int, size: int) -> Outbox:
    """An outbox that has sent so many frames."""
    outbox = Outbox(RealtimeCodec("sess_1"), [])
    for _ in range(frames):
        outbox.push(b'{"delta":"%b"}' % (b"x" * size))
    outbox.finish()
    await outbox.write(Taker(), 1.0)  # type: ignore[arg-type]
    return outbox


async def test_what_is_kept_for_a_client_is_bounded_and_counted() -> None:
    outbox = await filled(100, 50_000)
    kept = [n for n in range(102) if outbox.go_on_after(n)]
    # the newest two megabytes and a place after the last; each call gave back all that it kept
    assert kept == list(range(100 - 41, 101))


async def test_only_what_was_acknowledged_is_let_go() -> None:
    outbox = await filled(10, 10)
    outbox.acknowledge(4)
    assert [outbox.go_on_after(n) for n in (3, 4)] == [False, True]
    outbox = await filled(10, 10)
    outbox.acknowledge(99)
    assert [outbox.go_on_after(n) for n in (9, 10)] == [False, True]


async def test_there_is_no_room_for_sound_without_a_connection() -> None:
    outbox = Outbox(RealtimeCodec("sess_1"), [])
    room = asyncio.create_task(outbox.drain())
    await asyncio.sleep(0)
    assert not room.done()
    writing = asyncio.create_task(outbox.write(Taker(), 1.0))  # type: ignore[arg-type]
    await asyncio.wait_for(room, 5)
    outbox.finish()
    await writing
