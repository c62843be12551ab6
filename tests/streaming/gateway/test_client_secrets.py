"""Secrets: good for a time, bounded in number, and not kept as they are."""

import pytest

from streaming.gateway import client_secrets
from streaming.gateway.client_secrets import ClientSecrets, TooManySecretsError
from streaming.tdm.clock import ManualClock


async def test_a_secret_is_good_until_its_time_is_over() -> None:
    clock = ManualClock()
    secrets = ClientSecrets(clock)
    value = secrets.make({"instructions": "Be brief."}, 10)
    assert value.startswith("ek_")
    await clock.advance(9.9)
    found = secrets.find(value)
    assert found is not None
    assert found.session == {"instructions": "Be brief."}
    await clock.advance(0.1)
    assert secrets.find(value) is None


def test_no_two_are_the_same_and_others_open_nothing() -> None:
    secrets = ClientSecrets(ManualClock())
    values = {secrets.make({}, 10) for _ in range(100)}
    assert len(values) == 100
    assert all(secrets.find(value) for value in values)
    assert not any(secrets.find(other) for other in ("", "ek_", "ek_x", next(iter(values))[:-1], "\udcff"))


def test_what_is_remembered_is_not_the_secret() -> None:
    secrets = ClientSecrets(ManualClock())
    value = secrets.make({}, 10)
    assert value not in repr(vars(secrets))


async def test_there_are_only_so_many_until_some_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_secrets, "MOST", 3)
    clock = ManualClock()
    secrets = ClientSecrets(clock)
    for _ in range(3):
        secrets.make({}, 10)
    with pytest.raises(TooManySecretsError):
        secrets.make({}, 10)
    await clock.advance(10)
    secrets.make({}, 10)


def test_what_is_baked_in_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_secrets, "MOST_BYTES", 100)
    secrets = ClientSecrets(ManualClock())
    secrets.make({"instructions": "x" * 50}, 10)
    with pytest.raises(TooManySecretsError):
        secrets.make({"instructions": "x" * 50}, 10)
