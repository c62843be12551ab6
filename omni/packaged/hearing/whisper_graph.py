"""Writes Whisper's encoder and decoder as ONNX graphs: products in 8 bits, the rest in float."""

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from omni.packaged.hearing.whisper_weights import HEAD_WIDTH, Weights, count_layers

_RUNTIME = "com.microsoft"
"""onnxruntime's own operators; of them only the product with 8-bit weights is used"""

Shapes = dict[str, list[int | None]]
"""of inputs or outputs by name; None where a size differs from call to call"""


def encoder_graph(weights: Weights) -> onnx.ModelProto:
    """The encoder, and the decoder's keys and values of what it heard.

    Inputs: mel [1, 80, 2 T], normalised; tail [2 L, H, C, 64], keys and values of C positions that follow and are
    attended to. Outputs: own [2 L, H, T, 64], the same of the T positions; heard [2 L, H, T, 64], what the
    decoder's layers attend to.
    """
    graph = _Graph(weights)
    x = graph.embed_mel()
    own = []
    for layer in range(graph.n_layers("encoder")):
        name = f"encoder/layer_{layer}"
        query, keys, values = graph.heads(graph.norm_linear(x, f"{name}/self_attention", "linear_0"), 3)
        own += [keys, values]
        x = graph.attend(x, query, *graph.extended("tail", layer, keys, values), name=f"{name}/self_attention/linear_1")
        x = graph.feed_forward(x, f"{name}/ffn")
    x = graph.norm(x, "encoder/layer_norm")
    heard: list[str] = []
    for layer in range(graph.n_layers("decoder")):
        heard += graph.heads(graph.linear(x, f"decoder/layer_{layer}/attention/linear_1"), 2)
    graph.stack(own, "own")
    graph.stack(heard, "heard")
    own_cache, heard_cache = graph.cache("encoder"), graph.cache("decoder")
    inputs: Shapes = {"mel": [1, None, None], "tail": own_cache}
    return graph.build(inputs, {}, {"own": own_cache, "heard": heard_cache})


def decoder_graph(weights: Weights) -> onnx.ModelProto:
    """The decoder for T tokens behind P cached ones.

    Inputs: tokens int64 [T]; judged int64 [1], the first token whose logits are wanted; mask [T, P + T], added to
    the scores; past [2 L, H, P, 64]; heard [2 L, H, S, 64] from the encoder. Outputs: logits [T - judged, V];
    own [2 L, H, T, 64], to be appended to past.
    """
    graph = _Graph(weights)
    x = graph.embed_tokens()
    own = []
    for layer in range(graph.n_layers("decoder")):
        name = f"decoder/layer_{layer}"
        query, keys, values = graph.heads(graph.norm_linear(x, f"{name}/self_attention", "linear_0"), 3)
        own += [keys, values]
        before = graph.extended("past", layer, keys, values, after=False)
        x = graph.attend(x, query, *before, name=f"{name}/self_attention/linear_1", mask="mask")
        (query,) = graph.heads(graph.norm_linear(x, f"{name}/attention", "linear_0"), 1)
        x = graph.attend(x, query, *graph.taken("heard", layer), name=f"{name}/attention/linear_2")
        x = graph.feed_forward(x, f"{name}/ffn")
    graph.logits(graph.norm(x, "decoder/layer_norm"))
    graph.stack(own, "own")
    cache = graph.cache("decoder")
    floats: Shapes = {"mask": [None, None], "past": cache, "heard": cache}
    logits = [None, weights["decoder/embeddings/weight"].shape[0]]
    return graph.build(floats, {"tokens": [None], "judged": [1]}, {"logits": logits, "own": cache})


