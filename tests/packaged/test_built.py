"""Building once, and never reading what is stale or damaged."""

from pathlib import Path

import pytest

from omni.packaged.built import CacheError, built


class Builder:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.n_calls = 0

    def __call__(self) -> bytes:
        self.n_calls += 1
        return b"graph " * 1000


def test_what_was_built_is_found_again(tmp_path: Path) -> None:
    build = Builder()
    folder = tmp_path / "made" / "here"
    paths = {built("graph.onnx", ("sum", 1), build, folder) for _ in range(3)}
    assert build.n_calls == 1
    (path,) = paths
    assert path.read_bytes() == b"graph " * 1000
    assert path.suffix == ".onnx"
    assert list(folder.iterdir()) == [path]


def test_other_sources_are_another_file(tmp_path: Path) -> None:
    build = Builder()
    first, second = (built("graph.onnx", ("sum", version), build, tmp_path) for version in (1, 2))
    assert build.n_calls == 2
    assert first != second
    assert first.is_file()


@pytest.mark.parametrize("damaged", [b"", b"graph " * 999, b"graph_" + b"graph " * 999])
def test_a_damaged_file_is_built_again(tmp_path: Path, damaged: bytes) -> None:
    build = Builder()
    path = built("graph.onnx", (), build, tmp_path)
    path.write_bytes(damaged)
    assert built("graph.onnx", (), build, tmp_path).read_bytes() == b"graph " * 1000
    assert build.n_calls == 2
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    with pytest.raises(CacheError, match=r"graph\.onnx.*HOME"):
        built("graph.onnx", (), Builder(), blocked)


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> bytes:
        raise ValueError("no graph can be made of this")

    with pytest.raises(ValueError, match="no graph"):
        built("graph.onnx", (), fail, tmp_path)
    assert not list(tmp_path.iterdir())
