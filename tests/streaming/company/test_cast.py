"""The included characters keep to what their readers expect: the page, the model, the registry."""

import re
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest

from omni.packaged.speaking.voices import BUILT_IN
from omni.text.manner import AS_IT_IS, manner_of
from streaming.company.characters import INCLUDED, Characters, Entry

ENTRIES = list(Characters(Path("/nowhere")).everything())


def test_there_are_some_and_nothing_else_lies_beside_them() -> None:
    ids = {entry.character.id for entry in ENTRIES}
    assert len(ids) >= 6
    assert {path.stem for path in INCLUDED.iterdir()} == ids


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.character.id)
def test_each_says_who_it_is_how_it_talks_and_greets(entry: Entry) -> None:
    character = entry.character
    assert entry.built_in
    persona, *lines = character.who.split("\n")
    assert any(persona.startswith(f"You are {name}") for name in (character.name, *character.name.split()))
    assert len(persona.split()) <= 60
    asked, told = lines[::2], lines[1::2]
    assert 6 <= len(asked) == len(told) <= 24
    assert all(line.startswith("User: ") for line in asked)
    # what is asked of everybody, and what the small model would answer as the small model that it is
    common = ("Hello!", "Who are you?", "How are you?", "Tell me a story.", "Are you a computer?", "Goodbye!")
    assert {f"User: {question}" for question in common} <= set(asked)
    assert len(set(told)) == len(told)
    # anything but plain speech would be read out
    assert all(re.fullmatch(r"You: [A-Za-z ,.:!?']+", line) and len(line.split()) <= 26 for line in told)
    assert 1 <= len(re.findall(r"[.!?](?= |$)", character.greeting)) <= 4
    assert character.voice in {voice.name for voice in BUILT_IN}
    assert character.language == "en"
    assert manner_of(character.style) != AS_IT_IS, "nano would not heed it"


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.character.id)
def test_a_portrait_is_a_plain_drawing_with_a_description(entry: Entry) -> None:
    assert entry.image is not None
    text = entry.image.read_text()
    root = ElementTree.fromstring(text)
    assert root.attrib["viewBox"] == "0 0 256 256"
    assert len(root.attrib["aria-label"]) > 20
    assert not re.search(r"<script|href|style=|\bon\w+=|<image|<foreign", text)


def test_they_are_packed_with_the_program() -> None:
    project = tomllib.loads((INCLUDED.parents[2] / "pyproject.toml").read_text())
    assert "cast/*" in project["tool"]["setuptools"]["package-data"]["streaming.company"]
