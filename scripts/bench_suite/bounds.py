"""What a device could do at best, measured on it in the same run, and what each part of a network asks of it.

Machines are noisy and differ: a share of what the machine itself can do says more than a time.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from omni.text.llm import LanguageModel

ResultT = TypeVar("ResultT")

_COPY_BYTES = {"cuda": 2**31, "cpu": 2**28}
"""many times what caches hold"""
_MATMUL_WIDTH = {"cuda": 8192, "cpu": 1024}
_TRIALS = 10


class Stopwatch:
    """Times what is computed on a device. Work is queued there, so the queue is waited for at both ends."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def run(self, act: Callable[[], ResultT]) -> tuple[ResultT, float]:
        """Call it; its result, and the seconds until everything that it began was there."""
        self._wait()
        began_s = time.perf_counter()
        result = act()
        self._wait()
        return result, time.perf_counter() - began_s

    def times_s(self, act: Callable[[], object], n: int) -> list[float]:
        """Seconds of n calls, after one that warms up."""
        act()
        return [self.run(act)[1] for _ in range(n)]

    def median_s(self, act: Callable[[], object], n: int) -> float:
        """The median of n calls, after one that warms up."""
        return statistics.median(self.times_s(act, n))

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a device can do."""

    bytes_per_s: float
    """moved by a large copy, what is read and what is written together"""
    flops: float
    """of a large matrix product; an addition and a multiplication are two"""

    def least_s(self, nbytes: float, n_flops: float = 0.0) -> float:
        """The least time for reading so much and computing so much: moving and computing may overlap."""
        return max(nbytes / self.bytes_per_s, n_flops / self.flops)


def measure_bounds(watch: Stopwatch, dtype: torch.dtype) -> Bounds:
    """Measure a device: the best of some trials each."""
    kind = watch.device.type
    source = torch.ones(_COPY_BYTES[kind], dtype=torch.uint8, device=watch.device)
    target = torch.empty_like(source)
    copy_s = min(watch.times_s(lambda: target.copy_(source), _TRIALS))
    n = _MATMUL_WIDTH[kind]
    square = torch.ones(n, n, dtype=dtype, device=watch.device)
    product_s = min(watch.times_s(lambda: square @ square, _TRIALS))
    return Bounds(2 * source.nbytes / copy_s, 2 * n**3 / product_s)


def weight_bytes(*modules: nn.Module) -> int:
    """Bytes of all weights."""
    return sum(tensor.nbytes for module in modules for tensor in module.state_dict().values())


def step_bytes(llm: LanguageModel) -> int:
    """Bytes of weights that writing one token reads, however many sessions share the step."""
    table = llm.model.embed_tokens.weight
    # of the table, one row for each session is looked up, unless it is the head as well
    return weight_bytes(llm) - (0 if llm.lm_head is None else table.nbytes)


def matmul_flops(module: nn.Module, n_positions: int) -> float:
    """Operations of a part's linear maps and convolutions over so many positions; attention adds little to them."""
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d)
    return 2.0 * n_positions * sum(part.weight.numel() for part in module.modules() if isinstance(part, kinds))
