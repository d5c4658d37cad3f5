"""xLSTMTime: xLSTM blocks that read a linear forecast of one channel after another.

    z = (x - mean) / spread                                    of every window and channel
    t = moving average of z over 25 steps                      trend
    u = W_s (z - t) + b_s + W_t t + b_t                        a first forecast of every channel
    e_c = W_e u_c + b_e                                        c = 1 ... C, from H steps to D
    h_1 ... h_C = xLSTM(e_1 ... e_C)                           channels are the recurrence's steps
    y_c = W_o h_c + b_o                                        from D to H steps
    y <- y * spread + mean

The first three lines are DLinear behind an instance norm. What the recurrence then steps through
is channels, in the order of the data's columns, and not time: a channel's forecast sees its own
past and that of the channels before it, never of those after it.

The authors' code differs from the paper: the batch norm before the xLSTM is commented out there;
and the map of blocks is inverted in their copy of the xLSTM, so that the three blocks, mLSTM by
their names, are sLSTM. The code is followed, also where the paper is silent: W_s and W_t start as
means (all weights 1 / L), and the instance norm has no learned scale.

Reference: M. Alharthi and A. Mahmood, xLSTMTime: long-term time series forecasting with xLSTM
(2024), AI 5(3), 71, arXiv:2407.10240, Section 3.

Shapes: B batch, L lookback, H horizon, C channels, D width.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from benchmark.cells.xlstm import XLSTM
from benchmark.config import Positive
from benchmark.forecasters.contract import Forecaster, SeriesShape
from benchmark.forecasters.linear import DLinear
from benchmark.forecasters.normalise import Normaliser


class XLSTMTime(Forecaster):
    """xLSTM blocks over the channels of DLinear's forecast.

    Args:
        shape: the sizes the data decides.
        hidden_size: D.
        blocks: a letter each, first to last: ``s`` for sLSTM, ``m`` for mLSTM.
        num_heads: of every block.
        kernel_size: steps in the moving average, odd.

    Raises:
        ValueError: `kernel_size` is even, or D does not go with the number of heads.
    """

    def __init__(
        self,
        shape: SeriesShape,
        *,
        hidden_size: Positive = 256,
        blocks: Annotated[str, Field(pattern="^[ms]+$")] = "sss",
        num_heads: Positive = 4,
        kernel_size: Positive = 25,
    ) -> None:
        super().__init__(shape)
        self.normaliser = Normaliser("standard", shape.channels)
        self.first = DLinear(shape, kernel_size=kernel_size)
        for part in (self.first.seasonal, self.first.trend):
            nn.init.constant_(part.weight, 1 / shape.lookback)
        self.embed = nn.Linear(shape.horizon, hidden_size)
        self.xlstm = XLSTM(hidden_size, hidden_size, blocks=blocks, num_heads=num_heads)
        self.head = nn.Linear(hidden_size, shape.horizon)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L, C)`` -> ``(B, H, C)``."""
        z, taken = self.normaliser(x)
        tokens = self.embed(self.first(z).transpose(1, 2))  # (B, C, D)
        h, _ = self.xlstm(tokens)
        return self.normaliser.inverse(self.head(h).transpose(1, 2), taken)
