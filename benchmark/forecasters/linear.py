"""One linear map from lookback to horizon, and the small changes that make it hard to beat.

    Linear    y = W x + b
    NLinear   the same on windows less their last value           (normalise: last)
    RLinear   the same between RevIN and its inverse              (normalise: revin)
    DLinear   y = W_s (x - trend(x)) + W_t trend(x) + b           trend = moving average

The map runs along time, each channel by itself; all channels share it unless `individual`.

References: A. Zeng et al., Are transformers effective for time series forecasting? (2023),
arXiv:2205.13504, Section 4; RLinear: Z. Li et al. (2023), arXiv:2305.10721.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.config import Positive
from benchmark.forecasters.contract import Forecaster, SeriesShape
from benchmark.forecasters.normalise import Normalisation, Normaliser


class TimeLinear(nn.Module):
    """A linear map along time: ``(B, L, C)`` -> ``(B, H, C)``.

    Args:
        shape: the sizes the data decides.
        individual: a map of its own for each channel, instead of one for all.
    """

    def __init__(self, shape: SeriesShape, *, individual: bool = False) -> None:
        super().__init__()
        maps = shape.channels if individual else 1
        bound = shape.lookback**-0.5  # torch's own bound for a linear layer of this fan-in
        self.weight = nn.Parameter(
            torch.empty(maps, shape.horizon, shape.lookback).uniform_(-bound, bound)
        )
        self.bias = nn.Parameter(torch.empty(maps, shape.horizon).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Map every channel of ``(B, L, C)``."""
        x = x.transpose(1, 2)  # (B, C, L)
        if len(self.weight) == 1:
            return F.linear(x, self.weight[0], self.bias[0]).transpose(1, 2)
        return (torch.einsum("bcl,chl->bch", x, self.weight) + self.bias).transpose(1, 2)


class Linear(Forecaster):
    """One linear map, after a window normalisation.

    Args:
        shape: the sizes the data decides.
        normalise: ``last`` makes it NLinear, ``revin`` RLinear.
        individual: a map of its own for each channel.
    """

    def __init__(
        self, shape: SeriesShape, *, normalise: Normalisation = "none", individual: bool = False
    ) -> None:
        super().__init__(shape)
        self.normaliser = Normaliser(normalise, shape.channels)
        self.map = TimeLinear(shape, individual=individual)
        self.channel_independent = not (individual or self.normaliser.per_channel)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L, C)`` -> ``(B, H, C)``."""
        z, taken = self.normaliser(x)
        return self.normaliser.inverse(self.map(z), taken)


class DLinear(Forecaster):
    """Two linear maps: one for a moving average of the window, one for the rest.

    Args:
        shape: the sizes the data decides.
        kernel_size: steps in the moving average, odd; the window's ends are repeated to fill it.
        individual: maps of their own for each channel.

    Raises:
        ValueError: `kernel_size` is even.
    """

    def __init__(
        self, shape: SeriesShape, *, kernel_size: Positive = 25, individual: bool = False
    ) -> None:
        super().__init__(shape)
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, but is {kernel_size}")
        self.kernel_size = kernel_size
        self.seasonal = TimeLinear(shape, individual=individual)
        self.trend = TimeLinear(shape, individual=individual)
        self.channel_independent = not individual

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L, C)`` -> ``(B, H, C)``."""
        trend = moving_average(x, self.kernel_size)
        return self.seasonal(x - trend) + self.trend(trend)  # type: ignore[no-any-return]


def moving_average(x: Tensor, kernel_size: int) -> Tensor:
    """Centred moving average along time of ``(B, L, C)``, the ends held to fill it.

    A difference of cumulative sums: four times faster here than pooling, which adds up every
    window anew.
    """
    reach = kernel_size // 2
    x = x.transpose(1, 2)  # (B, C, L)
    first, last = x[..., :1], x[..., -1:]
    held = [first.expand(-1, -1, reach + 1), x, last.expand(-1, -1, reach)]
    sums = torch.cat(held, dim=-1).cumsum(dim=-1)  # (B, C, L + kernel_size)
    return ((sums[..., kernel_size:] - sums[..., :-kernel_size]) / kernel_size).transpose(1, 2)
