"""Validation scores, summed over batches."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.data.windows import Windows
from benchmark.forecasters.contract import Forecaster, check_shape
from benchmark.training.share import ALONE, Share

SCORING_BATCH = 256


def only_known(forecast: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Take out what has no target, for a loss or a score that averages over what is left.

    Args:
        forecast: ``(B, H, C)``, or of quantiles ``(B, Q, H, C)``.
        target: ``(B, H, C)``, with NaN where a value is missing.

    Returns:
        the N values that have a target, ``(N,)`` each, or ``(N, Q, 1, 1)`` and ``(N, 1, 1)``.
    """
    known = ~target.isnan()
    if forecast.dim() == target.dim():
        return forecast[known], target[known]
    return forecast.movedim(1, -1)[known][..., None, None], target[known][:, None, None]


class ErrorSums:
    """Squared and absolute error over many batches, summed in float64 where the data lies.

    Args:
        device: where.
        masked: whether a target may be missing (NaN), and then counts in nothing.
    """

    def __init__(self, device: torch.device, masked: bool) -> None:
        self._masked = masked
        self._sums = torch.zeros(2, dtype=torch.float64, device=device)
        self._count = 0

    def add(self, forecast: Tensor, target: Tensor) -> None:
        """Add a batch of forecasts and targets ``(B, H, C)``.

        Raises:
            ForecastError: the forecasts have not the targets' shape.
        """
        check_shape(forecast, target.shape)
        if self._masked:
            forecast, target = only_known(forecast, target)
        error = (forecast - target).to(self._sums.dtype)
        self._sums += torch.stack([error.square().sum(), error.abs().sum()])
        self._count += error.numel()

    def means(self, share: Share = ALONE) -> dict[str, float]:
        """Return mse and mae, of what all devices have added."""
        count = share.total(torch.tensor(self._count, device=self._sums.device))
        mse, mae = (share.total(self._sums) / count).tolist()
        return {"mse": mse, "mae": mae}


@torch.no_grad()
def score(forecaster: Forecaster, windows: Windows) -> dict[str, float]:
    """Mean squared and absolute error over all windows, scaled."""
    forecaster.eval()
    sums = ErrorSums(windows.device, windows.masked)
    for x, y in windows.in_order(SCORING_BATCH):
        sums.add(forecaster(x), y)
    return sums.means()
