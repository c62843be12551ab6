"""Silero's voice activity as an ONNX graph of matrix products: its own tensors, without its control flow.

The packaged graph asks of its shapes what to do, window for window, and its convolutions see one stream after
another. Here every layer is one product for all streams: over so few places a convolution is a matrix.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

Tensor = npt.NDArray[np.float32]

HOP = 128
"""samples from one spectrum to the next; each is taken over two hops"""
_N_SPECTRA = 4
_STRIDES = (1, 2, 2, 1)
"""of the four convolutions, which hear one place to either side"""


def read_weights(network: bytes) -> dict[str, Tensor]:
    """The tensors of the packaged graph, by their names there without the first word."""
    tensors = ModelProto.FromString(network).graph.initializer
    return {tensor.name.removeprefix("model."): numpy_helper.to_array(tensor) for tensor in tensors}


def build_graph(weights: Mapping[str, Tensor]) -> bytes:
    """The network as a serialized ONNX model.

    "heard" [B, 5 HOP] and "memory" [B, 2 D] to "speech" [B, 1] and "memory_after" [B, 2 D]. The memory is what the
    recurrent layer last said, and its cells.
    """
    graph = _Graph()
    place = graph.add("Reshape", _spectra(graph, weights), graph.constant([0, -1], np.int64))
    n_places = _N_SPECTRA
    for layer, stride in enumerate(_STRIDES):
        name = f"encoder.{layer}.reparam_conv."
        matrix, n_places = _as_matrix(weights[name + "weight"], n_places, stride)
        bias = np.tile(weights[name + "bias"], n_places)
        place = graph.add("Relu", graph.add("Gemm", place, graph.constant(matrix), graph.constant(bias)))
    said, cells = _remember(graph, weights, place)
    graph.add("Concat", said, cells, name="memory_after", axis=1)
    out = graph.constant(weights["decoder.decoder.2.weight"][0]), graph.constant(weights["decoder.decoder.2.bias"])
    graph.add("Sigmoid", graph.add("Gemm", graph.add("Relu", said), *out), name="speech")
    n_memory = 2 * weights["decoder.rnn.weight_hh"].shape[1]
    return graph.serialize(
        {"heard": (_N_SPECTRA + 1) * HOP, "memory": n_memory}, {"speech": 1, "memory_after": n_memory}
    )


def _spectra(graph: "_Graph", weights: Mapping[str, Tensor]) -> str:
    """Magnitudes [B, 4, F] of four spectra, each over two hops."""
    hops = graph.add("Reshape", "heard", graph.constant([0, _N_SPECTRA + 1, HOP], np.int64))
    pairs = graph.add(
        "Concat", graph.cut(hops, 0, _N_SPECTRA, axis=1), graph.cut(hops, 1, _N_SPECTRA + 1, axis=1), axis=2
    )
    basis = weights["stft.forward_basis_buffer"][:, 0]
    both = graph.add("MatMul", pairs, graph.constant(basis.T))
    squares = graph.add("Mul", both, both)
    n_real = len(basis) // 2
    real, imaginary = graph.cut(squares, 0, n_real, axis=2), graph.cut(squares, n_real, 2 * n_real, axis=2)
    return graph.add("Sqrt", graph.add("Add", real, imaginary))


def _as_matrix(kernel: Tensor, n_places: int, stride: int) -> tuple[Tensor, int]:
    """A convolution [out, in, 3] over few places: one matrix [places * in, places after * out], and places after."""
    n_out, n_in, width = kernel.shape
    n_after = -(-n_places // stride)
    matrix = np.zeros((n_places, n_in, n_after, n_out), np.float32)
    for after in range(n_after):
        for tap in range(width):
            place = after * stride + tap - width // 2
            if 0 <= place < n_places:
                matrix[place, :, after] = kernel[:, :, tap].T
    return matrix.reshape(n_places * n_in, n_after * n_out), n_after


def _remember(graph: "_Graph", weights: Mapping[str, Tensor], x: str) -> tuple[str, str]:
    """The recurrent layer (LSTM): what it says [B, D], and its cells after that."""
    names = [f"decoder.rnn.{kind}_{source}" for kind in ("weight", "bias") for source in ("ih", "hh")]
    from_input, from_said, *biases = (weights[name] for name in names)
    size = from_said.shape[1]
    said, cells = graph.cut("memory", 0, size, axis=1), graph.cut("memory", size, 2 * size, axis=1)
    matrix = graph.constant(np.concatenate([from_input, from_said], axis=1).T)
    gates = graph.add("Gemm", graph.add("Concat", x, said, axis=1), matrix, graph.constant(np.sum(biases, axis=0)))
    take, keep, new, tell = (graph.cut(gates, i * size, (i + 1) * size, axis=1) for i in range(4))
    kept = graph.add("Mul", graph.add("Sigmoid", keep), cells)
    cells = graph.add("Add", kept, graph.add("Mul", graph.add("Sigmoid", take), graph.add("Tanh", new)))
    return graph.add("Mul", graph.add("Sigmoid", tell), graph.add("Tanh", cells)), cells


class _Graph:
    """ONNX nodes in the order they are added; each named by its output."""

    def __init__(self) -> None:
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []

    def constant(self, value: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        name = f"constant{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype), name))
        return name

    def add(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        name = name or f"{operator}{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def cut(self, x: str, begin: int, end: int, axis: int) -> str:
        return self.add("Slice", x, *(self.constant([value], np.int64) for value in (begin, end, axis)))

    def serialize(self, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> bytes:
        """Of inputs and outputs by name, each [B, width]."""
        of_inputs, of_outputs = (
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", width]) for name, width in ends.items()]
            for ends in (inputs, outputs)
        )
        graph = helper.make_graph(self._nodes, "voice_activity", of_inputs, of_outputs, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        serialized: bytes = model.SerializeToString()
        return serialized
