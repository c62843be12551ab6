"""The characters that there are: the included ones, and those that people made, a folder each.

    <folder>/<id>/character.toml     see character_form; its "owner" is the account that made it, none: the host
    <folder>/<id>/image.jpg          its picture, if it has one

No character is remembered here: what is asked for is read, so that a file mended by hand, or added from the command
line, counts at once. A file that cannot be read costs that character alone. All of it blocks, a file at a time.
"""

import itertools
import logging
import re
import threading
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from streaming import whole_files
from streaming.company import character_form as form
from streaming.company.catalogue import Character, same_name
from streaming.company.character_form import CharacterError

INCLUDED = Path(__file__).parent / "cast"
"""those that come with the program: ID.toml and ID.svg"""
MOST = 100
"""characters of one owner"""
IMAGE_TYPES = {".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp"}
"""of pictures, by how their files end. Ours are drawings (.svg); what people give is kept as .jpg"""

_BESIDE = "included-"
"""before the id of an included one where somebody's own has that id: it was made before this one was included"""
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST_ID = 64
_SLUG = 40
_FILE = "character.toml"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """A character and where it comes from."""

    character: Character
    built_in: bool = False
    """included; nobody can change it"""
    owner: str | None = None
    """the account that made it; None: whoever runs the server, who shares it with all"""
    image: Path | None = None
    """file of its picture, one of IMAGE_TYPES"""


