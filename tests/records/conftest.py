from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.records.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Make a store that fails the test where it sets a run aside."""

    def refuse(message: str) -> None:
        raise AssertionError(f"unexpected warning: {message}")

    return Store(tmp_path / "results", warn=refuse)
