"""Voices as files that outlive restarts and upgrades: a folder each, whole or not there.

    <folder>/<id>/voice.json            whose voice it is, who agreed to it, who may use it
    <folder>/<id>/reference.flac        the recording that it was made of
    <folder>/<id>/<family>.safetensors  what a family of models made of that, to be made anew when it is missing

Another process (the server, while the command line adds a voice) sees all of a voice or nothing (whole_files.py). All
of it blocks.
"""

import io
import json
import math
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
import safetensors.numpy
import soundfile
from safetensors import SafetensorError, safe_open

from omni.types import Pcm, Voice
from streaming import whole_files

VERSION = 1
"""of voice.json; fields that a later one adds are left alone"""

Consent = Literal["self", "given", "synthetic"]
"""who agreed to the voice being used: whoever made it, for it is theirs; another, who was asked; nobody is needed"""

_RECORD = "voice.json"
_REFERENCE = "reference.flac"
_ID = re.compile(r"voice_[0-9a-f]{16}")


class DamagedError(ValueError):
    """A file of a voice cannot be read. The message names it, and says what to do."""


@dataclass(frozen=True, slots=True)
class Record:
    """All about a voice but its sound."""

    id: str
    name: str
    language: str
    consent: Consent
    speaker: str | None
    """whose voice it is; None: their own, or nobody's"""
    owner: str | None
    """account that made it; None: whoever runs the server"""
    shared: bool
    """everybody may use it"""
    created_at: int
    """Unix time"""
    seconds: float
    """length of the reference"""


@dataclass(frozen=True, slots=True)
class Family:
    """What a prepared state is for: another family of models, or another version of it, cannot use it."""

    name: str
    version: str


def new_id() -> str:
    """An id that no other voice has."""
    return f"voice_{secrets.token_hex(8)}"


def is_id(text: str) -> bool:
    """Whether this is written like the id of a voice."""
    return bool(_ID.fullmatch(text))


def ids(folder: Path) -> list[str]:
    """Voices that are there, damaged ones too.

    Raises:
        OSError: the folder is there and cannot be read.
    """
    try:
        return sorted(name for name in os.listdir(folder) if is_id(name))  # noqa: PTH208  (names are all that is asked)
    except FileNotFoundError:
        return []


def stamp(folder: Path, id_: str, family: Family) -> tuple[tuple[int, int] | None, ...]:
    """What changes whenever a voice's files do: asked often, so nothing is opened."""
    return tuple(_stamp(folder / id_ / name) for name in (_RECORD, _state_file(family)))


def folder_stamp(folder: Path) -> tuple[int, int] | None:
    """What changes whenever a voice comes or goes; None: there is no folder."""
    return _stamp(folder)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def save(folder: Path, record: Record, reference: tuple[Pcm, int], state: Voice, family: Family) -> None:
    """Keep a new voice.

    Args:
        folder: of all voices; it is made if it is not there.
        record: about it.
        reference: the recording [S], and its rate in Hz.
        state: what a family made of it.
        family: which.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with whole_files.new_folder(folder) as new:
        whole_files.write_file(new / _RECORD, _as_json(record))
        whole_files.write_file(new / _REFERENCE, _as_flac(*reference))
        whole_files.write_file(new / _state_file(family), _as_tensors(state, family))
        whole_files.move_folder(new, folder / record.id)


def save_state(folder: Path, id_: str, state: Voice, family: Family) -> None:
    """Keep what a family made of a voice, in place of what it made before.

    Raises:
        OSError: it cannot be written, or the voice has been removed meanwhile.
    """
    whole_files.replace_file(folder / id_ / _state_file(family), _as_tensors(state, family))


def read_record(folder: Path, id_: str) -> Record:
    """All about a voice.

    Raises:
        DamagedError: it cannot be read.
    """
    path = folder / id_ / _RECORD
    try:
        values = json.loads(path.read_bytes())
        return _record(id_, values)
    except OSError as error:
        reason = error.strerror or str(error)
    except (json.JSONDecodeError, UnicodeDecodeError):
        reason = "it is no JSON"
    except KeyError as error:
        reason = f"{error.args[0]} is missing"
    except (ValueError, TypeError) as error:
        reason = str(error)
    raise DamagedError(f"{path} cannot be read ({reason}): put it back from a backup, or remove the voice")


def read_reference(folder: Path, id_: str) -> tuple[Pcm, int]:
    """The recording that a voice was made of [S], and its rate in Hz.

    Raises:
        DamagedError: it cannot be read.
    """
    path = folder / id_ / _REFERENCE
    try:
        pcm, rate = soundfile.read(io.BytesIO(path.read_bytes()), dtype="float32")
    except OSError as error:
        reason = error.strerror or str(error)
    except soundfile.SoundFileError:
        reason = "it is no FLAC file"
    else:
        return pcm, rate
    raise DamagedError(f"{path} cannot be read ({reason}): put it back from a backup, or remove the voice")


def read_state(folder: Path, record: Record, family: Family) -> Voice | None:
    """What a family made of a voice; None: nothing, or nothing that it can still use."""
    path = folder / record.id / _state_file(family)
    try:
        with safe_open(path, framework="np") as file:
            made_by = (file.metadata() or {}).get("version")
            tensors = {name: np.asarray(file.get_tensor(name), np.float32) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError):
        return None  # it is made of the recording again
    return Voice(record.name, record.language, tensors) if made_by == family.version else None


def _record(id_: str, values: Any) -> Record:
    if not isinstance(values, dict):
        raise ValueError("it is no JSON object")
    consent, owner, speaker = values["consent"], values["owner"], values["speaker"]
    if consent not in get_args(Consent):
        raise ValueError(f"consent is {consent!r}")
    seconds = float(values["seconds"])
    if not math.isfinite(seconds):  # JSON has no such number, and a list of voices is sent as JSON
        raise ValueError(f"seconds is {seconds}")
    if not all(one is None or isinstance(one, str) for one in (owner, speaker)):
        raise ValueError("owner and speaker are texts or null")
    return Record(
        id=id_,
        name=_of(values, "name", str),
        language=_of(values, "language", str),
        consent=cast(Consent, consent),
        speaker=speaker,
        owner=owner,
        shared=_of(values, "shared", bool),
        created_at=_of(values, "created_at", int),
        seconds=seconds,
    )


def _of(values: Mapping[str, Any], name: str, kind: type) -> Any:
    value = values[name]
    if not isinstance(value, kind):
        raise ValueError(f"{name} is {value!r}")
    return value


def _as_json(record: Record) -> bytes:
    values = {
        "version": VERSION,
        "name": record.name,
        "language": record.language,
        "consent": record.consent,
        "speaker": record.speaker,
        "owner": record.owner,
        "shared": record.shared,
        "created_at": record.created_at,
        "seconds": round(record.seconds, 2),
    }
    return json.dumps(values, indent=2, ensure_ascii=False).encode() + b"\n"


def _as_flac(pcm: Pcm, rate: int) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, pcm, rate, subtype="PCM_16", format="FLAC")
    return file.getvalue()


def _as_tensors(state: Voice, family: Family) -> bytes:
    tensors = {name: np.ascontiguousarray(value) for name, value in state.state.items()}
    return safetensors.numpy.save(tensors, {"family": family.name, "version": family.version})


def _state_file(family: Family) -> str:
    return re.sub(r"[^\w.-]", "-", family.name) + ".safetensors"
