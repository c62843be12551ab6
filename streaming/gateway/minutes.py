"""What keys have used today, kept in a small file, so that a restart gives nobody's minutes back."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Mapping
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

    Servers that share the folder share the minutes: each adds to the file what was used with it, and takes up what
    was added by others. A file that cannot be read, or written, stops nobody's calls: it is said in the log, and
    counting begins anew.
    """

    def __init__(self, folder: Path, access: Access, clock: Clock, now: Now = datetime.now) -> None:
        """Take up what was used today before the server started. Reads the file; it need not be there."""
        self._path = folder / FILE
        self._access = access
        self._clock = clock
        self._now = now
        self._day = self._today
        self._known: dict[str, float] = {}
        """seconds by key that both the file and the account have counted"""
        self._writing = asyncio.Lock()
        self._told = False
        if access.used_s:
            self._take_up(self._read(self._day))

    async def while_serving(self, _app: web.Application) -> AsyncIterator[None]:
        """Write what changes, until the application stops (one of its cleanup_ctx)."""
        looking = asyncio.create_task(self._run())
        yield
        async with self._writing:  # what a thread still wrote might replace what is written below
            looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await self.write()

    async def _run(self) -> None:
        while True:
            await self._clock.sleep_until(self._clock.now_s() + EVERY_S)
            await self.write()

    async def write(self) -> None:
        """Write what was used since the last time, if anything was; what cannot be written now, the next time."""
        async with self._writing:
            if (today := self._today) != self._day:
                self._day, self._known = today, {}
            # asked after the day: what this takes for today's is never yesterday's
            used_s = self._access.used_s
            more_s = {name: max(0.0, seconds - self._known.get(name, 0.0)) for name, seconds in used_s.items()}
            if not any(more_s.values()):
                return
            try:
                found_s = await asyncio.to_thread(self._add, today, more_s)
            except OSError as error:
                if not self._told:
                    log.error("the minutes that keys have used cannot be kept in %s: %s", self._path, error.strerror)
                self._told = True
                return
            self._told = False
            self._take_up(found_s)
            for name, seconds in more_s.items():
                self._known[name] += seconds

    def _add(self, day: str, more_s: Mapping[str, float]) -> dict[str, float]:
        """Add to what the file says of a day; returns what it said before. Runs in a thread."""
        found_s = self._read(day)
        gone = [name for name in found_s if name not in more_s][:MOST_KEYS]
        kept_s = {name: found_s[name] for name in gone}
        total_s = {name: found_s.get(name, 0.0) + seconds for name, seconds in more_s.items()}
        content = orjson.dumps({"day": day, "seconds": kept_s | total_s}, option=orjson.OPT_INDENT_2)
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(self._path, content)
        return found_s

    def _take_up(self, found_s: Mapping[str, float]) -> None:
        """Count what the file has and the accounts have not."""
        own = self._access.used_s
        self._access.take_up({name: max(0.0, found_s.get(name, 0.0) - self._known.get(name, 0.0)) for name in own})
        self._known = {name: found_s.get(name, 0.0) for name in own}

    @property
    def _today(self) -> str:
        return self._now().date().isoformat()

    def _read(self, day: str) -> dict[str, float]:
        """Seconds by key, of a day; empty if nothing was written that day, or nothing that can be read."""
        try:
            with self._path.open("rb") as file:
                found = orjson.loads(file.read(_MOST_BYTES))
            if found["day"] != day:
                return {}
            used_s = {str(name): float(seconds) for name, seconds in found["seconds"].items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            log.error("%s cannot be read (%s); what keys have used today is counted from nothing", self._path, error)
            return {}
        return {name: seconds for name, seconds in used_s.items() if math.isfinite(seconds) and seconds > 0}
