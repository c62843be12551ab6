"""What the server keeps is its own: nobody else's to read, and never half written."""

import stat
from pathlib import Path

import pytest

from streaming.gateway.kept import KEY_FILE, KeepError, keep, kept_key, read_kept


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_for_its_owner_only_and_so_is_a_new_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    keep(path, b"one")
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    keep(path, b"two")
    assert read_kept(path) == b"two"
    assert [one.name for one in path.parent.iterdir()] == ["file"]


def test_rights_that_grew_too_wide_are_narrowed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    keep(path, b"one")
    path.chmod(0o644)
    assert read_kept(path) == b"one"
    assert mode(path) == 0o600


def test_where_nothing_can_be_kept_it_is_said_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(KeepError, match="--data-dir"):
        keep(tmp_path / "file" / "key", b"")
    with pytest.raises(KeepError, match="--data-dir"):
        read_kept(tmp_path)


def test_the_key_stays_the_same_and_a_spoilt_one_is_made_anew(tmp_path: Path) -> None:
    key = kept_key(tmp_path)
    assert kept_key(tmp_path) == key
    assert kept_key(tmp_path / "elsewhere") != key
    for spoilt in (b"", b"short\n", b"\xff" * 40):
        (tmp_path / KEY_FILE).write_bytes(spoilt)
        assert len(kept_key(tmp_path)) >= 20
