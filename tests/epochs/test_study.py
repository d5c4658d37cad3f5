"""What a way's choice scores: against runs, and against the training followed by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.cli.commands import GOES_ON
from benchmark.data.folds import folds
from benchmark.data.task import Task
from benchmark.epochs.study import Worth, study
from benchmark.epochs.table import epochs_tables
from benchmark.epochs.ways import WAYS
from benchmark.errors import UserError
from benchmark.evaluation.forecast import evaluate
from benchmark.evaluation.metrics import mse
from benchmark.forecasters.linear import Linear
from benchmark.harness.build import unfitted
from benchmark.harness.spec import RunSpec
from benchmark.training.fit import fit
from benchmark.training.report import Epoch, FitOptions

Command = Callable[..., Any]
MORE = {"epochs": 5, "patience": 1, "learning_rate": 0.03, "batch_size": 8}


def spec(**fields: Any) -> RunSpec:
    given: dict[str, Any] = {
        "name": "linear",
        "lookback": 24,
        "horizon": 12,
        "model": {"class": "Linear"},
        "training": MORE,
    }
    return RunSpec.model_validate_json(json.dumps(given | fields))


def test_error(forecaster: Any, task: Task) -> float:
    return mse(evaluate(forecaster, task, "cpu").errors)


test_error.__test__ = False  # type: ignore[attr-defined]


def fitted(own: RunSpec, task: Task, **training: Any) -> tuple[Any, Any, list[dict[str, Any]]]:
    """A fit as a run has it: the forecaster, the report and every epoch's weights."""
    forecaster = unfitted(own, task, "here")
    weights: list[dict[str, Any]] = []

    def keep(epoch: Epoch) -> None:
        weights.append({name: each.clone() for name, each in forecaster.state_dict().items()})

    report = fit(
        forecaster,
        task.windows("train"),
        task.windows("val"),
        own.training.model_copy(update=training),
        own.seed,
        FitOptions(on_epoch=keep),
    )
    return forecaster, report, weights


@pytest.mark.parametrize("more", [{}, {"ema_decay": 0.9}, {"monitor": "mae"}])
def test_the_first_way_is_a_run_of_every_seed(task: Task, more: dict[str, Any]) -> None:
    own = spec(training=MORE | {"epochs": 8} | more)
    found = study(task.series, 12, own, seeds=2, blocks=2)
    for seed, error in zip((1, 2), found.mse["as a run"], strict=True):
        forecaster, report, _ = fitted(own.model_copy(update={"seed": seed}), task)
        assert error == pytest.approx(test_error(forecaster, task), rel=1e-6)
        assert len(report.epochs) < 8, "patience must end, or the test shows little"


def test_what_the_other_ways_take_is_the_same_training_gone_on_with(task: Task) -> None:
    found = study(task.series, 12, spec(), seeds=1, blocks=2)
    forecaster, report, weights = fitted(spec(), task, patience=5)
    assert len(weights) == 5
    errors = []
    for each in weights:
        forecaster.load_state_dict(each)
        errors.append(test_error(forecaster, task))
    by_mae = int(np.argmin([epoch.val_mae for epoch in report.epochs]))
    latter = {name: sum(each[name] for each in weights[2:]) / 3 for name in weights[0]}
    forecaster.load_state_dict(latter)
    assert found.mse["last"][0] == pytest.approx(errors[-1], rel=1e-6)
    assert found.mse["least MSE"][0] == pytest.approx(errors[report.best_epoch - 1], rel=1e-6)
    assert found.mse["least MAE"][0] == pytest.approx(errors[by_mae], rel=1e-6)
    assert found.mse["latter half"][0] == pytest.approx(test_error(forecaster, task), rel=1e-5)
    assert found.best[0] == pytest.approx(min(errors), rel=1e-6)
    assert len(set(errors)) == 5


class Beside(Linear):
    """Saves what is no tensor, of which there is no mean."""

    def get_extra_state(self) -> dict[str, int]:
        return {"version": 1}

    def set_extra_state(self, state: dict[str, int]) -> None:
        assert state == {"version": 1}


def test_what_is_saved_beside_tensors_is_the_last_epochs(task: Task) -> None:
    own = spec(model={"class": f"{Beside.__module__}.Beside"})
    found, expected = (study(task.series, 12, each, seeds=1, blocks=2) for each in (own, spec()))
    assert found.mse == expected.mse


