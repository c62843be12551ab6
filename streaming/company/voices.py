"""The voices that there are: a model's own, and those that people made, which outlive it.

What people made is kept as files (voice_files.py) and remembered here, so that a call finds its voice without a disk.
look() sees what has changed in the folder: the command line may add and remove voices while a server runs.
"""

import logging
import threading
import time
import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from omni.model import Capabilities
from omni.packaged.speaking.voices import BUILT_IN
from omni.types import Pcm, Voice
from streaming import whole_files
from streaming.company import voice_files as files
from streaming.company.catalogue import LANGUAGE, OPENAI_VOICES, same_name
from streaming.company.voice_files import Consent, DamagedError, Family, Record

MOST = 50
"""voices of one owner"""

_LONGEST_NAME = 60
_RESERVED = frozenset(voice.name for voice in BUILT_IN)
"""names that mean something under the default model, and so under every other: one folder of voices serves them all"""
_PREPARING = "it is being prepared for this model; try again in a minute"
_NONE_MADE = "this model speaks in its own voices only; the voice is kept for one that takes others"

log = logging.getLogger(__name__)


class VoiceError(ValueError):
    """What is asked of a voice cannot be done. The message says what to do."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


@dataclass(frozen=True, slots=True)
class Wish:
    """A voice that somebody wants to make."""

    name: str
    consent: str
    speaker: str = ""
    """whose voice it is"""
    language: str = "en"
    shared: bool = False
    """everybody may use it"""


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A voice in the list."""

    id: str
    name: str
    language: str = "en"
    record: Record | None = None
    """None: it is built in, or its record is damaged"""
    voice: Voice | None = None
    """ready to be spoken in"""
    problem: str | None = None
    """why it is not"""
    built_in: bool = False


@dataclass(frozen=True, slots=True)
class _Known:
    """A voice as it was read, and how its files looked then."""

    entry: Entry
    stamp: object


