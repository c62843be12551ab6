"""The graph of a tiny random model, which needs no packaged weights, against the sums written out in numpy."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from omni.packaged.language.decoder import Decoder
from omni.packaged.language.gguf import BLOCK, Gguf, Tensor

Floats = npt.NDArray[np.float64]
WIDTH, HEADS, KV_HEADS, HIDDEN, LAYERS, VOCABULARY = 64, 4, 2, 96, 2, 40
HEAD = WIDTH // HEADS
# unlike those of the packaged model, and large enough to be seen: a graph that has its own would fail
ROPE_BASE, EPSILON = 50.0, 0.2
IDS = [3, 17, 39, 0, 8, 8, 25, 31, 12]
N_POSITIONS = 16


class Random:
    """Weights, in the file's encoding and as plain numbers."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(4)
        self.tensors: dict[str, Tensor] = {}
        self.plain: dict[str, Floats] = {}

    def norm(self, name: str) -> None:
        gain = self._rng.uniform(0.5, 1.5, WIDTH).astype(np.float32)
        self._add(name, Tensor(gain.shape, gain), gain)

    def four_bit(self, name: str, n_out: int, n_in: int) -> None:
        """Q4_1: of a block's bytes the low halves come first, then the high ones."""
        levels = self._rng.integers(0, 16, (n_out, n_in // BLOCK, BLOCK), np.uint8)
        kind = [("scale", "<f2"), ("least", "<f2"), ("levels", "u1", (BLOCK // 2,))]
        data = np.zeros(levels.shape[:2], kind)
        data["scale"] = self._rng.uniform(0.02, 0.06, data.shape)
        data["least"] = -data["scale"].astype(np.float32) * self._rng.uniform(5, 10, data.shape)
        data["levels"] = levels[..., : BLOCK // 2] | levels[..., BLOCK // 2 :] << 4
        scale, least = (data[part].astype(np.float64)[..., None] for part in ("scale", "least"))
        self._add(name, Tensor((n_out, n_in), data), (levels * scale + least).reshape(n_out, n_in))

    def eight_bit(self, name: str, n_out: int, n_in: int) -> None:
        """Q8_0."""
        data = np.zeros((n_out, n_in // BLOCK), [("scale", "<f2"), ("levels", "i1", (BLOCK,))])
        data["scale"] = self._rng.uniform(0.005, 0.02, data.shape)
        data["levels"] = self._rng.integers(-127, 128, (*data.shape, BLOCK))
        plain = data["levels"] * data["scale"].astype(np.float64)[..., None]
        self._add(name, Tensor((n_out, n_in), data), plain.reshape(n_out, n_in))

    def _add(self, name: str, tensor: Tensor, plain: npt.NDArray[np.floating]) -> None:
        self.tensors[f"{name}.weight"], self.plain[name] = tensor, plain.astype(np.float64)


def random() -> Random:
    weights = Random()
    weights.eight_bit("token_embd", VOCABULARY, WIDTH)
    for b in (f"blk.{layer}." for layer in range(LAYERS)):
        weights.norm(b + "attn_norm")
        for name, n_heads in (("q", HEADS), ("k", KV_HEADS), ("v", KV_HEADS)):
            weights.four_bit(f"{b}attn_{name}", n_heads * HEAD, WIDTH)
        weights.four_bit(b + "attn_output", WIDTH, WIDTH)
        weights.norm(b + "ffn_norm")
        for name, n_out, n_in in (("gate", HIDDEN, WIDTH), ("up", HIDDEN, WIDTH), ("down", WIDTH, HIDDEN)):
            weights.four_bit(f"{b}ffn_{name}", n_out, n_in)
    weights.norm("output_norm")
    return weights


def reference(w: dict[str, Floats], ids: list[int]) -> Floats:
    """Logits [T, V]."""
    n = len(ids)
    angle = np.outer(np.arange(n), ROPE_BASE ** (-np.arange(0, HEAD, 2) / HEAD))

    def norm(x: Floats, name: str) -> Floats:
        return np.asarray(x / np.sqrt((x**2).mean(-1, keepdims=True) + EPSILON) * w[name])

    def heads(x: Floats, *, turned: bool) -> Floats:
        """[T, H · D] → [H, T, D], neighbours turned as a pair."""
        split = x.reshape(n, -1, HEAD).transpose(1, 0, 2)
        if not turned:
            return split
        pairs = (split[..., ::2] + 1j * split[..., 1::2]) * np.exp(1j * angle)
        return np.stack([pairs.real, pairs.imag], -1).reshape(split.shape)

    x = w["token_embd"][ids]
    for b in (f"blk.{layer}." for layer in range(LAYERS)):
        h = norm(x, b + "attn_norm")
        q, k, v = (heads(h @ w[f"{b}attn_{part}"].T, turned=part != "v") for part in "qkv")
        k, v = (np.repeat(part, HEADS // KV_HEADS, 0) for part in (k, v))
        scores = np.exp(q @ k.transpose(0, 2, 1) / np.sqrt(HEAD)) * np.tri(n)
        mixed = scores / scores.sum(-1, keepdims=True) @ v
        x = x + mixed.transpose(1, 0, 2).reshape(n, WIDTH) @ w[b + "attn_output"].T
        h = norm(x, b + "ffn_norm")
        gate, up = h @ w[b + "ffn_gate"].T, h @ w[b + "ffn_up"].T
        x = x + (gate / (1 + np.exp(-gate)) * up) @ w[b + "ffn_down"].T
    return np.asarray(norm(x, "output_norm") @ w["token_embd"].T)


@pytest.fixture(scope="module")
def weights() -> Random:
    return random()


@pytest.fixture(scope="module")
def decoder(weights: Random, tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    fields: dict[str, object] = {
        "llama.block_count": LAYERS,
        "llama.embedding_length": WIDTH,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": KV_HEADS,
        "llama.rope.freq_base": ROPE_BASE,
        "llama.attention.layer_norm_rms_epsilon": EPSILON,
    }
    folder: Path = tmp_path_factory.mktemp("decoder")
    return Decoder(Gguf(fields, weights.tensors), N_POSITIONS, 1, folder)


def assert_close(found: npt.NDArray[np.float32], expected: Floats) -> None:
    # activations are rounded to eight bits, a block of 32 at a time; weights are not rounded again
    assert np.abs(found - expected).mean() < 0.04 * expected.std()


@pytest.mark.parametrize("cut", [1, 4, len(IDS)])
def test_the_graph_computes_the_model_however_the_tokens_come(weights: Random, decoder: Decoder, cut: int) -> None:
    expected = reference(weights.plain, IDS)
    run = decoder.bind(decoder.cache()).run
    for start in range(0, len(IDS), cut):
        piece = IDS[start : start + cut]
        assert_close(run(piece, start), expected[start + len(piece) - 1])


def test_what_is_computed_again_behind_a_prefix_takes_the_place_of_what_stood_there(
    weights: Random, decoder: Decoder
) -> None:
    run = decoder.bind(decoder.cache()).run
    run(IDS, 0)
    other = [*IDS[:5], 1, 2]
    assert_close(run(other[5:], 5), reference(weights.plain, other)[-1])
