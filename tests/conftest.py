"""What tests of conversations share."""

import os

# As the command line does, before anything loads a library that spins where it could sleep: two cores have no time.
os.environ.setdefault("GOMP_SPINCOUNT", "0")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.fakes import Client, Stage
from tests.grammar import check_events

# how long an example takes says more of what else the machine does than of the code
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `-n 2`: files in turn to whoever is free, but all with a browser to one process, which has one browser."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return "browser" if nodeid.startswith("tests/browser/") else str(super()._split_scope(nodeid))

    config.option.loadscopereorder = False  # what takes longest has few tests, and begins early as it is
    return Scheduling(config, log)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete small checkpoint of random weights. Only to be read."""
    from streaming.tiny.checkpoint import write_tiny

    folder = tmp_path_factory.mktemp("tiny") / "checkpoint"
    write_tiny(folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def data_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What whoever runs the tests has made, their voices for one, is neither read nor changed."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streaming.config.DATA_DIR", str(folder))
        patch.setenv("XDG_DATA_HOME", str(folder))  # of programs that tests start
        yield


@pytest.fixture
def traces_keep_the_grammar(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test here plays, the wire tells it in the order that clients rely on."""
    clients: list[Client] = []
    join = Stage.join

    async def noting_join(self: Stage, *args: Any, **kwargs: Any) -> Client:
        clients.append(await join(self, *args, **kwargs))
        return clients[-1]

    monkeypatch.setattr(Stage, "join", noting_join)
    yield
    for client in clients:
        check_events(client.events)