class _Graph:
    """A graph under construction. Methods add nodes and return the name of their output."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: list[onnx.TensorProto] = []

    def n_layers(self, part: str) -> int:
        """Layers of the encoder or the decoder."""
        return count_layers(self._weights, part)

    def cache(self, part: str) -> list[int | None]:
        """Shape of the keys and values of any number of positions in the encoder or the decoder."""
        n_heads = self._weights[f"{part}/layer_norm/gamma"].shape[0] // HEAD_WIDTH
        return [2 * self.n_layers(part), n_heads, None, HEAD_WIDTH]

    def build(self, floats: Shapes, integers: Shapes, outputs: Shapes) -> onnx.ModelProto:
        """The finished graph; every output is float."""
        inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in floats.items()]
        inputs += [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name, shape in integers.items()]
        results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()]
        graph = helper.make_graph(self._nodes, "whisper", inputs, results, self._tensors)
        opsets = [helper.make_opsetid("", 20), helper.make_opsetid(_RUNTIME, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)

    def embed_mel(self) -> str:
        """mel → [T, D]: two convolutions, then positions."""
        x = "mel"
        for name, stride in (("encoder/conv1", 1), ("encoder/conv2", 2)):
            inputs = [x, self._weight(f"{name}/weight"), self._weight(f"{name}/bias")]
            x = self._node("Gelu", [self._node("Conv", inputs, pads=[1, 1], strides=[stride])])
        x = self._node("Squeeze", [self._node("Transpose", [x], perm=[0, 2, 1]), self._integers([0])])
        return self._placed(x, "encoder", self._integers([0]))

    def embed_tokens(self) -> str:
        """tokens → [T, D]: columns of the 8-bit output matrix, which is the embedding as well."""
        self._table, self._table_scale = self._quantised("decoder/embeddings/weight")
        columns = self._node("Gather", [self._table, "tokens"], axis=1)
        scaled = self._node("Cast", [columns], to=TensorProto.FLOAT)
        scaled = self._node("Mul", [scaled, self._node("Gather", [self._table_scale, "tokens"], axis=0)])
        x = self._node("Transpose", [scaled], perm=[1, 0])
        return self._placed(x, "decoder", self._node("Shape", ["past"], start=2, end=3))

    def _placed(self, x: str, part: str, first: str) -> str:
        table = self._weight(f"{part}/position_encodings/encodings")
        last = self._node("Add", [first, self._node("Shape", [x], start=0, end=1)])
        return self._node("Add", [x, self._node("Slice", [table, first, last, self._integers([0])])])

    def norm(self, x: str, name: str) -> str:
        """Layer normalisation."""
        return self._node("LayerNormalization", [x, self._weight(f"{name}/gamma"), self._weight(f"{name}/beta")])

    def linear(self, x: str, name: str) -> str:
        """x times an 8-bit matrix, plus a bias."""
        matrix, scale = self._quantised(f"{name}/weight")
        return self._product(x, matrix, scale, self._weight(f"{name}/bias"))

    def norm_linear(self, x: str, block: str, name: str) -> str:
        """A block's normalisation and its first linear layer."""
        return self.linear(self.norm(x, f"{block}/layer_norm"), f"{block}/{name}")

    def feed_forward(self, x: str, block: str) -> str:
        """x plus its feed-forward part."""
        inner = self._node("Gelu", [self.norm_linear(x, block, "linear_0")])
        return self._node("Add", [x, self.linear(inner, f"{block}/linear_1")])

    def heads(self, x: str, n_parts: int) -> list[str]:
        """[T, parts · H · 64] → parts of [H, T, 64]."""
        split = self._node("Reshape", [x, self._integers([0, n_parts, -1, HEAD_WIDTH])])
        split = self._node("Transpose", [split], perm=[1, 2, 0, 3])
        return [self._take(split, part) for part in range(n_parts)]

    def taken(self, cache: str, layer: int) -> tuple[str, str]:
        """Keys and values [H, C, 64] of one layer of a cache."""
        return self._take(cache, 2 * layer), self._take(cache, 2 * layer + 1)

    def extended(self, cache: str, layer: int, keys: str, values: str, after: bool = True) -> tuple[str, str]:
        """Keys and values with those of a cache after, or before, them."""
        cached = self.taken(cache, layer)
        pairs = [(keys, cached[0]), (values, cached[1])]
        joined = [self._node("Concat", list(pair if after else pair[::-1]), axis=1) for pair in pairs]
        return joined[0], joined[1]

    def attend(self, x: str, query: str, keys: str, values: str, *, name: str, mask: str = "") -> str:
        """x plus what its queries find, through a linear layer."""
        scaled = self._node("Mul", [query, self._tensor(np.float32(HEAD_WIDTH**-0.5))])
        scores = self._node("MatMul", [scaled, self._node("Transpose", [keys], perm=[0, 2, 1])])
        if mask:
            scores = self._node("Add", [scores, mask])
        mixed = self._node("MatMul", [self._node("Softmax", [scores], axis=-1), values])
        mixed = self._node("Transpose", [mixed], perm=[1, 0, 2])
        width = self._weights[f"{name}/weight"].shape[0]
        return self._node("Add", [x, self.linear(self._node("Reshape", [mixed, self._integers([-1, width])]), name)])

    def logits(self, x: str) -> None:
        """Logits of the judged tokens."""
        end = self._integers([np.iinfo(np.int64).max])
        judged = self._node("Slice", [x, "judged", end, self._integers([0])])
        self._node("Identity", [self._product(judged, self._table, self._table_scale, "")], "logits")

    def stack(self, names: list[str], output: str) -> None:
        """Several [H, T, 64] as one output."""
        rows = [self._node("Unsqueeze", [name, self._integers([0])]) for name in names]
        self._node("Concat", rows, output, axis=0)

    def _quantised(self, name: str) -> tuple[str, str]:
        """A matrix [out, in] as 8-bit [in, out] and its scales [out]."""
        weight = self._weights[name].T
        scale = np.maximum(np.abs(weight).max(0), np.float32(1e-8)) / 127.0
        return self._tensor(np.rint(weight / scale).astype(np.int8)), self._tensor(scale.astype(np.float32))

    def _product(self, x: str, matrix: str, scale: str, bias: str) -> str:
        return self._node("DynamicQuantizeMatMul", [x, matrix, scale, "", bias], domain=_RUNTIME)

    def _take(self, x: str, index: int) -> str:
        return self._node("Gather", [x, self._tensor(np.int64(index))], axis=0)

    def _weight(self, name: str) -> str:
        return self._tensor(self._weights[name])

    def _integers(self, values: list[int]) -> str:
        return self._tensor(np.array(values, np.int64))

    def _tensor(self, values: npt.NDArray[np.generic] | np.generic) -> str:
        name = f"t{len(self._tensors)}"
        array = np.asarray(values)
        self._tensors.append(numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name))
        return name

    def _node(
        self, kind: str, inputs: list[str], output: str = "", domain: str = "", **attributes: int | list[int]
    ) -> str:
        output = output or f"n{len(self._nodes)}"
        node = helper.make_node(kind, inputs, [output], domain=domain)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self._nodes.append(node)
        return output
