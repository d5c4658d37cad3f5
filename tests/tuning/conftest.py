from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on, a trial of a search is an error."""
    return lambda: monkeypatch.setattr("benchmark.tuning.held_out.fit", None)
