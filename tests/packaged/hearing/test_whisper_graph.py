"""Both graphs of a tiny random Whisper against the sums written out in numpy."""

from math import erf
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest

from omni.packaged.hearing.whisper_graph import decoder_graph, encoder_graph
from omni.packaged.hearing.whisper_weights import HEAD_WIDTH

Floats = npt.NDArray[Any]
HEADS, LAYERS, MELS, VOCABULARY = 2, {"encoder": 2, "decoder": 3}, 6, 30
WIDTH = HEADS * HEAD_WIDTH
TOKENS = [4, 29, 0, 11, 11, 7]
N_TAIL = 3


@pytest.fixture(scope="module")
def weights() -> dict[str, npt.NDArray[np.float32]]:
    rng = np.random.default_rng(2)
    found: dict[str, Floats] = {}

    def norm(name: str) -> None:
        found[f"{name}/layer_norm/gamma"] = rng.uniform(0.5, 1.5, WIDTH)
        found[f"{name}/layer_norm/beta"] = 0.3 * rng.standard_normal(WIDTH)

    def matrix(name: str, *shape: int) -> None:
        found[f"{name}/weight"] = rng.standard_normal(shape) * 1.5 / np.sqrt(np.prod(shape[1:]))
        found[f"{name}/bias"] = 0.3 * rng.standard_normal(shape[0])

    matrix("encoder/conv1", WIDTH, MELS, 3)
    matrix("encoder/conv2", WIDTH, WIDTH, 3)
    found["decoder/embeddings/weight"] = 0.5 * rng.standard_normal((VOCABULARY, WIDTH))
    for part, n_layers in LAYERS.items():
        found[f"{part}/position_encodings/encodings"] = rng.standard_normal((20, WIDTH))
        norm(part)
        for name in (f"{part}/layer_{layer}" for layer in range(n_layers)):
            sizes = {"self_attention/linear_0": (3, 1), "self_attention/linear_1": (1, 1)}
            sizes |= {"ffn/linear_0": (4, 1), "ffn/linear_1": (1, 4)}
            if part == "decoder":
                sizes |= {"attention/linear_0": (1, 1), "attention/linear_1": (2, 1), "attention/linear_2": (1, 1)}
            for linear, (n_out, n_in) in sizes.items():
                matrix(f"{name}/{linear}", n_out * WIDTH, n_in * WIDTH)
            for block in {linear.split("/")[0] for linear in sizes}:
                norm(f"{name}/{block}")
    return {name: values.astype(np.float32) for name, values in found.items()}


def gelu(x: Floats) -> Floats:
    return np.asarray(x * (1 + np.vectorize(erf)(x / np.sqrt(2))) / 2)


