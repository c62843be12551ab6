"""The small MiniCPM-o, driven as an engine drives it: questions, and answers as they came out."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from omni.families.minicpm_o.family import MiniCpmO
from omni.families.minicpm_o.state import State
from omni.model import Phase
from omni.nn.sampling import Draw, by_chance
from omni.types import Delta, Pcm, Reply, SpeechDelta, TextDelta, ToolCall, TurnEnd, Unit

SECOND = 16_000
SHORT = Reply(max_tokens=24)


def noise(seconds: float = 1.0, seed: int = 0) -> Pcm:
    return np.random.default_rng(seed).standard_normal(round(seconds * SECOND), np.float32) / np.float32(10)


def picture(shade: int) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    return np.full((60, 80, 3), shade, np.uint8)


def seeded() -> Draw:
    return by_chance(torch.Generator().manual_seed(3))


@dataclass
class Told:
    """What the language model was told: the text of every stretch of context, by the cache that took it."""

    texts: list[str] = field(default_factory=list)


@dataclass
class Heard:
    """An answer as it came out."""

    text: str = ""
    words: list[tuple[str, float]] = field(default_factory=list)
    pcm: list[Pcm] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    end: TurnEnd | None = None

    @property
    def sound_s(self) -> float:
        return sum(map(len, self.pcm)) / 24_000

    @property
    def said(self) -> str:
        return "".join(word for word, _ in self.words)

    def take(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            match delta:
                case TextDelta(text):
                    self.text += text
                case SpeechDelta(pcm, words):
                    self.words += [(word.text, self.sound_s + word.start_s) for word in words]
                    self.pcm.append(pcm)
                case ToolCall():
                    self.calls.append(delta)
                case TurnEnd():
                    self.end = delta


def step_all(model: MiniCpmO, states: Sequence[State], answers: Sequence[Heard], n_steps: int = 400) -> None:
    """Think and speak in turns until every answer ends, or so many times."""
    for _ in range(n_steps):
        if all(answer.end for answer in answers):
            return
        for phase in (Phase.THINK, Phase.SPEAK):
            for answer, deltas in zip(answers, model.step(phase, states), strict=True):
                answer.take(deltas)


def asked(model: MiniCpmO, seed: int = 1) -> State:
    state = model.open("", None)
    model.listen([Unit(audio=noise(seed=seed))], [state])
    return state


def answered(model: MiniCpmO, state: State, reply: Reply = SHORT, n_steps: int = 400) -> Heard:
    heard = Heard()
    model.begin(state, reply)
    step_all(model, [state], [heard], n_steps)
    return heard


def ids_in(state: State) -> torch.Tensor:
    """What the cache holds, as far as anybody can tell."""
    return state.cache.keys[:, :, : state.cache.length].clone()
