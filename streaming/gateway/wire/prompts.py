"""Who the assistant is to be: what a client names itself, and the character that it chooses by "prompt"."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from omni.model import Capabilities
from streaming.company.catalogue import Catalogue, Character
from streaming.events import Settings
from streaming.gateway.wire.fields import MAX_TEXT_BYTES, Fields, WireError

MAX_VARIABLE = 512
"""characters of what stands in one blank"""
MAX_GREETING = 2_000
"""characters of a greeting with its blanks filled: two minutes of speech"""
_ROLE_PLAY = "audio_roleplay"
"""the mode for a character, where a model has it and the client named none"""
_BLANK = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Own:
    """What the client named itself; it takes precedence over what a character brings."""

    instructions: str = ""
    voice: str | None = None
    mode: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A character that was chosen."""

    id: str
    version: str | None
    variables: Mapping[str, str]
    """by name, what stands in the blanks {{name}} of the character"""
    character: Character = field(compare=False)
    """as it was when it was chosen, its blanks filled"""

    def render(self) -> dict[str, Any]:
        """As JSON, as it was asked for."""
        return {"id": self.id, "version": self.version, "variables": dict(self.variables) or None}


def read_prompt(fields: Fields, catalogue: Catalogue, before: Prompt | None) -> Prompt:
    """The object of a field "prompt".

    Args:
        before: the one in force; it stays although its character was removed.

    Raises:
        WireError: there is no such character, or its blanks and the variables do not fit each other.
    """
    fields.only(("id", "version", "variables"))
    fields.require("id")
    named = fields.identifier("id") or ""
    variables = _variables(fields)
    character = catalogue.character(named)
    if character is None:
        if before is not None and (before.id, before.variables) == (named, variables):
            return before
        raise WireError(
            "prompt_not_found",
            f"There is no character '{named[:80]}'. GET /v1/characters lists those that you may choose.",
            fields.path("id"),
        )
    filled = _filled(character, variables, fields)
    if len(orjson.dumps(filled.instructions)) > MAX_TEXT_BYTES or len(filled.greeting) > MAX_GREETING:
        raise WireError(
            "string_above_max_length", "With these variables the character is too long.", fields.path("variables")
        )
    return Prompt(named, fields.text("version"), variables, filled)


def _variables(fields: Fields) -> dict[str, str]:
    given = fields.object("variables") or Fields({})
    variables = {name: given.text(name) or "" for name in given.names()}
    for name, text in variables.items():
        if len(text) > MAX_VARIABLE:
            path = given.path(name)
            raise WireError("string_above_max_length", f"{path} may have {MAX_VARIABLE} characters.", path)
    return variables


def _filled(character: Character, variables: Mapping[str, str], fields: Fields) -> Character:
    """The character with its blanks filled: every blank needs its variable, and every variable a blank."""
    texts = (character.who, character.greeting, character.style)
    blanks = dict.fromkeys(_BLANK.findall("\n".join(texts)))
    listed = ", ".join(blanks) or "none"
    path = fields.path("variables")
    for name in variables.keys() - blanks.keys():
        advice = f"The character '{character.id}' has no variable '{name[:80]}'. It has: {listed}."
        raise WireError("unknown_parameter", advice, f"{path}.{name[:80]}")
    for name in blanks:
        if name not in variables:
            advice = f"The character '{character.id}' needs the variable '{name}'. It has: {listed}."
            raise WireError("missing_required_parameter", advice, f"{path}.{name}")
    who, greeting, style = (_BLANK.sub(lambda blank: variables[blank[1]], text) for text in texts)
    return replace(character, who=who, greeting=greeting, style=style)


def acting(settings: Settings, own: Own, prompt: Prompt | None, can: Capabilities, catalogue: Catalogue) -> Settings:
    """The settings with what a character brings, in what the client named nothing of its own.

    A voice or a language of the character that is not there is the model's default.
    """
    if prompt is None:
        return replace(
            settings,
            instructions=own.instructions,
            voice=own.voice,
            mode=own.mode,
            language=own.language,
            greeting=None,
        )
    character, voice = prompt.character, prompt.character.voice
    there = voice is not None and (voice == settings.voice or catalogue.voice(voice) is not None)
    return replace(
        settings,
        instructions=own.instructions or character.instructions,
        voice=own.voice or (voice if there else None),
        mode=own.mode or (_ROLE_PLAY if _ROLE_PLAY in can.modes else None),
        language=own.language or (character.language if character.language in can.languages else None),
        greeting=character.greeting or None,
    )
