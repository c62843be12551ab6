"""Voices as files: whole or not there, and damage that costs one voice."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omni.types import Voice
from streaming import whole_files
from streaming.company import voice_files as files
from streaming.company.voice_files import DamagedError, Family, Record
from tests.recordings import RATE, hum

FAMILY = Family("scripted", "1")


def record(**changes: Any) -> Record:
    made = Record(files.new_id(), "Ann Lee", "en", "given", "Ann", "account", False, 1_700_000_000, 4.0)
    return replace(made, **changes)


def state(record: Record) -> Voice:
    numbers = np.arange(6, dtype=np.float32).reshape(2, 3)
    return Voice(record.name, record.language, {"shape": numbers, "turned": numbers.T})


def save(folder: Path, **changes: Any) -> Record:
    made = record(**changes)
    files.save(folder, made, (hum(4.0), RATE), state(made), FAMILY)
    return made


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there" / "yet"
    assert files.ids(folder) == []
    made = save(folder, name="Zoë 声", speaker=None, owner=None, shared=True)
    assert files.ids(folder) == [made.id]
    assert files.read_record(folder, made.id) == made
    pcm, rate = files.read_reference(folder, made.id)
    assert rate == RATE
    assert np.abs(pcm - hum(4.0)).max() < 2e-4
    voice = files.read_state(folder, made, FAMILY)
    assert voice is not None
    assert (voice.name, voice.language) == ("Zoë 声", "en")
    assert {name: value.tolist() for name, value in voice.state.items()} == {
        name: value.tolist() for name, value in state(made).state.items()
    }
    assert sorted(path.name for path in (folder / made.id).iterdir()) == [
        "reference.flac",
        "scripted.safetensors",
        "voice.json",
    ]
    # a voice is a person's: nobody else on the machine may read it
    assert not folder.stat().st_mode & 0o077
    assert not (folder / made.id).stat().st_mode & 0o077


def test_another_family_and_another_version_have_nothing(tmp_path: Path) -> None:
    made = save(tmp_path)
    assert files.read_state(tmp_path, made, Family("scripted", "2")) is None
    other = Family("other/family", "1")
    assert files.read_state(tmp_path, made, other) is None
    before = files.stamp(tmp_path, made.id, other)
    files.save_state(tmp_path, made.id, state(made), other)
    assert files.stamp(tmp_path, made.id, other) != before
    assert files.read_state(tmp_path, made, other) is not None
    assert files.read_state(tmp_path, made, FAMILY) is not None


def test_fields_of_a_later_version_do_no_harm(tmp_path: Path) -> None:
    made = save(tmp_path)
    path = tmp_path / made.id / "voice.json"
    written = json.loads(path.read_text())
    assert written["version"] == files.VERSION
    path.write_text(json.dumps({**written, "version": 9, "mood": "glad"}))
    assert files.read_record(tmp_path, made.id) == made


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"version": 1, "name": "half"}',
        '{"name": 3, "language": "en", "consent": "self", "speaker": null, "owner": null, "shared": true, '
        '"created_at": 1, "seconds": 1}',
        '{"name": "a", "language": "en", "consent": "stolen", "speaker": null, "owner": null, "shared": true, '
        '"created_at": 1, "seconds": 1}',
        '{"name": "a", "language": "en", "consent": "self", "speaker": null, "owner": null, "shared": true, '
        '"created_at": 1, "seconds": NaN}',
        "\udcff",
    ],
)
def test_a_damaged_record_is_named_with_what_to_do(tmp_path: Path, content: str) -> None:
    made = save(tmp_path)
    path = tmp_path / made.id / "voice.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(DamagedError, match="backup, or remove") as damaged:
        files.read_record(tmp_path, made.id)
    assert str(path) in str(damaged.value)


def test_a_damaged_recording_is_named_and_a_damaged_state_is_none(tmp_path: Path) -> None:
    made = save(tmp_path)
    folder = tmp_path / made.id
    flac = (folder / "reference.flac").read_bytes()
    tensors = (folder / "scripted.safetensors").read_bytes()
    for damaged in (b"", flac[:100], b"no sound"):
        (folder / "reference.flac").write_bytes(damaged)
        with pytest.raises(DamagedError, match=r"reference\.flac"):
            files.read_reference(tmp_path, made.id)
    (folder / "reference.flac").unlink()
    with pytest.raises(DamagedError, match="No such file"):
        files.read_reference(tmp_path, made.id)
    for damaged in (b"", tensors[:-5], tensors[:9], bytes(200)):
        (folder / "scripted.safetensors").write_bytes(damaged)
        assert files.read_state(tmp_path, made, FAMILY) is None


def test_what_could_not_be_written_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save(tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    made = save(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.save_state(tmp_path, made.id, state(made), Family("other", "1"))
    assert len(list((tmp_path / made.id).iterdir())) == 3
    assert files.read_state(tmp_path, made, FAMILY) is not None


def test_a_voice_is_removed_whole_and_a_state_that_comes_too_late_is_nowhere(tmp_path: Path) -> None:
    made, other = save(tmp_path), save(tmp_path)
    whole_files.remove_folder(tmp_path / made.id)
    assert [path.name for path in tmp_path.iterdir()] == [other.id]
    with pytest.raises(FileNotFoundError):
        files.save_state(tmp_path, made.id, state(made), FAMILY)
    assert [path.name for path in tmp_path.iterdir()] == [other.id]
