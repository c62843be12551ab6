"""Conversations with a model that answers speech and never says what it heard."""

from dataclasses import replace

import numpy as np

from streaming.commands import Update
from streaming.events import Opened
from tests.fakes import Client, ScriptedModel, Stage, say, silence

LONG = "one two three four five six seven eight nine ten eleven twelve"
PICTURE = np.zeros((4, 4, 3), np.uint8)


def scene(**model: object) -> Stage:
    return Stage(ScriptedModel(transcribes=False, **model))  # type: ignore[arg-type]


async def ask(stage: Stage, client: Client, text: str, wait_s: float = 4.0) -> None:
    """A question by voice, and time for its answer."""
    await stage.hear((client, np.concatenate([silence(0.4), say(text)])))
    await stage.wait(wait_s)


def history(stage: Stage) -> list[tuple[str, str]]:
    """The conversation as the model knows it."""
    return [(role, text.strip()) for role, text in stage.model.states[0].history]


def brief(client: Client) -> Update:
    """Other instructions; all else stays."""
    (opened,) = client.of(Opened)
    assert isinstance(opened, Opened)
    return Update(replace(opened.settings, instructions="be brief"))
