"""Reads a GGUF file (version 3, little endian): its fields, and its tensors as they lie on disk.

The published reader builds an object per token and takes seconds for a vocabulary; this one takes milliseconds
and knows only the three encodings that the packaged model uses.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

BLOCK = 32
"""weights that share a scale, in both quantised encodings"""

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_BLOCK_TYPES = {
    0: np.dtype("<f4"),
    3: np.dtype([("scale", "<f2"), ("least", "<f2"), ("levels", "u1", (BLOCK // 2,))]),  # Q4_1
    8: np.dtype([("scale", "<f2"), ("levels", "i1", (BLOCK,))]),  # Q8_0
}


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """Weights [rows, columns], or [columns] when rows is 1, still in the file's encoding."""

    shape: tuple[int, ...]
    data: npt.NDArray[Any]
    """float32 [*shape], or one record of BLOCK weights each: [rows, columns / BLOCK]"""


@dataclass(frozen=True, slots=True)
class Gguf:
    """A file's content; tensors are mapped, not read."""

    fields: dict[str, object]
    tensors: dict[str, Tensor]

    def integer(self, key: str) -> int:
        """A field that must be a whole number."""
        value = self.fields.get(key)
        if not isinstance(value, int):
            raise ValueError(f"GGUF field {key} is {value!r}, expected a whole number")
        return value

    def number(self, key: str) -> float:
        """A field that must be a number."""
        value = self.fields.get(key)
        if not isinstance(value, int | float):
            raise ValueError(f"GGUF field {key} is {value!r}, expected a number")
        return float(value)

    def strings(self, key: str) -> list[str]:
        """A field that must be an array of strings."""
        return [value for value in self._array(key) if isinstance(value, str)]

    def integers(self, key: str) -> list[int]:
        """A field that must be an array of whole numbers."""
        return [value for value in self._array(key) if isinstance(value, int)]

    def _array(self, key: str) -> list[object]:
        value = self.fields.get(key)
        if not isinstance(value, list):
            raise ValueError(f"GGUF field {key} is missing or no array")
        return value


class _Cursor:
    """Walks through the mapped header."""

    def __init__(self, raw: memoryview) -> None:
        self.raw = raw
        self.at = 0

    def scalar(self, code: str) -> int | float:
        (value,) = struct.unpack_from("<" + code, self.raw, self.at)
        self.at += struct.calcsize("<" + code)
        assert isinstance(value, int | float)
        return value

    def integer(self, code: str) -> int:
        return int(self.scalar(code))

    def string(self) -> str:
        length = self.integer("Q")
        start = self.at
        self.at += length
        return bytes(self.raw[start : self.at]).decode("utf-8")

    def value(self, kind: int) -> object:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            item, count = self.integer("I"), self.integer("Q")
            if item in _SCALARS:
                values = struct.unpack_from(f"<{count}{_SCALARS[item]}", self.raw, self.at)
                self.at += struct.calcsize(f"<{count}{_SCALARS[item]}")
                return list(values)
            read: Callable[[], object] = self.string if item == _STRING else lambda: self.value(item)
            return [read() for _ in range(count)]
        return self.scalar(_SCALARS[kind])


def read(path: Path) -> Gguf:
    """Read the header and map the tensors.

    Raises:
        ValueError: not a GGUF file of version 3, or a tensor has an encoding other than F32, Q4_1 and Q8_0.
    """
    mapped = np.memmap(path, np.uint8, "r")
    cursor = _Cursor(mapped.data)
    if bytes(cursor.raw[:4]) != b"GGUF":
        raise ValueError(f"{path} is no GGUF file")
    cursor.at = 4
    if (version := cursor.integer("I")) != 3:
        raise ValueError(f"{path} is GGUF version {version}, expected 3")
    n_tensors, n_fields = cursor.integer("Q"), cursor.integer("Q")
    fields: dict[str, object] = {}
    for _ in range(n_fields):
        key = cursor.string()
        fields[key] = cursor.value(cursor.integer("I"))
    entries: list[tuple[str, tuple[int, ...], int, int]] = []
    for _ in range(n_tensors):
        name = cursor.string()
        # dimensions are written fastest first
        shape = tuple(cursor.integer("Q") for _ in range(cursor.integer("I")))[::-1]
        entries.append((name, shape, cursor.integer("I"), cursor.integer("Q")))
    alignment = fields.get("general.alignment", 32)
    assert isinstance(alignment, int)
    base = -(-cursor.at // alignment) * alignment
    return Gguf(fields, {name: _map(mapped, name, shape, kind, base + at) for name, shape, kind, at in entries})


def _map(mapped: npt.NDArray[np.uint8], name: str, shape: tuple[int, ...], kind: int, at: int) -> Tensor:
    if (block := _BLOCK_TYPES.get(kind)) is None:
        raise ValueError(f"tensor {name} has encoding {kind}; only F32, Q4_1 and Q8_0 are known")
    records = shape if kind == 0 else (*shape[:-1], shape[-1] // BLOCK)
    data = np.frombuffer(mapped, block, prod(records), at).reshape(records)
    return Tensor(shape, data)