def test_blocks_choose_by_what_they_hold_out(task: Task) -> None:
    by_block = []
    for rest, held_out in folds(task, 2, 24):
        scores: list[float] = []
        fit(
            unfitted(spec(), task, "here"),
            rest,
            held_out,
            spec().training.model_copy(update={"patience": 5}),
            1,
            FitOptions(on_epoch=lambda epoch, own=scores: own.append(epoch.val_mse)),  # type: ignore[misc]
        )
        by_block.append(scores)
    forecaster, _, weights = fitted(spec(), task, patience=5)
    forecaster.load_state_dict(weights[int(np.argmin(np.mean(by_block, axis=0)))])
    found = study(task.series, 12, spec(), seeds=1, blocks=2)
    assert found.mse["blocks"][0] == pytest.approx(test_error(forecaster, task), rel=1e-6)


def test_the_mean_of_seeds_is_of_their_forecasts(task: Task) -> None:
    found = study(task.series, 12, spec(), seeds=3, blocks=2)
    members = [fitted(spec(seed=seed), task)[0] for seed in (1, 2, 3)]
    windows = task.windows("test")
    x, y = windows.gather(torch.arange(len(windows)))
    with torch.no_grad():
        forecast = torch.stack([member(x) for member in members]).mean(dim=0)
    assert found.of_seeds == pytest.approx(float((forecast - y).square().mean()), rel=1e-5)
    assert found.of_seeds < fmean(found.mse["as a run"])  # the square is convex


def test_all_of_it_is_the_same_the_second_time(task: Task) -> None:
    assert study(task.series, 12, spec(), 2, 2) == study(task.series, 12, spec(), 2, 2)


@pytest.mark.parametrize(
    ("model", "what"),
    [
        ({"class": "LastValue"}, "last: is not trained by gradient"),
        ({"class": "Ensemble", "members": [{"model": {"class": "Linear"}}]}, "last: has members"),
    ],
)
def test_what_has_no_epochs_of_its_own_is_refused(
    task: Task, model: dict[str, Any], what: str
) -> None:
    with pytest.raises(UserError, match=what):
        study(task.series, 12, spec(name="last", model=model), 1, 2)


def worth(dataset: str, model: str, changed: float) -> Worth:
    """Every way has an error of 2 over two seeds, but the last epoch and what comes after."""
    mse = {way.name: (1.8, 2.2) for way in WAYS} | {"last": (2 + 2 * changed, 2 + 2 * changed)}
    return Worth(dataset, model, mse, of_seeds=1.9, best=(1.6, 1.8))


def test_the_tables_tell_the_change_by_data_set_and_the_errors_of_each_model() -> None:
    found = [worth("a", "x", 0.1), worth("a", "y", 0.3), worth("b", "x", -0.2)]
    means, errors = epochs_tables(found, 12, 2, 4, "made")
    by_way = {row[0].text: [cell.text for cell in row[1:-1]] for row in means.rows}
    assert by_way["as a run"] == ["+0.00%", "+0.00%", "+0.00%", "+0.00%", "-", "4.33"]
    assert by_way["last"] == ["+20.00%", "-20.00%", "+6.67%", "+30.00%", "1 of 3", "5.67"]
    assert by_way["mean of seeds"] == ["-5.00%", "-5.00%", "-5.00%", "-5.00%", "-", "-"]
    assert by_way["best on test"] == ["-15.00%", "-15.00%", "-15.00%", "-15.00%", "3 of 3", "-"]
    assert means.notes[-1] == "Made by: made"
    titles = [column.title for column in errors.columns]
    row = dict(zip(titles, errors.rows[2], strict=True))
    assert row["as a run"].text == "2.0000±0.2828"
    assert (row["last"].text, row["last"].mark) == ("1.6000±0.0000", "best")
    assert row["as a run"].mark == "second"
    assert row["mean of seeds"].text == "1.9000"
    assert row["mean of seeds"].mark == row["best on test"].mark == ""  # neither chooses an epoch


