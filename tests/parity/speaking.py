"""The speaking side built from golden files, with its draws forced and its scores recorded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from omni.configs import TtsConfig, read_vocos
from omni.nn.sampling import Draw
from omni.speech.talker import Talker, TalkerState
from omni.speech.vocoder import Vocoder
from tests.parity.golden import Golden


@dataclass(frozen=True)
class Call:
    """One call of the talker: where it began, what it could read, and what became of it."""

    past: int
    ids: list[int]
    n_text: int
    draws: int
    finished: bool
    frames_so_far: int


class RecordedTalker(Talker):
    """A talker for one state at a time that keeps its calls, and the scores [1, K, V] of every step."""

    def __init__(self, config: TtsConfig) -> None:
        super().__init__(config)
        self.scores: list[Tensor] = []
        self.calls: list[Call] = []

    def logits(self, states: Sequence[TalkerState]) -> Tensor:
        scores = super().logits(states)
        self.scores.append(scores)
        return scores

    def generate(self, states: Sequence[TalkerState], draws: Sequence[Draw]) -> None:
        for state, draw in zip(states, draws, strict=True):
            past, n_before = self.bos_slot + len(state.frames), len(self.scores)
            super().generate([state], [draw])
            n_drawn = len(self.scores) - n_before
            self.calls.append(Call(past, state.text, state.n_text, n_drawn, state.finished, len(state.frames)))


@dataclass
class Forced:
    """A draw that returns given frames, then the end, and keeps the probabilities that it was shown."""

    frames: Tensor
    """[F, K]"""
    end: int
    probabilities: list[Tensor] = field(default_factory=list)

    def __call__(self, probabilities: Tensor) -> Tensor:
        drawn = len(self.probabilities)
        self.probabilities.append(probabilities)
        return self.frames[drawn] if drawn < len(self.frames) else torch.full_like(self.frames[0], self.end)


@dataclass(frozen=True)
class ToyTokenizer:
    """One id for every character."""

    ids: Mapping[str, int]
    start_id: int

    def encode(self, text: str) -> list[int]:
        return [self.ids[character] for character in text]

    def decode(self, ids: Sequence[int]) -> str:
        characters = {number: character for character, number in self.ids.items()}
        return "".join(characters[number] for number in ids)


def talker(golden: Golden) -> RecordedTalker:
    config = TtsConfig.from_json(golden.facts["config"]["tts_config"], golden.facts["dvae_sizes"])
    built = RecordedTalker(config).eval()
    built.load_state_dict(golden.weights("tts."))
    return built


def vocoder(golden: Golden) -> Vocoder:
    built = Vocoder(read_vocos(golden.facts["vocos_sizes"])).eval()
    built.load_state_dict(golden.weights())
    return built
