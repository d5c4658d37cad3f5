"""Made-up windows with a season: what a contract is checked on."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor

from benchmark.forecasters.contract import SeriesShape


def draw(shape: SeriesShape, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw lookbacks ``(B, L, C)`` and horizons ``(B, H, C)``, views of one memory as in a run."""
    steps = torch.arange(shape.lookback + shape.horizon) * (2 * torch.pi / shape.season)
    noise = torch.randn(batch, len(steps), shape.channels, generator=generator)
    series = torch.sin(steps)[None, :, None] + 0.5 * noise
    return series[:, : shape.lookback], series[:, shape.lookback :]


class NoiseWindows:
    """Such windows for closed-form fits.

    Args:
        shape: their sizes.
        generator: draws them.
        masked: whether some values of the horizons are missing.
    """

    def __init__(
        self, shape: SeriesShape, generator: torch.Generator, *, masked: bool = False
    ) -> None:
        self.masked = masked
        self._batches = [draw(shape, 32, generator) for _ in range(2)]
        for _, y in self._batches if masked else ():
            y[::5, 0] = torch.nan

    def __len__(self) -> int:
        return sum(len(x) for x, _ in self._batches)

    def with_lookback(self, lookback: int) -> NoiseWindows:
        """The same with a shorter lookback."""
        shorter = copy.copy(self)
        shorter._batches = [(x[:, -lookback:], y) for x, y in self._batches]
        return shorter

    def in_order(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """In the order in which they were drawn."""
        for x, y in self._batches:
            yield from zip(x.split(batch_size), y.split(batch_size), strict=True)  # type: ignore[no-untyped-call]
