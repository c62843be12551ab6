"""The graph against the same network computed slowly in numpy, with small random weights."""

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

from omni.packaged.speaking.likeness_graph import build_graph

Floats = npt.NDArray[np.float64]
N_MELS, WIDTH, SIZE = 5, 4, 6


def _random_weights() -> dict[str, npt.NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {"linear.weight": (SIZE, WIDTH), "linear.bias": (SIZE,)}
    for layer, n_in in enumerate((N_MELS, WIDTH, WIDTH)):
        shapes |= {f"lstm.weight_ih_l{layer}": (4 * WIDTH, n_in), f"lstm.weight_hh_l{layer}": (4 * WIDTH, WIDTH)}
        shapes |= {f"lstm.bias_{part}_l{layer}": (4 * WIDTH,) for part in ("ih", "hh")}
    return {name: rng.normal(0, 1, shape).astype(np.float32) for name, shape in shapes.items()}


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))


def _slowly(mel: Floats, weights: dict[str, npt.NDArray[np.float32]]) -> Floats:
    """One clip [F, M]; gates in torch's order: input, forget, cell, output."""
    frames: list[Floats] = list(mel)
    for layer in range(3):
        from_input, from_self, *biases = (
            weights[f"lstm.{part}_l{layer}"] for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        hidden, cell, outputs = np.zeros(WIDTH), np.zeros(WIDTH), []
        for frame in frames:
            enters, stays, new, leaves = np.split(from_input @ frame + from_self @ hidden + sum(biases), 4)
            cell = _sigmoid(stays) * cell + _sigmoid(enters) * np.tanh(new)
            hidden = _sigmoid(leaves) * np.tanh(cell)
            outputs.append(hidden)
        frames = outputs
    positive = np.maximum(weights["linear.weight"] @ frames[-1] + weights["linear.bias"], 0)
    return np.asarray(positive / np.linalg.norm(positive))


def test_the_graph_is_the_network_for_each_clip_of_a_batch() -> None:
    weights = _random_weights()
    mel = np.random.default_rng(1).normal(0, 1, (7, 3, N_MELS))
    network = onnxruntime.InferenceSession(build_graph(weights), providers=["CPUExecutionProvider"])
    found = network.run(None, {"mel": mel.astype(np.float32)})[0]
    for row in range(3):
        assert found[row] == pytest.approx(_slowly(mel[:, row], weights), abs=1e-5)
