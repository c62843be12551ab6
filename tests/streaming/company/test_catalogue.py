"""What a call may choose from, where nobody has added anything."""

from omni.model import Capabilities
from omni.types import Voice
from streaming.company.catalogue import BuiltIn, Character


def test_a_models_own_voices_are_there_by_name_the_default_first() -> None:
    ava, joe = Voice("ava"), Voice("joe")
    catalogue = BuiltIn(Capabilities("some", (ava, joe), sees=True, transcribes=True))
    assert catalogue.voices() == ("ava", "joe")
    assert catalogue.voice("joe") is joe
    assert catalogue.voice("nobody") is None
    assert catalogue.unready("nobody") is None
    assert catalogue.character("anybody") is None


def test_a_character_is_told_who_they_are_and_how_they_speak() -> None:
    assert Character("sid", "Sid", "You are Sid.", style="slowly").instructions == "You are Sid.\nslowly"
    assert Character("sid", "Sid", "You are Sid.").instructions == "You are Sid."
