"""The server from start to stop, and what it says to the person who starts it."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from streaming.config import Config
from streaming.gateway import listening
from streaming.gateway.kept import KEY_FILE
from streaming.gateway.listening import serve
from streaming.gateway.tls import TlsError
from tests.fakes import ScriptedModel
from tests.streaming.gateway.place import Loudness


async def said(config: Config, capsys: pytest.CaptureFixture[str]) -> tuple[str, list[int]]:
    """Serve, ask for /v1/models without and with the kept key, stop: what was printed, and the two answers."""
    serving = asyncio.create_task(serve(config, lambda _: (ScriptedModel(), Loudness())))
    printed = ""
    async with asyncio.timeout(20):
        while "ready: " not in printed and not serving.done():
            await asyncio.sleep(0.01)
            printed += capsys.readouterr().out
        statuses = []
        if not serving.done():
            address = printed.split("ready: ")[1].split()[0]
            kept = config.data_folder / KEY_FILE
            key = kept.read_text().strip() if kept.exists() else ""
            async with aiohttp.ClientSession() as http:
                for offered in ("", key):
                    headers = {"Authorization": f"Bearer {offered}"}
                    async with http.get(f"{address}/v1/models", headers=headers, ssl=False) as reply:
                        statuses.append(reply.status)
            os.kill(os.getpid(), signal.SIGTERM)
        await serving
    return printed + capsys.readouterr().out, statuses


@pytest.fixture(autouse=True)
def addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine in a network, whatever this one is."""
    monkeypatch.setattr(listening, "own_addresses", lambda _: ["192.168.1.7", "10.0.0.7"])


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """The other tests have their garbage collected as ever."""
    yield
    gc.unfreeze()


async def test_without_tls_nothing_is_made_and_no_key_is_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed, statuses = await said(Config(port=0, data_dir=str(tmp_path)), capsys)
    assert printed.startswith("Omni is ready: http://127.0.0.1:")
    assert statuses == [200, 200]
    assert gc.get_freeze_count()  # what was loaded is not searched for garbage while people call
    assert not os.listdir(tmp_path)  # noqa: PTH208  pathlib would be told that this blocks


async def test_a_folder_that_keeps_nothing_is_said_at_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    _, statuses = await said(Config(port=0, data_dir=f"{tmp_path}/file"), capsys)
    assert statuses == [200, 200]
    assert "file is no folder; name another folder with --data-dir" in caplog.text


async def test_tls_alone_lets_the_network_in_with_a_key_that_only_a_terminal_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config(port=0, tls=True, data_dir=str(tmp_path))
    printed, statuses = await said(config, capsys)
    key = (tmp_path / KEY_FILE).read_text().strip()
    assert statuses == [401, 200]
    assert key not in printed
    assert "https://192.168.1.7:" in printed
    assert str(tmp_path / KEY_FILE) in printed

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    printed, _ = await said(config, capsys)
    port = printed.split("https://127.0.0.1:")[1].split()[0]
    assert f"Here: https://127.0.0.1:{port}/#key={key}" in printed
    assert f"this network: https://192.168.1.7:{port}/#key={key}\n" in printed
    assert "█" in printed
    assert "SHA-256: " in printed


async def test_whoever_chooses_an_address_or_keys_gets_just_these(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for config, statuses, shown in (
        (Config(port=0, tls=True, host="127.0.0.1", data_dir=str(tmp_path)), [200, 200], "No other device"),
        (Config(port=0, tls=True, host="0.0.0.0", data_dir=str(tmp_path)), [200, 200], "https://192.168.1.7:"),
        (Config(port=0, tls=True, api_keys=("sekret",), data_dir=str(tmp_path)), [401, 401], "https://192.168.1.7:"),
    ):
        printed, found = await said(config, capsys)
        assert found == statuses
        assert shown in printed
        assert "sekret" not in printed
        assert not (tmp_path / KEY_FILE).exists()


async def test_files_that_are_no_certificate_end_the_start_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.pem").write_text("nonsense")
    given = str(tmp_path / "a.pem")
    with pytest.raises(TlsError, match="PEM"):
        await said(Config(port=0, host="127.0.0.1", tls_cert=given, tls_key=given), capsys)
