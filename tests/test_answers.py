"""Spoken questions to the real session with the packaged models, faster than real time."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import soxr
from PIL import Image, ImageDraw, ImageFont

from omni.model import OmniModel
from omni.packaged.hearing.recogniser import Recogniser
from omni.packaged.speaking.synthesizer import Synthesizer
from omni.timing import Timing
from omni.types import Pcm, Picture
from streaming.config import Config
from streaming.gateway import models
from streaming.gateway.loopback import PlayResult, play
from streaming.gateway.media import ActivityModel
from streaming.tdm.dialogue import text_of

pytestmark = pytest.mark.models

TIMING = Timing()
ROOM = 0.001
"""amplitude of the noise that a quiet room has"""

Loaded = tuple[OmniModel[Any], ActivityModel[Any]]


@pytest.fixture(scope="module")
def engines() -> Loaded:
    return models.load(Config())


@lru_cache(1)
def synthesizer() -> Synthesizer:
    return Synthesizer()


def spoken(text: str) -> Pcm:
    """The text in the packaged voice, [S] at Timing.input_rate, without the silence around it."""
    speech = synthesizer().speak(text, synthesizer().voices[0]).pcm
    loud = np.flatnonzero(np.abs(speech) > 0.01)
    speech = speech[loud[0] : loud[-1] + 1]
    return np.asarray(soxr.resample(speech, TIMING.output_rate, TIMING.input_rate), np.float32)


def recording(*parts: Pcm | float) -> Pcm:
    """Speech, and pauses in seconds, in a quiet room."""
    pieces = [part if isinstance(part, np.ndarray) else np.zeros(round(part * TIMING.input_rate)) for part in parts]
    sound = np.concatenate([np.zeros(TIMING.input_rate // 2), *pieces])
    noise = np.random.default_rng(0).standard_normal(len(sound)) * ROOM
    return np.asarray(sound + noise, np.float32)


async def call(engines: Loaded, *parts: Pcm | float, image: Picture | None = None) -> PlayResult:
    model, activity = engines
    return await play(model, activity, recording=recording(*parts), image=image)


def answers(result: PlayResult) -> list[str]:
    assert result.faults == ()
    return [answer.text for answer in result.answers]


def said_by_user(result: PlayResult) -> list[str]:
    return [text_of(item.parts) for item in result.items if item.role == "user"]


QUESTIONS: Sequence[tuple[str, str]] = [
    ("What is the capital of France?", r"\bparis\b"),
    ("How many days are in a week?", r"\b(seven|7)\b"),
    ("What is the largest ocean?", r"\bpacific\b"),
    ("Who wrote Romeo and Juliet?", r"\bshakespeare\b"),
    ("How do I make a cup of tea?", r"\b(water|kettle|boil)"),
    ("Which animal says meow?", r"\bcats?\b"),
]


async def test_simple_spoken_questions_are_answered(engines: Loaded) -> None:
    """The model that ships is small: one of these may go wrong, not two."""
    wrong = []
    for question, pattern in QUESTIONS:
        heard = answers(await call(engines, spoken(question)))
        assert len(heard) == 1, f"{question}: {heard}"
        if not re.search(pattern, heard[0], re.IGNORECASE):
            wrong.append((question, heard[0]))
    assert len(wrong) <= 1, wrong


async def test_what_is_spoken_is_what_the_transcript_says(engines: Loaded) -> None:
    result = await call(engines, spoken("What is the capital of France?"))
    utterance = Recogniser().open()
    utterance.add(np.asarray(soxr.resample(result.pcm, TIMING.output_rate, TIMING.input_rate), np.float32))
    words, heard = ({*re.findall(r"[a-z']+", text.lower())} for text in (answers(result)[0], utterance.transcribe()))
    assert len(words & heard) >= 0.7 * len(words)


async def test_a_question_with_a_pause_inside_is_answered_once(engines: Loaded) -> None:
    result = await call(engines, spoken("Can you tell me"), 0.6, spoken("what the capital of France is?"))
    assert len(answers(result)) == 1
    (question,) = said_by_user(result)
    assert re.search(r"tell me.*capital of france", question, re.IGNORECASE | re.DOTALL)


async def test_an_earlier_turn_is_remembered(engines: Loaded) -> None:
    result = await call(engines, spoken("My name is Anna."), 10.0, spoken("What is my name?"))
    assert len(answers(result)) == 2
    assert "anna" in answers(result)[1].lower()


async def test_a_sign_before_the_camera_is_read(engines: Loaded) -> None:
    picture = Image.new("RGB", (640, 480), "white")
    ImageDraw.Draw(picture).text((120, 200), "BAKERY", "black", ImageFont.load_default(96))
    result = await call(engines, 1.0, spoken("What does the sign say?"), image=np.asarray(picture))
    assert "bakery" in answers(result)[-1].lower()


async def test_noise_alone_is_not_answered(engines: Loaded) -> None:
    result = await call(engines, 3.0)
    assert answers(result) == []
    assert not len(result.pcm)
