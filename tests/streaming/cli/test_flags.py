"""What commands take, and that it is what the modules know which do the work: they are not loaded to ask them."""

import argparse
from collections.abc import Callable
from typing import Any, get_args

import pytest

from omni.types import FASTEST, SLOWEST
from streaming.cli.flags import add_character_flags, add_say_flags, add_voice_flags
from streaming.company.voice_files import Consent
from streaming.sound_formats import FORMATS

Add = Callable[[argparse.ArgumentParser], object]


def parsed(add: Add, *words: str) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    add(parser)
    return vars(parser.parse_args(words))


def test_every_format_of_sound_may_be_named() -> None:
    for kind in FORMATS:
        assert parsed(add_say_flags, "Hello", "--out", "-", "--format", kind)["format"] == kind
    with pytest.raises(SystemExit):
        parsed(add_say_flags, "Hello", "--out", "-", "--format", "midi")


def test_the_pace_is_told_as_it_is() -> None:
    parser = argparse.ArgumentParser()
    add_say_flags(parser)
    assert f"{SLOWEST} to {FASTEST}" in parser.format_help()


def test_a_voice_is_added_with_every_consent_and_not_without() -> None:
    given = ("add", "Ann", "ann.wav")
    for consent in get_args(Consent):
        assert parsed(add_voice_flags, *given, "--consent", consent)["consent"] == consent
    for wrong in (given, (*given, "--consent", "maybe")):
        with pytest.raises(SystemExit):
            parsed(add_voice_flags, *wrong)


def test_the_language_of_a_voice_is_not_that_of_the_model() -> None:
    found = parsed(add_voice_flags, "add", "Ann", "ann.wav", "--consent", "self", "--language", "de")
    assert found["voice_language"] == "de"
    assert found.get("language") is None


def test_a_preview_has_all_that_say_is_given() -> None:
    missing = (
        parsed(add_say_flags, "Hello", "--out", "x.wav").keys()
        - parsed(add_voice_flags, "preview", "Ann", "--out", "x.wav").keys()
    )
    assert not missing


@pytest.mark.parametrize(
    "words",
    [("list",), ("show", "ada"), ("add", "ada.toml"), ("edit", "ada", "--set", "name=Ada"), ("remove", "ada")],
)
def test_what_can_be_done_with_characters(words: tuple[str, ...]) -> None:
    found = parsed(add_character_flags, *words, "--data-dir", "here")
    assert found["action"] == words[0]
    assert found["data_dir"] == "here"


@pytest.mark.parametrize("add", [add_character_flags, add_voice_flags])
def test_nothing_is_done_without_saying_what(add: Add) -> None:
    for wrong in ((), ("rename",), ("lis",)):
        with pytest.raises(SystemExit):
            parsed(add, *wrong)
