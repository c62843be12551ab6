"""omni characters, as a person at a terminal meets it."""

import io
import shlex
import sys
from pathlib import Path

import pytest
from PIL import Image

from streaming import __main__ as command_line
from streaming.company.catalogue import Character
from streaming.company.characters import Characters

ADA = 'name = "Ada"\nwho = """\nYou are Ada.\nUser: Hello!\nYou: Hi.\n"""\nvoice = "wren"\n'


class Terminal:
    """Runs omni characters on a folder of its own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.characters = Characters(folder / "characters")
        self._capsys = capsys

    def run(self, *words: str, status: int = 0) -> str:
        got = command_line.main(["characters", *words, "--data-dir", str(self.folder)])
        out, err = self._capsys.readouterr()
        assert got == status, err
        return str(out if status == 0 else err)

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)


@pytest.fixture
def terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(tmp_path, capsys)


@pytest.fixture
def ada(terminal: Terminal) -> Terminal:
    picture = terminal.folder / "ada.png"
    Image.new("RGB", (9, 9)).save(picture)
    assert "kept as ada" in terminal.run("add", terminal.write("ada.toml", ADA), "--image", str(picture))
    return terminal


def test_the_list_names_the_included_ones_what_was_added_and_what_is_damaged(
    ada: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = ada.folder / "characters" / "broken"
    broken.mkdir()
    (broken / "character.toml").write_text("name =")
    assert command_line.main(["characters", "list", "--data-dir", str(ada.folder)]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split() == ["ID", "NAME", "VOICE", "FROM", "GREETING"]
    assert any(line.startswith("captain-marlow ") and "included" in line for line in lines)
    assert "ada" in lines[-1].split()
    assert "damaged" in err
    assert err.count(str(broken)) == 1
    ada.run("remove", "broken")
    assert not broken.exists()


def test_a_voice_that_is_not_there_is_marked(ada: Terminal) -> None:
    assert "*" not in ada.run("list")
    ada.run("edit", "ada", "--set", "voice=nosuch")
    lines = ada.run("list").splitlines()
    assert next(line for line in lines if line.startswith("ada ")).split()[2] == "nosuch*"
    assert lines[-1] == "* voice nosuch: not here, the default speaks"
    assert "*" not in ada.run("list", "--model", "omni/not-loaded"), "it may have that voice"


def test_one_is_removed_by_a_name_that_no_other_has(ada: Terminal) -> None:
    ada.characters.of("ann").save(Character("", "Ada", "You are another Ada."))
    said = ada.run("remove", "Ada", status=2)
    assert "ada or ada-2" in said
    ada.run("remove", "ada-2")
    assert ada.run("remove", "Ada") == "ada is removed\n"
    assert "there is no character 'Ada'" in ada.run("remove", "Ada", status=2)


def test_one_can_be_shown_changed_and_added_again(terminal: Terminal) -> None:
    text = terminal.run("show", "captain-marlow")
    mine = terminal.write("mine.toml", text.replace('name = "Captain Marlow"', 'name = "Captain Mine"'))
    terminal.run("add", mine)
    original, copy = terminal.characters.find("captain-marlow"), terminal.characters.find("captain-mine")
    assert original is not None
    assert copy is not None
    assert copy.character.who == original.character.who


def test_a_character_may_come_from_standard_input(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(ADA))
    terminal.run("add", "-")
    assert terminal.characters.find("ada") is not None


def test_texts_are_set_and_pictures_taken_away(ada: Terminal) -> None:
    ada.run("edit", "ada", "--set", "greeting=Good day, a=b.", "--set", "voice=")
    entry = ada.characters.find("ada")
    assert entry is not None
    assert (entry.character.greeting, entry.character.voice) == ("Good day, a=b.", None)
    assert entry.image is not None
    ada.run("edit", "ada", "--no-image")
    entry = ada.characters.find("ada")
    assert entry is not None
    assert entry.image is None
    ada.run("edit", "ada", ada.write("new.toml", ADA.replace('"Ada"', '"Augusta"')))
    entry = ada.characters.find("ada")
    assert entry is not None
    assert entry.character.name == "Augusta"


def editor(folder: Path, code: str) -> str:
    """A program that opens its last word as an editor would."""
    program = folder / "editor.py"
    program.write_text(f"import sys, pathlib\npath = pathlib.Path(sys.argv[-1])\ntext = path.read_text()\n{code}\n")
    return shlex.join([sys.executable, str(program)])


def test_an_editor_is_opened(ada: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", editor(ada.folder, "path.write_text(text.replace('You: Hi.', 'You: Good day.'))"))
    monkeypatch.delenv("VISUAL", raising=False)
    ada.run("edit", "ada")
    entry = ada.characters.find("ada")
    assert entry is not None
    assert "You: Good day." in entry.character.who
    assert entry.image is not None


def test_what_was_typed_wrongly_is_not_thrown_away(ada: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", editor(ada.folder, "path.write_text(text + 'colour = 3')"))
    monkeypatch.delenv("VISUAL", raising=False)
    words = ada.run("edit", "ada", status=2).split()
    assert "colour" in words
    assert "colour = 3" in Path(words[-1]).read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show", "nobody"], "there is no character 'nobody'"),
        (["remove", "captain-marlow"], "is built in and cannot be changed or removed"),
        (["remove", "Captain Marlow"], "captain-marlow is built in"),
        (["edit", "captain-marlow", "--set", "name=X"], "omni characters show captain-marlow > mine.toml"),
        (["edit", "ada", "--set", "name"], "KEY=TEXT"),
        (["edit", "ada", "--set", "nmae=X"], "nmae is unknown"),
        (["edit", "ada", "--set", "name="], "needs a name"),
        (["edit", "ada", "x.toml", "--set", "name=X"], "not both"),
        (["edit", "ada", "--image", "x.png", "--no-image"], "not both"),
        (["edit", "ada", "--image", "/nowhere.png"], "omni: there is no file /nowhere.png\n"),
        (["edit", "ada"], "set EDITOR"),
        (["add", "/nowhere.toml"], "omni: there is no file /nowhere.toml\n"),
        (["add", "/"], "omni: cannot read /: "),
        (["add", "/dev/null"], "needs a name"),
        (["remove", "../x"], "there is no character"),
    ],
)
def test_what_cannot_be_done_is_explained_and_changes_nothing(
    ada: Terminal, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    for name in ("EDITOR", "VISUAL"):
        monkeypatch.delenv(name, raising=False)
    before = ada.characters.find("ada")
    assert message in ada.run(*words, status=2)
    assert ada.characters.find("ada") == before
