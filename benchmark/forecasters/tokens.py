"""What a recurrence reads at each step: points or patches, of all channels or of one.

    points            a step is one time step           S = L
    patches           a step is P time steps            S = L / P
    channel-mixing    a step holds all channels         batch B,      token width P * C
    independent       each channel is its own sequence  batch B * C,  token width P

Shapes: B batch, L lookback, C channels, P patch, S steps, M forecast tokens.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from benchmark.forecasters.contract import SeriesShape


class Tokeniser:
    """Cuts windows into tokens and puts forecast tokens back together.

    Args:
        shape: the sizes the data decides.
        patch: P, time steps in a token; 1 for points.
        independent: one sequence for each channel.

    Raises:
        ValueError: the lookback is not a whole number of patches.
    """

    def __init__(self, shape: SeriesShape, *, patch: int, independent: bool) -> None:
        if shape.lookback % patch:
            fits = max(size for size in range(1, patch) if shape.lookback % size == 0)
            raise ValueError(
                f"the lookback must be a multiple of the patch, but lookback is "
                f"{shape.lookback} and patch {patch} (a patch of {fits} fits)"
            )
        self.patch = patch
        self.independent = independent
        self.channels = shape.channels
        self.horizon = shape.horizon
        self.token_size = patch if independent else patch * shape.channels
        self.num_tokens = shape.lookback // patch
        self.num_forecast_tokens = math.ceil(shape.horizon / patch)

    def require_patches(self, rows: Tensor) -> None:
        """Refuse rows that cannot be cut.

        Raises:
            ValueError: they are not ``(B, k * P, C)`` with k of at least 1.
        """
        if rows.ndim != 3 or rows.shape[2] != self.channels:
            raise ValueError(
                f"rows must be (batch, steps, {self.channels} channels), but their shape is "
                f"{tuple(rows.shape)}"
            )
        if not rows.shape[1] or rows.shape[1] % self.patch:
            raise ValueError(
                f"rows must be one or more patches of {self.patch} time steps, but there are "
                f"{rows.shape[1]}"
            )

    def cut(self, x: Tensor) -> Tensor:
        """``(B, L, C)`` -> tokens ``(B * C, S, P)`` or ``(B, S, P * C)``."""
        batch, steps, channels = x.shape
        if self.independent:
            return x.transpose(1, 2).reshape(batch * channels, steps // self.patch, self.patch)
        return x.reshape(batch, steps // self.patch, self.patch * channels)

    def cut_target(self, y: Tensor) -> Tensor:
        """Tokens of a horizon ``(B, H, C)``, its last patch filled up by holding the last value."""
        missing = self.num_forecast_tokens * self.patch - self.horizon
        if missing:
            y = torch.cat([y, y[:, -1:].expand(-1, missing, -1)], dim=1)
        return self.cut(y)

    def join(self, tokens: Tensor) -> Tensor:
        """Forecast tokens ``(B * C, M, P)`` or ``(B, M, P * C)`` -> ``(B, H, C)``."""
        if self.independent:
            series = tokens.reshape(-1, self.channels, tokens.shape[1] * self.patch).transpose(1, 2)
        else:
            series = tokens.reshape(tokens.shape[0], -1, self.channels)
        return series[:, : self.horizon]


class OverlappingPatches:
    """Cuts series into patches that may overlap, their end held for one more stride.

    Args:
        lookback: L.
        patch: P, steps in a patch.
        stride: V, steps from one patch to the next.

    Attributes:
        count: S, patches of a series.

    Raises:
        ValueError: a patch is longer than the lookback.
    """

    def __init__(self, lookback: int, patch: int, stride: int) -> None:
        if patch > lookback:
            raise ValueError(
                f"a patch must fit into the lookback, but patch is {patch} and the lookback "
                f"{lookback}"
            )
        self.patch, self.stride = patch, stride
        self.count = (lookback - patch) // stride + 2

    def cut(self, series: Tensor) -> Tensor:
        """``(N, L)`` -> ``(N, S, P)``."""
        held = series[:, -1:].expand(-1, self.stride)
        return torch.cat([series, held], dim=1).unfold(1, self.patch, self.stride)
