"""How the tests of kept runs forecast."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

CHANNELS = ("load", "heat", "wind")
Run = Callable[..., Path]


def forecast(command: Any, *words: object) -> pd.DataFrame:
    answer = command("forecast", *words, "--input", "new.csv", "--output", "out.csv")
    assert answer.code == 0, answer.err
    return pd.read_csv("out.csv")


def units(folder: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    data = json.loads((folder / "data.json").read_text())
    return np.array(data["mean"]), np.array(data["scale"])
