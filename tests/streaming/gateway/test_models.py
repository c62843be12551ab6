"""Finding what a configuration asks for."""

from pathlib import Path

import huggingface_hub
import pytest

from omni.packaged.files import MissingModelError
from omni.packaged.recogniser import FILES, Recogniser
from streaming.gateway import models


def test_the_packaged_recogniser_needs_no_folder() -> None:
    assert models.whisper_folder("tiny.en") is None


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    assert models.whisper_folder(str(tmp_path)) == tmp_path


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(RuntimeError, match=r"small\.en"):
        models.whisper_folder("enormous")


def test_a_hub_that_cannot_be_reached_is_said_so_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(repository: str, allow_patterns: list[str]) -> str:
        raise ConnectionError(f"no route to {repository} for {allow_patterns}")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(RuntimeError, match=r"cannot be reached.*folder.*tiny\.en"):
        models.whisper_folder("base.en")


def test_a_folder_without_a_recogniser_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingModelError, match=r"model\.bin"):
        Recogniser(folder=tmp_path)


@pytest.mark.models
def test_a_recogniser_is_loaded_from_a_folder(tmp_path: Path) -> None:
    for file in FILES:
        (tmp_path / Path(file.path).name).symlink_to(file.verified())
    assert Recogniser(folder=tmp_path).open().transcribe() == ""
