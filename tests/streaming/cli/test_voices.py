"""omni voices, as a person at a terminal meets it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from omni.types import Pcm, Voice
from streaming import __main__ as command_line
from streaming.cli import voices as voice_commands
from streaming.cli.unloaded_voices import RECORDINGS
from streaming.company import voice_files as files
from streaming.company.voices import Voices, Wish
from streaming.gateway import models
from tests.fakes import ScriptedModel
from tests.recordings import RATE, hum, wav
from tests.streaming.gateway.place import Loudness


class Cloner(ScriptedModel):
    """Makes voices of anything."""

    def __init__(self) -> None:
        super().__init__()
        self.capabilities = replace(self.capabilities, makes_voices="clones")

    def prepare_voice(self, name: str, reference: Pcm) -> Voice:
        return Voice(name, state={"length": np.array([len(reference)], np.float32)})


class Terminal:
    """Runs omni voices on a folder of its own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.recording = folder / "me.wav"
        self.recording.write_bytes(wav(hum(8.0)))
        self.model = Cloner()
        self.n_loaded = 0
        self._capsys = capsys

    def load(self, _: Any) -> tuple[ScriptedModel, None]:
        self.n_loaded += 1
        return self.model, None

    def run(self, *words: object, status: int = 0) -> str:
        got = command_line.main(["voices", *map(str, words), "--data-dir", str(self.folder)])
        out, err = self._capsys.readouterr()
        assert got == status, err
        return str(out if status == 0 else err)

    def kept(self) -> Voices:
        voices = Voices(self.folder / "voices", self.model.capabilities)
        voices.look()
        return voices


@pytest.fixture
def terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    terminal = Terminal(tmp_path, capsys)
    monkeypatch.setattr(models, "load", terminal.load)
    monkeypatch.setattr(voice_commands, "SileroActivity", Loudness)
    monkeypatch.setattr(voice_commands, "several_speakers", lambda pcm: False)
    return terminal


def test_what_is_added_all_callers_may_use(terminal: Terminal) -> None:
    said = terminal.run(
        "add", "Ann", terminal.recording, "--consent", "given", "--speaker", "Ann Lee", "--language", "de"
    )
    (entry,) = terminal.kept().kept()
    assert f"Ann is kept as {entry.id}" in said
    assert "s of speech" in said
    record = entry.record
    assert record is not None
    assert (record.owner, record.shared, record.consent, record.speaker) == (None, True, "given", "Ann Lee")
    assert record.language == "de"
    assert terminal.kept().of("any account").voice("ann") is not None


def test_the_list_is_a_table_or_json(terminal: Terminal) -> None:
    terminal.run("add", "Ann", terminal.recording, "--consent", "self")
    voices = terminal.kept()
    made = voices.of("#0123456789abcdef0123").record_of(Wish("Hers", "synthetic"))
    voices.add(made, (hum(4.0), RATE), Voice("Hers"))
    heading, *lines = terminal.run("list").splitlines()
    assert heading.split() == ["NAME", "ID", "LANGUAGE", "LENGTH", "MADE", "WHOSE", "FOR"]
    rows = {line.split()[0]: line for line in lines}
    assert rows["oak"].split()[-3:] == ["built", "in", "everybody"]
    assert "their own" in rows["Ann"]
    assert rows["Ann"].endswith("everybody")
    assert rows["Hers"].endswith("nobody's   account #0123456789a")
    told = {voice["name"]: voice for voice in json.loads(terminal.run("list", "--json"))}
    assert told["oak"]["built_in"] is True
    assert (told["Hers"]["consent"], told["Hers"]["shared"]) == ("synthetic", False)


