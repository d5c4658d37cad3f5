"""TSMixer: linear layers along time and across channels, in turns.

    z    = RevIN(x)                                     a gain and a shift for each channel
    z   <- z + ReLU(W_time Norm(z))                     along time, each channel with the same W
    z   <- z + W_2 ReLU(W_1 Norm(z))                    across channels, each step with the same W
    y    = W_head z                                     along time; then RevIN undone

(the second and third line `layers` times). Differs from RLinear, which is the first and the last
line, by what stands between them: a residual path that is linear from end to end, and corrections
to it that are not. Nothing is recurrent and no step is far from another.

Norm is batch norm "2D": over the batch alone, with a mean, a variance, a gain and a shift for every
step and channel, which is what the official code's ``axis=[-2, -1]`` means; and with its epsilon,
its momentum and its initial weights (Keras' own, Glorot and Bengio 2010). torch keeps the running
variance with the divisor B - 1, Keras with B.

Shapes: B batch, L lookback, H horizon, C channels, F width between W_1 and W_2.

Reference: S.-A. Chen et al., TSMixer: an all-MLP architecture for time series forecasting (2023),
arXiv:2303.06053, Section 4.1 and Appendix B.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.config import Positive, Probability
from benchmark.forecasters.contract import Forecaster, SeriesShape
from benchmark.forecasters.normalise import Normaliser


class TSMixer(Forecaster):
    """Blocks of time mixing and feature mixing between RevIN and its inverse.

    Args:
        shape: the sizes the data decides.
        hidden_size: F.
        layers: blocks.
        dropout: behind every layer of a block.
    """

    def __init__(
        self,
        shape: SeriesShape,
        *,
        hidden_size: Positive = 256,
        layers: Positive = 4,
        dropout: Probability = 0.9,
    ) -> None:
        super().__init__(shape)
        self.normaliser = Normaliser("revin", shape.channels)
        self.blocks = nn.Sequential(
            *(MixerBlock(shape, hidden_size, dropout) for _ in range(layers))
        )
        self.head = nn.Linear(shape.lookback, shape.horizon)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L, C)`` -> ``(B, H, C)``."""
        z, taken = self.normaliser(x)
        y = self.head(self.blocks(z).transpose(1, 2)).transpose(1, 2)
        return self.normaliser.inverse(y, taken)


class MixerBlock(nn.Module):
    """One mixing along time and one across channels, each normalised before and added after.

    Args:
        shape: the sizes the data decides.
        hidden_size: F.
        dropout: behind every layer.
    """

    def __init__(self, shape: SeriesShape, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.time_norm = StepwiseNorm(shape)
        self.time = nn.Sequential(
            nn.Linear(shape.lookback, shape.lookback), nn.ReLU(), nn.Dropout(dropout)
        )
        self.feature_norm = StepwiseNorm(shape)
        self.feature = nn.Sequential(
            nn.Linear(shape.channels, hidden_size),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden_size, shape.channels),
            nn.Dropout(dropout),
        )

    def forward(self, z: Tensor) -> Tensor:
        """``(B, L, C)`` -> ``(B, L, C)``."""
        z = z + self.time(self.time_norm(z).transpose(1, 2)).transpose(1, 2)
        return z + self.feature(self.feature_norm(z))  # type: ignore[no-any-return]


class StepwiseNorm(nn.BatchNorm1d):
    """Batch norm of every step and channel by itself.

    A batch of one window, as an epoch may end with, has no spread: it is normalised as in
    evaluation.

    Args:
        shape: the sizes the data decides.
    """

    def __init__(self, shape: SeriesShape) -> None:
        super().__init__(shape.lookback * shape.channels, eps=1e-3, momentum=0.01)

    def forward(self, z: Tensor) -> Tensor:
        """``(B, L, C)`` -> ``(B, L, C)``."""
        rows = z.flatten(1)
        if not self.training or rows.shape[0] > 1:
            return super().forward(rows).view_as(z)
        given = (self.running_mean, self.running_var, self.weight, self.bias)
        return F.batch_norm(rows, *given, eps=self.eps).view_as(z)
