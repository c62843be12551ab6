import io
import os
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omni.packaged.torch_file import read_tensors

MAGIC = 0x1950A86A20F9469CFC6C


class _Named:
    """Pickles as a bare name of torch's, which need not be installed."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class _Tensor:
    def __init__(self, key: str, length: int, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.key, self.length, self.layout = key, length, (offset, shape, strides)


def _pickled(thing: Any) -> bytes:
    """A state dict as torch wrote it, opcode by opcode: names as GLOBAL, storages as persistent ids."""
    file = io.BytesIO()
    pickler: Any = pickle._Pickler(file, 2)

    def save_named(pickler: Any, named: _Named) -> None:
        pickler.write(pickle.GLOBAL + f"{named.module}\n{named.name}\n".encode())

    def save_tensor(pickler: Any, tensor: _Tensor) -> None:
        pickler.save(_Named("torch._utils", "_rebuild_tensor_v2"))
        pickler.write(pickle.MARK)
        pickler.save(("storage", _Named("torch", "FloatStorage"), tensor.key, "cpu", tensor.length, None))
        pickler.write(pickle.BINPERSID)
        parts: tuple[Any, ...] = (*tensor.layout, False, OrderedDict())
        for part in parts:
            pickler.save(part)
        pickler.write(pickle.TUPLE + pickle.REDUCE)

    pickler.dispatch = pickler.dispatch | {_Named: save_named, _Tensor: save_tensor}
    pickler.dump(thing)
    return file.getvalue()


def _checkpoint(state: object, storages: dict[str, list[float]], magic: int = MAGIC) -> bytes:
    head = b"".join(_pickled(part) for part in (magic, 1001, {"little_endian": True}, state, sorted(storages)))
    tail = (struct.pack(f"<q{len(values)}f", len(values), *values) for _, values in sorted(storages.items()))
    return head + b"".join(tail)


def _read(folder: Path, data: bytes) -> dict[str, Any]:
    path = folder / "weights.pth"
    path.write_bytes(data)
    return read_tensors(path)


def test_tensors_come_with_their_shapes(tmp_path: Path) -> None:
    state = OrderedDict(
        whole=_Tensor("1", 6, 0, (2, 3), (3, 1)),
        turned=_Tensor("1", 6, 0, (3, 2), (1, 3)),
        part=_Tensor("2", 4, 1, (2,), (1,)),
    )
    tensors = _read(tmp_path, _checkpoint(state, {"1": [0, 1, 2, 3, 4, 5], "2": [6, 7, 8, 9]}))
    assert tensors["whole"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert tensors["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert tensors["part"].tolist() == [7, 8]
    assert tensors["part"].dtype == np.float32


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    with pytest.raises(ValueError, match="asks for"):
        _read(tmp_path, _checkpoint({"trap": Trap()}, {}))
    assert not (tmp_path / "sprung").exists()


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no checkpoint of torch"):
        _read(tmp_path, _checkpoint({}, {}, magic=7))


def test_a_checkpoint_cut_short_is_refused(tmp_path: Path) -> None:
    data = _checkpoint(OrderedDict(a=_Tensor("1", 4, 0, (4,), (1,))), {"1": [1, 2, 3, 4]})
    for n_bytes in (1, 16, 20):
        with pytest.raises(ValueError, match="cut short"):
            _read(tmp_path, data[:-n_bytes])


def test_a_state_dict_may_lie_among_other_things(tmp_path: Path) -> None:
    state = OrderedDict(a=_Tensor("1", 2, 0, (2,), (1,)))
    path = tmp_path / "weights.pt"
    path.write_bytes(_checkpoint({"step": 7, "model": state}, {"1": [1, 2]}))
    assert read_tensors(path, "model")["a"].tolist() == [1, 2]
