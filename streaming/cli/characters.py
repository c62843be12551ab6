"""omni characters: list, show, add, edit and remove them from the command line. What is added here all callers see."""

import argparse
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from streaming.cli.flags import CommandError
from streaming.cli.unloaded_voices import unloaded, untold
from streaming.company import character_form as form
from streaming.company.catalogue import Character, same_name
from streaming.company.character_form import CharacterError
from streaming.company.characters import Characters, Entry
from streaming.company.voices import Voices
from streaming.config import Config
from streaming.gateway.libraries import CHARACTERS

Editor = Callable[[Path], None]


def run(config: Config, arguments: argparse.Namespace, editor: str | None) -> None:
    """Do what the arguments say, and print it.

    Args:
        config: where the characters are kept, and the voices that they name.
        arguments: of the command.
        editor: command line of the person's editor, from the environment.

    Raises:
        CommandError, CharacterError, OSError: it cannot be done; the message says why.
    """
    characters = Characters(config.data_folder / CHARACTERS)
    given = arguments
    match given.action:
        case "list":
            print(_table(characters, config))
            for problem in characters.damaged().values():
                print(f"damaged and left out: {problem}", file=sys.stderr)
        case "show":
            print(form.write(_found(characters, given.id).character), end="")
        case "add":
            entry = characters.add(_read(given.file, ""), None, _picture(given.image))
            print(f"{entry.character.name} is kept as {entry.character.id}")
        case "edit":
            _edit(characters, given, lambda path: _open(editor, path))
        case "remove":
            damaged = given.id in characters.damaged()
            id_ = given.id if damaged else _changeable(_found(characters, given.id)).character.id
            characters.remove(id_)
            print(f"{id_} is removed")


def _table(characters: Characters, config: Config) -> str:
    """Who there is, a line each."""
    rows: list[Sequence[str]] = [("ID", "NAME", "VOICE", "FROM", "GREETING")]
    voices, absent = unloaded(config), list[str]()
    for entry in characters.everything():
        character = entry.character
        origin = "included" if entry.built_in else "here" if entry.owner is None else f"account {entry.owner[:12]}"
        voice = character.voice or "-"
        if _speaks_otherwise(entry, voices, config):
            absent.append(voice)
            voice += "*"
        rows.append((character.id, character.name, voice, origin, _short(character.greeting)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows)
    remarks = [f"* voice {voice}: not here, the default speaks" for voice in dict.fromkeys(absent)]
    return "\n".join([*(line.rstrip() for line in lines), *remarks])


def _speaks_otherwise(entry: Entry, voices: Voices, config: Config) -> bool:
    """Whether a character names a voice that is not there, as far as that can be told without the model."""
    voice = entry.character.voice
    return voice is not None and untold(config) is None and voices.of(entry.owner).find(voice) is None


def _edit(characters: Characters, given: argparse.Namespace, edit: Editor) -> None:
    entry = _changeable(_found(characters, given.id))
    id_ = entry.character.id
    if given.image is not None and given.no_image:
        raise CommandError("give a picture or --no-image, not both")
    if given.file and given.set:
        raise CommandError("give a file or --set, not both")
    picture = _picture(given.image)
    keeps_image = picture is None and not given.no_image

    def save(changed: Character) -> None:
        characters.replace(changed, entry.owner, picture, keeps_image)

    if given.file:
        save(_read(given.file, id_))
    elif given.set or not keeps_image:
        save(_with(entry.character, given.set or ()))
    else:
        _by_hand(entry.character, edit, save)
    print(f"{id_} is changed")


def _with(character: Character, settings: Sequence[str]) -> Character:
    """The character with some texts in place of its own."""
    values: dict[str, str] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise CommandError(f"--set takes KEY=TEXT, not {setting!r}")
        values[name.strip()] = text
    return form.changed(character, values)


def _by_hand(character: Character, edit: Editor, save: Callable[[Character], None]) -> None:
    """Have the person change the character in their editor, and save what they left."""
    folder = Path(tempfile.mkdtemp(prefix="omni-"))
    path = folder / f"{character.id}.toml"
    path.write_text(form.write(character), encoding="utf-8")
    edit(path)
    try:
        save(_read(str(path), character.id))
    except (CharacterError, OSError) as error:
        # what was typed is not thrown away
        raise CommandError(f"{error}. Mend it there, then: omni characters edit {character.id} {path}") from error
    shutil.rmtree(folder)


def _open(editor: str | None, path: Path) -> None:
    if not editor:
        raise CommandError("set EDITOR to the editor that is to be opened, or use --set KEY=TEXT, or give a file")
    try:
        subprocess.run([*shlex.split(editor), str(path)], check=True)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise CommandError(f"the editor {editor!r} did not work: {error}") from error


def _read(file: str, id_: str) -> Character:
    """The character that a file holds."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise CommandError(f"there is no file {file}") from error
    except OSError as error:
        raise CommandError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CharacterError("invalid_toml", f"{file} is no text in UTF-8; save it as that") from error
    try:
        return form.from_values(form.parse(text), id_)
    except CharacterError as error:
        raise CharacterError(error.code, f"{file}: {error}", error.param) from error


def _picture(path: str | None) -> bytes | None:
    try:
        return None if path is None else Path(path).read_bytes()
    except FileNotFoundError as error:
        raise CommandError(f"there is no file {path}") from error
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from error


def _found(characters: Characters, wanted: str) -> Entry:
    """A character by its id, or by a name that no other has."""
    if (entry := characters.find(wanted)) is not None:
        return entry
    if why := characters.damaged().get(wanted):
        raise CommandError(why)
    named = [entry for entry in characters.everything() if same_name(entry.character.name, wanted)]
    if len(named) == 1:
        return named[0]
    if named:
        ids = " or ".join(entry.character.id for entry in named)
        raise CommandError(f"several are called {wanted}: say which by its id, {ids}")
    raise CommandError(f"there is no character {wanted!r}; `omni characters list` shows who there is")


def _changeable(entry: Entry) -> Entry:
    if entry.built_in:
        id_ = entry.character.id
        raise CommandError(
            f"{id_} is built in and cannot be changed or removed; make one of your own of it: "
            f"omni characters show {id_} > mine.toml, change that, omni characters add mine.toml"
        )
    return entry


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:59]}…"
