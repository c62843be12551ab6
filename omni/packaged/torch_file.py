"""Reads the tensors of a checkpoint that torch saved before version 1.6, without torch and without running it.

Such a file is five pickles (a magic number, a version, the writer's sizes, the state dict, the storages' keys), then
each storage as its length (little-endian 64 bits) and its raw numbers.
"""

import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

Tensor = npt.NDArray[Any]

_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


def read_tensors(path: Path, entry: str | None = None) -> dict[str, Tensor]:
    """The state dict in the file, name by name.

    Args:
        entry: under which name the state dict was saved; None: it is all that was saved.

    Raises:
        ValueError: another format, or a pickle that asks for more than tensors.
    """
    with path.open("rb") as file:
        storages: dict[str, Tensor] = {}
        if _Unpickler(file, storages).load() != _MAGIC:
            raise ValueError(f"{path} is no checkpoint of torch before 1.6; reinstall the package it came with")
        _Unpickler(file, storages).load()
        _Unpickler(file, storages).load()
        saved = _Unpickler(file, storages).load()
        state: dict[str, _View] = saved if entry is None else saved[entry]
        for key in _Unpickler(file, storages).load():
            length = int.from_bytes(file.read(8), "little")
            storage = storages[key]
            numbers = file.read(storage.nbytes)
            if length != len(storage) or len(numbers) != storage.nbytes:
                raise ValueError(f"{path} is cut short or damaged; reinstall the package it came with")
            storage[:] = np.frombuffer(numbers, storage.dtype)
    return {name: view() for name, view in state.items()}


_View = Callable[[], Tensor]
"""a tensor, once its storage has been read"""


class _Unpickler(pickle.Unpickler):
    """Knows the three names that a state dict needs, and refuses every other: a pickle can run any code."""

    def __init__(self, file: BinaryIO, storages: dict[str, Tensor]) -> None:
        super().__init__(file)
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        """Resolve a name in the pickle."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _view
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise ValueError(f"the checkpoint asks for {module}.{name}, which holds no numbers; it is not used")

    def persistent_load(self, pid: Any) -> Tensor:
        """Make room for a storage whose numbers follow after the pickles."""
        _, dtype, key, _, length, _ = pid
        return self._storages.setdefault(key, np.empty(length, dtype))


def _view(storage: Tensor, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object) -> _View:
    steps = [stride * storage.itemsize for stride in strides]
    return lambda: np.lib.stride_tricks.as_strided(storage[offset:], shape, steps, writeable=False)