@pytest.mark.parametrize(("stop", "known"), [(2, 1), (4, 2), (8, 6)])
def test_a_study_that_was_stopped_goes_on(
    toy: Path,
    command: Command,
    write_yaml: Callable[[str, Any], str],
    monkeypatch: pytest.MonkeyPatch,
    stop: int,
    known: int,
) -> None:
    """Four trainings of each of two models: two blocks, and two seeds, which are one piece."""
    for name in ("one", "two"):
        write_yaml(f"{name}.yaml", spec(name=name).model_dump(mode="json") | {"dataset": "toy"})
    words = ("epochs", "one.yaml", "two.yaml", "--dataset", "toy", "--horizon", 12, "--blocks", 2)
    undisturbed = command(*words, "--seeds", 2)
    assert undisturbed.code == 0, undisturbed.err
    trained: list[str] = []

    def counted(*given: Any) -> Any:
        trained.append("one more")
        if len(trained) == stop:
            raise KeyboardInterrupt
        return fit(*given)

    monkeypatch.setattr("benchmark.epochs.study.fit", counted)
    stopped = command(*words, "--seeds", 2)
    assert (stopped.code, stopped.err) == (130, f"\nStopped.{GOES_ON}\n")
    trained[:] = [""] * stop
    again = command(*words, "--seeds", 2)
    assert again.out == undisturbed.out
    assert len(trained) - stop == 8 - known
    assert not list(toy.parent.rglob("unfinished/*"))


def test_the_command_shows_the_tables_and_writes_them(
    toy: Path, command: Command, write_yaml: Callable[[str, Any], str]
) -> None:
    write_yaml("own.yaml", spec().model_dump(mode="json") | {"dataset": "toy"})
    words = ("epochs", "own.yaml", "--dataset", "toy", "--horizon", 12, "--blocks", 2)
    answer = command(*words, "--seeds", 2, "--output", "epochs.md")
    assert (answer.code, answer.err) == (0, "")
    text = Path("epochs.md").read_text()
    made = "benchmark epochs own.yaml --dataset toy --horizon 12 --seeds 2 --blocks 2"
    assert f"- Made by: {made}\n" in text
    assert text.count("\n# ") == 1
    assert len([line for line in text.splitlines() if line.startswith("| toy | linear |")]) == 1
    assert answer.out.splitlines()[-1] == "Tables: epochs.md"
    refused = command("epochs", "last_value", "--dataset", "toy", "--horizon", 12, "--blocks", 2)
    assert refused.code == 2
    assert refused.err.startswith("error: last_value: is not trained by gradient")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["last.yaml"], "last: is not trained by gradient"),
        (["--blocks", 40], "toy: 40 blocks of 550 rows at lookback 24 and horizon 12: block 1"),
        (["own.yaml"], "linear: two models have this name"),
        (["--dataset", "toy"], "toy: two data sets have this name"),
        (["--set", "refit=true"], "linear: refit: is true"),
    ],
)
def test_what_cannot_be_measured_is_told_before_any_training(
    toy: Path,
    command: Command,
    write_yaml: Callable[[str, Any], str],
    monkeypatch: pytest.MonkeyPatch,
    more: list[Any],
    told: str,
) -> None:
    write_yaml("own.yaml", spec().model_dump(mode="json") | {"dataset": "toy"})
    write_yaml("last.yaml", spec(name="last", model={"class": "LastValue"}).model_dump(mode="json"))
    monkeypatch.setattr("benchmark.epochs.study.fit", None)
    answer = command("epochs", "own.yaml", "--dataset", "toy", "--horizon", 12, *more)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"error: {told}")
    assert answer.err.count("\n") == 1


class OneStep(Linear):
    """Forecasts a step too few."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x)[:, 1:]


class Leaves(Linear):
    """Ends the program."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise SystemExit(3)


def test_a_models_own_fault_is_told_as_one(task: Task) -> None:
    for own, told in (
        (spec(model={"class": f"{__name__}.OneStep"}), "linear on toy: model: a forecast must"),
        (spec(training=MORE | {"learning_rate": 1e38}), "linear on toy: training diverged"),
        (
            spec(model={"class": f"{__name__}.Leaves"}),
            r"linear on toy: model: RuntimeError: the model ended the program: sys.exit\(3\), at",
        ),
    ):
        with pytest.raises(UserError, match=told):
            study(task.series, 12, own, 1, 2)
