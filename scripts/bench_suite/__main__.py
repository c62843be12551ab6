"""The bench's command line: ./scripts/bench [what …] [--json FILE]."""

import argparse
import asyncio
import os
import sys
import time
from pathlib import Path

# as `omni serve` does: idle threads would spin on the cores that the other stages need
os.environ.setdefault("GOMP_SPINCOUNT", "0")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import orjson

from scripts.bench_suite import answers, barge_in, characters, gateway, latency, pauses, stages, startup, voices
from scripts.bench_suite.material import load_material
from scripts.bench_suite.report import Findings, Row, as_json, table
from scripts.bench_suite.server import Server, omni_server
from scripts.bench_suite.speakers import speakers
from streaming.gateway.models import DeviceError

WITH_SERVER = ("latency", "pauses", "answers", "speech", "barge_in")
BENCHES = (*WITH_SERVER, "stages", "voices", "characters", "gateway", "calls", "network")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Measures the real server as a client hears it, in real time."
    )
    # A text, not a list, as argparse holds a default against the choices; what is given is always a list.
    parser.add_argument("what", nargs="*", choices=(*BENCHES, "all"), default="all", help="default: all, or see below")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    parser.add_argument("--silence-ms", type=int, nargs="+", default=[320, 400], help="server VAD settings")
    parser.add_argument("--questions", type=int, default=20, help="spoken by each voice, for latency")
    parser.add_argument("--voices", type=int, default=3, help="for latency; the others use all there are")
    parser.add_argument("--trials", type=int, default=20, help="interruptions")
    parser.add_argument("--seconds", type=float, default=10, help="of each load on the gateway, and of calls")
    parser.add_argument("--visits", type=int, default=10_000, help="short calls, to see what they leave behind")
    network = parser.add_argument_group("network", "a MiniCPM-o checkpoint, measured alone unless more is asked for")
    which = network.add_mutually_exclusive_group()
    which.add_argument(
        "--model", help="its folder, or its name on the model hub; if left out, a tiny one of random numbers"
    )
    which.add_argument("--random-full-size", action="store_true", help="random numbers in the released size (18 GB)")
    network.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    options = parser.parse_args()
    if options.what == "all":
        options.what = ["network"] if options.model or options.random_full_size else ["all"]
    return options


async def with_server(server: Server, what: set[str], options: argparse.Namespace) -> Findings:
    """Everything that needs `omni serve`, on one server, the memory it takes at the end included."""
    material, everybody = load_material(), speakers(99)
    found = Findings()
    for silence_ms in options.silence_ms:
        if "latency" in what:
            few = speakers(options.voices)
            found.add(await latency.measure(server, material, few, silence_ms, options.questions))
        if "pauses" in what:
            found.add(await pauses.measure(server, material, everybody, silence_ms))
    if what & {"answers", "speech"}:
        found.add(await answers.measure(server, material, everybody, options.silence_ms[0]))
    if "barge_in" in what:
        found.add(await barge_in.measure(server, material, everybody, options.silence_ms[0], options.trials))
    found.rows.append(Row("resident memory after all that", server.rss_mb(), "MiB", 1))
    return found


def main() -> int:
    options = parsed()
    what = set(BENCHES) if "all" in options.what else set(options.what)
    began_s = time.monotonic()
    found = Findings()
    status = 0
    if "stages" in what:
        found.add(startup.measure())
        found.add(stages.measure(load_material(), speakers(99)))
    if "voices" in what:
        found.add(voices.measure(load_material()))
    if "characters" in what:
        found.add(characters.measure())
    if what & set(WITH_SERVER):
        with omni_server() as server:
            found.add(asyncio.run(with_server(server, what, options)))
    if "gateway" in what:
        found.add(asyncio.run(gateway.measure(options.seconds)))
    if "calls" in what:
        from scripts.bench_suite import calls  # noqa: PLC0415  (aiortc, which the others run without)

        found.add(asyncio.run(calls.measure(options.visits, options.seconds)))
    if "network" in what:
        # torch, which the others run without
        from omni.checkpoint import CheckpointError  # noqa: PLC0415
        from scripts.bench_suite import network  # noqa: PLC0415

        try:
            found.add(network.run(options.model, options.device, full_size=options.random_full_size))
        except (CheckpointError, DeviceError) as error:
            print(f"bench: {error}", file=sys.stderr)
            status = 1
    if found.rows:
        print(table(found.rows))
    if options.json:
        settings = {name: value for name, value in vars(options).items() if name != "json"}
        settings["took_s"] = round(time.monotonic() - began_s)
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_bytes(orjson.dumps(as_json(found, settings), option=orjson.OPT_INDENT_2))
        print(f"details: {options.json}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
