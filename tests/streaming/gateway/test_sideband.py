"""A second connection to a call gets every frame in order, and is given up where it takes too little."""

import asyncio
from typing import cast

import pytest

from streaming.gateway.link import Link
from streaming.gateway.outbox import TooSlowError
from streaming.gateway.sideband import Follower


class Reader:
    """The part of a Link that a follower is written to."""

    def __init__(self, *, stalls: bool = False) -> None:
        self.taken: list[bytes] = []
        self._stalls = stalls

    async def send(self, frame: bytes) -> None:
        if self._stalls:
            await asyncio.Event().wait()
        self.taken.append(frame)


def follower(reader: Reader) -> Follower:
    return Follower(cast(Link, reader))


async def test_frames_come_in_order_also_those_pushed_while_it_writes_until_it_is_finished() -> None:
    reader = Reader()
    following = follower(reader)
    following.push(b"1")
    writing = asyncio.create_task(following.write(patience_s=1.0))
    await asyncio.sleep(0)
    following.push(b"2")
    following.push(b"3")
    following.finish()
    await writing
    assert reader.taken == [b"1", b"2", b"3"]


async def test_one_that_takes_nothing_is_given_up() -> None:
    following = follower(Reader(stalls=True))
    following.push(b"1")
    with pytest.raises(TooSlowError):
        await following.write(patience_s=0.01)


async def test_one_for_whom_too_much_waits_is_given_up_before_it_takes_more() -> None:
    reader = Reader()
    following = follower(reader)
    for _ in range(5):
        following.push(bytes(1024 * 1024))
    with pytest.raises(TooSlowError):
        await following.write(patience_s=1.0)
    assert not reader.taken
