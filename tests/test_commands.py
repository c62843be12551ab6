"""Random commands of a client at random moments of speech and answers: nothing hangs, and everybody agrees."""

import gc
import logging
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest

from omni.types import Delta, Pcm, Role, Unit
from streaming.commands import (
    Cancel,
    Clear,
    Command,
    Commit,
    CreateItem,
    DeleteItem,
    Heard,
    Respond,
    RetrieveItem,
    TruncateItem,
    Update,
)
from streaming.events import (
    AudioPart,
    Fault,
    Item,
    ReplyOptions,
    ResponseEnded,
    ResponseStarted,
    Settings,
    TextPart,
    TurnDetection,
)
from streaming.tdm.dialogue import text_of
from tests.fakes import TIMING, Client, ScriptedModel, ScriptedState, Stage, noise, read, say, silence
from tests.grammar import check_events

SOUNDS = [*map(say, ["what is that", "tell me more and", "red green blue", "why", "uh-huh"]), noise(0.3)]
TURN_DETECTIONS = [
    TurnDetection(),
    TurnDetection(silence_s=0.5),
    TurnDetection(creates_response=False),
    TurnDetection(interrupts_response=False),
    TurnDetection(idle_timeout_s=1.0),
    None,
]


class Ordered(ScriptedModel):
    """Keeps written items of both sides in their order, also when it is told a conversation anew."""

    def _listen(self, unit: Unit, state: ScriptedState) -> list[Delta]:
        if unit.text is not None and unit.role != "user":
            state.history.append(("user", pending(state)))
            state.typed, state.audio = [], np.zeros(0, np.float32)
        return super()._listen(unit, state)

    def truncate(self, state: ScriptedState, heard_s: float) -> None:
        if not math.isinf(heard_s):
            super().truncate(state, heard_s)
        elif state.reply is not None:
            # what was written is not heard, but read
            state.history.append(("assistant", " ".join(state.to_speak)))
            state.reply, state.to_think, state.to_speak = None, [], []


def pending(state: ScriptedState) -> str:
    """What the model was told since its last answer."""
    return " ".join([*state.typed, read(state.audio)])


def answer_of(text: str) -> str:
    return " ".join(f"w{index}" for index in range(2 + len(text) % 9))


class Caller:
    """A client that does whatever comes to its mind."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.stage = Stage(Ordered(answer=lambda state, text: answer_of(text)))
        self.settings = Settings(turn_detection=self.chance.choice(TURN_DETECTIONS))
        self._n_items = 0

    async def call(self) -> Client:
        self.client = await self.stage.join(settings=self.settings, lead_s=self.chance.choice([0.1, 0.3, 1.0]))
        for _ in range(self.chance.randrange(8, 16)):
            self.stage.steps_per_packet = self.chance.choice([None, 1, 2])
            gap = silence(self.chance.choice([0.1, 0.3, 0.9, 1.7]))
            await self._speak(np.concatenate([self.chance.choice(SOUNDS), gap]))
        await self._end()
        return self.client

    async def _speak(self, sound: Pcm) -> None:
        while len(sound):
            n = round(self.chance.uniform(0.02, 1.0) * TIMING.input_rate)
            await self.stage.hear((self.client, sound[:n]))
            sound = sound[n:]
            for _ in range(self.chance.choice([0, 0, 1, 2])):
                await self.client.session.handle(self._command())
                if self.chance.random() < 0.5:
                    await self.stage.run()

    async def _end(self) -> None:
        """Everything that is under way ends; then one question, so that what was put off is done."""
        self.stage.steps_per_packet = None
        if self.settings.turn_detection is not None:
            # or it would ask on and on
            turn_detection = replace(self.settings.turn_detection, idle_timeout_s=None)
            await self.client.do(Update(replace(self.settings, turn_detection=turn_detection)))
        await self._silence(8.0)
        await self.client.do(Clear())
        await self._silence(8.0)
        await self.client.do(CreateItem(Item("item_last", "user", (TextPart("bye"),))))
        await self.client.do(Respond())
        await self._silence(8.0)

    async def _silence(self, seconds: float) -> None:
        if self.settings.turn_detection is not None:
            await self.stage.wait(seconds)
            return
        for _ in range(round(seconds * 1000 / TIMING.packet_ms)):
            await self.stage.clock.advance(TIMING.packet_ms / 1000)
            await self.stage.run()

    def _command(self) -> Command:
        heard_s = self.chance.choice([0.0, 0.3, 1.0, 99.0])
        commands: list[Callable[[], Command]] = [
            lambda: Respond(ReplyOptions(speaks=self.chance.choice([None, None, False]))),
            Cancel,
            Clear,
            Commit,
            self._create,
            self._update,
            lambda: TruncateItem(self._item_id(), heard_s),
            lambda: Heard(self._item_id(), heard_s),
            lambda: DeleteItem(self._item_id()),
            lambda: RetrieveItem(self._item_id()),
        ]
        return self.chance.choice(commands)()

    def _create(self) -> CreateItem:
        self._n_items += 1
        roles: list[Role] = ["user", "user", "system", "assistant"]
        role = self.chance.choice(roles)
        text = " ".join(self.chance.choice("abcdefgh") for _ in range(3))
        part = TextPart(text) if self.chance.random() < 0.8 or role != "user" else AudioPart(None, 0.5, say(text))
        after = self.chance.choice([None, None, None, "root", self._item_id()])
        return CreateItem(Item(f"item_{self._n_items}", role, (part,)), after)

    def _update(self) -> Update:
        instructions = self.chance.choice([self.settings.instructions, "Be brief.", "Be kind."])
        detection = self.chance.choice([self.settings.turn_detection, *TURN_DETECTIONS])
        speaks = self.chance.random() < 0.8
        self.settings = replace(self.settings, instructions=instructions, turn_detection=detection, speaks=speaks)
        return Update(self.settings)

    def _item_id(self) -> str:
        ids = [item.id for item in self.client.session.items[-4:]]
        return self.chance.choice([*ids, "item_nowhere"])


def merged(told: list[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """Turns with the words of each: what one side says in several items is one turn to the other."""
    words = [(role, text.split()) for role, text in told if text.strip()]
    turns = groupby(words, key=lambda turn: turn[0])
    return [(role, sorted(word for _, said in group for word in said)) for role, group in turns]


SEEDS = range(24)


@pytest.fixture
def nothing_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_a_client_asks_for_everybody_agrees(seed: int, nothing_logged: None) -> None:
    caller = Caller(seed)
    client = await caller.call()
    check_events(client.events)
    assert client.session.idle
    assert not [event for event in client.events if isinstance(event, Fault) and event.kind == "server_error"]

    begun = [event.response_id for event in client.events if isinstance(event, ResponseStarted)]
    ended = [event.response_id for event in client.events if isinstance(event, ResponseEnded)]
    assert begun == ended

    dialogue = merged([(item.role, text_of(item.parts)) for item in client.session.items])
    state = caller.stage.model.states[0]
    assert merged([*state.history, ("user", pending(state))]) == dialogue
