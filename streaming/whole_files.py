"""Files and folders that are there whole or not at all, whoever looks meanwhile, and also after the power failed.

What is written is written beside its place, under a hidden name, and moved there. All of it blocks.
"""

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NEW, _GONE = ".new-", ".gone-"
_ABANDONED_S = 3600.0
"""age of what was begun and never finished, by a program that was ended meanwhile"""


@contextmanager
def new_folder(parent: Path) -> Iterator[Path]:
    """A folder to write into and to move to its place, for its owner only; gone if that does not happen.

    Raises:
        OSError: it cannot be made there.
    """
    new = _beside(parent, _NEW)
    new.mkdir(mode=0o700)
    try:
        yield new
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def move_folder(new: Path, place: Path) -> None:
    """Give a new folder its name.

    Raises:
        OSError: the name is taken, or it cannot be done.
    """
    _settle(new)
    new.rename(place)
    _settle(place.parent)


def remove_folder(path: Path) -> None:
    """Remove a folder with all that is in it.

    Raises:
        FileNotFoundError: it is not there.
        OSError: it cannot be removed.
    """
    gone = _beside(path.parent, _GONE)
    path.rename(gone)
    _settle(path.parent)
    shutil.rmtree(gone)


def write_file(path: Path, data: bytes) -> None:
    """Write a file into a folder that is new itself.

    Raises:
        OSError: it cannot be written.
    """
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, data: bytes) -> None:
    """Write a file, in place of the one of before if there was one.

    Raises:
        OSError: it cannot be written.
    """
    new = _beside(path.parent, _NEW)
    try:
        write_file(new, data)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    _settle(path.parent)


def obstacle(folder: Path) -> str | None:
    """Why nothing can be kept in a folder, which need not be there yet; None: nothing is in the way. Writes nothing."""
    # access() tells of a place that may not be looked into, where exists() raises
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if os.access(place, os.F_OK))
    if not there.is_dir():
        return f"{there} is no folder"
    return None if os.access(there, os.W_OK | os.X_OK) else f"nothing may be written in {there}"


def sweep(folder: Path) -> None:
    """Remove the folders that a program left half done when it was ended."""
    if not os.access(folder, os.R_OK | os.X_OK):
        return
    for path in [*folder.glob(f"{_NEW}*"), *folder.glob(f"{_GONE}*")]:
        try:
            old = time.time() - path.stat().st_mtime > _ABANDONED_S
        except OSError:
            continue  # another program was at it just now
        if old:
            shutil.rmtree(path, ignore_errors=True)


def _beside(parent: Path, kind: str) -> Path:
    return parent / f"{kind}{secrets.token_hex(8)}"


def _settle(folder: Path) -> None:
    """Let the names in a folder reach the disk, as its files have."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
