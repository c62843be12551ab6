"""Every family is an OmniModel: mypy checks the first half of this file, the rest is checked here."""

import inspect

import pytest

from omni.families.nano.family import Nano
from omni.families.nano.state import State
from omni.model import OmniModel
from tests.fakes_nano import FakeChat, FakeParts, parrot


def nano() -> OmniModel[State]:
    return FakeParts(FakeChat(parrot)).nano()


METHODS = ("prepare_voice", "open", "listen", "begin", "step", "mark", "rewind", "truncate", "close")


@pytest.mark.parametrize("method", METHODS)
def test_its_methods_are_called_alike(method: str) -> None:
    asked = inspect.signature(getattr(OmniModel, method)).parameters
    given = inspect.signature(getattr(Nano, method)).parameters
    assert list(given) == list(asked)


def test_it_says_what_it_can() -> None:
    model = nano()
    assert model.capabilities.voices
    assert model.capabilities.name
    assert model.timing.unit_samples > 0
