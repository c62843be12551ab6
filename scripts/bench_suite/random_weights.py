"""MiniCPM-o 2.6 at its full size without its 16 GB of weights: random ones, made where they are used.

How fast a network runs does not depend on what its weights are; only what it says does.
"""

import json
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from omni.checkpoint import Checkpoint
from omni.configs import MiniCpmOConfig
from omni.shapes import Shapes, minicpm_o, n_parameters
from omni.text.released import LlmTokenizer

_CONFIG = Path(__file__).parent / "minicpm_o_2_6.json"
_SPREAD = 0.02
"""standard deviation: small enough that nothing overflows in bfloat16, however deep"""
_ROOM = {"cuda": 1.25, "cpu": 1.5}
"""with what comes beside the weights: the talker in float32, sessions, work, and on a processor whatever else runs"""


class RandomCheckpoint(Checkpoint):
    """The released dimensions around the tokenizers of another checkpoint, with weights from nowhere."""

    @cached_property
    def config(self) -> MiniCpmOConfig:
        """Released dimensions."""
        return full_size()

    @cached_property
    def shapes(self) -> Shapes:
        """What a file of these dimensions would hold."""
        return minicpm_o(self.config)

    def load(self, module: nn.Module, prefix: str, *, device: torch.device | str, dtype: torch.dtype) -> None:
        """Give a module, built on the meta device, weights that were never in a file."""
        state = {
            name: _random(name, tensor.shape, device=device, dtype=dtype)
            for name, tensor in module.state_dict().items()
        }
        if "lm_head.weight" in state:
            self._hush(state["lm_head.weight"])
        module.load_state_dict(state, assign=True)
        module.requires_grad_(False).eval()

    def _hush(self, head: torch.Tensor) -> None:
        """Give a score of 0 to ids that stand for no text: among the best are then only those that can be spoken."""
        tokenizer = LlmTokenizer.read(self.texts())
        silent = [index for index in range(len(head)) if not tokenizer.decode([index]).strip()]
        head[silent] = 0.0

    def load_vocoder(self, module: nn.Module, *, device: torch.device | str) -> None:
        """The same in float32; the windows, which are no weights, are what they must be."""
        self.load(module, "", device=device, dtype=torch.float32)
        for name, buffer in module.named_buffers():
            if name.endswith("window"):
                buffer.copy_(torch.hann_window(len(buffer), device=device))


def full_size() -> MiniCpmOConfig:
    """The released dimensions."""
    return MiniCpmOConfig.from_json(json.loads(_CONFIG.read_text(encoding="utf-8")))


def require_room(device: torch.device) -> None:
    """Check that the full-size network fits on a device.

    Raises:
        RuntimeError: it does not.
    """
    needed = round(torch.bfloat16.itemsize * n_parameters(minicpm_o(full_size())) * _ROOM[device.type])
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else _free_memory()
    if free < needed:
        raise RuntimeError(
            f"the full-size model needs {needed / 2**30:.0f} GiB on {device}, and {free / 2**30:.0f} GiB are free; "
            "use a larger GPU, or leave out --random-full-size to measure a tiny model"
        )


def _free_memory() -> int:
    lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))


def _random(name: str, shape: torch.Size, *, device: torch.device | str, dtype: torch.dtype) -> torch.Tensor:
    values = torch.empty(shape, device=device, dtype=dtype)
    if name.endswith("bias"):
        return values.zero_()
    # a vector that is no bias scales what passes it
    return values.fill_(1.0) if len(shape) == 1 else values.normal_(0.0, _SPREAD)
