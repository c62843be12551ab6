"""A gateway on a real port with a scripted model behind it, and a client that remembers what it hears."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import numpy as np
import orjson
from aiohttp import WSMsgType

from omni.timing import Timing
from omni.types import Pcm
from streaming.config import Config
from streaming.gateway.listening import listening
from streaming.gateway.server import Gateway
from streaming.tdm.clock import Clock, SystemClock
from tests.fakes import ScriptedModel

RATE = Timing().wire_rate


class Loudness:
    """Voice activity by level, for many streams at once."""

    def open(self) -> None:
        """It remembers nothing."""

    def probabilities(self, windows: list[Pcm], states: list[None]) -> list[float]:
        assert len(windows) == len(states)
        return [float(np.abs(window).mean() > 0.05) for window in windows]


class Place:
    """A running server and what a test wants to know about it."""

    def __init__(self, gateway: Gateway, address: str, model: ScriptedModel) -> None:
        self.gateway = gateway
        self.address = address
        self.model = model
        self.realtime = f"{address}/v1/realtime"

    async def empty(self) -> None:
        """Return once no call is left."""
        async with asyncio.timeout(20):
            while self.gateway.n_calls or self.model.states:  # noqa: ASYNC110  the engine's thread has no event
                await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(
    config: Config | None = None,
    model: ScriptedModel | None = None,
    clock: Clock | None = None,
    patience_s: float = 10.0,
    page: Path | None = None,
) -> AsyncIterator[Place]:
    config = config or Config()
    model = model or ScriptedModel()
    with TemporaryDirectory() as empty:
        # the voices of whoever runs the tests are none of their business
        config = config if config.data_dir else replace(config, data_dir=empty)
        gateway = Gateway(config, page, clock or SystemClock(), patience_s)
        async with listening(gateway, "127.0.0.1", 0) as address:
            gateway.start(model, Loudness())
            yield Place(gateway, address, model)


class Peer:
    """A client that speaks JSON and keeps what it hears."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.events: list[dict[str, Any]] = []

    async def send(self, type_: str, **fields: Any) -> None:
        await self.socket.send_str(orjson.dumps({"type": type_, **fields}).decode())

    async def until(self, type_: str) -> dict[str, Any]:
        async with asyncio.timeout(20):
            while True:
                message = await self.socket.receive()
                assert message.type is WSMsgType.TEXT, f"{message} before {type_}"
                self.events.append(orjson.loads(message.data))
                if self.events[-1]["type"] == type_:
                    return self.events[-1]

    async def closed(self) -> tuple[int, str]:
        """Read to the end: the close code and its reason."""
        async with asyncio.timeout(20):
            while (message := await self.socket.receive()).type is WSMsgType.TEXT:
                self.events.append(orjson.loads(message.data))
        assert message.type is WSMsgType.CLOSE, message
        return message.data, message.extra or ""

    async def ask(self, text: str) -> str:
        content = [{"type": "input_text", "text": text}]
        await self.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        await self.send("response.create", response={"output_modalities": ["text"]})
        done = await self.until("response.done")
        return str(done["response"]["output"][0]["content"][0]["text"]).strip()


@asynccontextmanager
async def call(http: aiohttp.ClientSession, place: Place, **how: Any) -> AsyncIterator[Peer]:
    async with http.ws_connect(place.realtime, max_msg_size=0, **how) as connection:
        yield Peer(connection)


def encoded(pcm: Pcm) -> str:
    return base64.b64encode((pcm * 32_767).astype("<i2").tobytes()).decode()
