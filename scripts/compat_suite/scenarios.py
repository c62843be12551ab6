"""Runs a client's scenarios and says, a line of JSON each, what became of them. Needs nothing but Python."""

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

ScenarioT = TypeVar("ScenarioT")

PATIENCE_S = 40.0
"""for one scenario"""

TOOL = {
    "type": "function",
    "name": "weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


async def tell(works: Mapping[str, Callable[[], Awaitable[None]]]) -> None:
    """Run each in turn, whatever becomes of the others."""
    for name, work in works.items():
        started_s = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await work()
            result = "passed"
        except Exception as error:
            result = f"{type(error).__name__}: {error}"
        print(json.dumps({"scenario": name, "result": result, "s": round(time.monotonic() - started_s, 1)}), flush=True)


def arguments() -> argparse.ArgumentParser:
    """What every client is told: where the server is, and what to say to it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address", help="such as http://127.0.0.1:8000/v1")
    parser.add_argument("speech", type=Path, help="a spoken question: raw PCM of this protocol")
    parser.add_argument("--tools", action="store_true", help="the server's model can call functions")
    return parser


async def play(
    run: Callable[[str, ScenarioT, bytes], Awaitable[None]], scenarios: Mapping[str, ScenarioT], tools: ScenarioT
) -> None:
    """Run a client's scenarios as the command line says, each with the address, itself and the spoken question."""
    options = arguments().parse_args()
    wanted = {**scenarios, "tools": tools} if options.tools else scenarios
    await tell({name: partial(run, options.address, one, options.speech.read_bytes()) for name, one in wanted.items()})
