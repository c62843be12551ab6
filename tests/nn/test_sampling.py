"""What may be drawn, against a slow twin, and how it is drawn."""

import math

import pytest
import torch
from torch import Tensor

from omni.nn.sampling import SpeechSampling, TextSampling, by_chance, greedy, speech_probabilities, text_probabilities

OFF = TextSampling(temperature=1.0, top_p=1.0, top_k=0, repetition_penalty=1.0)


def slow_twin(scores: list[float], history: list[int], sampling: TextSampling) -> list[float]:
    """One list, one rule after another."""
    p = sampling.repetition_penalty
    left = {
        token: (score * p if score < 0 else score / p) if token in history else score
        for token, score in enumerate(scores)
    }
    left = {token: score / sampling.temperature for token, score in left.items()}
    best = sorted(left, key=lambda token: -left[token])
    if sampling.top_k:
        best = best[: sampling.top_k]
    weights = {token: math.exp(left[token]) for token in best}
    total, mass, kept = sum(weights.values()), 0.0, []
    for token in best:
        kept.append(token)
        mass += weights[token] / total
        if mass >= sampling.top_p:
            break
    total = sum(weights[token] for token in kept)
    return [weights[token] / total if token in kept else 0.0 for token in range(len(scores))]


@pytest.mark.parametrize("top_p", [0.3, 0.8, 1.0])
@pytest.mark.parametrize("top_k", [0, 1, 7])
def test_text_equals_the_slow_twin(top_p: float, top_k: int) -> None:
    logits = torch.randn(50, generator=torch.Generator().manual_seed(3)) * 3
    sampling = TextSampling(temperature=0.7, top_p=top_p, top_k=top_k, repetition_penalty=1.3)
    expected = torch.tensor(slow_twin(logits.tolist(), [3, 9, 9, 41], sampling))
    torch.testing.assert_close(text_probabilities(logits, [3, 9, 9, 41], sampling), expected, rtol=0, atol=1e-6)


def test_nothing_switched_on_is_a_softmax() -> None:
    logits = torch.tensor([1.0, -2.0, 0.5])
    assert torch.equal(text_probabilities(logits, [0, 1], OFF), logits.softmax(-1))


def test_forbidden_ids_cannot_come() -> None:
    found = text_probabilities(torch.tensor([1.0, 9.0, 0.5]), [], OFF, forbidden=(1,))
    assert found[1] == 0
    assert found.sum() == 1


def test_equals_of_the_last_that_top_k_keeps_stay() -> None:
    found = text_probabilities(torch.tensor([2.0, 1.0, 1.0, 0.0]), [], TextSampling(1.0, 1.0, 2, 1.0))
    assert (found > 0).tolist() == [True, True, True, False]


def speech(history: Tensor, sampling: SpeechSampling, *, may_end: bool = True) -> Tensor:
    logits = torch.randn(4, 40, generator=torch.Generator().manual_seed(7))
    return speech_probabilities(logits, history, sampling, end=39, may_end=may_end)


NO_FRAME = torch.zeros(0, 4, dtype=torch.long)
FRAME = torch.tensor([[1, 2, 3, 4]])


def test_the_first_frame_of_all_is_not_filtered() -> None:
    assert (speech(NO_FRAME, SpeechSampling((1.0,) * 4)) > 0).all()
    assert (speech(FRAME, SpeechSampling((1.0,) * 4, top_p=1.0, top_k=5)) > 0).sum(-1).tolist() == [5] * 4


def test_at_least_three_codes_remain() -> None:
    assert (speech(FRAME, SpeechSampling((0.3,) * 4, top_p=0.01, top_k=1)) > 0).sum(-1).tolist() == [3] * 4


def test_the_end_waits_until_it_may_come() -> None:
    for history in (NO_FRAME, FRAME):
        assert not speech(history, SpeechSampling(), may_end=False)[:, 39].any()


def test_repetition_counts_by_codebook_and_within_the_window() -> None:
    sampling = SpeechSampling((1.0,) * 4, top_p=1.0, top_k=0, repetition_penalty=2.0, repetition_window=3)
    plain = SpeechSampling((1.0,) * 4, top_p=1.0, top_k=0)
    old, twice, once = [5, 5, 5, 5], [6, 9, 9, 9], [8, 8, 8, 8]
    history = torch.tensor([old, twice, twice, once])
    logits = torch.ones(4, 40) * 2
    logits[:, 9] = -1.0
    found = speech_probabilities(logits, history, sampling, end=39, may_end=True).log()
    expected = speech_probabilities(logits, history, plain, end=39, may_end=True).log()
    lowered = (found - found[:, :1]) - (expected - expected[:, :1])
    assert lowered[0, [5, 6, 8]].tolist() == pytest.approx([0.0, -1.5, -1.0], abs=1e-5)
    assert lowered[1, [5, 6, 8, 9]].tolist() == pytest.approx([0.0, 0.0, -1.0, -3.0], abs=1e-5)


def test_chance_repeats_itself_and_follows_the_probabilities() -> None:
    probabilities = torch.tensor([[0.2, 0.8, 0.0], [0.0, 0.0, 1.0]])
    draws = [by_chance(torch.Generator().manual_seed(1)) for _ in range(2)]
    drawn = torch.stack([draws[0](probabilities) for _ in range(2000)])
    again = torch.stack([draws[1](probabilities) for _ in range(2000)])
    assert torch.equal(drawn, again)
    assert drawn[:, 0].float().mean() == pytest.approx(0.8, abs=0.04)
    assert (drawn[:, 1] == 2).all()
    assert greedy(probabilities).tolist() == [1, 2]


def test_where_there_are_no_probabilities_chance_takes_any_id_and_the_other_rows_are_what_they_were() -> None:
    probabilities = torch.tensor([[0.0, 1.0, 0.0], [torch.nan] * 3, [0.0, 0.0, 1.0]])
    first, any_of_them, last = by_chance(torch.Generator().manual_seed(1))(probabilities).tolist()
    assert (first, last) == (1, 2)
    assert 0 <= any_of_them < 3
