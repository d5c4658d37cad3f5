"""A kept run of a user's class: what it saves beside its tensors, and what if its code changes."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from forecasts import CHANNELS, Run, forecast, units

from benchmark.records.checksums import write_sums

BESIDE = """
import numpy as np
import torch

from benchmark.forecasters.contract import ClosedFormForecaster
from benchmark.forecasters.linear import Linear


class Scaled(Linear):
    factor = 1.0

    def get_extra_state(self):
        return {"factor": self.factor}

    def set_extra_state(self, state):
        self.factor = state["factor"]

    def training_forecast(self, x, y):
        self.factor = 3.0
        return self(x)

    def forward(self, x):
        return self.factor * super().forward(x)


class Level(ClosedFormForecaster):
    level = None

    def fit(self, train, validation):
        self.level = next(train.in_order(8))[1].mean((0, 1)).numpy()

    def get_extra_state(self):
        return {"level": None if self.level is None else torch.from_numpy(self.level)}

    def set_extra_state(self, state):
        self.level = state["level"].numpy()

    def forward(self, x):
        return torch.from_numpy(self.level).expand(len(x), self.shape.horizon, -1)


class Late(Level):
    def get_extra_state(self):
        return {"level": self.level}


class Early(Level):
    def get_extra_state(self):
        return {"level": np.zeros(3)}

    def fit(self, train, validation):
        raise RuntimeError("this takes hours")
"""


@pytest.mark.parametrize("name", ["Scaled", "Level"])
def test_what_a_model_saves_beside_tensors_is_read_again(
    kept: Run, command: Any, new_rows: Any, write_module: Any, name: str
) -> None:
    write_module("users_beside", BESIDE)
    folder, rows = kept(f"users_beside.{name}", training={"epochs": 1}, name="own"), new_rows()
    mean, scale = units(folder)
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    if name == "Level":
        expected = state["_extra_state"]["level"].numpy()
    else:
        weight, bias = (state[f"map.{part}"].double().numpy() for part in ("weight", "bias"))
        z = (rows[-24:] - mean) / scale
        expected = 3.0 * (weight[0] @ z + bias[0, :, None])
    table = forecast(command, folder)
    assert (abs(table[list(CHANNELS)].to_numpy() - expected * scale - mean) < 1e-5 * scale).all()


OWN = """
from benchmark.forecasters.naive import LastValue


class Own(LastValue):
    def forward(self, x):
        return super().forward(x) + 0.0
"""


def test_a_run_whose_own_code_has_changed_since_says_so_once_and_how_it_is_made_anew(
    toy: Path, kept: Run, command: Any, new_rows: Any, write_module: Any
) -> None:
    write_module("users_changed", OWN)
    folder, _ = kept("users_changed.Own", name="own"), new_rows()
    words = ("forecast", folder, "--input", "new.csv", "--output", "out.csv")
    assert command(*words).err == ""

    write_module("users_changed", OWN.replace("0.0", "1.0"))
    sys.modules.pop("users_changed")
    again = f"benchmark run {folder / 'run.yaml'} --checkpoint --force --results {toy / 'results'}"
    for each in (words, ("backtest", folder)):
        answer = command(*each)
        assert answer.code == 0
        (line,) = answer.err.splitlines()
        assert line.startswith(f"Note: {folder}: the model's own code has changed since ")
        assert line.endswith(f": {again}")

    answer = command(*shlex.split(again)[1:])
    new = Path(answer.out.splitlines()[-1].removeprefix("Run folder: "))
    assert new != folder
    assert command("forecast", new, *words[2:]).err == ""


def test_a_run_of_ours_and_one_kept_before_code_was_noted_say_nothing(
    toy: Path, kept: Run, command: Any, new_rows: Any, write_module: Any
) -> None:
    new_rows()
    ours = kept("LastValue")
    assert "source" not in json.loads((ours / "data.json").read_text())
    write_module("users_changed", OWN)
    folder = kept("users_changed.Own", name="own")
    data = json.loads((folder / "data.json").read_text())
    assert data.pop("source")
    (folder / "data.json").write_text(json.dumps(data))
    write_sums(folder)
    write_module("users_changed", OWN.replace("0.0", "1.0"))
    sys.modules.pop("users_changed")
    for run in (ours, folder):
        assert command("forecast", run, "--input", "new.csv", "--output", "out.csv").err == ""


@pytest.mark.parametrize(
    ("name", "start"),
    [("Late", "the run is done, but its weights are not kept: get_extra"), ("Early", "get_extra")],
)
def test_what_only_code_could_read_again_is_told_in_a_line_and_before_the_fit_where_it_is_known(
    toy: Path, command: Any, write_module: Any, write_yaml: Any, name: str, start: str
) -> None:
    write_module("users_beside", BESIDE)
    data = {"name": "own", "dataset": "toy", "lookback": 24, "horizon": 12}
    write_yaml("own.yaml", data | {"model": {"class": f"users_beside.{name}"}})
    answer = command("run", "own.yaml", "--checkpoint")
    assert answer.code == 2
    assert answer.err.startswith(f"error: own.yaml: model: {start}_state gives what cannot be kept")
    assert "numpy" in answer.err
    assert len(answer.err.splitlines()) == 1
