"""A user's file as the tests of adding one write it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd


def table(rows: int = 200, step: str = "h", start: str = "2021-03-01") -> pd.DataFrame:
    """Two channels with a day's season, as a user's file would hold them."""
    t = np.arange(rows)
    wave = np.sin(2 * np.pi * t / 24)
    noise = np.random.default_rng(1).normal(size=(rows, 2))
    columns = {"load": 50 + 9 * wave + noise[:, 0], "heat": wave + 0.1 * noise[:, 1]}
    return pd.DataFrame({"date": pd.date_range(start, periods=rows, freq=step), **columns})


def written_anew(cure: str) -> Path:
    """Run the line of pandas in a cure; return the file that it writes."""
    line = re.search(r"pd\.read_csv\(.*\.to_csv\('([^']+)', index=False\)", cure)
    assert line is not None, cure
    eval(line[0], {"pd": pd})
    return Path(line[1])


def lines_of(frame: pd.DataFrame) -> list[str]:
    return frame.to_csv(index=False).splitlines()
