"""Load for the gateway bench, in a process of its own: sessions that talk in real time and are answered now and then.

python -m scripts.bench_suite.load --url ws://… --sessions N --seconds S. Prints "ready" when all are connected.
"""

import argparse
import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import numpy as np
import orjson

from scripts.bench_suite.client import PACKET_S, PACKET_SAMPLES, encode_pcm, server_vad
from scripts.bench_suite.speakers import noise_floor

ANSWER_EVERY_S = 10.0


def packet_message() -> str:
    """A packet of room noise, encoded once: the load is to cost the server's processor, not this one's."""
    pcm = noise_floor(PACKET_SAMPLES, np.random.default_rng(0))
    return orjson.dumps({"type": "input_audio_buffer.append", "audio": encode_pcm(pcm)}).decode()


def ask_messages() -> tuple[str, str]:
    """A typed question and the wish for an answer."""
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello?"}]}
    create = orjson.dumps({"type": "conversation.item.create", "item": item}).decode()
    return create, orjson.dumps({"type": "response.create"}).decode()


@asynccontextmanager
async def joined(http: aiohttp.ClientSession, url: str, vad: bool) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A connection whose session is set up. vad: turns by voice activity, else by hand."""
    session = server_vad(400) if vad else {"audio": {"input": {"turn_detection": None}}}
    async with http.ws_connect(url, max_msg_size=0) as socket:
        await socket.send_str(
            orjson.dumps({"type": "session.update", "session": {"type": "realtime", **session}}).decode()
        )
        async for message in socket:
            if orjson.loads(message.data)["type"] == "session.updated":
                break
        yield socket


async def talk(socket: aiohttp.ClientWebSocketResponse, until_s: float) -> None:
    """Send a packet every PACKET_S, at a phase of one's own."""
    message = packet_message()
    due_s = time.monotonic() + random.random() * PACKET_S
    while due_s < until_s:
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        await socket.send_str(message)
        due_s += PACKET_S


async def _session(socket: aiohttp.ClientWebSocketResponse, until_s: float) -> None:
    async def ask() -> None:
        await asyncio.sleep(random.random() * ANSWER_EVERY_S)
        while True:
            for message in ask_messages():
                await socket.send_str(message)
            await asyncio.sleep(ANSWER_EVERY_S)

    async def drop() -> None:
        async for _ in socket:
            pass

    tasks = [asyncio.create_task(ask()), asyncio.create_task(drop())]
    await talk(socket, until_s)
    for task in tasks:
        task.cancel()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--sessions", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--vad", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        sockets = [
            await stack.enter_async_context(joined(http, options.url, options.vad)) for _ in range(options.sessions)
        ]
        print("ready", flush=True)
        until_s = time.monotonic() + options.seconds
        await asyncio.gather(*(_session(socket, until_s) for socket in sockets))


if __name__ == "__main__":
    asyncio.run(main())
