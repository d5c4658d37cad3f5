"""Holt-Winters: exponential smoothing of level, trend and season, its four rates learned.

    e_t = x_t - (l_{t-1} + phi b_{t-1} + s_{t-m})       what was not expected
    l_t = l_{t-1} + phi b_{t-1} + alpha e_t             level
    b_t = phi b_{t-1} + alpha beta e_t                  trend, which fades by phi
    s_t = s_{t-m} + gamma e_t                           season, of m steps
    y_h = l_L + (phi + ... + phi^h) b_L + s of that step's place in the season

This is a recurrence as the cells are, with a state of 2 + m numbers for each channel, and the
oldest of them all: what a step changes is a share of its error, and the shares are the same at
every step. The first season sets the state to its mean, no trend, and what it differs from the mean
by; the recurrence begins behind it. Alpha, beta, gamma and phi are sigmoids of what is learned,
through all steps and by the errors of the whole horizon, where the textbook fits them to the errors
of one step, and to one series.

References: P. Winters, Forecasting sales by exponentially weighted moving averages, Management
Science 6 (1960); E. Gardner and E. McKenzie, Forecasting trends in time series, Management Science
31 (1985), for phi; the form with e: R. Hyndman et al., Forecasting with exponential smoothing
(2008), Table 2.1, ETS(A,Ad,A).

Shapes: B batch, L lookback, H horizon, C channels, m period.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.config import Positive
from benchmark.forecasters.contract import Forecaster, SeriesShape

START = {"alpha": 0.1, "beta": 0.05, "gamma": 0.1, "phi": 0.9}
"""Before training: slow, as most series want it, and a trend that is gone after a day or two."""


class HoltWinters(Forecaster):
    """Additive season, damped trend.

    Args:
        shape: the sizes the data decides.
        period: m; the data's season where it is None.
        individual: rates of its own for each channel, instead of the same for all.

    Raises:
        ValueError: the lookback is no longer than the period.
    """

    tied_steps = True

    def __init__(
        self, shape: SeriesShape, *, period: Positive | None = None, individual: bool = True
    ) -> None:
        super().__init__(shape)
        self.period = period or shape.season
        if shape.lookback <= self.period:
            raise ValueError(
                f"the first period sets the state, however: the lookback is {shape.lookback} and "
                f"the period {self.period}; raise the lookback"
            )
        rates = torch.tensor(list(START.values())).logit()
        self.rates = nn.Parameter(rates[:, None].repeat(1, shape.channels if individual else 1))
        self.channel_independent = not individual

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L, C)`` -> ``(B, H, C)``."""
        alpha, beta, gamma, phi = self.rates.sigmoid()  # (C,) or (1,) each
        first, *rest = x.split([self.period] + [1] * (x.shape[1] - self.period), dim=1)
        level = first.mean(dim=1)
        trend = torch.zeros_like(level)
        seasons = list((first - level[:, None]).unbind(1))  # of the last m steps, (B, C) each
        for step in rest:
            expected = level + phi * trend
            error = step[:, 0] - (expected + seasons[-self.period])
            level = expected + alpha * error
            trend = phi * trend + alpha * beta * error
            seasons.append(seasons[-self.period] + gamma * error)
        faded = phi ** torch.arange(1, self.shape.horizon + 1, device=x.device)[:, None]  # (H, C)
        line = level[:, None] + faded.cumsum(0) * trend[:, None]
        season = torch.stack(seasons[-self.period :], dim=1)
        repeats = -(-self.shape.horizon // self.period)
        return line + season.repeat(1, repeats, 1)[:, : self.shape.horizon]
