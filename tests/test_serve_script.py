"""scripts/serve: what it installs for which model, and where it runs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SETUP = 'cd "$(dirname "${BASH_SOURCE[0]}")/.."\necho "installed $1"\n'
OMNI = f"""#!/usr/bin/env bash
case "$*" in
    *--print-config*) PYTHONPATH="{ROOT}" exec "{sys.executable}" -m streaming "$@" ;;
    *) echo "ran $* in $PWD" ;;
esac
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A copy in a tree where installing and serving only say so."""
    scripts, programs = tmp_path / "project" / "scripts", tmp_path / "project" / ".venv" / "bin"
    scripts.mkdir(parents=True)
    programs.mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "serve", scripts)
    (scripts / "setup").write_text(SETUP)
    (programs / "omni").write_text(OMNI)
    (programs / "omni").chmod(0o755)
    return scripts / "serve"


def run(script: Path, *words: str, **environment: str) -> list[str]:
    """What it says, run from a folder beside the project that has a folder "tiny"."""
    folder = script.parents[2]
    (folder / "tiny").mkdir(exist_ok=True)
    said = subprocess.run(
        [script, *words], cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return said.stdout.splitlines()


@pytest.mark.parametrize("words", [(), ("--port", "9"), ("--model", "nano"), ("--model", "nanno"), ("--prot", "9")])
def test_the_default_installs_no_torch(script: Path, words: tuple[str, ...]) -> None:
    """Nor does a request that cannot be served."""
    said = run(script, *words)
    assert said == ["installed nano", f"ran {' '.join(('serve', *words))} in {script.parents[2]}"]


def test_a_checkpoint_installs_what_it_needs_wherever_it_is_named(script: Path) -> None:
    (script.parents[2] / "omni.toml").write_text('model = "tiny"\n')
    asked = [
        run(script, "--model", "tiny"),
        run(script, "--model=openbmb/MiniCPM-o-2_6", "--offline"),
        run(script, "--config", "omni.toml"),
        run(script, OMNI_MODEL="./tiny"),
    ]
    assert [said[:2] for said in asked] == [["installed nano", "installed nano,minicpm-o"]] * 4
