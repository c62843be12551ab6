"""Features in their places, and a head that may be the embedding table."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from omni.configs import DecoderConfig
from omni.text.llm import LanguageModel, place_each, place_features
from tests.chunks import Samples, assert_batch_is_invisible

CONFIG = DecoderConfig(
    hidden_size=12,
    intermediate_size=20,
    num_hidden_layers=1,
    num_attention_heads=2,
    num_key_value_heads=1,
    head_dim=6,
    rms_norm_eps=1e-6,
    rope_theta=10_000.0,
    max_position_embeddings=64,
    vocab_size=30,
)


def test_features_run_over_the_bounds_in_order() -> None:
    tokens = torch.zeros(6, 2)
    features = torch.arange(1.0, 4.0).repeat(2, 1).T
    found = place_features(tokens, [(1, 3), (4, 5)], features)
    assert found[:, 0].tolist() == [0, 1, 2, 0, 3, 0]
    assert not tokens.any(), "the prompt's own embeddings stay as they were"


def test_one_row_too_many_is_dropped_and_one_too_few_is_an_error() -> None:
    tokens = torch.zeros(4, 2)
    assert place_features(tokens, [(0, 2)], torch.ones(3, 2)).sum() == 4
    with pytest.raises(ValueError, match="2 placeholders and only 1"):
        place_features(tokens, [(0, 2)], torch.ones(1, 2))


def test_each_feature_must_fill_its_own_bound() -> None:
    tokens = torch.zeros(6, 2)
    assert torch.equal(place_each(tokens, [], []), tokens)
    for features in ([torch.ones(1, 2), torch.ones(2, 2)], [torch.ones(2, 2)]):
        with pytest.raises(ValueError, match=r"placeholders for \[2, 1\]"):
            place_each(tokens, [(0, 2), (3, 4)], features)


def test_features_take_the_dtype_of_the_prompt() -> None:
    assert place_features(torch.zeros(2, 2).bfloat16(), [(0, 1)], torch.ones(1, 2)).dtype == torch.bfloat16


def test_a_tied_head_is_the_embedding_table() -> None:
    model = LanguageModel(replace(CONFIG, tie_word_embeddings=True)).requires_grad_(False)
    assert not [name for name in model.state_dict() if name.startswith("lm_head")]
    hidden = model(model.embed(torch.tensor([[1, 2]])), [0], [model.model.new_cache(2)])
    torch.testing.assert_close(model.logits(hidden), hidden @ model.model.embed_tokens.weight.T)


def test_logits_are_float32_whatever_the_weights() -> None:
    model = LanguageModel(CONFIG).requires_grad_(False).bfloat16()
    assert model.logits(torch.zeros(1, 12).bfloat16()).dtype == torch.float32


def test_a_language_model_needs_a_vocabulary() -> None:
    with pytest.raises(ValueError, match="vocab_size"):
        LanguageModel(replace(CONFIG, vocab_size=None))


def prompts(lengths: Sequence[int]) -> list[Samples]:
    random = np.random.default_rng(4)
    return [random.standard_normal((n, CONFIG.hidden_size)).astype(np.float32) for n in lengths]


def test_rows_are_read_together_as_they_are_alone_whatever_their_lengths() -> None:
    """Two prompts each, of uneven lengths, one of them empty, into caches that begin too small."""
    torch.manual_seed(2)
    model = LanguageModel(replace(CONFIG, num_hidden_layers=2)).requires_grad_(False)

    def run(streams: list[Samples]) -> list[Samples]:
        caches = [model.model.new_cache(4) for _ in streams]
        cut = [len(stream) // 3 for stream in streams]
        found = []
        for span in ([slice(0, n) for n in cut], [slice(n, None) for n in cut]):
            rows = [torch.from_numpy(stream[at]) for stream, at in zip(streams, span, strict=True)]
            found.append(model.read(rows, caches))
        assert [cache.length for cache in caches] == [len(stream) for stream in streams]
        return [torch.cat(states).numpy() for states in zip(*found, strict=True)]

    assert_batch_is_invisible(run, prompts([1, 9, 40]), 1e-5)


def test_reading_is_feeding() -> None:
    model = LanguageModel(CONFIG).requires_grad_(False)
    (prompt,) = map(torch.from_numpy, prompts([5]))
    cache, other = model.model.new_cache(8), model.model.new_cache(8)
    (found,) = model.read([prompt], [cache])
    assert torch.equal(found, model(prompt[None], [0], [other])[0])
    assert torch.equal(cache.keys, other.keys)
    assert cache.length == 5


def test_nothing_is_read_without_a_word() -> None:
    model = LanguageModel(CONFIG)
    assert model.read([], []) == []
    cache = model.model.new_cache(1)
    (found,) = model.read([torch.zeros(0, CONFIG.hidden_size)], [cache])
    assert (tuple(found.shape), cache.length) == ((0, CONFIG.hidden_size), 0)


@pytest.mark.parametrize("n", [0, 3])
def test_every_prompt_needs_a_cache(n: int) -> None:
    model = LanguageModel(CONFIG)
    with pytest.raises(ValueError, match="one of each"):
        model.read([torch.zeros(n, CONFIG.hidden_size)] * 2, [model.model.new_cache(1)])
