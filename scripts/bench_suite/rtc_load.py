"""Load for the bench of WebRTC calls, in a process of its own: calls that talk and are answered now and then.

python -m scripts.bench_suite.rtc_load --address http://… --calls N --seconds S. Prints "ready" when all are connected.
"""

import argparse
import asyncio
import random
from contextlib import AsyncExitStack

import aiohttp
import numpy as np

from omni.timing import Timing
from scripts.bench_suite.client import PACKET_SAMPLES, server_vad
from scripts.bench_suite.load import ANSWER_EVERY_S
from scripts.bench_suite.rtc_client import RtcCall, rtc_call
from scripts.bench_suite.speakers import noise_floor
from streaming.gateway.webrtc.player import OpusEncoder

SESSION = server_vad(400)
ITEM = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello?"}]}


def room_packet() -> bytes:
    """20 ms of room noise, encoded once: the load is to cost the server's processor, not this one's."""
    return OpusEncoder(Timing().wire_rate).encode(noise_floor(PACKET_SAMPLES, np.random.default_rng(0)))


async def ask_now_and_then(call: RtcCall) -> None:
    """Ask for an answer every ANSWER_EVERY_S, for ever."""
    await asyncio.sleep(random.random() * ANSWER_EVERY_S)
    while True:
        await call.caller.send("conversation.item.create", item=ITEM)
        await call.caller.send("response.create")
        await asyncio.sleep(ANSWER_EVERY_S)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", required=True)
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    packet = room_packet()
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        calls = [
            await stack.enter_async_context(rtc_call(http, options.address, lambda: packet, SESSION))
            for _ in range(options.calls)
        ]
        print("ready", flush=True)
        asking = [asyncio.create_task(ask_now_and_then(call)) for call in calls]
        await asyncio.sleep(options.seconds)
        for task in asking:
            task.cancel()


if __name__ == "__main__":
    asyncio.run(main())
