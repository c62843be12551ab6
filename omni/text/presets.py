"""Tasks that MiniCPM-o was trained for, by name: the prompts of its own documentation, to the letter and the line end.

Loads nothing: the command line lists them in its help.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from omni.text.template import Language, Mode

Input = Literal["sound", "voice", "text"]
"""What a task cannot do without: something to hear, a voice to take, or words of the user"""


@dataclass(frozen=True, slots=True)
class Preset:
    """One task: what is said before the user's part of it, and how the answer is drawn."""

    about: str
    """for people"""
    prompts: Mapping["Language", str]
    """what the user's message begins with; English stands in for a language that the model was not trained on"""
    needs: tuple[Input, ...]
    system: "Mode | None" = None
    """the system prompt that takes the voice"""
    speaks: bool = False
    """the answer is meant to be heard, its text alone would be of no use"""
    temperature: float = 0.3
    max_tokens: int = 128

    def prompt(self, language: "Language") -> str:
        """What the user's message begins with."""
        return self.prompts.get(language, self.prompts["en"])


def _about_sound(about: str, english: str, chinese: str | None = None) -> Preset:
    prompts: dict[Language, str] = {"en": f"{english}\n"}
    if chinese is not None:
        prompts["zh"] = f"{chinese}\n"
    return Preset(about, prompts, ("sound",))


PRESETS: Mapping[str, Preset] = {
    "transcribe": _about_sound(
        "write down what is said",
        "Please listen to the audio snippet carefully and transcribe the content.",
        "请仔细听这段音频片段，并将其内容逐字记录。",
    ),
    "describe-audio": _about_sound("say what a sound is about", "Summarize the main content of the audio."),
    "describe-speaker": _about_sound(
        "guess at the person who speaks",
        "Based on the speaker's content, speculate on their gender, condition, age range, and health status.",
    ),
    "tag-scene": _about_sound(
        "name a scene in one word", "Utilize one keyword to convey the audio's content or the associated scene."
    ),
    "clone-and-read": Preset(
        "read the given text in the given voice",
        {"en": "Please read the text below."},
        ("voice", "text"),
        system="voice_cloning",
        speaks=True,
    ),
    "mimic": Preset(
        "say again what was said, as it was said",
        {"en": "Please repeat each user's speech, including voice style and speech content."},
        ("sound",),
        speaks=True,
    ),
}
