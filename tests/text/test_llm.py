"""Features in their places, and a head that may be the embedding table."""

from dataclasses import replace

import pytest
import torch

from omni.configs import DecoderConfig
from omni.text.llm import LanguageModel, place_each, place_features

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
