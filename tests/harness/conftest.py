"""Runs that are kept with their weights, and rows to forecast from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from forecasts import CHANNELS, Run
from numpy.typing import NDArray


@pytest.fixture
def kept(toy: Path, command: Any, write_yaml: Any) -> Run:
    """Run a model at lookback 24 and horizon 12, kept with its weights; return its folder."""

    def run(model: str, *options: str, keep: bool = True, **spec: Any) -> Path:
        name = spec.get("name", model.lower())
        data = {"name": name, "dataset": "toy", "lookback": 24, "horizon": 12}
        path = write_yaml(f"{name}.yaml", data | {"model": {"class": model}} | spec)
        answer = command("run", path, *(["--checkpoint"] if keep else []), *options)
        assert answer.code == 0, answer.err
        return Path(answer.out.splitlines()[-1].removeprefix("Run folder: "))

    return run


@pytest.fixture
def new_rows(toy: Path) -> Callable[..., NDArray[np.float64]]:
    """Write ``new.csv`` with some random rows up to a time; return them ``(T, 3)``."""

    def write(last: str = "2023-12-31 18:00:00", rows: int = 40, step: str = "1h") -> Any:
        values = np.random.default_rng(7).normal([500, 0, 0], [100, 1, 0.01], (rows, 3)).round(6)
        frame = pd.DataFrame(values, columns=CHANNELS)
        frame.insert(0, "date", pd.date_range(end=last, periods=rows, freq=step).astype(str))
        frame.to_csv(toy / "new.csv", index=False)
        return values

    return write
