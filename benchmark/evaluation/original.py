"""A fitted forecaster from original units to original units, with a calibrated interval.

Shapes: B batch, L lookback, Q levels, H horizon, C channels.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.data.task import Scaler
from benchmark.errors import UserError
from benchmark.evaluation.conformal import Calibration
from benchmark.evaluation.quantiles import INTERVALS, quantiles_of
from benchmark.forecasters.contract import Forecaster

Values = NDArray[np.float64]

FORECAST = "forecast"
"""The name of a forecast's point; those of an interval's ends are e.g. lo80 and hi80."""


class OriginalUnits(nn.Module):
    """Scales a lookback, forecasts, and scales the forecast back.

    Args:
        forecaster: a fitted one.
        scaler: of the train rows it was fitted on.
        calibration: of its quantiles; without it, or where its windows were too few to tell the
            ends of any channel's interval, there is none.
        level: of the central interval, in percent: a key of `INTERVALS`.

    Raises:
        UserError: there are no intervals of that level.

    Attributes:
        level: as given.
        calibration: as given, be it of enough windows or not.
        told: channels that have an interval ``(C,)``; the ends of the others are NaN.
        ends: names of the interval's ends, of which there are none where no channel has one.
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
        self.level, self.calibration = level, calibration
        self._quantiles = list(INTERVALS[level])
        self.told, offsets = np.zeros(len(scaler.mean), dtype=bool), None
        if calibration is not None and (told := calibration.told(level)).any():
            self.told = told
            offsets = torch.from_numpy(np.where(told, calibration.offsets, np.float32(np.nan)))
        self.ends = (f"lo{level}", f"hi{level}") if offsets is not None else ()
        self.register_buffer("offsets", offsets)

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

    @torch.no_grad()
    def after(self, past: Values) -> dict[str, Values]:
        """Forecast the steps after one lookback ``(L, C)``: each part ``(H, C)``.

        Raises:
            FloatingPointError: the forecast is not finite, or an end of an interval that is told.
        """
        # a view of a turned array would be summed in another order
        x = torch.tensor(np.ascontiguousarray(past), device=self.mean.device)
        parts = {name: part[0].detach().cpu().numpy() for name, part in self(x[None]).items()}
        if not all(
            np.isfinite(part[:, self.told] if name in self.ends else part).all()
            for name, part in parts.items()
        ):
            raise FloatingPointError("the forecast is not finite")
        return parts
