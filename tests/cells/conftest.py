from __future__ import annotations

import pytest

from benchmark.cells import native


@pytest.fixture(params=["plain", "compiled"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a float32 test in plain torch, and in C++ where there is a compiler."""
    if request.param == "compiled" and native.operator("ssd") is None:
        pytest.skip("no C++ compiler here")
    monkeypatch.setenv("BENCHMARK_NATIVE", "1" if request.param == "compiled" else "0")
