"""Runs a client's scenarios and says, a line of JSON each, what became of them. Needs nothing but Python."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping

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
