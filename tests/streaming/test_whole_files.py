"""Files that are there whole or not at all."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from streaming import whole_files as files


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What has reached the disk, in order."""
    names: list[str] = []

    def note(number: int) -> None:
        names.append(Path(f"/proc/self/fd/{number}").readlink().name)

    monkeypatch.setattr(os, "fsync", note)
    return names


def test_a_new_folder_gets_its_name_when_all_of_it_is_on_the_disk(tmp_path: Path, settled: list[str]) -> None:
    with files.new_folder(tmp_path) as new:
        assert not new.stat().st_mode & 0o077
        files.write_file(new / "a", b"one")
        assert settled == ["a"]
        files.move_folder(new, tmp_path / "ada")
    assert settled == ["a", new.name, tmp_path.name]
    assert [path.name for path in tmp_path.iterdir()] == ["ada"]
    assert (tmp_path / "ada" / "a").read_bytes() == b"one"


def test_a_file_is_replaced_when_all_of_it_is_on_the_disk(tmp_path: Path, settled: list[str]) -> None:
    path = tmp_path / "a"
    for data in (b"one", b"two"):
        files.replace_file(path, data)
        assert path.read_bytes() == data
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert settled[1::2] == [tmp_path.name] * 2


def _fill(folder: Path) -> None:
    with files.new_folder(folder) as new:
        files.write_file(new / "a", b"one")


def _replace(folder: Path) -> None:
    files.replace_file(folder / "a", b"two")


@pytest.mark.parametrize("write", [_fill, _replace])
def test_what_does_not_reach_the_disk_leaves_what_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None]
) -> None:
    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "a").write_bytes(b"before")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"before"


def test_nothing_is_written_over(tmp_path: Path) -> None:
    files.replace_file(tmp_path / "a", b"one")
    with pytest.raises(FileExistsError):
        files.write_file(tmp_path / "a", b"two")


def test_a_folder_is_removed_with_all_that_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "ada" / "deep").mkdir(parents=True)
    files.remove_folder(tmp_path / "ada")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        files.remove_folder(tmp_path / "ada")


def test_what_a_program_left_half_done_is_swept_once_it_is_old(tmp_path: Path) -> None:
    files.sweep(tmp_path / "nowhere")
    for name in (".new-1", ".gone-2", ".new-3", ".keep", "ada"):
        (tmp_path / name).mkdir()
        old_s = time.time() - (60 if name == ".new-3" else 2 * 3600)
        os.utime(tmp_path / name, (old_s, old_s))
    (tmp_path / "holiday.txt").write_text("not ours")
    files.sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".keep", ".new-3", "ada", "holiday.txt"]


def test_what_is_in_the_way_of_a_folder_is_named_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert files.obstacle(tmp_path / "a" / "b") is None
    assert files.obstacle(tmp_path / "file" / "a") == f"{tmp_path}/file is no folder"
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode == os.F_OK and access(path, mode))
    assert files.obstacle(tmp_path / "a" / "b") == f"nothing may be written in {tmp_path}"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
