"""What every run of a user's class is held to: forecasts of windows alone, weights that are all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import benchmark
from benchmark.data.card import load_card
from benchmark.data.load import load
from benchmark.data.task import Task
from benchmark.errors import UserError
from benchmark.forecasters.contract import ForecastError
from benchmark.records.table import read_results

TASK = {"dataset": "toy", "lookback": 24, "horizon": 12, "training": {"epochs": 1}}

UNSAVED = """
import torch
from torch import nn
from benchmark.forecasters.contract import ClosedFormForecaster
from benchmark.forecasters.linear import Linear

class Offset(ClosedFormForecaster):
    def __init__(self, shape):
        super().__init__(shape)
        self.offset = torch.zeros(shape.horizon, shape.channels)
    def fit(self, train, validation):
        self.offset = torch.full_like(self.offset, 3.0)
    def forward(self, x):
        return x[:, -1:] + self.offset

class Listed(Linear):
    def __init__(self, shape):
        super().__init__(shape)
        self.layers = [nn.Linear(shape.lookback, shape.horizon)]
    def forward(self, x):
        return super().forward(x) + self.layers[0](x.transpose(1, 2)).transpose(1, 2)

class Sized(Offset):
    def __init__(self, shape):
        super().__init__(shape)
        del self.offset
        self.register_buffer("offset", None)
    def fit(self, train, validation):
        self.offset = torch.ones(self.shape.horizon, self.shape.channels)
"""


def run(command: Any, write_yaml: Any, name: str, *options: str) -> Any:
    write_yaml("own.yaml", TASK | {"name": "own", "model": {"class": name}})
    return command("run", "own.yaml", *options)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Offset", " of their size: offset is not in the state_dict; register it in __init__"),
        ("Listed", "layers is not in the state_dict; register it in __init__ (nn.ModuleList, "),
        ("Sized", "does not make the model again (Error(s) in loading state_dict for Sized: "),
    ],
)
def test_weights_that_are_not_all_of_a_model_are_refused_and_its_scores_are_kept(
    toy: Path, command: Any, write_module: Any, write_yaml: Any, name: str, says: str
) -> None:
    write_module("users_unsaved", UNSAVED)
    plain = run(command, write_yaml, f"users_unsaved.{name}")
    assert (plain.code, plain.err) == (0, "")
    (before,) = read_results(Path("results/results.csv")).to_dict("records")
    kept = run(command, write_yaml, f"users_unsaved.{name}", "--checkpoint", "--force")
    assert (kept.code, kept.err.count("\n")) == (2, 1)
    start = "error: own.yaml: model: the run is done, but its weights are not kept: made again "
    assert kept.err.startswith(start) or name == "Sized"
    assert says in kept.err
    (row,) = read_results(Path("results/results.csv")).to_dict("records")
    assert (row["status"], row["mse"]) == ("done", before["mse"])
    assert not list(Path("results").rglob("checkpoint.pt"))
    assert not list(Path("results").rglob("data.json"))


def test_a_suite_goes_on_after_weights_that_were_refused(
    toy: Path, command: Any, write_module: Any, write_yaml: Any
) -> None:
    write_module("users_unsaved", UNSAVED)
    write_yaml("own.yaml", TASK | {"name": "own", "model": {"class": "users_unsaved.Offset"}})
    grid = {"datasets": ["toy"], "horizons": [12], "lookbacks": [24]}
    models = ["own.yaml", "last_value"]
    write_yaml("two.yaml", {"name": "two", "models": models, "grids": [grid]})
    answer = command("suite", "two.yaml", "--checkpoint")
    assert answer.code == 0, answer
    assert answer.err.startswith("warning: own.yaml: model: the run is done, but its weights are ")
    rows = read_results(Path("results/results.csv"))
    assert set(rows["status"]) == {"done"}
    assert len(list(Path("results").rglob("checkpoint.pt"))) == len(rows) - 1 == 1


def test_python_keeps_no_model_that_is_not_the_one_fitted(
    toy: Path, write_module: Any, write_yaml: Any
) -> None:
    write_module("users_unsaved", UNSAVED)
    path = write_yaml(
        "own.yaml", TASK | {"name": "own", "model": {"class": "users_unsaved.Offset"}}
    )
    fitted = benchmark.fit(path, Task(load(load_card("toy")), 24, 12))
    with pytest.raises(UserError, match="offset is not in the state_dict"):
        fitted.save(toy / "kept")
    assert not (toy / "kept").exists()


DEPENDENT = """
import torch
from torch import nn
from benchmark.forecasters.contract import LEVELS, QuantileForecaster
from benchmark.forecasters.linear import Linear

class NotAlone(Linear):
    def forward(self, x):
        others = torch.tensor(float(len(x) - 1))
        return super().forward(x) * (others / others)  # 0 / 0 where it is alone

class Quantiles(QuantileForecaster):
    fitted = "none"
    def quantiles(self, x):
        return (x[:, -1:] + x.mean(0)[-1:]).expand(-1, self.shape.horizon, -1)[:, None].repeat(
            1, len(LEVELS), 1, 1
        )
    def forward(self, x):
        return x[:, -1:].expand(-1, self.shape.horizon, -1)

class Squeezes(Linear):
    def forward(self, x):
        return super().forward(x).squeeze(0)

