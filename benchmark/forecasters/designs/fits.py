"""FITS: a linear map between spectra, so that a forecast is the continuation of a few waves.

    z    = (x - mean(x)) / sqrt(var(x) + eps)           per window and channel
    X    = rfft(z)[:K]                                  the K lowest of L / 2 + 1 frequencies
    Y    = W X + b                                      complex; K (L + H) / L frequencies, if the
                                                        (L + H) / 2 + 1 that there are are as many
    (z', y') = (L + H) / L irfft(Y, 0, ..., 0)          L + H steps: the lookback again, and on
    y    = y' sqrt(var(x) + eps) + mean(x)

Differs from RLinear, which maps steps to steps, by what it cannot express: any wave shorter than
the K-th harmonic is left out of lookback and forecast alike, and weights are fewer for it. With
K = (L // 24 + 1) 6 + 10 the cut lies a little above the sixth harmonic of a day.

The authors train on the L + H steps; here the loss is on the H of the forecast, as everywhere.

Shapes: B batch, L lookback, H horizon, C channels, K low frequencies.

Reference: Z. Xu, A. Zeng and Q. Xu, FITS: modeling time series with 10k parameters (2023),
arXiv:2307.03756, Section 3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.config import Positive
from benchmark.forecasters.contract import Forecaster, SeriesShape
from benchmark.forecasters.normalise import Normaliser

MARGIN = 10  # frequencies above the last harmonic, so that it is not cut off at its flank


class FITS(Forecaster):
    """One complex linear layer from low frequencies of the lookback to those of both.

    Args:
        shape: the sizes the data decides.
        harmonics: highest harmonic of the season that is kept.
        period: steps of the season, as the authors' ``base_T``.
    """

    channel_independent = True
    tied_steps = True

    def __init__(
        self, shape: SeriesShape, *, harmonics: Positive = 6, period: Positive = 24
    ) -> None:
        super().__init__(shape)
        length = shape.lookback + shape.horizon
        low = (shape.lookback // period + 1) * harmonics + MARGIN
        self.low = min(low, shape.lookback // 2 + 1)
        self.ratio = length / shape.lookback
        self.normaliser = Normaliser("standard", shape.channels)
        high = min(int(self.low * self.ratio), length // 2 + 1)
        self.map = nn.Linear(self.low, high, dtype=torch.cfloat)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L, C)`` -> ``(B, H, C)``."""
        z, taken = self.normaliser(x)
        spectrum = torch.fft.rfft(z, dim=1)[:, : self.low].transpose(1, 2)  # (B, C, K)
        length = self.shape.lookback + self.shape.horizon
        whole = self.ratio * torch.fft.irfft(self.map(spectrum), n=length)  # (B, C, L + H)
        forecast = whole[..., self.shape.lookback :].transpose(1, 2)
        return self.normaliser.inverse(forecast, taken)
