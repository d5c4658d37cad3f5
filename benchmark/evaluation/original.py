"""A fitted forecaster from original units to original units, with its calibrated 80% interval.

Shapes: B batch, L lookback, Q levels, H horizon, C channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.data.task import Scaler
from benchmark.evaluation.conformal import Calibration
from benchmark.evaluation.quantiles import INTERVAL_80, quantiles_of
from benchmark.forecasters.contract import Forecaster

FORECAST, LOW, HIGH = "forecast", "lo80", "hi80"
"""What a forecast consists of: the point, and the ends of the central 80% interval."""


class OriginalUnits(nn.Module):
    """Scales a lookback, forecasts, and scales the forecast back.

    Args:
        forecaster: a fitted one.
        scaler: of the train rows it was fitted on.
        calibration: of its quantiles; without it, or where its windows were too few to tell the
            ends of the 80% interval, there is no interval.
    """

    mean: Tensor
    scale: Tensor
    offsets: Tensor | None

    def __init__(
        self, forecaster: Forecaster, scaler: Scaler, calibration: Calibration | None
    ) -> None:
        super().__init__()
        self.forecaster = forecaster.eval().requires_grad_(False)
        self.register_buffer("mean", torch.from_numpy(scaler.mean))
        self.register_buffer("scale", torch.from_numpy(scaler.scale))
        offsets = None if calibration is None else torch.from_numpy(calibration.offsets)
        told = offsets is not None and bool(offsets[list(INTERVAL_80)].isfinite().all())
        self.register_buffer("offsets", offsets if told else None)

    def scaled(self, z: Tensor) -> dict[str, Tensor]:
        """Forecast scaled lookbacks ``(B, L, C)``: each part ``(B, H, C)``, scaled."""
        quantiles = quantiles_of(self.forecaster, z)
        parts = {FORECAST: quantiles[:, quantiles.shape[1] // 2]}
        if self.offsets is not None:
            ends = list(INTERVAL_80)
            if quantiles.shape[1] == 1:
                interval = quantiles + self.offsets[ends]
            else:  # heads may cross: in order after calibration, as they are scored
                interval = (quantiles + self.offsets).sort(dim=1).values[:, ends]
            parts |= {LOW: interval[:, 0], HIGH: interval[:, 1]}
        return parts

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Forecast lookbacks ``(B, L, C)`` in float64: each part ``(B, H, C)`` likewise."""
        parts = self.scaled(((x - self.mean) / self.scale).float())
        return {name: part.double() * self.scale + self.mean for name, part in parts.items()}
