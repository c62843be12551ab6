"""Where the golden files lie: OMNI_GOLDEN, or the copy in the repository."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.parity.golden import Golden


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Golden]:
    """Reads a file of the golden folder by its name."""
    folder = Path(os.environ.get("OMNI_GOLDEN", str(Path(__file__).parents[1] / "golden")))
    return lambda name: Golden.read(folder, name)
