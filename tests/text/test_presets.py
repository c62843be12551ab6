"""The named tasks."""

import pytest

from omni.text.presets import PRESETS
from omni.text.template import as_text, system_prompt


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_task_can_be_put(name: str) -> None:
    """Its prompts are plain text, and whoever takes a voice has a system prompt to put it in."""
    preset = PRESETS[name]
    assert preset.needs
    for language in ("en", "zh"):
        prompt = preset.prompt(language)
        assert prompt.strip()
        assert as_text(prompt) == prompt
        if preset.system is not None:
            assert "voice" in preset.needs
            assert "X" in system_prompt(preset.system, language, "X")


def test_english_stands_in_for_a_language_without_a_prompt() -> None:
    assert PRESETS["transcribe"].prompt("zh") != PRESETS["transcribe"].prompt("en")
    assert PRESETS["mimic"].prompt("zh") == PRESETS["mimic"].prompt("en")
