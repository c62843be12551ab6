"""The speaker encoder as an ONNX graph: three LSTM layers, one projection, one vector of length 1."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from omni.packaged.torch_file import Tensor

_GATES = (0, 3, 1, 2)
"""torch keeps input, forget, cell, output; ONNX wants input, output, forget, cell"""


def build_graph(weights: Mapping[str, Tensor]) -> bytes:
    """The network as a serialized ONNX model: mel frames [F, B, M] to voice prints [B, D] of length 1."""
    nodes: list[NodeProto] = []
    constants: list[TensorProto] = []

    def constant(name: str, value: Tensor, dtype: type = np.float32) -> str:
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype), name))
        return name

    def add(operator: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        nodes.append(helper.make_node(operator, inputs, outputs, **attributes))

    x = "mel"
    n_layers = sum(name.startswith("lstm.weight_ih") for name in weights)
    first_axis = constant("first_axis", np.array([0]), np.int64)
    direction = constant("direction", np.array([1]), np.int64)
    for layer in range(n_layers):
        from_input, from_self, *biases = (
            _regrouped(weights[f"lstm.{part}_l{layer}"]) for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        inputs = [
            x,
            constant(f"from_input{layer}", from_input[None]),
            constant(f"from_self{layer}", from_self[None]),
            constant(f"bias{layer}", np.concatenate(biases)[None]),
        ]
        add("LSTM", inputs, [f"all{layer}", f"last{layer}"], hidden_size=from_self.shape[1])
        add("Squeeze", [f"all{layer}", direction], [x := f"hidden{layer}"])
    add("Squeeze", [f"last{n_layers - 1}", first_axis], ["end"])
    projection = [constant(name, weights[name]) for name in ("linear.weight", "linear.bias")]
    add("Gemm", ["end", *projection], ["projected"], transB=1)
    add("Relu", ["projected"], ["positive"])
    add("LpNormalization", ["positive"], ["print"], axis=1, p=2)
    n_mels, size = weights["lstm.weight_ih_l0"].shape[1], len(weights["linear.weight"])
    graph = helper.make_graph(
        nodes,
        "speaker_encoder",
        [helper.make_tensor_value_info("mel", TensorProto.FLOAT, ["F", "B", n_mels])],
        [helper.make_tensor_value_info("print", TensorProto.FLOAT, ["B", size])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    serialized: bytes = model.SerializeToString()
    return serialized


def _regrouped(rows: Tensor) -> Tensor:
    """The rows of an LSTM's weight or bias [4 H, …] in the order of ONNX."""
    return np.concatenate([np.split(rows, 4)[gate] for gate in _GATES])
