"""Least squares from lookback to horizon: a model in which no choice is left to make.

Nothing is trained, drawn or chosen, so that a difference between two numbers is the protocol's
alone. With z = x - mean(x) and 1 for an intercept,

    W = (A + p I)^-1 B,    A = sum [z 1] [z 1]^T (L + 1, L + 1),    B = sum [z 1] (y - mean(x))^T

over every train window and channel, one map for all channels; means over rows, in float64. This is
the optimum that NLinear searches for (Zeng et al., arXiv:2205.13504): which centre is taken out
makes no difference to it (Toner and Darlow, arXiv:2403.14587).
"""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from benchmark.forecasters.contract import ClosedFormForecaster, SeriesShape, WindowSource

BATCH_SIZE = 256  # changes memory, not the result


class LeastSquares(ClosedFormForecaster):
    """One linear map on mean-centred windows, solved.

    Args:
        shape: the sizes the data decides.
        penalty: p. Centred windows need one, however small: their mean direction is empty.
    """

    channel_independent = True
    weight: Tensor
    bias: Tensor

    def __init__(
        self, shape: SeriesShape, *, penalty: Annotated[float, Field(gt=0)] = 1e-6
    ) -> None:
        super().__init__(shape)
        self.penalty = penalty
        self.register_buffer("weight", torch.zeros(shape.horizon, shape.lookback))
        self.register_buffer("bias", torch.zeros(shape.horizon))

    def fit(self, train: WindowSource, validation: WindowSource) -> None:
        """Solve on train windows; validation has nothing to choose."""
        size = self.shape.lookback + 1
        zz = self.penalty * torch.eye(size, dtype=torch.float64)
        zy = torch.zeros(size, self.shape.horizon, dtype=torch.float64)
        rows = len(train) * self.shape.channels
        for x, y in train.in_order(BATCH_SIZE):
            zz, zy = zz.to(x.device), zy.to(x.device)  # where the windows are
            centre = x.mean(dim=1, keepdim=True)
            z = (x - centre).double().transpose(1, 2).flatten(0, 1)  # (B C, L)
            z = F.pad(z, (0, 1), value=1.0)
            zz += z.T @ z / rows
            zy += z.T @ (y - centre).double().transpose(1, 2).flatten(0, 1) / rows
        solution = torch.linalg.solve(zz, zy)  # (L + 1, H)
        self.weight.copy_(solution[:-1].T)
        self.bias.copy_(solution[-1])

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L, C)`` -> ``(B, H, C)``."""
        centre = x.mean(dim=1, keepdim=True)
        z = (x - centre).transpose(1, 2)
        return F.linear(z, self.weight, self.bias).transpose(1, 2) + centre
