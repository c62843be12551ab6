"""The command line as a person meets it."""

import subprocess
import sys
from pathlib import Path

import pytest

from streaming import __main__ as command_line

HEAVY = ("torch", "numpy", "onnxruntime", "aiohttp")


def test_help_and_options_load_nothing_heavy() -> None:
    code = (
        "import sys; from streaming.__main__ import main\n"
        "try: main(['serve', '--help'])\n"
        f"except SystemExit: print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stderr.strip() == "[]"
    assert "--max-sessions" in result.stdout
    assert "(default )" not in " ".join(result.stdout.split())


def test_no_command_shows_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main([]) == 2
    assert "serve" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["version"]) == 0
    assert capsys.readouterr().out.startswith("omni ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["serve", "--prot", "3"], "did you mean --port?"),
        (["serve", "--max-session", "3"], "did you mean --max-sessions?"),
        (["serve", "--port", "no"], "whole number"),
        (["serve", "--out", "a.wav"], "unknown argument --out\n"),
        (["doctor", "--out", "a.wav"], "unknown argument --out\n"),
        (["chat", "why", "--temperature", "1"], "unknown argument --temperature\n"),
        (["chat", "--model", "tiny", "what", "is", "this"], "put a question of several words in quotes"),
        (
            ["say", "Hello", "--out", "x.wav", "there"],
            "unknown argument there; put a text of several words in quotes\n",
        ),
        (["characters", "remove", "Captain", "Zed"], "put a name of several words in quotes"),
        (["--data-dir", "/tmp/x", "voices", "list"], "come after the command: omni voices list --data-dir /tmp/x\n"),
        (["--version"], "unknown argument --version\n"),
        (["play"], "recording"),
        (["play", "--text", " "], "--text is empty"),
        (["play", "--text", "why", "--out", "/"], "it is a folder; name a file in it"),
        (["play", "--text", "why", "--out", ""], "it is a folder; name a file in it"),
        (["play", "--text", "why", "--out", "a.mp3"], "ends in .wav"),
        (["play", "--text", "why", "--image", "/"], "/ is a folder"),
        (["play", "/does/not/exist.wav"], "no file"),
        (["play", "--text", "why", "is", "--out", "a.wav"], "no file is; put a --text of several words in quotes"),
    ],
)
def test_a_bad_request_is_explained(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    assert command_line.main(words) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["say", "Good morning."], "omni: the following arguments are required: --out; omni say --help tells more\n"),
        (
            ["voices", "add", "Ann", "a.wav"],
            "omni: the following arguments are required: --consent; omni voices add --help tells more\n",
        ),
        (["voices"], "omni: the following arguments are required: ACTION; omni voices --help tells more\n"),
    ],
)
def test_what_is_missing_is_said_in_one_line(capsys: pytest.CaptureFixture[str], words: list[str], line: str) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line.main(words)
    assert (ended.value.code, capsys.readouterr().err) == (2, line)


def test_a_wav_that_is_none_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "question.wav"
    path.write_text("I am no sound")
    assert command_line.main(["play", str(path)]) == 2
    assert "question.wav" in capsys.readouterr().err


def test_a_picture_that_is_none_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    path.write_text("I am no picture")
    assert command_line.main(["play", "--text", "look", "--image", str(path)]) == 2
    assert f"omni: {path}: the picture" in capsys.readouterr().err


def test_an_interrupted_command_ends_without_a_word(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("streaming.tiny.checkpoint.write_tiny", interrupted)
    assert command_line.main(["make-tiny", str(tmp_path)]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_library_that_was_interrupted_while_it_was_loaded_is_not_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(_: object) -> None:
        raise ImportError("initialization failed") from KeyboardInterrupt()

    monkeypatch.setattr("streaming.gateway.models.load", load)
    assert command_line.main(["play", "--text", "why"]) == 130
    assert capsys.readouterr() == ("", "")


def test_what_the_system_refuses_is_said_without_its_number(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "characters").write_text("a file where a folder belongs")
    character = tmp_path / "ann.toml"
    character.write_text('name = "Ann"\nwho = "You are Ann."\n')
    assert command_line.main(["characters", "add", str(character), "--data-dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"omni: {tmp_path / 'characters'}: File exists\n"


def test_the_configuration_is_printed_without_starting(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMNI_HOST", "0.0.0.0")
    assert command_line.main(["serve", "--port", "9", "--print-config"]) == 0
    printed = capsys.readouterr().out
    assert "port = 9\n" in printed
    assert 'host = "0.0.0.0"\n' in printed
