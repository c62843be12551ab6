"""omni say, as a person at a terminal meets it, with a scripted model."""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from omni.model import OmniModel
from streaming import __main__ as command_line
from streaming.gateway import models
from tests.fakes import TIMING, ScriptedModel, say

TEXT = "Good morning to all of you"


class Terminal:
    """Runs omni say in a folder of its own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], model: ScriptedModel) -> None:
        self.folder = folder
        self.model = model
        self._capsys = capsys

    def run(self, *words: str, status: int = 0) -> str:
        got = command_line.main(["say", *words, "--data-dir", str(self.folder)])
        out, err = self._capsys.readouterr()
        assert got == status, err
        return str(out if status == 0 else err)


@pytest.fixture
def terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    model = ScriptedModel()

    def load(_: Any) -> tuple[OmniModel[Any], None]:
        return model, None

    monkeypatch.setattr(models, "load", load)
    return Terminal(tmp_path, capsys, model)


def test_a_text_becomes_a_file_and_a_line_says_how_long_it_took(terminal: Terminal) -> None:
    file = terminal.folder / "x.wav"
    line = terminal.run(TEXT, "--out", str(file), "--voice", "other", "--instructions", "slowly")
    sound, rate = soundfile.read(file, dtype="float32")
    assert rate == TIMING.output_rate
    assert np.abs(sound - say(TEXT, rate)).max() < 1e-3
    assert line.startswith(f"{len(sound) / rate:.1f} s of speech")
    assert "open other" in terminal.model.log
    assert terminal.model.states == []


@pytest.mark.parametrize(
    ("name", "words", "magic"),
    [
        ("x.mp3", [], b"\xff"),
        ("x.ogg", [], b"OggS"),
        ("x.FLAC", [], b"fLaC"),
        ("x.sound", ["--format", "wav"], b"RIFF"),
        ("x.mp3", ["--format", "flac"], b"fLaC"),
    ],
)
def test_the_format_is_told_by_the_name_or_by_an_option(
    terminal: Terminal, name: str, words: list[str], magic: bytes
) -> None:
    file = terminal.folder / name
    terminal.run(TEXT, "--out", str(file), *words)
    assert file.read_bytes().startswith(magic)


def test_words_need_no_quotes(terminal: Terminal) -> None:
    file = terminal.folder / "x.wav"
    terminal.run(*TEXT.split(), "--out", str(file))
    assert soundfile.info(file).frames == len(say(TEXT, TIMING.output_rate))


def test_text_comes_from_and_sound_goes_to_what_a_shell_connects(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Out(io.StringIO):
        buffer = io.BytesIO()

    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{TEXT}\n"))
    monkeypatch.setattr(sys, "stdout", Out())
    terminal.run("-", "--out", "-", "--format", "pcm")
    assert len(Out.buffer.getvalue()) == 2 * len(say(TEXT, TIMING.output_rate))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([" ", "--out", "x.wav"], "nothing to say"),
        ([TEXT, "--out", "x.midi"], "ends in .mp3, .ogg"),
        ([TEXT, "--out", "/"], "it is a folder"),
        ([TEXT, "--out", "/nowhere/x.wav"], "there is no folder"),
        ([TEXT, "--out", "x.wav", "--speed", "2"], "--speed may be 0.25 to 1.5"),
        ([TEXT, "--out", "x.wav", "--voice", "nobody"], "there is no voice 'nobody'; there are: plain, other"),
        (["Good", "--out", "x.wav", "morning"], "in quotes"),
    ],
)
def test_what_cannot_be_done_is_explained(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(terminal.folder)
    assert message in terminal.run(*words, status=2)
    assert not (terminal.folder / "x.wav").exists()


def test_a_model_that_fails_leaves_no_file(terminal: Terminal) -> None:
    terminal.model.fail = RuntimeError("out of memory")
    assert "out of memory" in terminal.run(TEXT, "--out", str(terminal.folder / "x.wav"), status=1)
    assert not (terminal.folder / "x.wav").exists()
