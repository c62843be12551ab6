"""The graph against the same network computed slowly in numpy, with random weights and small pictures."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnxruntime

from omni.packaged.seeing.classifier_graph import build_graph

STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""EfficientNet-Lite0: repeats, kernel, stride of the first, expansion, channels"""

Floats = npt.NDArray[np.float64]


def _blocks() -> list[tuple[int, int, int, int, int]]:
    """Kernel, stride, expansion, channels in and out of every block."""
    blocks, n_in = [], 32
    for repeats, kernel, stride, expansion, n_out in STAGES:
        for repeat in range(repeats):
            blocks.append((kernel, stride if repeat == 0 else 1, expansion, n_in, n_out))
            n_in = n_out
    return blocks


def _random_weights() -> dict[str, npt.NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    weights: dict[str, npt.NDArray[np.float32]] = {}

    def layer(convolution: str, norm: str, shape: tuple[int, int, int, int]) -> None:
        fan_in = shape[1] * shape[2] * shape[3]
        weights[convolution + ".weight"] = rng.normal(0, fan_in**-0.5, shape).astype(np.float32)
        for part, low, high in (
            ("weight", 0.5, 2),
            ("bias", -0.5, 1),
            ("running_mean", -0.5, 0.5),
            ("running_var", 0.5, 2),
        ):
            weights[f"{norm}.{part}"] = rng.uniform(low, high, shape[0]).astype(np.float32)

    layer("_conv_stem", "_bn0", (32, 3, 3, 3))
    for index, (kernel, _, expansion, n_in, n_out) in enumerate(_blocks()):
        block, wide = f"_blocks.{index}.", n_in * expansion
        if expansion > 1:
            layer(block + "_expand_conv", block + "_bn0", (wide, n_in, 1, 1))
        layer(block + "_depthwise_conv", block + "_bn1", (wide, 1, kernel, kernel))
        layer(block + "_project_conv", block + "_bn2", (n_out, wide, 1, 1))
    layer("_conv_head", "_bn1", (1280, 320, 1, 1))
    weights["_fc.weight"] = rng.normal(0, 0.05, (1000, 1280)).astype(np.float32)
    weights["_fc.bias"] = rng.normal(0, 0.1, 1000).astype(np.float32)
    return weights


def _layer(
    x: Floats, weights: Mapping[str, npt.NDArray[np.float32]], convolution: str, norm: str, stride: int = 1
) -> Floats:
    """Convolution with TensorFlow's SAME padding, then the batch norm. x: [C, H, W]."""
    kernel = weights[convolution + ".weight"].astype(np.float64)
    size, side = kernel.shape[2], -(-x.shape[1] // stride)
    pad = max((side - 1) * stride + size - x.shape[1], 0)
    before, after = pad // 2, pad - pad // 2
    padded = np.pad(x, ((0, 0), (before, after), (before, after)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (1, 2))[:, ::stride, ::stride]
    spell = "chwij,cij->chw" if kernel.shape[1] == 1 else "chwij,ocij->ohw"
    out = np.einsum(spell, windows, kernel[:, 0] if kernel.shape[1] == 1 else kernel, optimize=True)
    scale, bias, mean, variance = (
        weights[f"{norm}.{part}"][:, None, None] for part in ("weight", "bias", "running_mean", "running_var")
    )
    normed: Floats = (out - mean) / np.sqrt(variance + 1e-3) * scale + bias
    return normed


def _slowly(picture: Floats, weights: Mapping[str, npt.NDArray[np.float32]]) -> Floats:
    x = np.clip(_layer(picture, weights, "_conv_stem", "_bn0", 2), 0, 6)
    for index, (_, stride, expansion, n_in, n_out) in enumerate(_blocks()):
        block, inner = f"_blocks.{index}.", x
        if expansion > 1:
            inner = np.clip(_layer(inner, weights, block + "_expand_conv", block + "_bn0"), 0, 6)
        inner = np.clip(_layer(inner, weights, block + "_depthwise_conv", block + "_bn1", stride), 0, 6)
        out = _layer(inner, weights, block + "_project_conv", block + "_bn2")
        x = x + out if stride == 1 and n_in == n_out else out
    x = np.clip(_layer(x, weights, "_conv_head", "_bn1"), 0, 6).mean(axis=(1, 2))
    logits: Floats = weights["_fc.weight"] @ x + weights["_fc.bias"]
    power = np.exp(logits - logits.max())
    shares: Floats = power / power.sum()
    return shares


def test_the_graph_is_the_network() -> None:
    weights = _random_weights()
    picture = np.random.default_rng(1).uniform(-1, 1, (3, 224, 224))
    network = onnxruntime.InferenceSession(build_graph(weights), providers=["CPUExecutionProvider"])
    found = network.run(None, {"picture": picture.astype(np.float32)[None]})[0][0]
    np.testing.assert_allclose(found, _slowly(picture, weights), rtol=2e-3, atol=1e-6)
