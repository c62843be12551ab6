"""Calls whose connection breaks: how a test loses one, and comes back over another."""

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np

from omni.types import Delta, Pcm, Unit
from tests.fakes import ScriptedModel, ScriptedState, read
from tests.streaming.gateway.place import Peer, Place

ANSWER = "one two three four five six"


def talking(answer: str = ANSWER) -> ScriptedModel:
    return ScriptedModel(answer=lambda state, text: answer)


class Listening(ScriptedModel):
    """Reads spelled sound that came over the wire."""

    def listen(self, units: Sequence[Unit], states: Sequence[ScriptedState]) -> list[list[Delta]]:
        heard = [
            unit if unit.audio is None else Unit(audio=unit.audio.round(3).astype(np.float32), text=unit.text)
            for unit in units
        ]
        return super().listen(heard, states)


def drop(peer: Peer) -> None:
    """Let the connection break without a word."""
    transport = peer.socket._conn.transport if peer.socket._conn else None
    assert isinstance(transport, asyncio.Transport)
    transport.abort()


def token(peer: Peer) -> str:
    """The newest that the peer was given."""
    offers = [event for event in peer.events if event["type"] in ("session.created", "session.resumed")]
    return str(offers[-1]["omni"]["resume_token"])


def seq(peer: Peer) -> int:
    return int(peer.events[-1]["server_event_seq"])


@asynccontextmanager
async def back(
    http: aiohttp.ClientSession, place: Place, before: Peer, *, say: dict[str, Any] | None = None, **how: Any
) -> AsyncIterator[Peer]:
    """Another connection that goes on after what the peer before had."""
    async with http.ws_connect(f"{place.realtime}?resume=1", max_msg_size=0, **how) as connection:
        peer = Peer(connection)
        await peer.send("session.resume", **(say or {"resume_token": token(before), "last_event_seq": seq(before)}))
        yield peer


async def refused(peer: Peer) -> str:
    """The code of the error with which a connection is closed for good."""
    code, _ = await peer.closed()
    assert code == 1008
    (error,) = peer.events
    return str(error["error"]["code"])


def sound(events: Sequence[dict[str, Any]]) -> Pcm:
    """What somebody hears who plays all sound in the order in which it came."""
    pcm = b"".join(
        base64.b64decode(event["delta"]) for event in events if event["type"] == "response.output_audio.delta"
    )
    played: Pcm = (np.frombuffer(pcm, "<i2") / np.float32(32_768)).round(3).astype(np.float32)
    return played


def spoken(events: Sequence[dict[str, Any]]) -> str:
    """The words in it."""
    return read(sound(events))


async def until_spoken(peer: Peer, words: int) -> None:
    while len(spoken(peer.events).split()) < words:
        await peer.until("response.output_audio.delta")
