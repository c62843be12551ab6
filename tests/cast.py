"""A catalogue that grows and shrinks while calls choose from it."""

from omni.model import Capabilities
from omni.types import Voice
from streaming.company.catalogue import BuiltIn, Character


class Cast(BuiltIn):
    """A model's own voices, and whatever a test adds."""

    def __init__(self, capabilities: Capabilities) -> None:
        super().__init__(capabilities)
        self.made: dict[str, Voice] = {}
        """by id"""
        self.waiting: dict[str, str] = {}
        """why voices of these names are not ready"""
        self.characters: dict[str, Character] = {}

    def voices(self) -> tuple[str, ...]:
        return (*super().voices(), *(voice.name for voice in self.made.values()))

    def voice(self, name: str) -> Voice | None:
        named = next((voice for voice in self.made.values() if voice.name == name), None)
        return super().voice(name) or self.made.get(name) or named

    def unready(self, name: str) -> str | None:
        return self.waiting.get(name)

    def character(self, name: str) -> Character | None:
        return self.characters.get(name)
