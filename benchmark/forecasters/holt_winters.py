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

Put e_t into the lines below it and they are v_t = M v_{t-1} + g x_t, with v = (l, b, s of the last
m steps): linear, by a matrix that no step changes. So nothing has to go step by step. What x_t does
to the last state is M^{L-t} g, and all these powers come of a few products, each doubling their
number: [g], [M g, g], [M^3 g, M^2 g, M g, g], ...

References: P. Winters, Forecasting sales by exponentially weighted moving averages, Management
Science 6 (1960); E. Gardner and E. McKenzie, Forecasting trends in time series, Management Science
31 (1985), for phi; the form with e: R. Hyndman et al., Forecasting with exponential smoothing
(2008), Table 2.1, ETS(A,Ad,A).

Shapes: B batch, L lookback, H horizon, C channels, m period, V = 2 + m; R = C, or 1 where channels
share their rates.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.config import Positive
from benchmark.forecasters.contract import Forecaster, SeriesShape
from benchmark.forecasters.naive import repeated

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
        self, shape: SeriesShape, *, period: Positive | None = None, individual: bool = False
    ) -> None:
        super().__init__(shape)
        self.period = period or shape.season
        if shape.lookback <= self.period:
            raise ValueError(
                f"the first period sets the state, but the lookback is {shape.lookback} and "
                f"the period {self.period}; raise the lookback"
            )
        rates = torch.tensor(list(START.values())).logit()
        self.rates = nn.Parameter(rates[:, None].repeat(1, shape.channels if individual else 1))
        self.channel_independent = not individual

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L, C)`` -> ``(B, H, C)``."""
        alpha, beta, gamma, phi = self.rates.sigmoid()  # (R,) each
        kernel = self._kernel(alpha, beta, gamma, phi).expand(x.shape[2], -1, -1)
        state = torch.einsum("cvl,blc->bvc", kernel, x)
        level, trend, season = torch.split(state, [1, 1, self.period], dim=1)
        faded = phi ** torch.arange(1, self.shape.horizon + 1, device=x.device)[:, None]  # (H, R)
        line: Tensor = level + faded.cumsum(0) * trend
        return line + repeated(season, self.shape.horizon)

    def _kernel(self, alpha: Tensor, beta: Tensor, gamma: Tensor, phi: Tensor) -> Tensor:
        """From the lookback to the last state, ``(R, V, L)``."""
        m, steps = self.period, self.shape.lookback - self.period
        one, none = torch.ones_like(phi), torch.zeros_like(phi)
        expects = torch.stack([one, phi, one, *[none] * (m - 1)], dim=1)  # (R, V): of x_t, from v
        g = torch.stack([alpha, alpha * beta, *[none] * (m - 1), gamma], dim=1)  # (R, V)
        moves = torch.zeros(len(phi), 2 + m, 2 + m, dtype=phi.dtype, device=phi.device)
        moves[:, 0, 0] = 1  # l_t = l_{t-1} + phi b_{t-1}
        moves[:, 0, 1] = moves[:, 1, 1] = phi  # b_t = phi b_{t-1}
        moves[:, range(2, 1 + m), range(3, 2 + m)] = 1  # the season moves on by a step,
        moves[:, 1 + m, 2] = 1  # its oldest comes again
        power = moves - g[:, :, None] * expects[:, None, :]  # M
        whole, found = torch.linalg.matrix_power(power, steps), g[:, :, None]
        while found.shape[2] < steps:
            found = torch.cat([power @ found, found], dim=2)
            power = power @ power
        start = torch.eye(m, dtype=phi.dtype, device=phi.device) - 1 / m
        level = torch.full((1, m), 1 / m, dtype=phi.dtype, device=phi.device)
        first = torch.cat([level, torch.zeros_like(level), start])  # (V, m): the first season's
        return torch.cat([whole @ first, found[:, :, -steps:]], dim=2)
