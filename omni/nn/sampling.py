"""From scores to the next token: what the language model, and the talker, may draw.

Each filter follows transformers 4.44, under which the models were released, ties and all. A draw is a callable from
probabilities to ids, so that a test, or a replay, can put its own choice in the place of chance.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

Draw = Callable[[Tensor], Tensor]
"""probabilities [..., V] to ids [...]"""

_NEVER = float("-inf")


class NoNumbersError(ArithmeticError):
    """What a part of the network computed for a session are no numbers, so nothing can be drawn."""

    def __init__(self, part: str) -> None:
        super().__init__(f"the {part} computed no numbers (NaN); ask again, or look after the weights and the device")


@dataclass(frozen=True, slots=True)
class TextSampling:
    """How text is drawn; the defaults are the released model's in conversation."""

    temperature: float = 0.7
    top_p: float = 0.8
    """1: off"""
    top_k: int = 100
    """0: off"""
    repetition_penalty: float = 1.05
    """1: off"""


@dataclass(frozen=True, slots=True)
class SpeechSampling:
    """How frames of K codes are drawn; the defaults are the released model's."""

    temperature: Sequence[float] = (0.1, 0.3, 0.1, 0.3)
    """one for each codebook"""
    top_p: float = 0.7
    top_k: int = 20
    repetition_penalty: float = 1.0
    repetition_window: int = 16
    """frames that the penalty looks back on"""
    min_kept: int = 3
    """codes that top-p and top-k leave, however unlikely"""


def text_probabilities(
    logits: Tensor, history: Sequence[int], sampling: TextSampling, forbidden: Collection[int] = ()
) -> Tensor:
    """What the next text token may be.

    Args:
        logits: [V], float32.
        history: ids that the repetition penalty sees.
        sampling: the policy.
        forbidden: ids that may not come now: the terminators, as long as the answer is shorter than it must be.

    Returns:
        [V], sums to 1.
    """
    scores = logits
    if sampling.repetition_penalty != 1.0 and history:
        scores = _penalise_seen(scores, sorted(set(history)), sampling.repetition_penalty)
    if forbidden:
        ids = torch.tensor(sorted(forbidden), device=scores.device)
        scores = scores.index_fill(-1, ids, _NEVER)
    scores = scores / sampling.temperature
    scores = _top_k(scores, sampling.top_k, min_kept=1)
    scores = _top_p(scores, sampling.top_p, min_kept=1)
    return scores.softmax(-1)


def speech_probabilities(
    logits: Tensor, history: Tensor, sampling: SpeechSampling, end: int, *, may_end: bool
) -> Tensor:
    """What the next frame of speech may be, codebook by codebook.

    Args:
        logits: [K, V], float32.
        history: [F, K], all frames drawn so far in this reply. At the first one of all, no filter applies: the
            released code warps only once there is something to continue.
        sampling: the policy.
        end: the code that ends the speech.
        may_end: False at the first frames of every call, and where the speech must go on.

    Returns:
        [K, V], each row sums to 1.
    """
    temperature = torch.tensor(sampling.temperature, device=logits.device).unsqueeze(-1)
    scores = logits / temperature
    if len(history):
        if sampling.repetition_penalty != 1.0:
            recent = history[-sampling.repetition_window :]
            scores = _penalise_frequent(scores, recent, sampling.repetition_penalty)
        # The opposite order of text's: here top-k counts among what top-p left.
        scores = _top_p(scores, sampling.top_p, sampling.min_kept)
        scores = _top_k(scores, sampling.top_k, sampling.min_kept)
    if not may_end:
        scores = scores.index_fill(-1, torch.tensor([end], device=scores.device), _NEVER)
    return scores.softmax(-1)


def greedy(probabilities: Tensor) -> Tensor:
    """The likeliest id [...] of probabilities [..., V]."""
    return probabilities.argmax(-1)


def by_chance(generator: torch.Generator) -> Draw:
    """Draw by the probabilities, repeatably: the generator's state decides, and lies on the device of the scores.

    Where there are none, because the scores were no numbers, any id is as good: a GPU that is asked to draw from those
    ends the process, with everybody's calls. Whoever made the scores looks at them.
    """

    def draw(probabilities: Tensor) -> Tensor:
        rows = probabilities.reshape(-1, probabilities.shape[-1])
        rows = torch.where(rows.isfinite().all(-1, keepdim=True), rows, 1.0)
        return torch.multinomial(rows, 1, generator=generator).reshape(probabilities.shape[:-1])

    return draw


def _penalise_seen(scores: Tensor, seen: Sequence[int], penalty: float) -> Tensor:
    ids = torch.tensor(seen, device=scores.device)
    chosen = scores[ids]
    return scores.index_copy(0, ids, torch.where(chosen < 0, chosen * penalty, chosen / penalty))


def _penalise_frequent(scores: Tensor, recent: Tensor, penalty: float) -> Tensor:
    """Each code of [K, V] by as many powers of the penalty as it occurs in its codebook of [F, K]."""
    counts = functional.one_hot(recent.T, scores.shape[-1]).sum(1)
    weights = torch.pow(penalty, counts)
    return torch.where(scores < 0, scores * weights, scores / weights)


def _top_k(scores: Tensor, k: int, min_kept: int) -> Tensor:
    """Keep the k best of [..., V], and whatever equals the last of them; k of 0 keeps all."""
    if k == 0:
        return scores
    worst = scores.topk(min(max(k, min_kept), scores.shape[-1])).values[..., -1:]
    return scores.masked_fill(scores < worst, _NEVER)


def _top_p(scores: Tensor, p: float, min_kept: int) -> Tensor:
    """Keep the fewest of [..., V] that make up a share p, and no fewer than min_kept; p of 1 keeps all."""
    if p >= 1.0:
        return scores
    # Summed from the least likely upwards, as the released code does: the other way rounds differently at the edge.
    ascending, order = scores.sort(-1)
    dropped = ascending.softmax(-1).cumsum(-1) <= 1.0 - p
    dropped[..., -min_kept:] = False
    return scores.masked_fill(torch.zeros_like(dropped).scatter(-1, order, dropped), _NEVER)