class Characters:
    """All characters of a server. May be used on any thread."""

    def __init__(self, folder: Path, included: Path = INCLUDED) -> None:
        """Look nowhere yet; the folder need not exist."""
        self._folder = folder
        self._included = included
        self._writing = threading.Lock()
        self._told: dict[str, str] = {}
        """what was logged of damaged ones, by id: once, though they are asked for with every list"""

    def tidy(self) -> None:
        """Remove what a program left half done when it was ended."""
        whole_files.sweep(self._folder)

    def of(self, owner: str | None) -> "Shelf":
        """What an account may choose from; None: the host, and everybody on a server without keys."""
        return Shelf(self, owner)

    def everything(self, sees: Callable[[Entry], bool] = lambda entry: True) -> Iterator[Entry]:
        """Whatever can be read; included ones first, each by its id.

        Args:
            sees: of what people made, only what this is true of.
        """
        kept = list(filter(sees, filter(None, map(self._try, self._kept_ids()))))
        ids = {entry.character.id for entry in kept}
        for path in sorted(self._included.glob("*.toml")):
            entry = self._included_entry(path.stem)
            yield _beside(entry) if path.stem in ids else entry
        yield from kept

    def find(self, id_: str, sees: Callable[[Entry], bool] = lambda entry: True) -> Entry | None:
        """The character of this id among everything(); None: there is none, or its file is damaged."""
        if len(id_) > _LONGEST_ID or not _ID.fullmatch(id_):
            return None
        kept = self._try(id_) if (self._folder / id_).is_dir() else None
        if kept is not None and sees(kept):
            return kept
        if (self._included / f"{id_}.toml").is_file():
            return self._included_entry(id_)
        plain = id_.removeprefix(_BESIDE)
        if plain == id_ or not (self._included / f"{plain}.toml").is_file():
            return None
        own = self.find(plain, sees)
        return None if own is None or own.built_in else _beside(self._included_entry(plain))

    def damaged(self) -> dict[str, str]:
        """Ids of what people made that cannot be read, and why."""
        problems: dict[str, str] = {}
        for id_ in self._kept_ids():
            try:
                self._kept_entry(id_)
            except CharacterError as error:
                problems[id_] = str(error)
        return problems

    def add(self, character: Character, owner: str | None, picture: bytes | None) -> Entry:
        """Keep a new character; its id is made of its name.

        Raises:
            CharacterError: it is not fit to be kept, its owner has one of that name, or MOST already.
            OSError: it cannot be written.
        """
        character = form.checked(character)
        image = None if picture is None else form.portrait(picture)
        with self._writing:
            own = self._made_by(owner)
            _check_name(character, own)
            if len(own) >= MOST:
                raise CharacterError("too_many_characters", f"there are {MOST} already; remove one first")
            self._folder.mkdir(parents=True, exist_ok=True)
            with whole_files.new_folder(self._folder) as new:
                whole_files.write_file(new / _FILE, _as_toml(character, owner))
                if image is not None:
                    whole_files.write_file(new / "image.jpg", image)
                id_ = self._move(new, _slug(character.name))
        return self._kept_entry(id_)

    def replace(self, character: Character, owner: str | None, picture: bytes | None, keeps_image: bool) -> Entry:
        """Keep a character in place of the one with its id.

        Args:
            character: all of it.
            owner: stays whose it is.
            picture: of it; None: it has none.
            keeps_image: instead, that of before.

        Raises:
            CharacterError: it is not fit to be kept, or its owner has another of that name.
            OSError: it cannot be written.
        """
        character = form.checked(character)
        image = None if picture is None else form.portrait(picture)
        folder = self._folder / character.id
        with self._writing:
            others = [entry for entry in self._made_by(owner) if entry.character.id != character.id]
            before = self._try(character.id)
            if before is None or before.character.name != character.name:
                _check_name(character, others)
            whole_files.replace_file(folder / _FILE, _as_toml(character, owner))
            if not keeps_image:
                for old in _images(folder):
                    if image is None or old.name != "image.jpg":
                        old.unlink(missing_ok=True)
                if image is not None:
                    whole_files.replace_file(folder / "image.jpg", image)
        return self._kept_entry(character.id)

    def remove(self, id_: str) -> None:
        """Remove what was kept under this id, damaged or not.

        Raises:
            OSError: it is not there, or cannot be removed.
        """
        with self._writing:
            whole_files.remove_folder(self._folder / id_)
        self._told.pop(id_, None)

    def _made_by(self, owner: str | None) -> list[Entry]:
        return [entry for entry in self.everything() if not entry.built_in and entry.owner == owner]

    def _kept_ids(self) -> list[str]:
        if not self._folder.is_dir():
            return []
        return sorted(path.name for path in self._folder.iterdir() if path.is_dir() and _ID.fullmatch(path.name))

    def _try(self, id_: str) -> Entry | None:
        try:
            entry = self._kept_entry(id_)
        except CharacterError as error:
            if self._told.get(id_) != str(error):
                log.warning("character %s is left out: %s", id_, error)
            self._told[id_] = str(error)
            return None
        self._told.pop(id_, None)
        return entry

    def _kept_entry(self, id_: str) -> Entry:
        path = self._folder / id_ / _FILE
        try:
            values = form.parse(_text(path))
            owner = values.pop("owner", None)
            if owner is not None and not isinstance(owner, str):
                raise CharacterError("invalid_type", "owner must be a text, in quotes", "owner")
            character = form.from_values(values, id_)
        except CharacterError as error:
            raise CharacterError(error.code, f"{path}: {error}", error.param) from error
        return Entry(character, owner=owner, image=next(iter(_images(path.parent)), None))

    def _included_entry(self, id_: str) -> Entry:
        character = form.from_values(form.parse(_text(self._included / f"{id_}.toml")), id_)
        image = self._included / f"{id_}.svg"
        return Entry(character, built_in=True, image=image if image.is_file() else None)

    def _move(self, new: Path, slug: str) -> str:
        """Give a folder the first name of this kind that is free."""
        for number in itertools.count(1):
            id_ = slug if number == 1 else f"{slug}-{number}"
            place = self._folder / id_
            taken = place.exists() or (self._included / f"{id_.removeprefix(_BESIDE)}.toml").exists()
            if not taken:
                whole_files.move_folder(new, place)
                return id_
        raise AssertionError("numbers do not end")


