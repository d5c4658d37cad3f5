"""Quantile heads on any forecaster that writes each step for itself, its file untouched.

The forecaster is built for a horizon of Q H steps instead of H. Cut into Q blocks of H, its output
is one forecast for each level: the body is shared, and only what maps to the horizon is Q times as
wide. What the forecaster takes out of a window and puts back (a level, a spread) is put back into
every quantile, so that a restless window gets a wider fan. A model that is nothing but that map
takes Q times as long to train.

Trained by the quantile loss (R. Koenker and G. Bassett, Regression quantiles, 1978), twice its mean
over levels, windows, steps and channels, which without a spread is the mean absolute error.

Shapes: B batch, L lookback, Q levels, H horizon, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from benchmark.errors import UserError
from benchmark.forecasters.contract import LEVELS, Forecaster, QuantileForecaster, SeriesShape
from benchmark.forecasters.ensemble import Ensemble
from benchmark.forecasters.resolve import build_forecaster, how_fitted, resolve_model
from benchmark.training.spec import TrainingSpec


class QuantileHeads(QuantileForecaster):
    """A forecaster of Q H steps, read as Q forecasts of H steps.

    Args:
        shape: the sizes the data decides.
        wide: the forecaster of Q H steps.

    Raises:
        ValueError: the steps of `wide` hang together; its last ones are no heads.
    """

    def __init__(self, shape: SeriesShape, wide: Forecaster) -> None:
        super().__init__(shape)
        if wide.tied_steps:
            raise ValueError(
                "quantile heads need a forecaster that writes each step for itself, but the "
                "steps of this one hang together; choose another model, decoder or training.loss"
            )
        self.wide = wide
        self.channel_independent = wide.channel_independent

    def quantiles(self, x: Tensor) -> Tensor:
        """``(B, L, C)`` -> ``(B, Q, H, C)``."""
        forecast: Tensor = self.wide(x)  # (B, Q H, C)
        return forecast.reshape(x.shape[0], len(LEVELS), self.shape.horizon, -1)


def quantile_loss(quantiles: Tensor, y: Tensor) -> Tensor:
    """Twice the mean quantile loss of ``(B, Q, H, C)`` at `LEVELS`, for targets ``(B, H, C)``."""
    levels = y.new_tensor(LEVELS)[:, None, None]  # the forecast may be in bfloat16
    residual = y[:, None] - quantiles
    return 2 * torch.maximum(levels * residual, (levels - 1) * residual).mean()


def build_for_training(
    model: Mapping[str, Any], shape: SeriesShape, training: TrainingSpec, where: str
) -> Forecaster:
    """Build the forecaster that a YAML describes, with quantile heads where it is trained on them.

    Raises:
        UserError: as `build_forecaster`, or the forecaster can have no quantile heads.
    """
    cls, _ = resolve_model(model, where)
    heads = training.loss == "quantile" and how_fitted(model, where) == "gradient"
    if not heads or issubclass(cls, QuantileForecaster):
        return build_forecaster(model, shape, where)
    if issubclass(cls, Ensemble):
        what = "'quantile' trains one forecaster's heads, and an Ensemble is several forecasters"
        raise UserError(f"{where}: training.loss", what, "use mse, mae or huber")
    wide = replace(shape, horizon=len(LEVELS) * shape.horizon)
    try:
        return QuantileHeads(shape, build_forecaster(model, wide, where))
    except ValueError as error:
        raise UserError(f"{where}: model", str(error)) from error
