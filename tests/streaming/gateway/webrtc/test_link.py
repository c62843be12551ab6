"""What a peer sent, in the order in which it is taken, and never without a bound."""

import numpy as np
import pytest

from omni.types import Pcm
from streaming.commands import AppendAudio, Clear, Heard
from streaming.events import Closed
from streaming.gateway.link import LinkEndedError
from streaming.gateway.webrtc.link import MAX_INBOX_BYTES, MAX_SOUND, Inbox
from streaming.gateway.wire.deferred import Undecoded


def packet(level: float) -> Pcm:
    return np.full(320, level, np.float32)


async def test_messages_come_first_and_of_pictures_and_positions_the_newest() -> None:
    inbox = Inbox()
    old, new = (Undecoded(Clear, None) for _ in range(2))
    inbox.put_sound(packet(0.1))
    inbox.put_sound(np.zeros(0, np.float32))
    inbox.put_picture(old)
    inbox.put_picture(new)
    inbox.put_heard(Heard("item", 0.1))
    inbox.put_heard(Heard("item", 0.2))
    inbox.put_message(b"one")
    inbox.put_message(b"two")
    assert [await inbox.take() for _ in range(4)] == [b"one", b"two", Heard("item", 0.2), new]
    sound = await inbox.take()
    assert isinstance(sound, AppendAudio)
    assert sound.pcm[0] == np.float32(0.1)


async def test_of_sound_that_nobody_takes_the_oldest_gives_way() -> None:
    inbox = Inbox()
    for number in range(MAX_SOUND + 3):
        inbox.put_sound(packet(number))
    first = await inbox.take()
    assert isinstance(first, AppendAudio)
    assert first.pcm[0] == 3
    assert inbox.n_dropped == 3


async def test_a_client_that_sends_far_too_much_at_once_is_let_go() -> None:
    inbox = Inbox()
    for _ in range(9):
        inbox.put_message(bytes(MAX_INBOX_BYTES // 8))
    with pytest.raises(LinkEndedError, match="send them slower"):
        await inbox.take()


async def test_the_first_reason_for_the_end_counts() -> None:
    inbox = Inbox()
    inbox.end(Closed("lost", "gone"), lost=True)
    inbox.end(Closed("client", "hung up"))
    with pytest.raises(LinkEndedError, match="gone") as ended:
        await inbox.take()
    assert ended.value.lost
