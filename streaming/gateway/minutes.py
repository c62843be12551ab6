"""What keys have used today, kept in a small file, so that a restart gives nobody's minutes back."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import orjson
from aiohttp import web

from streaming.gateway.access import Access, Now
from streaming.tdm.clock import Clock
from streaming.whole_files import replace_file

FILE = "used-minutes.json"
EVERY_S = 10.0
"""between two looks at whether something is to be written: so much is lost by a server that is killed"""
MOST_KEYS = 1_000
"""of today, that the server does not have (any more), and that are remembered should they come back"""
_MOST_BYTES = 1024 * 1024

log = logging.getLogger(__name__)


class UsedMinutes:
    """The file that remembers what has been used of each key with a limit.

    A file that cannot be read, or written, stops nobody's calls: it is said in the log, and counting begins anew.
    """

    def __init__(self, folder: Path, access: Access, clock: Clock, now: Now = datetime.now) -> None:
        """Take up what was used today before the server started. Reads the file; it need not be there."""
        self._path = folder / FILE
        self._access = access
        self._clock = clock
        self._now = now
        self._others: dict[str, float] = {}
        self._written: dict[str, float] = access.used_s
        if self._written:
            used_s = self._read()
            access.take_up(used_s)
            gone = [name for name in used_s if name not in self._written][:MOST_KEYS]
            self._others = {name: used_s[name] for name in gone}
            self._written = access.used_s

    async def while_serving(self, _app: web.Application) -> AsyncIterator[None]:
        """Write what changes, until the application stops (one of its cleanup_ctx)."""
        writing = asyncio.create_task(self._run())
        yield
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await self.write()

    async def _run(self) -> None:
        while True:
            await self._clock.sleep_until(self._clock.now_s() + EVERY_S)
            await self.write()

    async def write(self) -> None:
        """Write it if it has changed."""
        used_s = self._access.used_s
        if used_s == self._written:
            return
        day = self._now().date().isoformat()
        content = orjson.dumps({"day": day, "seconds": {**self._others, **used_s}}, option=orjson.OPT_INDENT_2)
        try:
            await asyncio.to_thread(self._write, content)
        except OSError as error:
            log.error("the minutes that keys have used cannot be kept in %s: %s", self._path, error.strerror)
        self._written = used_s

    def _write(self, content: bytes) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(self._path, content)

    def _read(self) -> dict[str, float]:
        """Seconds by key, of today; empty if nothing was written today, or nothing that can be read."""
        try:
            with self._path.open("rb") as file:
                found = orjson.loads(file.read(_MOST_BYTES))
            if found["day"] != self._now().date().isoformat():
                return {}
            used_s = {str(name): float(seconds) for name, seconds in found["seconds"].items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            log.error("%s cannot be read (%s); what keys have used today is counted from nothing", self._path, error)
            return {}
        return {name: seconds for name, seconds in used_s.items() if math.isfinite(seconds) and seconds > 0}
