"""Where the golden files lie: OMNI_GOLDEN, or the copy in the repository; and one thread for small networks."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tests.parity.golden import Golden


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Golden]:
    """Reads a file of the golden folder by its name."""
    folder = Path(os.environ.get("OMNI_GOLDEN", str(Path(__file__).parents[1] / "golden")))

    def read(name: str) -> Golden:
        if not (folder / f"{name}.json").is_file():
            pytest.fail(f"{folder} holds no golden file {name}.json; OMNI_GOLDEN names its folder", pytrace=False)
        return Golden.read(folder, name)

    return read


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """On networks this small threads only wait for one another, for most of the time where a core is busy."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)
