"""What tests of conversations share."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes import Client, Stage
from tests.grammar import check_events


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
