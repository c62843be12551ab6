"""Files that the server makes once and keeps: readable by nobody else, and whole or not there."""

import os
import secrets
import tempfile
from pathlib import Path

KEY_FILE = "access-key"


class KeepError(RuntimeError):
    """A file cannot be kept. The message says what to do."""


def keep(path: Path, content: bytes) -> None:
    """Write a file, for its owner only (mode 600); an older one gives way in one step.

    Raises:
        KeepError: that is not possible there.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # made with mode 600, so that there is no moment in which others could read it
        number, name = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(content)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise KeepError(f"cannot keep {path}: {error.strerror}; name another folder with --data-dir") from error


def read_kept(path: Path) -> bytes | None:
    """What was kept; None if nothing was. Rights that have grown too wide are made narrow again.

    Raises:
        KeepError: it is there and cannot be read.
    """
    try:
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeepError(f"cannot read {path}: {error.strerror}; name another folder with --data-dir") from error


def kept_key(folder: Path) -> str:
    """The access key that was made for this server: always the same, so that a phone that knows it need not ask again.

    Raises:
        KeepError: it cannot be kept.
    """
    path = folder / KEY_FILE
    key = (read_kept(path) or b"").decode(errors="replace").strip()
    if not key.isascii() or len(key) < 16:
        key = secrets.token_urlsafe(16)
        keep(path, f"{key}\n".encode())
    return key
