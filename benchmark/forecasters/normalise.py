"""Window normalisation: what is taken out of a lookback and put back into its forecast.

A series drifts, so a window's level (and spread) say little about the next step's change and much
about nothing else. Each kind removes a statistic of the lookback, per window and channel:

    none       z = x
    last       z = x - x_L                                 (NLinear: Zeng et al., arXiv:2205.13504)
    mean       z = x - mean(x)
    standard   z = (x - mean(x)) / sqrt(var(x) + eps)
    revin      standard, then a learned scale and shift per channel
               (RevIN: Kim et al., Reversible instance normalization, ICLR 2022)
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

Normalisation = Literal["none", "last", "mean", "standard", "revin"]

EPS = 1e-5


class Taken(NamedTuple):
    """What was taken out of a window, ``(B, 1, C)`` each; None where a kind does not use it."""

    centre: Tensor | None
    spread: Tensor | None


class Normaliser(nn.Module):
    """Removes a window's statistic and restores it in the forecast.

    Args:
        kind: which statistic.
        channels: C; `revin` has a scale and a shift for each.
    """

    def __init__(self, kind: Normalisation, channels: int) -> None:
        super().__init__()
        self.kind = kind
        if kind == "revin":
            self.gain = nn.Parameter(torch.ones(channels))
            self.shift = nn.Parameter(torch.zeros(channels))

    @property
    def per_channel(self) -> bool:
        """Whether weights differ between channels."""
        return self.kind == "revin"

    def forward(self, x: Tensor) -> tuple[Tensor, Taken]:
        """Normalise a lookback ``(B, L, C)``; also return what was taken out."""
        taken = self.measure(x)
        return self.remove(x, taken), taken

    def measure(self, x: Tensor) -> Taken:
        """Centre and spread of a lookback ``(B, L, C)``, each ``(B, 1, C)``; None where unused."""
        if self.kind == "none":
            return Taken(None, None)
        if self.kind == "last":
            return Taken(x[:, -1:], None)
        centre = x.mean(dim=1, keepdim=True)
        if self.kind == "mean":
            return Taken(centre, None)
        variance = (x - centre).square().mean(dim=1, keepdim=True)
        return Taken(centre, (variance + EPS).sqrt())

    def remove(self, values: Tensor, taken: Taken) -> Tensor:
        """Take a lookback's statistics out of any rows ``(B, any, C)`` of its window."""
        if taken.centre is not None:
            values = values - taken.centre
        if taken.spread is not None:
            values = values / taken.spread
        if self.kind == "revin":
            values = values * self.gain + self.shift
        return values

    def inverse(self, y: Tensor, taken: Taken) -> Tensor:
        """Put back into a forecast ``(B, H, C)`` what was taken out of its lookback."""
        if self.kind == "revin":
            y = (y - self.shift) / (self.gain + EPS * EPS)
        if taken.spread is not None:
            y = y * taken.spread
        if taken.centre is not None:
            y = y + taken.centre
        return y
