"""SparseTSF: one small map takes each hour of the day from past days to the days ahead.

    z    = x - mean(x)                              a channel of a window, all by itself
    a_t  = z_t + u_{-r} z_{t-r} + ... + u_r z_{t+r}     r = P // 2, zeros beyond the window's ends
    b_p  = (a_p, a_{p+P}, a_{p+2P}, ...)            p = 1 ... P: the steps of one phase, L / P
    y_p  = W b_p                                    H / P steps of that phase; W is shared by all P
    y    = (y_1, ..., y_P) in the order of time + mean(x)

Differs from NLinear, whose map ties every step to every other, by what it leaves out: after a look
at its neighbours a phase sees itself alone. So there are (L / P) (H / P) weights in W, 2 r + 1 in u
and not L H: 445 instead of 242 thousand at a lookback of 720, a horizon of 336 and a period of 24.
The widened model of its authors, SparseTSF/MLP, has W_2 ReLU(W_1 b_p + c_1) + c_2 in the place of
W b_p.

Where L is no multiple of P, the oldest L mod P steps are read as neighbours only; where H is none,
the last period forecast is cut off.

Reference: S. Lin et al., SparseTSF: modeling long-term time series forecasting with 1k parameters,
ICML 2024, arXiv:2405.00946, Section 3; the MLP: IEEE TPAMI 48 (1), 2026.

Shapes: B batch, L lookback, H horizon, C channels, P period, D width.
"""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from benchmark.config import Positive
from benchmark.forecasters.contract import Forecaster, SeriesShape
from benchmark.forecasters.normalise import Normaliser


class SparseTSF(Forecaster):
    """A convolution over neighbours, then one map along the periods, shared by all phases.

    Args:
        shape: the sizes the data decides.
        period: P; the data's season where it is None.
        hidden_size: D, of SparseTSF/MLP; 0 has the one map W.

    Raises:
        ValueError: the lookback is shorter than a period.
    """

    channel_independent = True

    def __init__(
        self,
        shape: SeriesShape,
        *,
        period: Positive | None = None,
        hidden_size: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        super().__init__(shape)
        self.period = period or shape.season
        if self.period > shape.lookback:
            raise ValueError(
                f"a period must fit into the lookback, but the period is {self.period} and "
                f"the lookback {shape.lookback}"
            )
        self.normaliser = Normaliser("mean", shape.channels)
        reach = self.period // 2
        self.neighbours = nn.Conv1d(1, 1, 2 * reach + 1, padding=reach, bias=False)
        past, ahead = shape.lookback // self.period, math.ceil(shape.horizon / self.period)
        self.map: nn.Module = nn.Linear(past, ahead, bias=False)
        if hidden_size:
            self.map = nn.Sequential(
                nn.Linear(past, hidden_size), nn.ReLU(), nn.Linear(hidden_size, ahead)
            )

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L, C)`` -> ``(B, H, C)``."""
        z, taken = self.normaliser(x)
        series = z.transpose(1, 2).flatten(0, 1)[:, None]  # (B C, 1, L)
        seen = (series + self.neighbours(series))[:, 0]
        whole = seen[:, seen.shape[1] % self.period :]
        phases = whole.unflatten(1, (-1, self.period)).transpose(1, 2)  # (B C, P, L / P)
        ahead = self.map(phases).transpose(1, 2).flatten(1)  # (B C, whole periods)
        forecast = ahead[:, : self.shape.horizon].unflatten(0, (len(x), -1))  # (B, C, H)
        return self.normaliser.inverse(forecast.transpose(1, 2), taken)
