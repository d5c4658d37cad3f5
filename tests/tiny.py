"""A linear model of the toy data set, and a suite of it and a naive one, to be written as YAMLs."""

from __future__ import annotations

from typing import Any

LINEAR: dict[str, Any] = {
    "name": "linear",
    "dataset": "toy",
    "lookback": 24,
    "horizon": 12,
    "model": {"class": "Linear"},
    "training": {"epochs": 1, "batch_size": 64},
}
SUITE: dict[str, Any] = {
    "name": "tiny",
    "models": ["linear.yaml", "seasonal_naive"],
    "grids": [{"datasets": ["toy"], "horizons": [12], "lookbacks": [24]}],
}
