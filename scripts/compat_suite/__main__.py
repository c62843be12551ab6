"""Every client in turn against every server: ./scripts/compat prints the table that docs/clients.md shows."""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from scripts.bench_suite.server import Server, omni_server, running
from scripts.bench_suite.speakers import speakers, utter
from scripts.compat_suite.environments import Environments, Runtime
from tests.grammar import check
from tests.old_grammar import check_old

HERE = Path(__file__).parent
QUESTION = "Why is the sky blue?"
WITH_FUNCTIONS = "nano --llm-url"
PATIENCE_S = 600.0
"""for all scenarios of one client"""


@dataclass(frozen=True, slots=True)
class Client:
    """One released client, and the program that does with it what people do."""

    name: str
    packages: tuple[str, ...]
    program: str
    runtime: Runtime = "python"
    arguments: tuple[str, ...] = ()
    speaks_today: bool = True
    """the names of the GA protocol, by which the checker of the grammar reads its trace"""


def _openai(version: str, *arguments: str) -> Client:
    packages = (f"openai[realtime]=={version}",)
    speaks_today = "--old" not in arguments
    return Client(f"openai {version}", packages, "openai_client.py", arguments=arguments, speaks_today=speaks_today)


AGENTS = ("@openai/agents@0.20.0",)

CLIENTS = (
    _openai("1.58.1", "--old"),
    *map(_openai, ("1.107.2", "1.109.1", "2.8.0", "2.36.0", "3.54.0")),
    Client("@openai/agents 0.20.0, node", AGENTS, "agents_client.mjs", "node"),
    Client("@openai/agents 0.20.0, Chromium", AGENTS, "agents_browser.py", "browser"),
    Client("@openai/agents 0.20.0, Chromium, WebRTC", AGENTS, "agents_browser.py", "browser", ("--webrtc",)),
    Client("Pipecat 1.14.0", ("pipecat-ai[openai]==1.14.0",), "pipecat_client.py"),
    Client("LiveKit Agents 1.8.9", ("livekit-agents==1.8.9", "livekit-plugins-openai==1.8.9"), "livekit_client.py"),
)


def main() -> None:
    names = [client.name for client in CLIENTS]
    parser = argparse.ArgumentParser(prog="scripts/compat", description=__doc__)
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help=f"a part of a name; all if none: {names}")
    parser.add_argument("--server", choices=tuple(SERVERS), action="append", help="all if none")
    parser.add_argument(
        "--environments", type=Path, default=Path(tempfile.gettempdir()) / "omni-clients", help="where they are kept"
    )
    options = parser.parse_args()
    wanted = [client for client in CLIENTS if not options.clients or any(one in client.name for one in options.clients)]
    if not wanted:
        parser.error(f"no client has such a name; there are {names}")
    environments = Environments(options.environments)
    for name in options.server or SERVERS:
        print(f"\n{name}, {date.today().isoformat()}\n", flush=True)
        flags = ("--tools",) if name == WITH_FUNCTIONS else ()
        with SERVERS[name]() as server:
            _show([(client, _results(client, environments, server, flags)) for client in wanted])


@contextmanager
def _scripted() -> Iterator[Server]:
    with running("scripts.bench_suite.scripted_server", ["--max-sessions", "20"]) as server:
        yield server


@contextmanager
def _nano() -> Iterator[Server]:
    with omni_server("--max-sessions", "4") as server:
        yield server


@contextmanager
def _nano_with_functions() -> Iterator[Server]:
    with (
        running("scripts.compat_suite.endpoint", []) as endpoint,
        omni_server("--llm-url", f"http://127.0.0.1:{endpoint.port}/v1", "--llm-model", "any") as server,
    ):
        yield server


SERVERS = {"scripted": _scripted, "nano": _nano, WITH_FUNCTIONS: _nano_with_functions}


def _results(client: Client, environments: Environments, server: Server, flags: tuple[str, ...]) -> dict[str, str]:
    """What became of each scenario: "passed", or why not."""
    runner = environments.prepare(client.packages, client.runtime)
    with tempfile.TemporaryDirectory() as folder:
        speech = Path(folder) / "speech.pcm"
        pcm = utter(speakers(3)[1], QUESTION).pcm
        speech.write_bytes((pcm * 32_767).astype("<i2").tobytes())
        address = f"http://127.0.0.1:{server.port}/v1"
        command = [*runner, str(HERE / client.program), address, str(speech), *client.arguments, *flags]
        finished = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        lines = [json.loads(line) for line in finished.stdout.splitlines() if line.startswith("{")]
        results = {line["scenario"]: line["result"] for line in lines}
        if finished.returncode or not results:
            results["start"] = finished.stderr.strip().rpartition("\n")[2] or f"ended with {finished.returncode}"
        return results | _broken_rules(client, Path(folder))


def _broken_rules(client: Client, folder: Path) -> dict[str, str]:
    """Scenarios in which the server's events came in an order that clients do not rely on."""
    broken = {}
    for trace in folder.glob("*.trace.json"):
        try:
            (check if client.speaks_today else check_old)(json.loads(trace.read_text()))
        except AssertionError as error:
            broken[trace.name.removesuffix(".trace.json")] = f"order: {error}"
    return broken


def _show(table: Sequence[tuple[Client, dict[str, str]]]) -> None:
    """A table for people, and below it what went wrong."""
    scenarios = list(dict.fromkeys(name for _, results in table for name in results))
    print(f"| client | {' | '.join(scenarios)} |\n|---{'|---' * len(scenarios)}|")
    for client, results in table:
        cells = (("yes" if results[name] == "passed" else "no") if name in results else "" for name in scenarios)
        print(f"| {client.name} | {' | '.join(cells)} |")
    for client, results in table:
        for name, result in results.items():
            if result != "passed":
                print(f"\n{client.name}, {name}: {result}")


if __name__ == "__main__":
    main()