class Voices:
    """All voices of a server. May be used on any thread; what blocks says so."""

    def __init__(self, folder: Path, capabilities: Capabilities) -> None:
        """Read nothing yet; the folder need not exist."""
        self.capabilities = capabilities
        self.built_in = tuple(
            Entry(voice.name, voice.name, voice.language, voice=voice, built_in=True) for voice in capabilities.voices
        )
        self.family = Family(capabilities.name, capabilities.voice_version)
        self._folder = folder
        self._kept: dict[str, _Known] = {}
        self._unfit: dict[str, str] = {}
        """of voices that this model cannot be given, why"""
        self._stamp: object = None
        """how the folder looked when it was read last"""
        self.read = False
        """somebody has looked already"""
        self._looking = threading.Lock()
        self._writing = threading.Lock()

    def of(self, owner: str | None) -> "Shelf":
        """What an account may choose from; None: whoever runs the server, everybody on one without keys."""
        return Shelf(self, owner)

    def kept(self) -> list[Entry]:
        """Whatever people made, as of the last look, the oldest first."""
        entries = [known.entry for known in self._kept.values()]
        return sorted(entries, key=lambda entry: (entry.record.created_at if entry.record else 0, entry.name))

    def tidy(self) -> None:
        """Remove what a program left half done when it was ended. Blocks."""
        whole_files.sweep(self._folder)

    def look(self, *, wait: bool = True) -> None:
        """See what has changed in the folder. Blocks; only what has changed is read.

        Args:
            wait: if another thread is looking, until it has seen everything; else leave it to that one.
        """
        if not self._looking.acquire(blocking=wait):
            return
        try:
            self._stamp = files.folder_stamp(self._folder)
            self._kept = {id_: self._known(id_) for id_ in files.ids(self._folder) if (self._folder / id_).is_dir()}
        except OSError as error:
            log.warning("the voices in %s cannot be read: %s", self._folder, error.strerror)
        finally:
            self.read = True
            self._looking.release()

    def look_if_changed(self) -> None:
        """The same if voices came or went since; else it takes no time. Waits for nobody, so that a call may ask."""
        if files.folder_stamp(self._folder) != self._stamp:
            self.look(wait=False)

    def _known(self, id_: str) -> _Known:
        stamp, before = files.stamp(self._folder, id_, self.family), self._kept.get(id_)
        return before if before is not None and before.stamp == stamp else _Known(self._read(id_), stamp)

    def _read(self, id_: str) -> Entry:
        try:
            record = files.read_record(self._folder, id_)
        except DamagedError as error:
            log.warning("a voice is left out: %s", error)
            return Entry(id_, id_, problem=str(error))
        entry = Entry(id_, record.name, record.language, record)
        if self.capabilities.makes_voices is None:
            return replace(entry, problem=_NONE_MADE)
        voice = files.read_state(self._folder, record, self.family)
        return replace(entry, voice=voice, problem=None if voice else self._unfit.get(id_, _PREPARING))

    def unprepared(self) -> list[Entry]:
        """Voices that this model has yet to be given."""
        return [entry for entry in self.kept() if entry.problem is _PREPARING]

    def reference(self, entry: Entry) -> tuple[Pcm, int]:
        """The recording that a voice was made of [S], and its rate. Blocks.

        Raises:
            DamagedError: it cannot be read.
        """
        return files.read_reference(self._folder, entry.id)

    def prepared(self, entry: Entry, voice: Voice) -> None:
        """Keep what this model made of a voice that was made for another. Blocks."""
        try:
            files.save_state(self._folder, entry.id, voice, self.family)
        except FileNotFoundError:
            pass  # it was removed meanwhile
        except OSError as error:
            self.unfit(entry, f"it was prepared, and cannot be kept: {error.strerror}")
        self.look()
        if any(one.id == entry.id for one in self.unprepared()):
            self.unfit(entry, "it was prepared, and cannot be read")  # else it would be for ever

    def unfit(self, entry: Entry, problem: str) -> None:
        """Remember that this model cannot be given a voice. It is kept for others. Blocks."""
        log.warning("voice %s (%s) cannot be used: %s", entry.name, entry.id, problem)
        with self._looking:
            self._unfit[entry.id] = problem
            # never changed in place: other threads go through it
            self._kept = {id_: known for id_, known in self._kept.items() if id_ != entry.id}
        self.look()

    def add(self, record: Record, reference: tuple[Pcm, int], voice: Voice) -> Entry:
        """Keep a new voice. Blocks.

        Raises:
            VoiceError: its name has been taken, or its owner has MOST.
            OSError: it cannot be written.
        """
        with self._writing:
            self.look()
            self.of(record.owner).check_room(record.name)
            files.save(self._folder, record, reference, voice, self.family)
            self.look()
        known = self._kept.get(record.id)
        return known.entry if known else self._read(record.id)

    def remove(self, id_: str) -> None:
        """Remove a voice, damaged or not. Calls that use it go on with it. Blocks.

        Raises:
            OSError: it cannot be removed.
        """
        with self._writing:
            whole_files.remove_folder(self._folder / id_)
            self.look()


