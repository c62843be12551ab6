"""The graph against a slow reference in fp32, and the cache against its own laws."""

from pathlib import Path

import gguf as published
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from omni.packaged.language import gguf
from omni.packaged.language.decoder import SMOLLM2, Decoder
from omni.packaged.language.decoder_graph import widen

TEXT = (
    "The capital of France is Paris, and the capital of Italy is Rome. A week has 7 days: Monday, Tuesday, Wednesday, "
    "Thursday, Friday, Saturday and Sunday. Once upon a time there was a little girl who lived in a village near the "
    "forest. Whenever she went out, she wore a red riding cloak, so everyone in the village called her Little Red "
    "Riding Hood. One morning she asked her mother if she could go to visit her grandmother."
)


@pytest.fixture(scope="module")
def model() -> gguf.Gguf:
    return gguf.read(SMOLLM2.verified())


@pytest.fixture(scope="module")
def ids(model: gguf.Gguf) -> list[int]:
    from omni.text.tokenizer import BpeTokenizer

    lists = model.strings("tokenizer.ggml.tokens"), model.strings("tokenizer.ggml.merges")
    return BpeTokenizer(*lists, model.integers("tokenizer.ggml.token_type")).encode(TEXT)


@pytest.fixture(scope="module")
def decoder(model: gguf.Gguf) -> Decoder:
    return Decoder(model, 1024)


def reference(path: Path, ids: list[int]) -> torch.Tensor:
    """Logits [T, V] in fp32 from weights that the published reader dequantised."""
    reader = published.GGUFReader(path)
    w = {t.name: torch.from_numpy(published.dequantize(t.data, t.tensor_type).copy()) for t in reader.tensors}
    heads, kv, d, n = 9, 3, 64, len(ids)
    angle = torch.outer(torch.arange(n), 100_000 ** -(torch.arange(0, d, 2) / d))
    turn = torch.polar(torch.ones_like(angle), angle)

    def rotate(x: torch.Tensor) -> torch.Tensor:
        pairs = torch.view_as_complex(x.reshape(n, -1, d // 2, 2).contiguous())
        return torch.view_as_real(pairs * turn[:, None]).reshape(n, -1, d).transpose(0, 1)

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.rms_norm(x, (576,), w[f"{name}_norm.weight"], 1e-5)

    x = w["token_embd.weight"][ids]
    for b in (f"blk.{layer}." for layer in range(30)):
        h = norm(x, b + "attn")
        q, k, v = (h @ w[f"{b}attn_{part}.weight"].T for part in "qkv")
        keys, values = (t.repeat_interleave(heads // kv, 0) for t in (rotate(k), v.reshape(n, kv, d).transpose(0, 1)))
        mixed = F.scaled_dot_product_attention(rotate(q), keys, values, is_causal=True)
        x = x + mixed.transpose(0, 1).reshape(n, -1) @ w[b + "attn_output.weight"].T
        h = norm(x, b + "ffn")
        x = x + (F.silu(h @ w[b + "ffn_gate.weight"].T) * (h @ w[b + "ffn_up.weight"].T)) @ w[b + "ffn_down.weight"].T
    return norm(x, "output") @ w["token_embd.weight"].T


@pytest.mark.models
def test_logits_equal_the_fp32_reference_but_for_rounding(decoder: Decoder, ids: list[int]) -> None:
    expected = reference(SMOLLM2.locate(), ids).numpy()
    run = decoder.bind(decoder.cache()).run
    found = np.stack([run([token], place).copy() for place, token in enumerate(ids)])
    error = np.abs(found - expected)
    agree = (found.argmax(-1) == expected.argmax(-1)).mean()
    print(f"max {error.max():.3f}, mean {error.mean():.4f}, std {expected.std():.2f}, top-1 {agree:.3f}")
    # activations are rounded to eight bits, a block of 32 at a time
    assert error.mean() < 0.05 * expected.std()
    assert agree > 0.9
    # where the choice differs, the reference too was undecided
    given_up = expected.max(-1) - np.take_along_axis(expected, found.argmax(-1)[:, None], -1)[:, 0]
    assert given_up.max() < 1


@pytest.mark.models
def test_how_the_prompt_was_cut_does_not_show(decoder: Decoder, ids: list[int]) -> None:
    whole = decoder.bind(decoder.cache()).run(ids, 0).copy()
    run = decoder.bind(decoder.cache()).run
    for start in range(0, len(ids), 7):
        pieces = run(ids[start : start + 7], start)
    assert np.abs(whole - pieces).max() < 0.3 * whole.std()
    assert whole.argmax() == pieces.argmax()


@pytest.mark.models
def test_a_copied_prefix_continues_like_its_original(decoder: Decoder, ids: list[int]) -> None:
    first, second = decoder.cache(), decoder.cache()
    whole = decoder.bind(first).run(ids, 0).copy()
    second.copy_from(first, len(ids) - 1)
    copied = decoder.bind(second).run(ids[-1:], len(ids) - 1)
    # a token alone goes through another kernel than a token among others, hence no exact equality
    assert np.abs(whole - copied).max() < 0.3 * whole.std()
    assert whole.argmax() == copied.argmax()


@pytest.mark.models
def test_a_cache_that_is_full_says_so(decoder: Decoder) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        decoder.bind(decoder.cache()).run([1, 2, 3], 1022)


def test_widened_blocks_keep_their_weights() -> None:
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 16, (4, 3, 32), np.uint8)
    scale = rng.uniform(0.001, 0.1, (4, 3)).astype(np.float32)
    least = -scale * rng.uniform(0, 15, (4, 3)).astype(np.float32)
    least[0] = [0.5, -9.0, 0.0]  # all positive, all negative, touching zero
    scale[1, 0] = least[1, 0] = 0
    before = levels * scale[..., None] + least[..., None]
    wide, fine, zero = widen(levels, scale, least)
    after = (wide.astype(np.float32) - zero[..., None]) * fine[..., None]
    assert (np.abs(after - before) <= fine[..., None] * 0.51).all()