class InPlace(Linear):
    def forward(self, x):
        with torch.no_grad():
            level = x.mean(1, keepdim=True)
            x -= level
        return super().forward(x) + level

class Peeks(Linear):
    def forward(self, x):
        y = super().forward(x).clone()
        if not self.training:
            y[: -self.shape.horizon] = x[self.shape.horizon :, -self.shape.horizon :]
        return y

class NextStep(Linear):
    def forward(self, x):
        y = super().forward(x).clone()
        if not self.training:
            y[:-1, :1] = x[1:, -1:]
        return y

class Transposed(Linear):
    def __init__(self, shape):
        super().__init__(shape)
        self.rnn = nn.GRU(shape.channels, shape.channels)
    def forward(self, x):
        return super().forward(x) + self.rnn(x)[0][:, -1:]

class Statistics(Linear):
    def __init__(self, shape):
        super().__init__(shape)
        self.norm = nn.BatchNorm1d(shape.channels, track_running_stats=False)
    def forward(self, x):
        return super().forward(self.norm(x.transpose(1, 2)).transpose(1, 2))

class Remembers(Linear):
    last = 0.0
    def forward(self, x):
        y = super().forward(x) + self.last
        self.last = float(x.mean())
        return y

class Draws(Linear):
    def forward(self, x):
        return super().forward(x) + torch.rand(len(x), 1, 1)

class Honest(Linear):
    def __init__(self, shape):
        super().__init__(shape)
        self.norm = nn.BatchNorm1d(shape.channels)
        self.inner = nn.Sequential(nn.Linear(shape.lookback, 64), nn.Dropout(), nn.ReLU(),
                                   nn.Linear(64, shape.horizon))
    def forward(self, x):
        x = self.norm(x.transpose(1, 2))
        with torch.autocast(x.device.type, torch.bfloat16):
            y = self.inner(x)
        return super().forward(x.transpose(1, 2)) + y.float().transpose(1, 2)
"""

OTHERS = "a forecast must depend on its window alone, but without the other windows of its "
AGAIN = "a window must have one forecast, but made once more it is another; keep nothing on "


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Peeks", OTHERS),
        ("NextStep", OTHERS),
        ("Transposed", OTHERS),
        ("Statistics", OTHERS),
        ("Remembers", AGAIN),
        ("Draws", AGAIN),
        ("NotAlone", OTHERS),
        ("Quantiles", OTHERS),
        ("Squeezes", "the forecast of one window must have the shape (1, 12, "),
    ],
)
def test_a_forecast_that_depends_on_other_windows_is_never_scored(
    toy: Path, command: Any, write_module: Any, write_yaml: Any, name: str, says: str
) -> None:
    write_module("users_dependent", DEPENDENT)
    answer = run(command, write_yaml, f"users_dependent.{name}")
    *warned, told = answer.err.splitlines()
    assert answer.code == 2
    assert told.startswith(f"error: own.yaml: model: {says}")
    assert len(warned) == (name == "Remembers")  # what it keeps is in no state
    (row,) = read_results(Path("results/results.csv")).to_dict("records")
    assert row["status"] == "failed"


def test_an_honest_model_is_scored_and_what_looks_at_it_draws_nothing(
    toy: Path, command: Any, write_module: Any, write_yaml: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_module("users_dependent", DEPENDENT)
    scores = []
    for look in (True, False):
        if not look:
            monkeypatch.setattr("benchmark.harness.fitted.check_alone", lambda *_: None)
        assert run(command, write_yaml, "users_dependent.Honest", "--force").code == 0
        (row,) = read_results(Path("results/results.csv")).to_dict("records")
        scores.append((row["run_id"], row["mse"], row["crps"], torch.rand(()).item()))
    assert scores[0] == scores[1]


def test_a_model_that_writes_over_its_lookback_is_its_own_affair(
    toy: Path, command: Any, write_module: Any, write_yaml: Any
) -> None:
    write_module("users_dependent", DEPENDENT)
    answer = run(command, write_yaml, "users_dependent.InPlace", "--checkpoint")
    assert (answer.code, answer.err) == (0, "")


def test_of_few_validation_windows_train_windows_stand_in(
    toy: Path, write_module: Any, write_yaml: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_module("users_dependent", DEPENDENT)
    monkeypatch.setattr("benchmark.harness.fitted.LEAST_BATCH", 10**6)
    shown: list[int] = []
    monkeypatch.setattr("benchmark.harness.fitted.check_alone", lambda _, x: shown.append(len(x)))
    path = write_yaml(
        "own.yaml", TASK | {"model": {"class": "users_dependent.Honest"}, "name": "o"}
    )
    task = Task(load(load_card("toy")), 24, 12)
    benchmark.fit(path, task)
    assert shown == [min(256, len(task.windows("train")))]


def test_python_scores_no_such_model_either(toy: Path, write_module: Any, write_yaml: Any) -> None:
    write_module("users_dependent", DEPENDENT)
    model = {"class": "users_dependent.Transposed"}
    path = write_yaml("own.yaml", TASK | {"name": "own", "model": model})
    with pytest.raises(ForecastError, match="set batch_first=True"):
        benchmark.fit(path, Task(load(load_card("toy")), 24, 12))