class Shelf:
    """What one account may choose from, and change. A Catalogue but for its characters."""

    def __init__(self, voices: Voices, owner: str | None) -> None:
        self._all = voices
        self._owner = owner

    def voices(self) -> tuple[str, ...]:
        """See Catalogue."""
        return tuple(dict.fromkeys(entry.name for entry in self.list() if entry.voice is not None))

    def voice(self, name: str) -> Voice | None:
        """See Catalogue. For one that it does not know it looks whether any was added meanwhile."""
        entry = self.find(name)
        if entry is None:
            self._all.look_if_changed()
            entry = self.find(name)
        return entry.voice if entry else None

    def unready(self, name: str) -> str | None:
        """See Catalogue."""
        entry = self.find(name)
        return entry.problem if entry is not None and entry.voice is None else None

    def list(self) -> list[Entry]:
        """All of them, as of the last look: the built-in ones first, the default before all."""
        return [*self._all.built_in, *filter(self._sees, self._all.kept())]

    def find(self, name: str) -> Entry | None:
        """A voice by its id or its name: one's own is meant first, then a built-in one, then what others share."""
        ranked = sorted(self.list(), key=lambda entry: 0 if self.mine(entry) else 1 if entry.built_in else 2)
        by_id = next((entry for entry in ranked if entry.id == name), None)
        return by_id or next((entry for entry in ranked if same_name(entry.name, name)), None)

    def mine(self, entry: Entry) -> bool:
        """Whether this account may remove it. What is too damaged to say whose it is is the host's."""
        return not entry.built_in and (entry.record.owner if entry.record else None) == self._owner

    def record_of(self, wish: Wish) -> Record:
        """What is to be kept of a new voice beside its sound, which is not known yet.

        Raises:
            VoiceError: it is not told enough of, or there is no room for it.
        """
        name = " ".join(unicodedata.normalize("NFC", wish.name).split())
        if not name:
            raise VoiceError("name_missing", "Give the voice a name.", "name")
        if len(name) > _LONGEST_NAME or not name.isprintable() or files.is_id(name):
            raise VoiceError("invalid_name", f"A name has 1 to {_LONGEST_NAME} letters, digits or signs.", "name")
        if wish.shared and self._owner is not None and name.casefold() in OPENAI_VOICES:
            message = f"Many clients ask for {name} without being told to: share the voice under another name."
            raise VoiceError("name_taken", message, "name")
        if wish.consent not in get_args(Consent):
            raise VoiceError(
                "consent_missing",
                'Say who agreed to this voice being used: consent is "self" (it is your own), "given" (whose it is '
                'agreed) or "synthetic" (it is nobody\'s).',
                "consent",
            )
        speaker = " ".join(wish.speaker.split())
        if wish.consent == "given" and not speaker:
            raise VoiceError("consent_missing", "Say whose voice it is: speaker is the name of who agreed.", "speaker")
        if len(speaker) > _LONGEST_NAME or not (speaker or " ").isprintable():
            raise VoiceError("invalid_name", f"speaker has at most {_LONGEST_NAME} letters.", "speaker")
        if not LANGUAGE.fullmatch(wish.language):
            raise VoiceError("invalid_language", "language is a code such as en, de or zh-CN.", "language")
        self.check_room(name)
        return Record(
            id=files.new_id(),
            name=name,
            language=wish.language,
            consent=wish.consent,  # type: ignore[arg-type]  # it is one of them, as was seen above
            speaker=speaker or None,
            owner=self._owner,
            shared=wish.shared,
            created_at=int(time.time()),  # a date for people; nothing is measured with it
            seconds=0.0,
        )

    def check_room(self, name: str) -> None:
        """Whether this account may have another voice, of this name.

        Raises:
            VoiceError: the name is taken, or it has MOST already.
        """
        if name.casefold() in _RESERVED or any(same_name(entry.name, name) for entry in self.list()):
            raise VoiceError("name_taken", f"There is a voice {name} already. Choose another name.", "name")
        if sum(map(self.mine, self.list())) >= MOST:
            raise VoiceError("too_many_voices", f"There are {MOST} voices of yours already. Remove one first.")

    def remove(self, id_: str) -> None:
        """Remove one of this account's own. Blocks.

        Raises:
            VoiceError: there is none of this id, or it is not this account's.
            OSError: it cannot be removed.
        """
        self._all.look()
        entry = next((entry for entry in self.list() if entry.id == id_), None)
        if entry is None:
            raise VoiceError("voice_not_found", f"There is no voice {id_[:80]!r}; look at the list.", "id")
        if not self.mine(entry):
            whose = "is built in" if entry.built_in else "is somebody else's, who shares it"
            raise VoiceError("voice_not_yours", f"{entry.name} {whose}: only voices of your own can be removed.", "id")
        try:
            self._all.remove(id_)
        except FileNotFoundError:
            raise VoiceError("voice_not_found", f"{entry.name} was removed just now.", "id") from None

    def _sees(self, entry: Entry) -> bool:
        return self.mine(entry) or (entry.record is not None and entry.record.shared)