def test_a_checkpoint_s_own_voices_are_listed_or_said_to_be_missing(
    terminal: Terminal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = tmp_path / "tiny"
    (checkpoint / RECORDINGS).mkdir(parents=True)
    (checkpoint / RECORDINGS / "grace.wav").write_bytes(b"")
    assert "grace" in terminal.run("list", "--model", checkpoint)
    assert command_line.main(["voices", "list", "--model", "omni/large", "--data-dir", str(tmp_path)]) == 0
    assert "the voices of omni/large itself are not listed" in capsys.readouterr().err


def test_of_two_with_one_name_the_list_says_how_to_name_the_one_that_was_made(
    terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    voices = terminal.kept()
    made = replace(voices.of(None).record_of(Wish("Other name", "self")), name="Heart")
    files.save(terminal.folder / "voices", made, (hum(4.0), RATE), Voice("Heart"), voices.family)
    assert command_line.main(["voices", "list", "--data-dir", str(terminal.folder)]) == 0
    assert f"{made.id} means the one that was made here" in capsys.readouterr().err


def test_a_damaged_voice_is_told_of_and_can_be_removed(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.run("add", "Ann", terminal.recording, "--consent", "self")
    (entry,) = terminal.kept().kept()
    (terminal.folder / "voices" / entry.id / "voice.json").write_text("{")
    assert command_line.main(["voices", "list", "--data-dir", str(terminal.folder)]) == 0
    out, err = capsys.readouterr()
    assert "Ann" not in out
    assert "damaged and left out" in err
    assert err.count(entry.id) == 1
    assert json.loads(terminal.run("list", "--json"))[-1]["id"] == entry.id
    terminal.run("remove", entry.id)
    assert terminal.kept().kept() == []


def test_a_voice_is_removed_by_its_name_or_its_id(terminal: Terminal) -> None:
    for name in ("One", "Two"):
        terminal.run("add", name, terminal.recording, "--consent", "self")
    ids = {entry.name: entry.id for entry in terminal.kept().kept()}
    assert terminal.run("remove", "one") == "One is removed\n"
    terminal.run("remove", ids["Two"])
    assert "no voice One" in terminal.run("remove", "One", status=2)
    assert "oak is built in and cannot be removed" in terminal.run("remove", "oak", status=2)


def test_one_of_several_with_a_name_is_asked_for_by_its_id(terminal: Terminal) -> None:
    voices = terminal.kept()
    for owner in ("ann", "ben"):
        voices.add(voices.of(owner).record_of(Wish("Mine", "self")), (hum(4.0), RATE), Voice("Mine"))
    said = terminal.run("remove", "Mine", status=2)
    assert all(entry.id in said for entry in terminal.kept().kept())


def test_a_voice_is_heard(terminal: Terminal, tmp_path: Path) -> None:
    terminal.run("add", "Ann", terminal.recording, "--consent", "self")
    out = tmp_path / "ann.wav"
    assert str(out) in terminal.run("preview", "Ann", "--out", out, "--text", "one two three")
    assert soundfile.info(out).duration == pytest.approx(3 * 0.24, abs=0.01)
    assert terminal.model.log.count("open Ann") == 1
    assert not terminal.model.states
    terminal.run("preview", "other", "--out", out)
    assert "open other" in terminal.model.log


def test_a_voice_made_for_another_model_is_prepared_to_be_heard(terminal: Terminal, tmp_path: Path) -> None:
    terminal.run("add", "Ann", terminal.recording, "--consent", "self")
    terminal.model = Cloner()
    terminal.model.capabilities = replace(terminal.model.capabilities, name="another")
    terminal.run("preview", "Ann", "--out", tmp_path / "ann.wav")
    (entry,) = terminal.kept().kept()
    assert entry.voice is not None
    (terminal.folder / "voices" / entry.id / "reference.flac").unlink()
    terminal.model.capabilities = replace(terminal.model.capabilities, name="third")
    assert "reference.flac" in terminal.run("preview", "Ann", "--out", tmp_path / "ann.wav", status=2)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["add", "Ann", "nowhere.wav", "--consent", "self"], "nowhere.wav"),
        (["add", "Ann", "{folder}", "--consent", "self"], "cannot read"),
        (["add", "Ann", "{text}", "--consent", "self"], "cannot be read as sound"),
        (["add", "Ann", "{short}", "--consent", "self"], "speech are in the recording"),
        (["add", "Ann", "{me}", "--consent", "given"], "whose voice it is: --speaker"),
        (["add", "Ann", "Lee", "{me}", "--consent", "self"], "put a name of several words in quotes"),
        (["add", " ", "{me}", "--consent", "self"], "a name"),
        (["add", "oak", "{me}", "--consent", "self"], "omni: there is a voice oak already. Choose another name\n"),
        (["add", "Ann", "{me}", "--consent", "self", "--language", "?"], "language"),
        (["preview", "oak", "--out", "x.doc"], "name a file that ends in"),
        (["preview", "oak", "--out", "x.wav", "--text", " "], "nothing to say"),
        (["list", "--modle", "x"], "unknown argument --modle; did you mean --model?"),
    ],
)
def test_what_cannot_be_done_is_said_before_a_model_is_loaded(
    terminal: Terminal, tmp_path: Path, words: list[str], says: str
) -> None:
    (tmp_path / "note.txt").write_text("no sound")
    (tmp_path / "short.wav").write_bytes(wav(hum(2.0)))
    places = {
        "folder": tmp_path,
        "text": tmp_path / "note.txt",
        "short": tmp_path / "short.wav",
        "me": terminal.recording,
    }
    assert says in terminal.run(*(word.format(**places) for word in words), status=2)
    assert terminal.n_loaded == 0
    assert terminal.kept().kept() == []


def test_a_model_that_makes_no_voices_says_so(terminal: Terminal) -> None:
    terminal.model.capabilities = replace(terminal.model.capabilities, makes_voices=None)
    assert "own voices only" in terminal.run("add", "Ann", terminal.recording, "--consent", "self", status=2)


def test_a_model_that_cannot_be_had_is_no_mistake_of_the_request(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Any) -> None:
        raise RuntimeError("a package is missing")

    monkeypatch.setattr(models, "load", fail)
    assert "a package is missing" in terminal.run("preview", "oak", "--out", terminal.folder / "x.wav", status=1)
