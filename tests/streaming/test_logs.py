"""What the log says, and what it keeps to itself."""

import json
import logging
from collections.abc import Iterator

import pytest

from omni.model import Capabilities
from omni.timing import Timing
from streaming import logs
from streaming.events import Closed, Fault, Opened, Settings, UserTranscript


@pytest.fixture(autouse=True)
def _quiet_afterwards() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level


def watch_all(level: str, as_json: bool) -> None:
    logs.configure(level, as_json=as_json)
    log = logs.SessionLog("sess_1", "127.0.0.1")
    log.watch(Opened("sess_1", Capabilities("nano", (), sees=True, transcribes=True), Timing(), Settings(), ()))
    log.watch(UserTranscript("item_1", "my secret", final=True, duration_s=1.0))
    log.watch(Fault("server_error", "engine_failed", "the model stumbled"))
    log.watch(Closed("client", "the client hung up"))


def test_json_lines_name_the_session_and_keep_words_to_themselves(capsys: pytest.CaptureFixture[str]) -> None:
    watch_all("info", as_json=True)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert all("sess_1" in line["message"] for line in lines)
    assert [line["level"] for line in lines] == ["info", "error", "info"]
    assert not any("secret" in line["message"] for line in lines)


def test_at_level_debug_the_conversation_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    watch_all("debug", as_json=False)
    assert "my secret" in capsys.readouterr().err


def test_an_exception_is_kept_whole_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", as_json=True)
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("x").exception("it failed")
    line = json.loads(capsys.readouterr().err)
    assert "ValueError: broken" in line["exception"]
