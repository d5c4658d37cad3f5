"""Split conformal calibration: quantile forecasts from any forecaster, by its validation residuals.

For a level t and forecast quantiles q_t(x) (a point forecast stands for all of them), the residuals
r = y - q_t(x) of n validation windows, in ascending order r_(1) <= ... <= r_(n), give

    q_t(x) + r_(k),   k = ceil((n + 1) t) for t >= 1/2,   k = floor((n + 1) t) below

The n + 1 instead of n is what makes it hold for finite n: were the residual of a test window
exchangeable with those n, it would lie above r_(k) with a chance of at most 1 - t (below it with at
most t, for t < 1/2), so a central interval would cover at least its nominal share, whatever the
forecaster and the distribution. Where k is below 1 or above n, n windows cannot tell: the offset is
infinite. Residuals are signed, each end of an interval by itself: the deciles come from the same
rule, and a skewed channel gets a skewed interval.

Each channel and step has its own residuals. Errors grow along the horizon, so one pool would cover
early steps too often and late ones too seldom. Nor would it know much more: a step's residual and
the next window's one step earlier are of the same row.

That premise does not hold here, so coverage is measured on test and not promised:
- stride-1 windows overlap and residuals follow one another slowly, so n windows tell less than n
  independent ones would;
- validation lies before test: a series that drifts or changes its noise is not exchangeable;
- where targets are missing, n is that of each channel and step, and those there are speak for
  those missing;
- the same windows chose the epoch, the penalty or the settings: their residuals flatter a little.

References: G. Shafer and V. Vovk, A tutorial on conformal prediction (2008), Section 4; Y. Romano,
E. Patterson and E. Candes, Conformalized quantile regression (2019), arXiv:1905.03222, Theorem 2
(two ends, each by itself); R. Barber et al., Conformal prediction beyond exchangeability (2023),
arXiv:2202.13415.

Shapes: B batch, Q levels, H horizon, C channels, n calibration windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.data.windows import Windows
from benchmark.errors import UserError
from benchmark.evaluation.quantiles import INTERVALS, middle, quantiles_of
from benchmark.forecasters.contract import LEVELS, Forecaster, QuantileForecaster
from benchmark.records.arrays import read_arrays
from benchmark.words import listed

Array = NDArray[np.float32]

BATCH = 256  # changes memory, not the result
MOST_RESIDUALS = 2**25
"""Residuals held at once, 128 MiB; where there are more, every k-th window calibrates.

