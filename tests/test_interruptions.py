"""Random conversations: whatever happens when, dialogue, model and client agree on what was said and heard."""

import random

import numpy as np
import pytest

from streaming.events import (
    AudioPart,
    OverlapEnded,
    ResponseEnded,
    ResponseSpeech,
    ResponseStarted,
    SpeechStarted,
    SpeechStopped,
    UserTranscript,
)
from tests.fakes import Client, ScriptedModel, Stage, noise, read, say, silence
from tests.grammar import check_events

QUESTIONS = ["what is that", "tell me more and", "red green blue", "why", "no stop", "and then I went home again"]
NOISES = [noise(0.25), noise(0.4), say("uh-huh"), say("okay yeah")]


def answer_of(text: str) -> str:
    return " ".join(f"w{index}" for index in range(3 + len(text) % 14))


_played: dict[int, tuple[Stage, Client]] = {}


async def converse(seed: int) -> tuple[Stage, Client]:
    """Half a minute of somebody who neither waits nor keeps quiet."""
    if seed not in _played:
        _played[seed] = await _converse(seed)
    return _played[seed]


async def _converse(seed: int) -> tuple[Stage, Client]:
    chance = random.Random(seed)
    stage = Stage(ScriptedModel(answer=lambda state, text: answer_of(text)))
    stage.steps_per_packet = chance.choice([None, 1, 2])
    client = await stage.join(lead_s=chance.choice([0.1, 0.3, 1.0]))
    await stage.wait(0.4)
    for _ in range(12):
        sound = chance.choice([*map(say, QUESTIONS), *NOISES])
        await stage.hear((client, np.concatenate([sound, silence(chance.choice([0.1, 0.3, 0.5, 0.9, 1.7, 3.0]))])))
    await stage.wait(8.0)
    return stage, client


@pytest.mark.parametrize("seed", range(24))
async def test_everybody_agrees_on_the_conversation(seed: int) -> None:
    stage, client = await converse(seed)
    said = [
        (item.role, (item.parts[0].transcript or "").strip())
        for item in client.session.items
        if isinstance(item.parts[0], AudioPart)
    ]
    assert client.session.idle
    assert stage.model.states[0].history == [entry for entry in said if entry[1]]

    finals = [event.text for event in client.events if isinstance(event, UserTranscript) and event.final]
    assert finals == [text for role, text in said if role == "user"]


@pytest.mark.parametrize("seed", range(24))
async def test_the_wire_tells_it_in_the_order_that_clients_rely_on(seed: int) -> None:
    _, client = await converse(seed)
    check_events(client.events)


@pytest.mark.parametrize("seed", range(24))
async def test_every_answer_begins_and_ends_once_and_is_silent_while_the_user_has_the_floor(seed: int) -> None:
    _, client = await converse(seed)
    active: str | None = None
    floor = 0
    for event in client.events:
        match event:
            case ResponseStarted():
                assert active is None
                assert not floor
                active = event.response_id
            case ResponseEnded():
                assert event.response_id == active
                active = None
            case ResponseSpeech():
                assert event.response_id == active
                assert not floor
            case SpeechStarted():
                assert not floor
                floor = 1
            case SpeechStopped():
                assert floor
                floor = 0
            case OverlapEnded():
                assert active == event.response_id
    assert active is None
    assert not floor


@pytest.mark.parametrize("seed", range(24))
async def test_what_is_kept_of_an_answer_is_what_its_sound_said(seed: int) -> None:
    _, client = await converse(seed)
    responses = [event for event in client.events if isinstance(event, ResponseEnded)]
    assert responses
    for response in responses:
        part = response.item.parts[0]
        assert isinstance(part, AudioPart)
        timeline = np.zeros(round(part.duration_s * 24_000), np.float32)
        for event in client.events:
            if isinstance(event, ResponseSpeech) and event.response_id == response.response_id:
                begin = round(event.at_s * 24_000)
                room = timeline[begin : begin + len(event.pcm)]
                room[:] = event.pcm[: len(room)]
        heard, kept = read(timeline).split(), (part.transcript or "").split()
        # The last word may have been cut in its middle, and going on after a cough fades in.
        assert abs(len([word for word in heard if word.startswith("w")]) - len(kept)) <= 1
        assert answer_of("x" * 13).startswith(" ".join(kept))
