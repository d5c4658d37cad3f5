"""Ridge regression from lookback to horizon, solved, not searched for.

With centred windows x (their mean taken out of both lookback and horizon), the weights are

    W = (A + p I)^-1 B,    A = sum x x^T (L, L),    B = sum x y^T (L, H)

over every train window and channel, one map for all channels. A and B are accumulated in float64,
so the result does not depend on the batch size. One eigendecomposition A = V S V^T gives W for
every penalty, and the validation error of each follows from the validation windows' own A and B
without forecasting once. The penalty with the least validation error is kept.

This is the optimum that NLinear searches for by gradient, with a penalty: on ETTh1 an honest line
for every neural forecaster to argue with.

Where targets are missing, each step h has rows of its own, and A would be another for each. Instead
a row counts in A by the share of its horizon that is there, which is the mean of all steps' A; step
h of B is over its own rows. Where rows are whole or missing altogether that is the exact solution.

Reference: W. Toner and L. Darlow, An analysis of linear time series forecasting models (2024),
arXiv:2403.14587.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.config import Positive
from benchmark.errors import UserError
from benchmark.forecasters.contract import ClosedFormForecaster, SeriesShape, WindowSource

PENALTIES = torch.logspace(-4, 3, 29, dtype=torch.float64)
"""Tried per window and channel, i.e. p = penalty * number of rows in the regression."""


class Moments(NamedTuple):
    """Second moments of centred windows, means over rows: enough to fit and to score any W.

    Where targets are missing, `xx` is a mean of steps' means, and the rest are over those there.
    """

    xx: Tensor  # (L, L)
    xy: Tensor  # (L, H)
    yy: Tensor  # ()

    @classmethod
    def of(cls, windows: WindowSource, batch_size: int) -> Moments:
        """Accumulate over every window and channel, in float64."""
        if windows.masked:
            return cls._of_known(windows, batch_size)
        xx = xy = yy = torch.zeros(())
        rows = 0
        for x, y in _centred(windows, batch_size):
            xx = xx + x.T @ x
            xy = xy + x.T @ y
            yy = yy + y.square().sum()
            rows += len(x)
        return cls(xx / rows, xy / rows, yy / rows)

    @classmethod
    def _of_known(cls, windows: WindowSource, batch_size: int) -> Moments:
        xx = xy = yy = rows = torch.zeros(())
        for x, y in _centred(windows, batch_size):
            known = ~y.isnan()
            y = torch.where(known, y, 0.0)
            xx = xx + (x * known.double().mean(dim=1, keepdim=True)).T @ x
            xy = xy + x.T @ y
            yy = yy + y.square().sum(dim=0)
            rows = rows + known.double().sum(dim=0)  # of each step (H,)
        return cls(xx / rows.mean(), xy / rows, (yy / rows).sum())

    def squared_error(self, weight: Tensor) -> float:
        """Mean over rows of |y - W^T x|^2, for a weight ``(L, H)``."""
        explained = 2 * (weight * self.xy).sum() - (weight * (self.xx @ weight)).sum()
        return float(self.yy - explained)


def _centred(windows: WindowSource, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield each channel's rows less their lookback's mean, ``(B C, L)`` and ``(B C, H)``."""
    for x, y in windows.in_order(batch_size):
        x, y = (part.double().transpose(1, 2) for part in (x, y))  # channel by channel
        centre = x.mean(dim=-1, keepdim=True)
        yield (x - centre).flatten(0, 1), (y - centre).flatten(0, 1)


class Ridge(ClosedFormForecaster):
    """Least squares with a penalty on the weights, chosen on validation.

    Args:
        shape: the sizes the data decides.
        batch_size: windows a step of the accumulation; changes memory, not the result.
    """

    channel_independent = True
    weight: Tensor
    penalty: Tensor

    def __init__(self, shape: SeriesShape, *, batch_size: Positive = 256) -> None:
        super().__init__(shape)
        self.batch_size = batch_size
        self.register_buffer("weight", torch.zeros(shape.horizon, shape.lookback))
        self.register_buffer("penalty", torch.zeros(()))

    def fit(self, train: WindowSource, validation: WindowSource) -> None:
        """Solve for every penalty and keep the one with the least validation error.

        Raises:
            UserError: the train or validation windows hold no finite moments (overflow).
        """
        moments = Moments.of(train, self.batch_size)
        held_out = Moments.of(validation, self.batch_size)
        check_finite(moments, "Ridge", "train")
        check_finite(held_out, "Ridge", "validation")
        spectrum, basis = torch.linalg.eigh(moments.xx)
        target = basis.T @ moments.xy
        best = float("inf")
        for penalty in PENALTIES.to(spectrum.device):
            weight = basis @ (target / (spectrum.clamp(min=0) + penalty)[:, None])
            error = held_out.squared_error(weight)
            if error < best:
                best = error
                self.weight.copy_(weight.T)
                self.penalty.copy_(penalty)

    def refit(self, windows: WindowSource) -> None:
        """Solve for the penalty that was chosen.

        Raises:
            UserError: as `fit`.
        """
        moments = Moments.of(windows, self.batch_size)
        check_finite(moments, "Ridge", "train and validation")
        penalised = moments.xx + self.penalty.double() * torch.eye(len(moments.xx)).to(moments.xx)
        self.weight.copy_(torch.linalg.solve(penalised, moments.xy).T)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L, C)`` -> ``(B, H, C)``."""
        centre = x.mean(dim=1, keepdim=True)
        z = (x - centre).transpose(1, 2).contiguous()  # else torch multiplies window by window
        return F.linear(z, self.weight).transpose(1, 2) + centre


def check_finite(moments: tuple[Tensor, ...], model: str, name: str) -> None:
    """Refuse the moments that `model` took from the windows called `name`.

    Raises:
        UserError: one is not finite.
    """
    if not all(bool(torch.isfinite(moment).all()) for moment in moments):
        raise UserError(f"model: {model}", f"the {name} windows overflow", "check the data's scale")
