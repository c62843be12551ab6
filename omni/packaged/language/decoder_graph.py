"""Turns a Llama-shaped GGUF file into an ONNX graph that decodes fast on a CPU.

Weights stay quantised: four-bit blocks are widened to eight bits, for which the runtime has its quickest and
most exact kernel, and attention writes into cache buffers that the caller owns. Both halves of a repeated
prefix are therefore a memory copy.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from omni.packaged.language.gguf import BLOCK, Gguf, Tensor

_RUNTIME = "com.microsoft"
_STANDARD = ("Gather", "Reshape", "Split", "Mul", "SimplifiedLayerNormalization")
_Bytes = npt.NDArray[np.uint8]
_Floats = npt.NDArray[np.float32]


def widen(levels: _Bytes, scale: _Floats, least: _Floats) -> tuple[_Bytes, _Floats, _Bytes]:
    """Blocks of four-bit levels, weight = level × scale + least, as blocks of eight bits around a zero point.

    A level becomes k times itself, k from 9 to 17, so the steps between weights stay exact. Only the zero point is
    rounded, and k is chosen for each block so that this costs least. Blocks whose weights all have one sign are
    the rare exception: zero must be among the levels.

    Args:
        levels: [rows, blocks, BLOCK], 0 to 15.
        scale: [rows, blocks], not negative.
        least: [rows, blocks].

    Returns:
        levels [rows, blocks, BLOCK], scale [rows, blocks], zero point [rows, blocks]; weight = (level − zero) × scale.
    """
    odd = (least > 0) | (least + 15 * scale < 0) | (scale == 0)
    origin = np.where(odd, 0, -least / np.where(odd, 1, scale))
    best, factor = np.full_like(origin, np.inf), np.empty(origin.shape, np.uint8)
    for k in range(17, 8, -1):
        error = np.abs(np.rint(origin * k) - origin * k) / k
        better = error < best
        best[better], factor[better] = error[better], k
    wide, fine, zero = levels * factor[..., None], scale / factor, np.rint(origin * factor)
    weights = levels[odd] * scale[odd][:, None] + least[odd][:, None]
    low, high = np.minimum(weights.min(-1, initial=0), 0), np.maximum(weights.max(-1, initial=0), 0)
    fine[odd] = np.maximum((high - low) / 255, 1e-12)
    zero[odd] = np.rint(-low / fine[odd])
    wide[odd] = np.clip(np.rint(weights / fine[odd][:, None]) + zero[odd][:, None], 0, 255).astype(np.uint8)
    return wide, fine.astype(np.float32), zero.astype(np.uint8)


def _four_bit(tensors: list[Tensor]) -> tuple[_Bytes, _Floats, _Bytes]:
    """Several Q4_1 tensors stacked into one matrix: one product in place of three."""
    records = np.concatenate([tensor.data for tensor in tensors])
    packed = records["levels"]
    levels = np.empty((*records.shape, BLOCK), np.uint8)
    np.bitwise_and(packed, 15, out=levels[..., : BLOCK // 2])
    np.right_shift(packed, 4, out=levels[..., BLOCK // 2 :])
    return widen(levels, records["scale"].astype(np.float32), records["least"].astype(np.float32))


def build(model: Gguf, n_positions: int) -> onnx.ModelProto:
    """The graph of a model with tied embeddings in Q8_0 and every other matrix in Q4_1.

    Inputs: ids int64 [1, T]; last int32 [1], the position of the newest token; total int32 [], positions in use;
    past.<layer>.<k|v> float32 [1, key heads, capacity, head width]. Outputs: logits float32 [1, 1, V] of the
    newest token; present.<layer>.<k|v>, to be bound to the same memory as past.
    """
    builder = _Builder(model)
    builder.rotations(n_positions)
    builder.embeddings()
    for layer in range(builder.n_layers):
        builder.attention(layer)
        builder.feed_forward(layer)
    builder.head()
    caches = [f"{layer}.{part}" for layer in range(builder.n_layers) for part in "kv"]
    cache: list[str | int | None] = [1, builder.n_kv_heads, "capacity", builder.head_width]
    inputs = [
        helper.make_tensor_value_info("ids", TensorProto.INT64, [1, "T"]),
        helper.make_tensor_value_info("last", TensorProto.INT32, [1]),
        helper.make_tensor_value_info("total", TensorProto.INT32, []),
        *[helper.make_tensor_value_info(f"past.{name}", TensorProto.FLOAT, cache) for name in caches],
    ]
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 1, "V"]),
        *[helper.make_tensor_value_info(f"present.{name}", TensorProto.FLOAT, cache) for name in caches],
    ]
    graph = helper.make_graph(builder.nodes, "decoder", inputs, outputs, builder.weights)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid(_RUNTIME, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


class _Builder:
    """A graph under construction: its nodes, its weights, and the two streams from one block to the next."""

    def __init__(self, model: Gguf) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.n_layers = model.integer("llama.block_count")
        self.n_heads = model.integer("llama.attention.head_count")
        self.n_kv_heads = model.integer("llama.attention.head_count_kv")
        self.head_width = model.integer("llama.embedding_length") // self.n_heads
        self._tensors = model.tensors
        self._rope_base = model.number("llama.rope.freq_base")
        self._epsilon = model.number("llama.attention.layer_norm_rms_epsilon")
        self._x = ""
        """normalised, what the next matrix takes"""
        self._residual = ""

    def rotations(self, n_positions: int) -> None:
        """Cosines and sines for every position."""
        frequencies = self._rope_base ** -(np.arange(0, self.head_width, 2) / self.head_width)
        angles = np.outer(np.arange(n_positions), frequencies)
        self._weight("cos", np.cos(angles).astype(np.float32))
        self._weight("sin", np.sin(angles).astype(np.float32))

    def embeddings(self) -> None:
        """Rows for ids. The blocks are stored once: they are the output matrix as well."""
        table = self._tensors["token_embd.weight"]
        scale = table.data["scale"].astype(np.float32)
        self._weight("table.q", table.data["levels"].view(np.uint8) ^ np.uint8(128))
        self._weight("table.s", scale)
        self._weight("table.s3", scale[..., None])
        blocks = {"gather_axis": 0, "quantize_axis": 2, "block_size": BLOCK, "bits": 8}
        self._node("GatherBlockQuantized", ["table.q", "ids", "table.s3"], ["table.rows"], blocks)
        width = self._weight("table.shape", np.array([1, -1, table.shape[1]]))
        self._residual = self._node("Reshape", ["table.rows", width], ["x"])
        gain = self._weight("norm", self._tensors["blk.0.attn_norm.weight"].data)
        norm = {"epsilon": self._epsilon, "axis": -1}
        self._x = self._node("SimplifiedLayerNormalization", [self._residual, gain], ["x.normal"], norm)

    def attention(self, layer: int) -> None:
        """One block's attention, and the norm before its feed-forward part."""
        b = f"blk.{layer}."
        qkv = self._product(b + "qkv", [f"{b}attn_{part}.weight" for part in "qkv"], self._x)
        past, present = ([f"{time}.{layer}.{part}" for part in "kv"] for time in ("past", "present"))
        # GGUF keeps the rows of q and k in the order for rotating neighbours, hence rotary_interleaved
        heads = {"num_heads": self.n_heads, "kv_num_heads": self.n_kv_heads, "do_rotary": 1, "rotary_interleaved": 1}
        inputs = [qkv, "", "", *past, "last", "total", "cos", "sin"]
        mixed = self._node("GroupQueryAttention", inputs, [b + "mixed", *present], heads)
        self._add(b + "attended", self._product(b + "o", [b + "attn_output.weight"], mixed), b + "ffn_norm.weight")

    def feed_forward(self, layer: int) -> None:
        """One block's feed-forward part, and the norm before whatever follows."""
        b = f"blk.{layer}."
        both = self._product(b + "gate_up", [b + "ffn_gate.weight", b + "ffn_up.weight"], self._x)
        self._node("Split", [both], [b + "gate", b + "up"], {"axis": -1, "num_outputs": 2})
        silu = self._node("QuickGelu", [b + "gate"], [b + "silu"], {"alpha": 1.0})
        hidden = self._node("Mul", [silu, b + "up"], [b + "hidden"])
        following = f"blk.{layer + 1}.attn_norm" if layer + 1 < self.n_layers else "output_norm"
        self._add(b + "fed", self._product(b + "down", [b + "ffn_down.weight"], hidden), f"{following}.weight")

    def head(self) -> None:
        """Logits of the newest token only."""
        newest = self._node("Gather", [self._x, self._weight("newest", np.array([-1]))], ["newest.x"], {"axis": 1})
        self._matmul("logits", [newest, "table.q", "table.s"], self._tensors["token_embd.weight"].data.shape)

    def _weight(self, name: str, values: npt.NDArray[Any]) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _node(
        self, kind: str, inputs: list[str], outputs: list[str], attributes: Mapping[str, int | float] | None = None
    ) -> str:
        node = helper.make_node(kind, inputs, outputs, domain="" if kind in _STANDARD else _RUNTIME)
        for name, value in (attributes or {}).items():
            node.attribute.append(helper.make_attribute(name, value))
        self.nodes.append(node)
        return outputs[0]

    def _product(self, name: str, tensors: list[str], x: str) -> str:
        """x times several matrices at once: one call of the kernel in place of three."""
        levels, scale, zero = _four_bit([self._tensors[tensor] for tensor in tensors])
        weights = [self._weight(f"{name}.{part}", a) for part, a in (("q", levels), ("s", scale), ("z", zero))]
        return self._matmul(name, [x, *weights], levels.shape)

    def _matmul(self, name: str, inputs: list[str], shape: tuple[int, ...]) -> str:
        size = {"N": shape[0], "K": shape[1] * BLOCK, "bits": 8, "block_size": BLOCK}
        # accuracy level 4: activations are rounded to eight bits a block and products are summed as integers
        return self._node("MatMulNBits", inputs, [name], {**size, "accuracy_level": 4})

    def _add(self, name: str, x: str, gain: str) -> None:
        weight = self._weight(f"{name}.norm", self._tensors[gain].data)
        outputs = [f"{name}.normal", "", "", name]
        epsilon = {"epsilon": self._epsilon}
        self._x = self._node("SkipSimplifiedLayerNormalization", [self._residual, x, weight], outputs, epsilon)
        self._residual = name
