"""Heads: a layer's channels in groups that do not mix.

Shapes: D width, K heads, W = D / K width of a head.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-5
"""Added to the variance by every norm of heads."""


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """``(..., D)`` -> ``(..., K, W)``."""
    return x.view(*x.shape[:-1], num_heads, -1)


def small_init_(weight: Tensor, width: int) -> None:
    """Fill with N(0, 2 / (5 width)) (SmallInit; Nguyen and Salazar, arXiv:1910.05895)."""
    nn.init.normal_(weight, std=(2 / (5 * width)) ** 0.5)


def round_up(width: float) -> int:
    """The next multiple of 64, as the official code widens every expansion."""
    return math.ceil(width / 64) * 64


def require_multiple(name: str, size: int, of: str, divisor: int) -> None:
    """Refuse sizes that cannot be split.

    Raises:
        ValueError: `size` is no multiple of `divisor`.
    """
    if size % divisor:
        raise ValueError(f"{name} must be a multiple of {of}, but they are {size} and {divisor}")


class HeadLinear(nn.Module):
    """A linear map of each head by itself, without bias: a block-diagonal matrix.

    Args:
        num_heads: K.
        in_width: W of a head's input.
        out_width: W' of a head's output.
    """

    def __init__(self, num_heads: int, in_width: int, out_width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_heads, out_width, in_width))
        small_init_(self.weight, in_width)

    def forward(self, x: Tensor) -> Tensor:
        """``(..., K, W)`` -> ``(..., K, W')``."""
        return torch.einsum("...ki,koi->...ko", x, self.weight)


class HeadNorm(nn.Module):
    """Each head to zero mean and unit variance, then a gain for each channel (a group norm).

    The gain is stored as its difference from 1, so that weight decay pulls it to 1.

    Args:
        width: D.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))

    def forward(self, h: Tensor) -> Tensor:
        """``(..., K, W)`` -> ``(..., D)``."""
        return F.layer_norm(h, h.shape[-1:], eps=EPS).flatten(-2) * (1 + self.weight)


class LayerNorm(HeadNorm):
    """The same of ``(..., D)``, all of it one head."""

    def forward(self, x: Tensor) -> Tensor:
        """``(..., D)`` -> ``(..., D)``."""
        return super().forward(x.unsqueeze(-2))
