from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest


@pytest.fixture
def overlapping() -> Callable[..., np.ndarray]:
    """Losses of equal forecasters on overlapping windows: means of `horizon` errors ``(k, n)``."""

    def draw(count: int, windows: int, horizon: int, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        sums = np.cumsum(rng.standard_normal((count, windows + horizon)), axis=1)
        return (sums[:, horizon:] - sums[:, :-horizon]) / horizon

    return draw
