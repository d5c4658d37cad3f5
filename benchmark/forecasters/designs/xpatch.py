"""xPatch: an exponential average goes through linear layers, what it leaves through convolutions.

    z    = RevIN(x)                                     a gain and a shift for each channel
    s_t  = alpha z_t + (1 - alpha) s_{t-1}              s_1 = z_1: the exponential average
    u    = Norm(pool(W_1 s + b_1))                      L -> 4 H -> 2 H steps
    u   <- Norm(pool(W_2 u + b_2))                      2 H -> H -> H / 2
    y_s  = W_3 u + b_3                                  H / 2 -> H

    p_n  = the n-th patch of z - s, P steps             N patches, V steps apart, as PatchTST's
    e_n  = BN_n(GELU(W_4 p_n + b_4))                    P -> P^2
    d_n  = BN_n(GELU(k_n * e_n))                        P numbers at a time -> P: "depthwise"
    d_n <- d_n + W_5 e_n + b_5                          P^2 -> P
    g    = BN(GELU(W_6 d + b_6))                        from patch to patch: "pointwise"
    y_r  = W_8 GELU(W_7 g + b_7) + b_8                  N P -> 2 H -> H

    y    = W_9 (y_r, y_s) + b_9                         then RevIN undone

`pool` is the mean of each two neighbours, Norm layer norm, and BN_n batch norm with a mean, a
variance, a gain and a shift for each patch, over windows, channels and the numbers of a patch. A
channel is forecast from itself alone, but for the gains of RevIN.

Differs from DLinear by the average, which knows the past alone: s is the plainest recurrence there
is, a cell with one number for a state and a gate that is the same at every step (`cells/elman.py`
begins where it ends). Since it is linear and its gate known beforehand, all steps come of one
multiplication by the powers of 1 - alpha.

Reference: A. Stitsyuk and J. Choi, xPatch: dual-stream time series forecasting with exponential
seasonal-trend decomposition, AAAI 2025, arXiv:2412.17323, Sections 3.1 to 3.3.

Shapes: B batch, L lookback, H horizon, C channels, P patch, V stride, N patches.
"""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from benchmark.config import Positive
from benchmark.forecasters.contract import Forecaster, SeriesShape
from benchmark.forecasters.normalise import Normaliser
from benchmark.forecasters.tokens import OverlappingPatches


class XPatch(Forecaster):
    """An exponential average and what it leaves, forecast apart and put together by one map.

    Args:
        shape: the sizes the data decides.
        patch: P.
        stride: V, steps from one patch to the next.
        alpha: how much of the average a new value is.

    Raises:
        ValueError: a patch is longer than the lookback.
    """

    decay: Tensor

    def __init__(
        self,
        shape: SeriesShape,
        *,
        patch: Positive = 16,
        stride: Positive = 8,
        alpha: Annotated[float, Field(gt=0, le=1)] = 0.3,
    ) -> None:
        super().__init__(shape)
        self.normaliser = Normaliser("revin", shape.channels)
        self.register_buffer("decay", decays(shape.lookback, alpha), persistent=False)
        self.average = AverageStream(shape)
        self.rest = PatchStream(shape, patch, stride)
        self.head = nn.Linear(2 * shape.horizon, shape.horizon)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L, C)`` -> ``(B, H, C)``."""
        z, taken = self.normaliser(x)
        z = z.transpose(1, 2)  # (B, C, L)
        average = z @ self.decay
        both = torch.cat([self.rest(z - average), self.average(average)], dim=-1)
        return self.normaliser.inverse(self.head(both).transpose(1, 2), taken)


def decays(steps: int, alpha: float) -> Tensor:
    """``(L, L)``: what share each step (rows) has of the average at each step (columns)."""
    age = torch.arange(steps) - torch.arange(steps)[:, None]
    share = torch.full((steps, 1), alpha, dtype=torch.float64)
    share[0] = 1
    return torch.where(age < 0, 0, share * (1 - alpha) ** age.clamp(min=0)).float()


class AverageStream(nn.Module):
    """Two linear layers, each halved and normalised, and a third.

    Args:
        shape: the sizes the data decides.
    """

    def __init__(self, shape: SeriesShape) -> None:
        super().__init__()
        horizon = shape.horizon
        halved = max(horizon // 2, 1)  # of a single step there is no half
        self.layers = nn.Sequential(
            nn.Linear(shape.lookback, 4 * horizon),
            nn.AvgPool1d(2),
            nn.LayerNorm(2 * horizon),
            nn.Linear(2 * horizon, max(horizon, 2)),
            nn.AvgPool1d(2),
            nn.LayerNorm(halved),
            nn.Linear(halved, horizon),
        )

    def forward(self, s: Tensor) -> Tensor:
        """``(B, C, L)`` -> ``(B, C, H)``."""
        return self.layers(s)  # type: ignore[no-any-return]


class PatchStream(nn.Module):
    """Convolutions within each patch, then from patch to patch, then two linear layers.

    Args:
        shape: the sizes the data decides.
        patch: P.
        stride: V.

    Raises:
        ValueError: a patch is longer than the lookback.
    """

    def __init__(self, shape: SeriesShape, patch: int, stride: int) -> None:
        super().__init__()
        self.patches = OverlappingPatches(shape.lookback, patch, stride)
        patches = self.patches.count
        self.embed = nn.Linear(patch, patch**2)
        self.embed_norm = nn.BatchNorm1d(patches)
        self.within = nn.Conv1d(patches, patches, patch, stride=patch, groups=patches)
        self.within_norm = nn.BatchNorm1d(patches)
        self.past = nn.Linear(patch**2, patch)
        self.between = nn.Conv1d(patches, patches, 1)
        self.between_norm = nn.BatchNorm1d(patches)
        self.forecast = nn.Sequential(
            nn.Linear(patches * patch, 2 * shape.horizon),
            nn.GELU(),
            nn.Linear(2 * shape.horizon, shape.horizon),
        )

    def forward(self, rest: Tensor) -> Tensor:
        """``(B, C, L)`` -> ``(B, C, H)``."""
        p = self.patches.cut(rest.flatten(0, 1))  # (B C, N, P)
        e = self.embed_norm(F.gelu(self.embed(p)))  # (B C, N, P^2)
        d = self.within_norm(F.gelu(self.within(e))) + self.past(e)  # (B C, N, P)
        g = self.between_norm(F.gelu(self.between(d)))
        return self.forecast(g.flatten(1)).unflatten(0, rest.shape[:2])  # type: ignore[no-any-return]
