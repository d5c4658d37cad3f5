"""A fitted forecaster from original units to original units, with a calibrated interval.

Shapes: B batch, L lookback, Q levels, H horizon, C channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.data.task import Scaler
from benchmark.errors import UserError
from benchmark.evaluation.conformal import Calibration
from benchmark.evaluation.quantiles import INTERVALS, quantiles_of
from benchmark.forecasters.contract import Forecaster

FORECAST = "forecast"
"""The name of a forecast's point; those of an interval's ends are e.g. lo80 and hi80."""


class OriginalUnits(nn.Module):
    """Scales a lookback, forecasts, and scales the forecast back.

    Args:
        forecaster: a fitted one.
        scaler: of the train rows it was fitted on.
        calibration: of its quantiles; without it, or where its windows were too few to tell the
            ends of the interval, there is none.
        level: of the central interval, in percent: a key of `INTERVALS`.

    Raises:
        UserError: there are no intervals of that level.

    Attributes:
        level: as given.
        calibration: as given, be it of enough windows or not.
        ends: names of the interval's ends, of which there are none without one.
    """

    mean: Tensor
    scale: Tensor
    offsets: Tensor | None

    def __init__(
        self,
        forecaster: Forecaster,
        scaler: Scaler,
        calibration: Calibration | None,
        level: int = 80,
    ) -> None:
        super().__init__()
        if level not in INTERVALS:
            what = f"no intervals of {level}% are calibrated"
            raise UserError("level", what, f"choose {' or '.join(map(str, INTERVALS))}")
        self.forecaster = forecaster.eval()
        self.register_buffer("mean", torch.from_numpy(scaler.mean))
        self.register_buffer("scale", torch.from_numpy(scaler.scale))
        offsets = None if calibration is None else torch.from_numpy(calibration.offsets)
        self.level, self.calibration = level, calibration
        self._quantiles = list(INTERVALS[level])
        told = offsets is not None and bool(offsets[self._quantiles].isfinite().all())
        self.ends = (f"lo{level}", f"hi{level}") if told else ()
        self.register_buffer("offsets", offsets if told else None)

    def scaled(self, z: Tensor) -> dict[str, Tensor]:
        """Forecast scaled lookbacks ``(B, L, C)``: each part ``(B, H, C)``, scaled."""
        quantiles = quantiles_of(self.forecaster, z)
        parts = {FORECAST: quantiles[:, quantiles.shape[1] // 2]}
        if self.offsets is not None:
            if quantiles.shape[1] == 1:
                interval = quantiles + self.offsets[self._quantiles]
            else:  # heads may cross: in order after calibration, as they are scored
                interval = (quantiles + self.offsets).sort(dim=1).values[:, self._quantiles]
            parts |= dict(zip(self.ends, interval.unbind(dim=1), strict=True))
        return parts

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Forecast lookbacks ``(B, L, C)`` in float64: each part ``(B, H, C)`` likewise."""
        parts = self.scaled(((x - self.mean) / self.scale).float())
        return {name: part.double() * self.scale + self.mean for name, part in parts.items()}