class Shelf:
    """What one account may choose from, and change."""

    def __init__(self, characters: Characters, owner: str | None) -> None:
        self._characters = characters
        self._owner = owner

    def get(self, id_: str) -> Character | None:
        """A character by its id; None: there is none, it is damaged, or it is somebody else's."""
        entry = self.entry(id_)
        return entry.character if entry else None

    def entry(self, id_: str) -> Entry | None:
        """… and where it comes from."""
        return self._characters.find(id_, self._sees)

    def list(self) -> list[Entry]:
        """All of them, included ones first."""
        return list(self._characters.everything(self._sees))

    def mine(self, entry: Entry) -> bool:
        """Whether this account may change it."""
        return not entry.built_in and entry.owner == self._owner

    def save(self, character: Character, picture: bytes | None = None, *, keeps_image: bool = False) -> Entry:
        """Keep a character: a new one if its id is "", else in place of this account's own of that id.

        Args:
            character: of any texts; they are checked.
            picture: bytes of a JPEG or PNG; None: it has no picture.
            keeps_image: instead of that, the picture that it has.

        Raises:
            CharacterError: it is not fit to be kept, there is none of its id, or it is not this account's.
            OSError: it cannot be written.
        """
        if not character.id:
            return self._characters.add(character, self._owner, picture)
        self._own(character.id)
        return self._characters.replace(character, self._owner, picture, keeps_image)

    def change(
        self, id_: str, values: Mapping[str, Any], picture: bytes | None = None, *, keeps_image: bool = True
    ) -> Entry:
        """Change some fields of one of this account's own: see character_form.changed(); else as save().

        Raises:
            CharacterError: as save().
            OSError: it cannot be written.
        """
        return self.save(form.changed(self._own(id_).character, values), picture, keeps_image=keeps_image)

    def remove(self, id_: str) -> None:
        """Remove one of this account's own, with its picture.

        Raises:
            CharacterError: there is none of its id, or it is not this account's.
            OSError: it cannot be removed.
        """
        self._own(id_)
        self._characters.remove(id_)

    def _own(self, id_: str) -> Entry:
        entry = self.entry(id_)
        if entry is None:
            raise CharacterError("character_not_found", f"there is no character {id_!r}; look at the list", "id")
        if not self.mine(entry):
            whose = "is included" if entry.built_in else "is somebody else's"
            raise CharacterError(
                "character_not_yours",
                f"the character {id_} {whose} and stays as it is; make one of your own like it",
                "id",
            )
        return entry

    def _sees(self, entry: Entry) -> bool:
        return entry.owner in (None, self._owner)


def _beside(entry: Entry) -> Entry:
    """An included one under another id: somebody's own has its."""
    return replace(entry, character=replace(entry.character, id=f"{_BESIDE}{entry.character.id}"))


def _check_name(character: Character, others: Iterable[Entry]) -> None:
    """Whether a name tells a character from its owner's others. It may be that of an included one: copies keep it."""
    same = next((one.character for one in others if same_name(one.character.name, character.name)), None)
    if same is not None:
        message = f"there is a character {same.name} already, {same.id}; choose another name, or change that one"
        raise CharacterError("name_taken", message, "name")


def _text(path: Path) -> str:
    """What a file holds.

    Raises:
        CharacterError: it cannot be read, or is no character's.
    """
    try:
        data = path.read_bytes() if path.stat().st_size <= form.MAX_FILE_BYTES else None
    except OSError as error:
        raise CharacterError("unreadable", f"it cannot be read: {error.strerror}") from error
    if data is None:
        most = form.MAX_FILE_BYTES // 1024
        raise CharacterError("too_long", f"it has more than {most} KiB, which is no character; shorten it")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise CharacterError("invalid_toml", "it is no text in UTF-8; save it as that") from error


def _as_toml(character: Character, owner: str | None) -> bytes:
    text = form.write(character)
    if owner is not None:
        text += form.line("owner", owner)
    return text.encode()


def _images(folder: Path) -> list[Path]:
    return [path for ending in IMAGE_TYPES if (path := folder / f"image{ending}").is_file()]


def _slug(name: str) -> str:
    """A name in small letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:_SLUG].strip("-") or "character"
