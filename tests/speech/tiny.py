"""A speaking side of random weights, small enough that a second of its sound takes milliseconds."""

from collections.abc import Sequence

import torch
from torch import Tensor

from omni.configs import DvaeConfig, TtsConfig, VocosConfig
from omni.nn.sampling import Draw, by_chance
from omni.speech.streaming import Synthesis
from omni.speech.talker import Talker
from omni.speech.vocoder import Vocoder

_LETTERS = "abcdefghijklmnopqrstuvwxyz .,?!*"
CONFIG = TtsConfig(
    llm_dim=16,
    hidden_size=24,
    intermediate_size=32,
    num_attention_heads=2,
    num_hidden_layers=2,
    num_text_tokens=64,
    spk_emb_token_id=60,
    audio_bos_token_id=61,
    text_eos_token_id=62,
    dvae=DvaeConfig(feature_dim=8, hidden=8, bn_dim=8, num_layers=1),
)


class Letters:
    """One token for every letter."""

    start_id = 63

    def encode(self, text: str) -> list[int]:
        return [_LETTERS.index(letter) + 1 for letter in text]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(_LETTERS[number - 1] for number in ids)


def talker() -> Talker:
    torch.manual_seed(5)
    return Talker(CONFIG).eval()


def synthesis(*, as_released: bool = False) -> Synthesis:
    built = talker()
    vocoder = Vocoder(VocosConfig(dim=8, intermediate_dim=8, num_layers=1)).eval()
    return Synthesis(built, vocoder, Letters(), as_released)


def hidden(seed: int) -> Tensor:
    return torch.randn(CONFIG.llm_dim, generator=torch.Generator().manual_seed(seed))


def ending(n_frames: Sequence[int], seed: int = 0) -> Draw:
    """Chance, which ends the first segment after n frames, the second one after so many more, and so on."""
    chance, left = by_chance(torch.Generator().manual_seed(seed)), list(n_frames)

    def draw(probabilities: Tensor) -> Tensor:
        # the end is taken out, so that it comes when the test says so
        frame = chance(probabilities[:, : CONFIG.eos_token_id] + 1e-9)
        if left[0] == 0:
            left.pop(0)
            return torch.full_like(frame, CONFIG.eos_token_id)
        left[0] -= 1
        return frame

    return draw
