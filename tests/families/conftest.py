import pytest

from tests.fakes_nano import FakeChat, FakeParts, parrot


@pytest.fixture
def parts() -> FakeParts:
    return FakeParts(FakeChat(parrot))
