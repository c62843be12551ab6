"""What keys have used outlives the server, and nothing that happens to the file costs anybody a call."""

import asyncio
import stat
import threading
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import orjson
import pytest
from aiohttp import web

from streaming.gateway import minutes
from streaming.gateway.access import Access, Account
from streaming.gateway.minutes import EVERY_S, FILE, UsedMinutes
from streaming.keys import read_keys
from streaming.tdm.clock import ManualClock, settle
from streaming.whole_files import replace_file

NOON = datetime(2026, 11, 22, 12)
KEYS = ("first:minutes=10", "second:name=ann:minutes=5", "third", "fourth:name=host:minutes=1")


class Server:
    """As much of one as counts minutes."""

    def __init__(self, folder: Path, keys: tuple[str, ...] = KEYS, now: datetime = NOON) -> None:
        self.clock = ManualClock()
        self.now = now
        self.access = Access(read_keys(keys), self.clock, lambda: self.now)
        self.minutes = UsedMinutes(folder, self.access, self.clock, lambda: self.now)

    def account(self, key: str) -> Account:
        caller = self.access.identify((key,))
        assert caller is not None
        return caller.account

    def serving(self) -> AsyncIterator[None]:
        return self.minutes.while_serving(cast(web.Application, None))


async def test_what_was_used_is_used_after_a_restart_too(tmp_path: Path) -> None:
    before = Server(tmp_path / "new")
    before.account("first").use(100)
    visit = before.account("second").enter()
    before.account("fourth").use(60)
    await before.clock.advance(30)
    await before.minutes.write()  # the call goes on
    after = Server(tmp_path / "new")
    assert after.account("first").left_s == 500
    assert after.account("second").left_s == 270
    assert after.account("fourth").refusal is not None
    content = (tmp_path / "new" / FILE).read_text()
    assert "first" not in content
    assert "third" not in content
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    visit.leave()


async def test_a_new_day_begins_with_nothing_used(tmp_path: Path) -> None:
    before = Server(tmp_path)
    before.account("first").use(100)
    await before.minutes.write()
    assert Server(tmp_path, now=NOON + timedelta(days=1)).account("first").left_s == 600


async def test_it_is_written_now_and_then_and_at_the_end(tmp_path: Path) -> None:
    server = Server(tmp_path)
    serving = server.serving()
    await anext(serving)
    await settle()
    server.account("first").use(1)
    await server.clock.advance(EVERY_S)
    async with asyncio.timeout(10):
        while not (tmp_path / FILE).exists():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    server.account("first").use(1)
    await anext(serving, None)
    assert Server(tmp_path).account("first").left_s == 598


async def test_without_limits_nothing_is_read_or_written(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    server = Server(tmp_path, ("first",))
    server.account("first").use(1)
    await server.minutes.write()


async def test_a_key_that_is_taken_away_and_given_again_has_used_what_it_had(tmp_path: Path) -> None:
    before = Server(tmp_path)
    before.account("first").use(100)
    await before.minutes.write()
    between = Server(tmp_path, KEYS[1:])
    between.account("second").use(10)
    await between.minutes.write()
    assert Server(tmp_path).account("first").left_s == 500


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"day": "2026-11-22"}',
        b'{"day": "2026-11-22", "seconds": []}',
        b'{"day": "2026-11-22", "seconds": {"ann": "x"}}',
    ],
)
async def test_a_file_that_cannot_be_read_is_said_and_replaced(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_bytes(content)
    server = Server(tmp_path)
    assert "counted from nothing" in caplog.text
    server.account("second").use(1)
    await server.minutes.write()
    assert Server(tmp_path).account("second").left_s == 299


async def test_numbers_that_are_none_give_nobody_minutes(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(orjson.dumps({"day": "2026-11-22", "seconds": {"ann": -1e9, "host": 1e400}}))
    assert Server(tmp_path).account("second").left_s == 300


async def test_a_folder_that_takes_nothing_costs_no_call(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_bytes(b"")
    server = Server(tmp_path / "file" / "folder")
    server.account("first").use(1)
    await server.minutes.write()
    assert "cannot be kept" in caplog.text
    assert server.account("first").left_s == 599


async def test_servers_that_share_a_folder_share_the_minutes(tmp_path: Path) -> None:
    one, other = Server(tmp_path), Server(tmp_path)
    one.account("first").use(100)
    await one.minutes.write()
    other.account("first").use(50)
    await other.minutes.write()
    assert other.account("first").left_s == 450
    one.account("second").use(1)
    await one.minutes.write()
    assert one.account("first").left_s == 450
    await one.minutes.write()
    await other.minutes.write()
    again = Server(tmp_path)
    assert (again.account("first").left_s, again.account("second").left_s) == (450, 299)


async def test_what_was_used_yesterday_of_a_key_that_is_gone_is_not_written_for_today(tmp_path: Path) -> None:
    before = Server(tmp_path)
    before.account("first").use(600)
    await before.minutes.write()
    between = Server(tmp_path, KEYS[1:])
    between.now += timedelta(days=1)
    between.account("second").use(10)
    await between.minutes.write()
    assert Server(tmp_path, now=NOON + timedelta(days=1)).account("first").left_s == 600


async def test_what_could_not_be_written_is_written_the_next_time(tmp_path: Path) -> None:
    (tmp_path / "folder").write_bytes(b"")
    server = Server(tmp_path / "folder")
    server.account("first").use(1)
    await server.minutes.write()
    (tmp_path / "folder").unlink()
    await server.minutes.write()
    assert Server(tmp_path / "folder").account("first").left_s == 599


async def test_what_is_being_written_when_the_server_stops_does_not_replace_what_is_written_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, gate = threading.Event(), threading.Event()

    def slow(path: Path, content: bytes) -> None:
        began.set()
        gate.wait(10)
        replace_file(path, content)

    monkeypatch.setattr(minutes, "replace_file", slow)
    server = Server(tmp_path)
    serving = server.serving()
    await anext(serving)
    server.account("first").use(1)
    await server.clock.advance(EVERY_S)
    await asyncio.to_thread(began.wait, 10)
    server.account("first").use(1)
    stopping = asyncio.create_task(anext(serving, None))
    await settle()
    gate.set()
    await stopping
    assert Server(tmp_path).account("first").left_s == 598
