"""Many short calls, one after another: what they leave behind in the server."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

import aiohttp
import orjson

from scripts.bench_suite.client import AUDIO_DELTA, TEXT_DELTA
from scripts.bench_suite.load import ask_messages, joined, packet_message
from scripts.bench_suite.report import Findings, Row
from scripts.bench_suite.rtc_client import rtc_call
from scripts.bench_suite.rtc_load import ITEM, SESSION, room_packet
from scripts.bench_suite.server import Server, running

N_AT_ONCE = 16
N_PACKETS = 5
SHARE_TO_WARM = 0.2
"""of all calls: only after them is compared, since caches and the allocator fill first"""
N_WEIGHED = 5
QUIET_S = 2.0
"""after the last call, before the server is weighed: it lets go of connections in its own time"""
MEMORY_AIM_MIB = 5.0
ANSWER_S = 30.0

Visit = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Weight:
    """What the server holds while nobody calls."""

    n_visits: int
    n_broken: int
    """of these, calls that ended before their answer"""
    rss_mib: float
    n_tasks: int
    n_descriptors: int
    n_threads: int


async def measure(n_visits: int) -> Findings:
    """So many calls over WebSocket, and over WebRTC, each with a typed question and the beginning of its answer."""
    arguments = ["--max-sessions", str(4 * N_AT_ONCE), "--loudness"]
    found = Findings()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        with running("scripts.bench_suite.scripted_server", arguments) as server:

            async def by_websocket() -> None:
                await _visit_by_websocket(http, server.realtime_url)

            found.add(findings("WebSocket", await weighed(server, by_websocket, n_visits)))
        with running("scripts.bench_suite.scripted_server", arguments) as server:
            packet = room_packet()

            async def by_webrtc() -> None:
                await _visit_by_webrtc(http, f"http://127.0.0.1:{server.port}", packet)

            found.add(findings("WebRTC", await weighed(server, by_webrtc, n_visits)))
    return found


async def weighed(server: Server, visit: Visit, n_visits: int) -> list[Weight]:
    """The server's weight after a share of the visits, and then again and again until all were made."""
    n_warm = round(n_visits * SHARE_TO_WARM)
    stops = [n_warm + (n_visits - n_warm) * step // N_WEIGHED for step in range(N_WEIGHED + 1)]
    weights: list[Weight] = []
    n_begun = n_broken = 0

    async def visitor(until: int) -> None:
        nonlocal n_begun, n_broken
        while n_begun < until:
            n_begun += 1
            try:
                await visit()
            except (RuntimeError, TimeoutError) as error:
                n_broken += 1
                print(f"a short call broke: {error!r}", file=sys.stderr)

    for stop in stops:
        await asyncio.gather(*(visitor(stop) for _ in range(N_AT_ONCE)))
        await asyncio.sleep(QUIET_S)
        weights.append(await _weight(server, n_begun, n_broken))
    return weights


def findings(transport: str, weights: list[Weight]) -> Findings:
    """What grew between the first weighing and the last."""
    first, last = weights[0], weights[-1]
    n = last.n_visits - first.n_visits
    rows = [
        Row(f"{last.n_visits} short calls ({transport}): broken", last.n_broken, "", last.n_visits, 0),
        Row(f"{n} short calls ({transport}): memory grew by", last.rss_mib - first.rss_mib, "MiB", n, MEMORY_AIM_MIB),
        Row(f"{n} short calls ({transport}): tasks left", last.n_tasks - first.n_tasks, "", n, 0),
        Row(f"{n} short calls ({transport}): descriptors left", last.n_descriptors - first.n_descriptors, "", n, 0),
        Row(f"{n} short calls ({transport}): threads left", last.n_threads - first.n_threads, "", n, 0),
    ]
    return Findings(rows, {f"visits over {transport}": [asdict(weight) for weight in weights]})


async def _weight(server: Server, n_visits: int, n_broken: int) -> Weight:
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{server.port}/tasks") as reply:
        n_tasks = int(await reply.text())
    process = server.process
    return Weight(n_visits, n_broken, server.rss_mb(), n_tasks, process.num_fds(), process.num_threads())


async def _visit_by_websocket(http: aiohttp.ClientSession, url: str) -> None:
    async with joined(http, url, vad=True) as socket:
        for _ in range(N_PACKETS):
            await socket.send_str(packet_message())
        for request in ask_messages():
            await socket.send_str(request)
        async for message in socket:
            if orjson.loads(message.data)["type"] == AUDIO_DELTA:
                return
    raise RuntimeError(f"a call ended before its answer: closed with {socket.close_code}")


async def _visit_by_webrtc(http: aiohttp.ClientSession, address: str, packet: bytes) -> None:
    async with rtc_call(http, address, lambda: packet, SESSION) as call:
        before = len(call.caller.events)
        await call.caller.send("conversation.item.create", item=ITEM)
        await call.caller.send("response.create")
        await call.caller.wait_for(lambda event: event.type == TEXT_DELTA, ANSWER_S, before)
