"""Expected tensors of tiny random models, and how an output is compared with them (design law 13)."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

Record = Callable[[str, object], None]
"""pytest's record_property: what a test notes beside its verdict"""


_KINDS = {"F32": np.float32, "I32": np.int32, "I64": np.int64, "U8": np.uint8, "BOOL": np.bool_}


def _tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file by its layout, so that no loader of the project is checked against itself."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    return {
        name: torch.from_numpy(
            np.frombuffer(
                data[start + entry["data_offsets"][0] : start + entry["data_offsets"][1]], _KINDS[entry["dtype"]]
            )
            .reshape(entry["shape"])
            .copy()
        )
        for name, entry in header.items()
    }


@dataclass(frozen=True, slots=True)
class Golden:
    """One file of a golden folder: NAME.json and NAME.safetensors."""

    facts: dict[str, Any]
    """the JSON: configuration, notes and what must match exactly"""
    tensors: dict[str, Tensor]
    """weights under their released names, inputs as in.*, expected outputs as out.*"""

    @classmethod
    def read(cls, folder: Path, name: str) -> "Golden":
        """Read NAME from a folder; one without tensors is fine."""
        tensors = folder / f"{name}.safetensors"
        return cls(json.loads((folder / f"{name}.json").read_text()), _tensors(tensors) if tensors.exists() else {})

    def weights(self, prefix: str = "") -> dict[str, Tensor]:
        """What load_state_dict(strict) takes: the weights below a prefix, without it."""
        found = {key: value for key, value in self.tensors.items() if not key.startswith(("in.", "out."))}
        return {key.removeprefix(prefix): value for key, value in found.items() if key.startswith(prefix)}


def assert_close(actual: Tensor, expected: Tensor, limit: float, record: Record, name: str) -> None:
    """The largest difference is recorded, shown in the output, and below the limit of the golden README."""
    assert actual.shape == expected.shape, f"{name}: {tuple(actual.shape)} instead of {tuple(expected.shape)}"
    difference = float((actual.double() - expected.double()).abs().max()) if expected.numel() else 0.0
    record(name, difference)
    print(f"{name}: {difference:.2e} (limit {limit:.0e})")
    assert difference <= limit, f"{name} differs by {difference:.2e}, more than {limit:.0e}"