class Reference:
    """The same network in floats, position by position rows of [T, D]."""

    def __init__(self, weights: dict[str, npt.NDArray[np.float32]]) -> None:
        self.w = {name: values.astype(np.float64) for name, values in weights.items()}

    def norm(self, x: Floats, name: str) -> Floats:
        centred = x - x.mean(-1, keepdims=True)
        unit = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        return np.asarray(unit * self.w[f"{name}/layer_norm/gamma"] + self.w[f"{name}/layer_norm/beta"])

    def linear(self, x: Floats, name: str) -> Floats:
        return np.asarray(x @ self.w[f"{name}/weight"].T + self.w[f"{name}/bias"])

    def heads(self, x: Floats) -> Floats:
        """[T, parts · H · 64] → [parts, H, T, 64]."""
        return x.reshape(len(x), -1, HEADS, HEAD_WIDTH).transpose(1, 2, 0, 3)

    def attend(self, query: Floats, keys: Floats, values: Floats, mask: Floats | float, name: str) -> Floats:
        scores = np.exp(query @ keys.transpose(0, 2, 1) / np.sqrt(HEAD_WIDTH) + mask)
        mixed = scores / scores.sum(-1, keepdims=True) @ values
        return self.linear(mixed.transpose(1, 0, 2).reshape(-1, WIDTH), name)

    def feed_forward(self, x: Floats, block: str) -> Floats:
        return x + self.linear(gelu(self.linear(self.norm(x, block), f"{block}/linear_0")), f"{block}/linear_1")

    def encode(self, mel: Floats, tail: Floats) -> tuple[Floats, Floats]:
        """own and heard, of mel [F, M] with keys and values that follow it."""
        x = mel
        for name, stride in (("encoder/conv1", 1), ("encoder/conv2", 2)):
            windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (1, 1))), 3, 1)[:, ::stride]
            x = gelu(np.einsum("ctk,ock->ot", windows, self.w[f"{name}/weight"]) + self.w[f"{name}/bias"][:, None])
        x = x.T + self.w["encoder/position_encodings/encodings"][: x.shape[1]]
        own = []
        for layer in range(LAYERS["encoder"]):
            block = f"encoder/layer_{layer}/self_attention"
            query, *pair = self.heads(self.linear(self.norm(x, block), f"{block}/linear_0"))
            own += pair
            keys, values = (np.concatenate([mine, tail[2 * layer + i]], 1) for i, mine in enumerate(pair))
            x = x + self.attend(query, keys, values, 0.0, f"{block}/linear_1")
            x = self.feed_forward(x, f"encoder/layer_{layer}/ffn")
        x = self.norm(x, "encoder")
        across = [self.linear(x, f"decoder/layer_{layer}/attention/linear_1") for layer in range(LAYERS["decoder"])]
        return np.stack(own), np.concatenate([self.heads(pair) for pair in across])

    def decode(self, tokens: list[int], heard: Floats) -> tuple[Floats, Floats]:
        """Logits [T, V], and own, of tokens from the first one on."""
        n = len(tokens)
        x = self.w["decoder/embeddings/weight"][tokens] + self.w["decoder/position_encodings/encodings"][:n]
        own = []
        for layer in range(LAYERS["decoder"]):
            name = f"decoder/layer_{layer}"
            block = f"{name}/self_attention"
            query, keys, values = self.heads(self.linear(self.norm(x, block), f"{block}/linear_0"))
            own += [keys, values]
            x = x + self.attend(query, keys, values, causal(n, n), f"{block}/linear_1")
            (query,) = self.heads(self.linear(self.norm(x, f"{name}/attention"), f"{name}/attention/linear_0"))
            x = x + self.attend(query, heard[2 * layer], heard[2 * layer + 1], 0.0, f"{name}/attention/linear_2")
            x = self.feed_forward(x, f"{name}/ffn")
        return self.norm(x, "decoder") @ self.w["decoder/embeddings/weight"].T, np.stack(own)


def causal(n_tokens: int, n_all: int) -> npt.NDArray[np.float32]:
    """For the last of all tokens: none sees a later one."""
    return np.triu(np.full((n_all, n_all), -1e9, np.float32), 1)[n_all - n_tokens :]


def session(graph: onnx.ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


def caches(part: str, n_positions: int) -> npt.NDArray[np.float32]:
    shape = (2 * LAYERS[part], HEADS, n_positions, HEAD_WIDTH)
    return np.random.default_rng(n_positions).standard_normal(shape, np.float32)


def assert_close(found: Floats, expected: Floats) -> None:
    # weights and activations are rounded to eight bits before every product
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < 0.04 * expected.std()


@pytest.mark.parametrize("n_tail", [0, N_TAIL])
def test_the_encoder_hears_the_sound_and_what_follows_it(
    weights: dict[str, npt.NDArray[np.float32]], n_tail: int
) -> None:
    mel, tail = np.random.default_rng(1).standard_normal((MELS, 14), np.float32), caches("encoder", n_tail)
    found = session(encoder_graph(weights)).run(["own", "heard"], {"mel": mel[None], "tail": tail})
    for each, expected in zip(found, Reference(weights).encode(mel, tail), strict=True):
        assert_close(each, expected)


@pytest.mark.parametrize("cut", [2, len(TOKENS)])
def test_the_decoder_judges_tokens_behind_those_it_keeps(weights: dict[str, npt.NDArray[np.float32]], cut: int) -> None:
    heard = caches("decoder", 5)
    logits, own = Reference(weights).decode(TOKENS, heard)
    run, past = session(decoder_graph(weights)).run, caches("decoder", 0)
    for start in range(0, len(TOKENS), cut):
        tokens = np.array(TOKENS[start : start + cut])
        mask = causal(len(tokens), start + len(tokens))
        feeds = {"tokens": tokens, "judged": np.array([1]), "mask": mask, "past": past, "heard": heard}
        found, fresh = run(["logits", "own"], feeds)
        assert_close(found, logits[start + 1 : start + cut])
        past = np.concatenate([past, fresh], 2)
    assert_close(past, own)
