"""Whisper's tensors out of a CTranslate2 `model.bin`."""

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

Weights = Mapping[str, npt.NDArray[np.float32]]
"""by the names of the file, such as "encoder/layer_0/ffn/linear_0/weight" """

VERSION = 6
HEAD_WIDTH = 64
"""of every Whisper"""

_DTYPES = (np.float32, np.int8, np.int16, np.int32, np.float16)


def read_weights(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    """All tensors of a file, as float32.

    The file is: version, name of the model, revision, count; then for each variable its name, rank, dimensions,
    type, length in bytes and data. Little endian.

    Raises:
        ValueError: the file is of another version, or its weights are already in 8 bits.
    """
    data = path.read_bytes()
    (version,) = struct.unpack_from("<I", data)
    if version != VERSION:
        raise ValueError(f"{path} is CTranslate2 model version {version}; version {VERSION} is needed")
    _, offset = _string(data, 4)
    _revision, count = struct.unpack_from("<II", data, offset)
    offset += 8
    weights = {}
    for _ in range(count):
        name, offset = _string(data, offset)
        rank = data[offset]
        shape = struct.unpack_from(f"<{rank}I", data, offset + 1)
        type_id, n_bytes = struct.unpack_from("<BI", data, offset + 1 + 4 * rank)
        offset += 6 + 4 * rank
        # Variables without a dimension are settings.
        if rank and type_id < len(_DTYPES):
            dtype = np.dtype(_DTYPES[type_id])
            if dtype == np.int8:
                raise ValueError(f"{path} holds 8-bit weights; convert the model with quantization float16 or none")
            values = np.frombuffer(data, dtype, n_bytes // dtype.itemsize, offset)
            weights[name] = values.reshape(shape).astype(np.float32)
        offset += n_bytes
    return weights


def count_layers(weights: Weights, part: str) -> int:
    """Layers of the "encoder" or the "decoder"."""
    return len({name.split("/")[1] for name in weights if name.startswith(f"{part}/layer_") and name.count("/") > 2})


def _string(data: bytes, offset: int) -> tuple[str, int]:
    """A string is its length with the closing NUL, then its bytes."""
    (length,) = struct.unpack_from("<H", data, offset)
    return data[offset + 2 : offset + 1 + length].decode(), offset + 2 + length
