"""Other people's implementations of our parts, with weights drawn anew: what both give must be the same."""

from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def fresh(network: Network, seed: int) -> Network:
    """Draw all weights of a network anew, so that numbers of order 1 stay of order 1, and freeze it."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        # Norms of one, and biases near nought, would hide that they are left out.
        mean, spread = (1.0, 0.3) if parameter.ndim == 1 else (0.0, 1.5 / parameter[0].numel() ** 0.5)
        parameter.data = mean + spread * torch.randn(parameter.shape, generator=generator)
    return network.eval().requires_grad_(False)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    """A normal variable's values."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
