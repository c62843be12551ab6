"""The gateway alone: a scripted model behind the real server, many sessions in real time, what they add to an event.

The load and the probes are processes of their own, so that their processor time is not the server's. A probe is
an event whose answer needs no model (an item that does not exist): its round trip goes through socket, codec and
session like any packet.
"""

import asyncio
import itertools
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass

import aiohttp
import orjson

from scripts.bench_suite.client import AUDIO_DELTA
from scripts.bench_suite.load import ask_messages, joined, talk
from scripts.bench_suite.report import Findings, Row, percentile
from scripts.bench_suite.server import Server, running

P99_AIM_MS, SESSIONS_AIM = 10.0, 100.0
N_PROBES = 4
PROBE_EVERY_S = 0.05
STEPS = (10, 25, 50, 75, 100, 125, 150, 200)


@dataclass(frozen=True, slots=True)
class Load:
    """What a number of sessions did to the server."""

    n_sessions: int
    vad: bool
    event_p50_ms: float
    event_p99_ms: float
    turn_p50_ms: float
    """response.create to first audio"""
    turn_p99_ms: float
    cores: float
    """processor seconds of the server per second"""

    @property
    def sessions_per_core(self) -> float:
        return self.n_sessions / self.cores


async def measure(seconds: float, steps: Sequence[int] = STEPS) -> Findings:
    """More and more sessions, until an event takes longer than the aim; with voice activity, and without."""
    rows, loads = [], []
    for vad in (True, False):
        series: list[Load] = []
        with running("scripts.bench_suite.scripted_server", ["--max-sessions", "1000"]) as server:
            for n_sessions in steps:
                series.append(await _loaded(server, n_sessions, seconds, vad))
                if series[-1].event_p99_ms > P99_AIM_MS:
                    break
        rows += _rows(series, "voice activity on" if vad else "push to talk")
        loads += series
    return Findings(rows, {"gateway": [asdict(load) for load in loads]})


def _rows(series: Sequence[Load], name: str) -> list[Row]:
    """At the highest load within the aim; if there is none, at the lowest there was, with its miss."""
    within = [load for load in series if load.event_p99_ms <= P99_AIM_MS]
    best = within[-1] if within else series[0]
    n = best.n_sessions
    return [
        Row(f"gateway ({name}): sessions with p99 within the aim", n if within else 0, "", n, SESSIONS_AIM, "higher"),
        Row(f"gateway ({name}): added latency at that load, p99", best.event_p99_ms, "ms", n, P99_AIM_MS),
        Row(f"gateway ({name}): response.create to first audio, p99", best.turn_p99_ms, "ms", n),
        Row(f"gateway ({name}): processor time per session and second", 1_000 * best.cores / n, "ms", n),
        Row(f"gateway ({name}): sessions per core", best.sessions_per_core, "", n, SESSIONS_AIM, "higher"),
    ]


async def _loaded(server: Server, n_sessions: int, seconds: float, vad: bool) -> Load:
    load = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scripts.bench_suite.load", "--url", server.realtime_url),
        *("--sessions", str(n_sessions - N_PROBES - 1), "--seconds", str(seconds + 5)),
        "--vad" if vad else "--no-vad",
        stdout=asyncio.subprocess.PIPE,
    )
    assert load.stdout is not None
    if not await load.stdout.readline():
        raise RuntimeError(f"the load generator could not open {n_sessions} sessions")
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        probes = [await stack.enter_async_context(joined(http, server.realtime_url, vad)) for _ in range(N_PROBES + 1)]
        await asyncio.sleep(2)  # connecting was a load of another kind
        cpu_s, began_s = server.cpu_s(), time.monotonic()
        until_s = began_s + seconds
        results = await asyncio.gather(
            *(_probe_events(probe, until_s) for probe in probes[1:]),
            _probe_turns(probes[0], until_s),
            *(talk(probe, until_s) for probe in probes),
        )
        cores = (server.cpu_s() - cpu_s) / (time.monotonic() - began_s)
    await load.wait()
    events = [value for values in results[:N_PROBES] for value in values or []]
    turns = results[N_PROBES] or []
    return Load(
        n_sessions,
        vad,
        event_p50_ms=1_000 * percentile(events, 0.5),
        event_p99_ms=1_000 * percentile(events, 0.99),
        turn_p50_ms=1_000 * percentile(turns, 0.5),
        turn_p99_ms=1_000 * percentile(turns, 0.99),
        cores=cores,
    )


async def _probe_events(socket: aiohttp.ClientWebSocketResponse, until_s: float) -> list[float]:
    """Round trips of events, in seconds; what was not answered in the end counts with what it has waited."""
    sent_s: dict[str, float] = {}
    took_s: list[float] = []

    async def listen() -> None:
        async for message in socket:
            event = orjson.loads(message.data)
            if event["type"] == "error" and (at_s := sent_s.pop(event["error"]["event_id"], None)):
                took_s.append(time.monotonic() - at_s)

    listening = asyncio.create_task(listen())
    for count in itertools.count():
        if time.monotonic() >= until_s:
            break
        event_id = f"probe_{count}"
        event = {"type": "conversation.item.retrieve", "event_id": event_id, "item_id": "item_of_nobody"}
        sent_s[event_id] = time.monotonic()
        await socket.send_str(orjson.dumps(event).decode())
        await asyncio.sleep(PROBE_EVERY_S)
    await asyncio.sleep(0.5)
    listening.cancel()
    ended_s = time.monotonic()
    return took_s + [ended_s - at_s for at_s in sent_s.values()]


async def _probe_turns(socket: aiohttp.ClientWebSocketResponse, until_s: float) -> list[float]:
    """Seconds from response.create to the first audio of a scripted answer, one answer after another."""
    took_s: list[float] = []
    while time.monotonic() < until_s:
        for request in ask_messages():
            await socket.send_str(request)
        asked_s, waiting = time.monotonic(), True
        async for message in socket:
            event = orjson.loads(message.data)
            if event["type"] == AUDIO_DELTA and waiting:
                took_s.append(time.monotonic() - asked_s)
                waiting = False
            elif event["type"] == "response.done":
                break
    return took_s
