"""The ConvNeXt block of codec and vocoder: a depthwise convolution over time, then a small MLP per frame."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class ConvNeXt(nn.Module):
    """One residual block (Liu et al. 2022, https://arxiv.org/abs/2201.03545, in one dimension).

    Args:
        dim: channels C.
        inner: width of the MLP.
        scale: name of the per-channel factor before the residual sum; the released checkpoints call it
            "coef" in the codec and "gamma" in the vocoder.
        kernel: taps of the depthwise convolution, odd.
        dilation: distance between them.
    """

    def __init__(self, dim: int, inner: int, *, scale: str, kernel: int = 7, dilation: int = 1) -> None:
        super().__init__()
        padding = dilation * (kernel - 1) // 2
        self.dwconv = nn.Conv1d(dim, dim, kernel, padding=padding, dilation=dilation, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.pwconv1 = nn.Linear(dim, inner)
        self.pwconv2 = nn.Linear(inner, dim)
        self.register_parameter(scale, nn.Parameter(torch.ones(dim)))
        self._scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, F] → [B, C, F]."""
        inner = self.norm(self.dwconv(x).transpose(1, 2))
        inner = self.pwconv2(functional.gelu(self.pwconv1(inner)))
        residual: Tensor = (self.get_parameter(self._scale) * inner).transpose(1, 2)
        return x + residual