Little is lost: a window and the next share all of their horizon but one step.
"""
LEAST_WINDOWS = 200
"""Windows that calibrate at least, where there are so many. A series so wide that their residuals
are too many is calibrated in parts: the windows are forecast again for each."""


@dataclass(frozen=True)
class Calibration:
    """What turns a forecaster's output into calibrated quantiles.

    Attributes:
        offsets: added to the forecast (of that level, where there are several) to give the quantile
            at each of `LEVELS`, scaled ``(Q, H, C)``; infinite where validation cannot tell.
        num_windows: n, the validation windows they come from.
    """

    offsets: Array
    num_windows: int

    def told(self, level: int) -> NDArray[np.bool_]:
        """Say which channels have an interval of a level, in percent, at every step ``(C,)``."""
        ends = self.offsets[list(INTERVALS[level])]  # (2, H, C)
        return np.asarray(np.isfinite(ends).all(axis=(0, 1)))

    def untold(self, level: int, channels: Sequence[str]) -> str:
        """Say what has no interval of a level, in percent, and why; nothing where all has one.

        Args:
            level: a key of `INTERVALS`.
            channels: C names.
        """
        told = self.told(level)
        if told.all():
            return ""
        takes = f"for {level}%, it takes {fewest(level)} or more"
        if self.num_windows < fewest(level):
            return f"no {level}% interval: the validation windows are too few {takes}"
        without = listed([name for name, one in zip(channels, told, strict=True) if not one], 8)
        why = f"too few values in the validation windows {takes} at a step"
        return f"no {level}% interval of {without}: {why}"

    def write(self, path: Path) -> None:
        """Keep it, with its levels, as a small ``.npz`` file."""
        np.savez_compressed(
            path,
            levels=np.array(LEVELS),
            offsets=self.offsets,
            num_windows=self.num_windows,
        )

    @classmethod
    def read(cls, path: Path) -> Calibration:
        """Read what `write` wrote.

        Raises:
            UserError: the file is damaged, or of other levels.
        """
        kept = read_arrays(path, {"levels": "f1", "offsets": "f3", "num_windows": "iu0"})
        if tuple(kept["levels"]) != LEVELS or len(kept["offsets"]) != len(LEVELS):
            raise UserError(str(path), "holds other quantiles than ours", "run the model again")
        return cls(kept["offsets"], int(kept["num_windows"]))


def fewest(level: int) -> int:
    """Calibration windows that an interval of a level, in percent, takes: fewer cannot tell it.

    >>> fewest(80), fewest(95)
    (9, 39)
    """
    return -(-200 // (100 - level)) - 1


@torch.no_grad()
def calibrate(forecaster: Forecaster, validation: Windows) -> Calibration:
    """Calibrate quantiles on validation windows.

    Raises:
        FloatingPointError: a forecast is not finite.
        ValueError: a forecast has the wrong shape.
    """
    forecaster.eval()
    heads = len(LEVELS) if isinstance(forecaster, QuantileForecaster) else 1
    horizon, channels = forecaster.shape.horizon, forecaster.shape.channels
    every = -(-len(validation) * heads * horizon * channels // MOST_RESIDUALS)
    every = min(every, max(1, len(validation) // LEAST_WINDOWS))
    index = torch.arange(0, len(validation), every, device=validation.device)
    offsets = np.empty((len(LEVELS), horizon * channels), dtype=np.float32)
    at_once = max(1, MOST_RESIDUALS // (heads * len(index)))
    for start in range(0, horizon * channels, at_once):
        part = slice(start, start + at_once)
        residuals = np.empty((heads, offsets[0, part].size, len(index)), dtype=np.float32)
        _fill(residuals, forecaster, validation, index, part)
        residuals.sort(axis=-1)  # what has no target is NaN, and comes last
        by_level = np.broadcast_to(residuals, (len(LEVELS), *residuals.shape[1:]))
        for number, level in enumerate(LEVELS):
            offsets[number, part] = order_statistic(by_level[number], level)
    return Calibration(offsets.reshape(-1, horizon, channels), len(index))


def _fill(
    residuals: Array, forecaster: Forecaster, validation: Windows, index: Tensor, part: slice
) -> None:
    """Forecast n windows and keep the residuals of a part of the outputs ``(1 or Q, part, n)``."""
    start = 0
    for some in torch.split(index, BATCH):
        x, y = validation.gather(some)
        quantiles = quantiles_of(forecaster, x)
        middle(quantiles, y)  # refuses a wrong shape, which would be broadcast
        if not bool(torch.isfinite(quantiles).all()):
            raise FloatingPointError("the forecast of a validation window is not finite")
        residual = (y[:, None] - quantiles).flatten(2)[..., part]  # (B, 1 or Q, part)
        stop = start + len(some)
        residuals[..., start:stop] = residual.permute(1, 2, 0).cpu().numpy()
        start = stop


def order_statistic(ordered: Array, level: float) -> Array:
    """Return the residual of the finite-sample corrected rank.

    Args:
        ordered: residuals in ascending order ``(..., n)``, NaN for a missing one last.
        level: t, a whole number of thousandths.

    Returns:
        r_(k) ``(...)``, see the module; infinite where k is none of 1 to n, the number of residuals
        that are not missing.
    """
    n = (~np.isnan(ordered)).sum(axis=-1)
    thousandths = round(1000 * level)  # in whole numbers: (n + 1) t may come out just above one
    rank = (n + 1) * thousandths // 1000 if level < 0.5 else -(-(n + 1) * thousandths // 1000)
    place = np.clip(rank - 1, 0, ordered.shape[-1] - 1)[..., None]
    found = np.take_along_axis(ordered, place, axis=-1)[..., 0]
    return np.where(rank < 1, -np.inf, np.where(rank > n, np.inf, found)).astype(ordered.dtype)
