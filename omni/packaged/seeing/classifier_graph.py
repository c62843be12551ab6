"""EfficientNet-Lite0 as an ONNX graph, batch norms folded into the convolutions."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from omni.packaged.torch_file import Tensor

_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
"""of the sixteen blocks; every other size is read off the weights"""
_EPSILON = 1e-3
"""of the batch norms"""


def build_graph(weights: Mapping[str, Tensor]) -> bytes:
    """The network as a serialized ONNX model: picture [1, 3, 224, 224] to probabilities [1, 1000]."""
    graph = _Graph(weights)
    x = graph.convolve("picture", "_conv_stem", "_bn0", stride=2)
    for index, stride in enumerate(_STRIDES):
        block = f"_blocks.{index}."
        inner = x
        if block + "_expand_conv.weight" in weights:
            inner = graph.convolve(inner, block + "_expand_conv", block + "_bn0")
        inner = graph.convolve(inner, block + "_depthwise_conv", block + "_bn1", stride=stride)
        out = graph.convolve(inner, block + "_project_conv", block + "_bn2", bounded=False)
        n_out, n_in = len(weights[block + "_project_conv.weight"]), graph.n_channels[x]
        # a block that keeps its shape adds to what came in
        x = graph.add("Add", x, out, n_channels=n_out) if stride == 1 and n_in == n_out else out
    x = graph.convolve(x, "_conv_head", "_bn1")
    x = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    x = graph.add("Gemm", x, graph.constant(weights["_fc.weight"]), graph.constant(weights["_fc.bias"]), transB=1)
    x = graph.add("Softmax", x)
    return graph.serialize(x)


class _Graph:
    """ONNX nodes in the order they are added; each named by its output."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self._weights = weights
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []
        self.n_channels: dict[str, int] = {"picture": 3}

    def constant(self, value: Tensor) -> str:
        name = f"constant{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name))
        return name

    def add(self, operator: str, *inputs: str, n_channels: int = 0, **attributes: Any) -> str:
        name = f"{operator}{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        self.n_channels[name] = n_channels
        return name

    def convolve(self, x: str, weight: str, norm: str, stride: int = 1, bounded: bool = True) -> str:
        """Convolution with its batch norm folded in, then (bounded) the clamp to 0..6."""
        kernel = self._weights[weight + ".weight"]
        scale = self._weights[norm + ".weight"] / np.sqrt(self._weights[norm + ".running_var"] + _EPSILON)
        shift = self._weights[norm + ".bias"] - self._weights[norm + ".running_mean"] * scale
        depthwise = kernel.shape[1] == 1
        out = self.add(
            "Conv",
            x,
            self.constant(kernel * scale[:, None, None, None]),
            self.constant(shift),
            n_channels=len(kernel),
            auto_pad="SAME_UPPER",
            strides=[stride, stride],
            group=len(kernel) if depthwise else 1,
        )
        if not bounded:
            return out
        low, high = self.constant(np.zeros(())), self.constant(np.full((), 6))
        return self.add("Clip", out, low, high, n_channels=len(kernel))

    def serialize(self, output: str) -> bytes:
        values = (("picture", [1, 3, 224, 224]), (output, [1, 1000]))
        inputs, outputs = ([helper.make_tensor_value_info(n, TensorProto.FLOAT, shape)] for n, shape in values)
        graph = helper.make_graph(self._nodes, "efficientnet_lite0", inputs, outputs, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        serialized: bytes = model.SerializeToString()
        return serialized
