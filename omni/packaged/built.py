"""What is made of model files once on a machine and kept: graphs, and results that every start would compute again."""

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from omni.packaged.files import checksum

_DIGITS = 16
"""of a checksum in a file's name"""


class CacheError(RuntimeError):
    """What was built cannot be kept. The message says where and why."""


def built(name: str, sources: tuple[object, ...], build: Callable[[], bytes], folder: Path | None = None) -> Path:
    """Where a kept file lies; it is built first if it is not there, or is damaged.

    Its name carries what it was made of and the checksum of its content: a stale one is never found, and one that
    the disk has damaged is not used.

    Args:
        name: with its suffix, such as "whisper-encoder.onnx".
        sources: all that the content depends on: checksums, sizes, the builder's version.
        build: makes the content.
        folder: None: .cache/omni-live in the user's home.

    Raises:
        CacheError: the folder cannot be written.
    """
    folder = folder or Path.home() / ".cache" / "omni-live"
    stem = f"{Path(name).stem}-{hashlib.sha256(repr(sources).encode()).hexdigest()[:_DIGITS]}"
    suffix = Path(name).suffix
    try:
        for path in folder.glob(f"{stem}-*{suffix}"):
            if path.stem.endswith(f"-{checksum(path)[:_DIGITS]}"):
                return path
            path.unlink(missing_ok=True)
        content = build()
        path = folder / f"{stem}-{hashlib.sha256(content).hexdigest()[:_DIGITS]}{suffix}"
        _write(path, content)
    except OSError as error:
        raise CacheError(
            f"{name} cannot be built and kept in {folder}: {error}; "
            "make room there, or start with HOME set to a folder that can be written"
        ) from error
    return path


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # two processes may start together, or one may be killed: the name appears only with the whole file
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(content)
            file.flush()
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
