"""Environments for clients: made once from the package registries, outside of the repository, one for each version."""

import re
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

Runtime = Literal["python", "node", "browser"]
"""what runs a client: a Python of its own, node, or Chromium driven from here"""


class Environments:
    """A folder of environments; one that is there already is used again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def prepare(self, packages: Sequence[str], runtime: Runtime) -> list[str]:
        """What runs a program with these packages: the beginning of a command.

        Raises:
            subprocess.CalledProcessError: a package cannot be had.
        """
        place = self._folder / re.sub(r"[^a-z0-9.]+", "-", packages[0]).strip("-")
        done = place / "installed"
        if not done.is_file():
            (_install_python if runtime == "python" else _install_node)(place, packages)
            done.touch()
        if runtime == "python":
            return [str(place / "bin" / "python")]
        return ["env", f"MODULES={place / 'node_modules'}", "node" if runtime == "node" else sys.executable]


def _install_python(place: Path, packages: Sequence[str]) -> None:
    venv.create(place, with_pip=True, clear=True)
    subprocess.run([place / "bin" / "python", "-m", "pip", "install", "--quiet", *packages], check=True)


def _install_node(place: Path, packages: Sequence[str]) -> None:
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["npm", "install", "--silent", "--no-save", "--prefix", place, *packages], check=True)
