"""The README keeps its word: its tree is the tree, its pictures and documents are there, its options exist."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def tree() -> list[str]:
    """Paths that the README's tree names; a folder of which no file is named stands for all that is in it."""
    block = next(block for block in README.split("```") if "timing.py" in block)
    paths, folders = [], [""]
    for line in block.strip().splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        folders[depth + 1 :] = [folders[depth] + name]
        paths.append(folders[depth] + name)
    return [
        path
        for path in paths
        if not path.endswith("/") or not any(other.startswith(path) and other != path for other in paths)
    ]


def test_the_tree_names_every_file_with_a_phrase() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "omni", "streaming", "web"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    named = tree()
    data = tuple(name for name in named if name.endswith("/"))
    files = {name for name in listed.stdout.split() if not name.endswith("__init__.py") and not name.startswith(data)}
    assert sorted(set(named) - set(data)) == sorted(files)


def test_everything_linked_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert "://" in target or (ROOT / target).is_file(), target


@pytest.mark.parametrize("flag", sorted(set(re.findall(r"--[a-z][a-z-]+", README)) - {"--help", "--strict"}))
def test_every_flag_exists(flag: str) -> None:
    assert flag in "".join(help_of(command) for command in ("serve", "play", "chat", "doctor", "voices add"))


@cache
def help_of(command: str) -> str:
    """What the command line says of itself."""
    words = [sys.executable, "-m", "streaming", *command.split(), "--help"]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
