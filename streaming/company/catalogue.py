"""What a call may choose from, found by name: voices and characters."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Protocol

from omni.model import Capabilities
from omni.types import Voice

OPENAI_VOICES = (
    *("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar"),
    *("fable", "onyx", "nova"),  # for speech alone
)
"""Clients written for OpenAI ask for these by name, often by themselves; they get one of ours, always the same."""

LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
"""what is written like the code of a language: en, pt-BR, zh-Hant-TW"""


def same_name(name: str, other: str) -> bool:
    """Whether people take these for one name, of a voice or a character."""
    return unicodedata.normalize("NFC", name).casefold() == unicodedata.normalize("NFC", other).casefold()


@dataclass(frozen=True, slots=True)
class Character:
    """Somebody for the assistant to be."""

    id: str
    """small letters, digits and hyphens; what a session names"""
    name: str
    who: str
    """who they are, told to the model in the second person: "You are ..." """
    greeting: str = ""
    """what they say first; "": they wait to be spoken to"""
    voice: str | None = None
    """by name; None, or a voice that is not there: the default"""
    language: str = "en"
    style: str = ""
    """how they speak, in words: "slowly, in a low voice" """

    @property
    def instructions(self) -> str:
        """All that the model is told of them."""
        return f"{self.who}\n{self.style}".strip()


class Catalogue(Protocol):
    """What one caller may choose from. It may grow and shrink while they call."""

    def voices(self) -> tuple[str, ...]:
        """Names, the default first; none: the model does not speak."""
        ...

    def voice(self, name: str) -> Voice | None:
        """A voice by its name or id; None: there is none, or it is not this caller's, or it is not ready."""
        ...

    def unready(self, name: str) -> str | None:
        """Why a voice of this name or id that is there cannot be spoken in, and what to do; None: it is not that."""
        ...

    def character(self, name: str) -> Character | None:
        """A character by its id; None: there is none, or it is not this caller's."""
        ...


def no_voice(name: str, catalogue: Catalogue) -> tuple[str, str]:
    """The error code for a voice that cannot be had, and what to tell whoever asks for it."""
    listed = ", ".join(catalogue.voices()) or "none: this model does not speak"
    if reason := catalogue.unready(name):
        return (
            "voice_not_ready",
            f"The voice '{name[:80]}' cannot be used: {reason}. Until then choose one of: {listed}.",
        )
    return "voice_not_found", f"There is no voice '{name[:80]}'. Voices: {listed}."


class BuiltIn:
    """A model's own voices, and no characters."""

    def __init__(self, capabilities: Capabilities) -> None:
        self._voices = {voice.name: voice for voice in capabilities.voices}

    def voices(self) -> tuple[str, ...]:
        """See Catalogue."""
        return tuple(self._voices)

    def voice(self, name: str) -> Voice | None:
        """See Catalogue."""
        return self._voices.get(name)

    def unready(self, name: str) -> str | None:
        """See Catalogue."""
        del name
        return None

    def character(self, name: str) -> Character | None:
        """See Catalogue."""
        del name
        return None
