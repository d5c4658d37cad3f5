"""Files of a run's folder that are whole but do not agree are damage, told in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.errors import UserError
from benchmark.reports.details import Run, read_detail

H, C, N = 2, 3, 5
ERRORS: dict[str, Any] = {
    "channels": np.array(["a", "b", "c"]),
    "squared_by_step": np.ones((H, C), dtype=np.float32),
    "absolute_by_step": np.ones((H, C), dtype=np.float32),
    "scale": np.ones(C),
    "borders": np.array([[0, 3], [3, 5], [5, 8]]),
}
FORECASTS: dict[str, Any] = {
    "first_row": np.arange(N),
    "target": np.ones((N, H, C)),
    "forecast": np.ones((N, H, C)),
    "history": np.ones((N, 4, C)),
    "channel": np.arange(C),
    "kind": np.array(["common"] * N),
    "time": np.array(["2020-01-01"] * N, dtype="M8[s]"),
    "low": np.ones((N, H, C)),
    "high": np.ones((N, H, C)),
}
TRAINING: list[Any] = [{"number": 1, "train_loss": 0.5, "val_mse": 0.5}]


def read(
    folder: Path, errors: Any = None, forecasts: Any = None, training: Any = TRAINING
) -> object:
    run = folder / "a1"
    run.mkdir()
    np.savez(run / "errors.npz", **ERRORS | (errors or {}))
    np.savez(run / "forecasts.npz", **FORECASTS | (forecasts or {}))
    (run / "training.json").write_text(json.dumps(training))
    runs = [Run("a1", "gru", "gradient", 1)]
    return read_detail("gru", runs, folder)


def test_files_that_agree_are_read(tmp_path: Path) -> None:
    assert read(tmp_path) is not None


@pytest.mark.parametrize(
    "errors",
    [
        {"channels": np.array(["a"])},
        {"squared_by_step": np.ones((1, C))},
        {"absolute_by_step": np.ones((H, 1))},
        {"scale": np.ones(1)},
        {"borders": np.zeros((1, 2), dtype=int)},
        {"squared_by_step": np.ones((0, C)), "absolute_by_step": np.ones((0, C))},
    ],
)
def test_errors_of_other_sizes_are_damage(tmp_path: Path, errors: Any) -> None:
    with pytest.raises(UserError, match=r"errors\.npz: is damaged \(.* is of shape"):
        read(tmp_path, errors=errors)


@pytest.mark.parametrize(
    "forecasts",
    [
        {"forecast": np.ones((N, H, 1))},
        {"target": np.ones((0, H, C))},
        {"first_row": np.arange(2)},
        {"kind": np.array(["common"])},
        {"time": np.array([], dtype="M8[s]")},
        {"history": np.ones((N, 4, 1))},
        {"low": np.ones((N, 1, C))},
        {"channel": np.array([0, 1])},
    ],
)
def test_forecasts_of_other_sizes_are_damage(tmp_path: Path, forecasts: Any) -> None:
    with pytest.raises(UserError, match=r"forecasts\.npz: is damaged \(.* is of shape"):
        read(tmp_path, forecasts=forecasts)


@pytest.mark.parametrize("channel", [[0, 1, 99], [-1, 0, 1]])
def test_forecasts_of_channels_that_there_are_not_are_damage(tmp_path: Path, channel: Any) -> None:
    with pytest.raises(UserError, match="channels that are none of 3"):
        read(tmp_path, forecasts={"channel": np.array(channel)})


@pytest.mark.parametrize(
    "training",
    [
        None, {}, [None], [[1, 2, 3]], [{}], [{"number": 1, "train_loss": 1.0}],
        [TRAINING[0] | {"val_mse": "0.5"}], [TRAINING[0] | {"val_mse": float("nan")}],
        [TRAINING[0] | {"number": 10**400}],
    ],
)  # fmt: skip
def test_a_curve_that_is_none_is_damage(tmp_path: Path, training: Any) -> None:
    with pytest.raises(UserError, match=r"training\.json: is damaged \(it is no list of epochs"):
        read(tmp_path, training=training)


def test_an_endless_curve_is_not_read_to_its_end(tmp_path: Path) -> None:
    read(tmp_path)
    with open(tmp_path / "a1" / "training.json", "ab") as stream:
        stream.truncate(1 << 35)  # sparse: takes no room
    runs = [Run("a1", "gru", "gradient", 1)]
    with pytest.raises(UserError, match=r"training\.json: is longer than 10,000,000 bytes"):
        read_detail("gru", runs, tmp_path)
