"""What transformers does before and after its networks: features of sound, and what may be drawn from scores."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from omni.audio.clips import CLIP_SAMPLES, clip_mel
from omni.nn.sampling import SpeechSampling, TextSampling, speech_probabilities, text_probabilities
from omni.types import Pcm
from tests.parity.golden import Record, assert_close
from tests.parity.twins import noise

FEATURES_LIMIT = 1e-4
"""in a band nearly eight decades below the loudest, float32 leaves theirs 5e-5 from float64, and ours 1e-5"""
PROBABILITIES_LIMIT = 1e-6
VOCABULARY = 111
END = 7
N_DRAWS = 20

CLIPS = {
    "one sample": 1,
    "12 ms": 192,
    "a sample short of 25 ms": 399,
    "25 ms": 400,
    "between two frames": 1_001,
    "1 s": 16_000,
    "29.99 s": CLIP_SAMPLES - 160,
    "a sample short of 30 s": CLIP_SAMPLES - 1,
    "30 s": CLIP_SAMPLES,
}
"""samples"""


def speechlike(n_samples: int) -> Pcm:
    """Noise that swells and fades four times a second, over a tone."""
    time = np.arange(n_samples) / 16_000
    pcm = 0.1 * noise(n_samples).numpy() * np.sin(2 * np.pi * 2 * time) ** 2 + 0.2 * np.sin(2 * np.pi * 220 * time)
    return np.asarray(pcm, np.float32)


def whisper_features(pcm: Pcm) -> Tensor:
    """[80, F], F being the frames that transformers says are sound and not padding."""
    from transformers import WhisperFeatureExtractor

    found: Any = WhisperFeatureExtractor()(pcm, sampling_rate=16_000, return_attention_mask=True, return_tensors="pt")
    mel: Tensor = found["input_features"][0, :, : int(found["attention_mask"].sum())]
    return mel


@pytest.mark.parametrize("name", CLIPS)
def test_features_of_a_clip(name: str, record_property: Record) -> None:
    pcm = speechlike(CLIPS[name])
    assert_close(torch.from_numpy(clip_mel(pcm)), whisper_features(pcm), FEATURES_LIMIT, record_property, name)


@pytest.mark.parametrize("name", ["silence", "faint", "full scale", "far too loud"])
def test_features_of_extremes(name: str, record_property: Record) -> None:
    sign = np.sign(speechlike(16_000)).astype(np.float32)
    pcm = {"silence": 0 * sign, "faint": 1e-6 * sign, "full scale": sign, "far too loud": 32_768 * sign}[name]
    assert_close(torch.from_numpy(clip_mel(pcm)), whisper_features(pcm), FEATURES_LIMIT, record_property, name)


def scores_of(*shape: int, ties: bool, seed: int) -> Tensor:
    """With ties the values are few, so that many are equal, also where a filter must choose among them."""
    scores = 3 * noise(*shape, seed=seed)
    return (2 * scores).round() / 2 if ties else scores


def assert_same_choice(found: Tensor, expected: Tensor, record: Record) -> None:
    assert torch.equal(found > 0, expected > 0)
    assert_close(found, expected, PROBABILITIES_LIMIT, record, f"probabilities of {N_DRAWS} draws")


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(
    "sampling",
    [
        TextSampling(),
        TextSampling(temperature=1.0, top_p=1.0, top_k=0, repetition_penalty=1.0),
        TextSampling(temperature=1.7, top_p=0.93, top_k=0, repetition_penalty=1.3),
        TextSampling(temperature=0.3, top_p=1.0, top_k=5, repetition_penalty=0.8),
        TextSampling(temperature=0.9, top_p=0.01, top_k=500, repetition_penalty=1.0),
    ],
    ids=str,
)
def test_what_text_may_follow(sampling: TextSampling, ties: bool, record_property: Record) -> None:
    found, expected = [], []
    for seed in range(N_DRAWS):
        scores = scores_of(VOCABULARY, ties=ties, seed=seed)
        # seed 0 has seen nothing yet
        history = torch.randint(VOCABULARY, (seed,), generator=torch.Generator().manual_seed(seed))
        forbidden = (END, 4) if seed % 2 else ()
        found.append(text_probabilities(scores, history.tolist(), sampling, forbidden))
        expected.append(text_by_transformers(scores, history, sampling, forbidden))
    assert_same_choice(torch.stack(found), torch.stack(expected), record_property)


def text_by_transformers(scores: Tensor, history: Tensor, sampling: TextSampling, forbidden: tuple[int, ...]) -> Tensor:
    """The processors in the order in which `generate` runs them."""
    from transformers.generation import logits_process as process

    chain: Any = process.LogitsProcessorList()
    if sampling.repetition_penalty != 1.0:
        chain.append(process.RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty))
    if forbidden:
        chain.append(process.MinNewTokensLengthLogitsProcessor(0, len(history) + 1, list(forbidden)))
    chain.append(process.TemperatureLogitsWarper(sampling.temperature))
    if sampling.top_k:
        chain.append(process.TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1.0:
        chain.append(process.TopPLogitsWarper(sampling.top_p))
    probabilities: Tensor = chain(history.unsqueeze(0), scores.unsqueeze(0))[0].softmax(-1)
    return probabilities


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(
    "sampling",
    [
        SpeechSampling(),
        SpeechSampling(temperature=(1.0, 0.7, 2.0, 1.3), top_p=0.9, top_k=9, min_kept=1),
        SpeechSampling(temperature=(0.1, 0.1, 0.1, 0.1), top_p=0.05, top_k=2, min_kept=5),
    ],
    ids=str,
)
def test_what_speech_may_follow(sampling: SpeechSampling, ties: bool, record_property: Record) -> None:
    """Each codebook is a row of its own. The penalty of repetition is no part of transformers, and off."""
    from transformers.generation import logits_process as process

    chain: Any = process.LogitsProcessorList(
        [
            process.TopPLogitsWarper(sampling.top_p, min_tokens_to_keep=sampling.min_kept),
            process.TopKLogitsWarper(sampling.top_k, min_tokens_to_keep=sampling.min_kept),
        ]
    )
    found, expected = [], []
    for seed in range(N_DRAWS):
        scores = scores_of(4, VOCABULARY, ties=ties, seed=seed)
        kept = chain(None, scores / torch.tensor(sampling.temperature).unsqueeze(1))
        if seed % 2:
            kept[:, END] = float("-inf")
        expected.append(kept.softmax(-1))
        history = torch.zeros(1, 4, dtype=torch.long)
        found.append(speech_probabilities(scores, history, sampling, END, may_end=not seed % 2))
    assert_same_choice(torch.stack(found), torch.stack(expected), record_property)
