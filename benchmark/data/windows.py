"""Windows of one split: a strided view of the scaled series, and an index gather from it.

No window is ever built in Python. The series lies channel-first in one tensor on the training
device; a window is a row of an overlapping view of it, and a batch is one ``index_select``.

Shapes: B batch, L lookback, H horizon, C channels, T rows, W windows.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy

import torch
from torch import Tensor


class Windows:
    """Every stride-1 window whose horizon lies inside `horizon_rows`.

    The lookback may reach back before `horizon_rows`: the rows just before a split are known when
    its first window is forecast. So the number of validation and test windows does not depend on
    the lookback.

    Args:
        values: the whole scaled series, channel-first and contiguous, ``(C, T)``.
        horizon_rows: the rows of the split; `W = len(horizon_rows) - H + 1`, less at the very
            start of the series, where no full lookback exists.
        lookback: L, in steps.
        horizon: H, in steps.
        targets: what horizons are taken from, where values are masked: `values` are filled then,
            and these hold NaN ``(C, T)``.

    Raises:
        ValueError: not one window fits.
    """

    def __init__(
        self,
        values: Tensor,
        horizon_rows: range,
        lookback: int,
        horizon: int,
        targets: Tensor | None = None,
    ) -> None:
        first = max(horizon_rows.start, lookback)
        count = horizon_rows.stop - horizon - first + 1
        if count < 1:
            raise ValueError(
                f"lookback {lookback} + horizon {horizon} need {lookback + horizon} rows, but "
                f"rows {horizon_rows.start} to {horizon_rows.stop} hold no such window"
            )
        self.lookback = lookback
        self.horizon = horizon
        self.first = first
        self._made_of = values, horizon_rows, targets
        rows = values[:, first - lookback : horizon_rows.stop]
        self._view = rows.unfold(1, lookback + horizon, 1).transpose(0, 1)  # (W, C, L + H)
        self._targets = None
        if targets is not None:
            rows = targets[:, first : horizon_rows.stop]
            self._targets = rows.unfold(1, horizon, 1).transpose(0, 1)  # (W, C, H)
        self._numbers: Tensor | None = None
        self._avoided: range | None = None

    @classmethod
    def held(cls, values: Tensor, horizon_rows: range, lookback: int, horizon: int) -> Windows:
        """Of a series with NaN where it is masked: lookbacks hold the last value before instead."""
        return cls(forward_filled(values), horizon_rows, lookback, horizon, targets=values)

    def __len__(self) -> int:
        return len(self._view if self._numbers is None else self._numbers)

    @property
    def device(self) -> torch.device:
        """Where the series lies."""
        return self._view.device

    @property
    def starts(self) -> Tensor:
        """Row of each horizon's first step ``(W,)``."""
        if self._numbers is not None:
            return self.first + self._numbers
        return self.first + torch.arange(len(self._view), device=self.device)

    @property
    def masked(self) -> bool:
        """Whether a target may be missing, that is NaN."""
        return self._targets is not None

    def latest(self, lookback: int) -> Windows:
        """Return the same windows, as many, with no more than the last steps of their lookback.

        Raises:
            ValueError: they hold fewer.
        """
        self._check_held(lookback)
        windows = copy(self)
        windows.lookback = lookback
        windows._view = self._view[..., self.lookback - lookback :]
        return windows

    def with_lookback(self, lookback: int) -> Windows:
        """Return every window of the same rows with a shorter lookback, to be fitted on.

        There can be more than these: where the series begins, and beside rows that are avoided, a
        shorter lookback has room for some that a longer one has not.

        Raises:
            ValueError: these hold fewer steps, or are some that `only` has picked.
        """
        self._check_held(lookback)
        if self._avoided is None and self._numbers is not None:
            raise ValueError("windows that were picked by number are no others' start")
        values, horizon_rows, targets = self._made_of
        windows = Windows(values, horizon_rows, lookback, self.horizon, targets)
        return windows.avoiding(self._avoided) if self._avoided else windows

    def avoiding(self, rows: range) -> Windows:
        """Return the windows none of whose rows is among `rows`."""
        start = self.starts
        apart = (start + self.horizon <= rows.start) | (start - self.lookback >= rows.stop)
        windows = self.only(apart.nonzero()[:, 0])
        windows._avoided = rows if self._numbers is None else None
        return windows

    def only(self, numbers: Tensor) -> Windows:
        """Return some of the windows: those numbered `numbers` ``(some of W,)``, in that order."""
        windows = copy(self)
        windows._numbers = numbers if self._numbers is None else self._numbers[numbers]
        windows._avoided = None
        return windows

    def _check_held(self, lookback: int) -> None:
        if not 1 <= lookback <= self.lookback:
            raise ValueError(f"windows hold {self.lookback} steps, but {lookback} are asked for")

    def gather(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return the windows numbered `index` ``(B,)``: ``(B, L, C)`` and ``(B, H, C)``.

        Both are transposed views of channel-first memory, so that a layer along time needs no copy.
        """
        if self._numbers is not None:
            index = self._numbers[index]
        windows = self._view.index_select(0, index).transpose(1, 2)  # (B, L + H, C)
        if self._targets is not None:
            return windows[:, : self.lookback], self._targets.index_select(0, index).transpose(1, 2)
        return windows[:, : self.lookback], windows[:, self.lookback :]

    def in_order(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield every window once, in time order, none dropped."""
        for index in torch.split(torch.arange(len(self), device=self.device), batch_size):
            yield self.gather(index)

    def random_order(self, generator: torch.Generator) -> Tensor:
        """Return every window's number once, in the generator's order ``(W,)``."""
        return torch.randperm(len(self), generator=generator).to(self.device)

    def shuffled(
        self, batch_size: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield every window once, in the generator's order, none dropped."""
        for index in torch.split(self.random_order(generator), batch_size):
            yield self.gather(index)


def forward_filled(values: Tensor) -> Tensor:
    """Replace NaN along the last dimension by the last value before it, or by 0 without one.

    >>> nan = float("nan")
    >>> forward_filled(torch.tensor([[nan, 1.0, nan, nan, 2.0]])).tolist()
    [[0.0, 1.0, 1.0, 1.0, 2.0]]
    """
    steps = torch.arange(values.shape[-1], device=values.device)
    last = torch.where(values.isnan(), -1, steps).cummax(dim=-1).values
    return torch.where(last < 0, 0.0, values.gather(-1, last.clamp(min=0)))
