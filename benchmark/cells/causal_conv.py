"""A causal depthwise convolution, and what it must remember: the last K - 1 inputs.

    y_t = b + sum_k w_k * x_{t-K+1+k}               k = 0 .. K - 1, each channel by itself

Shapes: B batch, S steps, E channels, K taps; a tail is ``(B, K - 1, E)``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CausalConv(nn.Module):
    """Depthwise convolution over the past, with torch's initialisation of a convolution.

    Args:
        channels: E.
        width: K.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        conv = nn.Conv1d(channels, channels, width, groups=channels)
        assert conv.bias is not None
        self.weight, self.bias = conv.weight, conv.bias  # (E, 1, K) and (E,)

    def initial_state(self, like: Tensor) -> Tensor:
        """Zeros: nothing was there before the first step."""
        channels, _, width = self.weight.shape
        return like.new_zeros(like.shape[0], width - 1, channels)

    def step(self, x: Tensor, tail: Tensor) -> tuple[Tensor, Tensor]:
        """One step: ``(B, E)`` and the tail -> ``(B, E)`` and the next tail."""
        window = torch.cat([tail, x.unsqueeze(1)], dim=1)  # (B, K, E)
        return (window * self.weight.squeeze(1).T).sum(1) + self.bias, window[:, 1:]

    def forward(self, x: Tensor, tail: Tensor) -> tuple[Tensor, Tensor]:
        """All steps: ``(B, S, E)`` and the tail -> ``(B, S, E)`` and the last tail."""
        window = torch.cat([tail, x], dim=1)
        # As an image (B, E, S, 1) it is stored channels last, which conv2d takes as it is;
        # conv1d would copy it.
        image = window.transpose(1, 2).unsqueeze(-1)
        y = F.conv2d(image, self.weight.unsqueeze(-1), self.bias, groups=len(self.bias))
        return y.squeeze(-1).transpose(1, 2), window[:, x.shape[1] :]
