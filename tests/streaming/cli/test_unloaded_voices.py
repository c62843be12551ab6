"""Which voices there are, as far as files tell."""

from pathlib import Path

import pytest

from streaming.cli.unloaded_voices import RECORDINGS, unloaded, untold
from streaming.config import Config


def test_nano_has_its_own(tmp_path: Path) -> None:
    config = Config(data_dir=str(tmp_path))
    assert "heart" in unloaded(config).of(None).voices()
    assert untold(config) is None


def test_a_folder_has_its_recordings(tmp_path: Path) -> None:
    config = Config(model=str(tmp_path), data_dir=str(tmp_path / "data"))
    assert unloaded(config).of(None).voices() == ()
    (tmp_path / RECORDINGS).mkdir(parents=True)
    for name in ("b.wav", "a.wav", "note.txt"):
        (tmp_path / RECORDINGS / name).touch()
    assert unloaded(config).of(None).voices() == ("a", "b")
    assert untold(config) is None


def test_what_lies_on_the_hub_is_not_told(tmp_path: Path) -> None:
    config = Config(model="omni/large", data_dir=str(tmp_path))
    assert unloaded(config).of(None).voices() == ()
    assert "omni/large" in (untold(config) or "")


def test_checkpoints_have_them_in_that_folder() -> None:
    pytest.importorskip("torch")
    from omni.checkpoint import VOICES

    assert RECORDINGS == VOICES
