"""Runs the page's own tests with node's test runner."""

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed: the page's modules are not tested")
@pytest.mark.parametrize("file", sorted(HERE.rglob("*.test.js")), ids=lambda path: path.name)
def test_web(file: Path) -> None:
    run = subprocess.run(["node", "--test", str(file)], capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
