"""Fitted once more on train and validation rows: by what validation chose, and by no test row."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from benchmark.audit.audit import audit
from benchmark.data.task import Task
from benchmark.errors import UserError
from benchmark.forecasters.contract import SeriesShape
from benchmark.forecasters.ridge import Moments
from benchmark.harness.fitted import FittedPlan, fit_plan
from benchmark.harness.plan import plan
from benchmark.harness.run import run
from benchmark.harness.spec import Execution, RunSpec
from benchmark.training.fit import refit, seed_all
from benchmark.training.gradient import fit_by_gradient
from benchmark.training.heads import build_for_training
from benchmark.training.report import FitOptions, FitReport
from benchmark.training.spec import TrainingSpec
from tests.conftest import Answer

LINEAR: dict[str, Any] = {"class": "Linear"}
RIDGE: dict[str, Any] = {"class": "Ridge"}
BOTH: dict[str, Any] = {
    "class": "Ensemble",
    "members": [{"model": RIDGE, "lookback": 12}, {"model": LINEAR}],
}
TWO: dict[str, Any] = {"class": "Ensemble", "members": [{"model": LINEAR, "copies": 2}]}
TRAINING = {"epochs": 8, "patience": 2, "batch_size": 16, "learning_rate": 0.1}
"""Validation is best before the last epoch."""


def spec(model: dict[str, Any], **fields: Any) -> RunSpec:
    data = {"name": "m", "dataset": "toy", "lookback": 24, "horizon": 12, "model": model}
    return RunSpec.model_validate_json(json.dumps(data | {"training": TRAINING} | fields))


@pytest.fixture
def fitted(toy: Path, make_task: Callable[..., Task]) -> Callable[..., FittedPlan]:
    def fit(model: dict[str, Any], values: Any = None, refit: bool = True) -> FittedPlan:
        planned = plan(spec(model, refit=refit), "m.yaml")
        task = make_task(values=values)
        return fit_plan(planned, task, Execution(toy / "results", device="cpu"), FitOptions())

    return fit


def weights(fitted: FittedPlan) -> dict[str, Tensor]:
    return fitted.forecaster.state_dict()


def test_the_epoch_that_was_best_is_trained_anew_on_all_rows_before_test(
    fitted: Callable[..., FittedPlan], task: Task
) -> None:
    once, again = fitted(LINEAR, refit=False), fitted(LINEAR)
    best = once.report.best_epoch
    assert 1 <= best < len(once.report.epochs), "there must be something to choose"
    assert again.report.best_epoch == best
    assert again.report.val_mse == once.report.val_mse, "of the fit that validation chose by"
    assert np.array_equal(again.calibration.offsets, once.calibration.offsets)

    seed_all(1)
    chosen = spec(LINEAR)
    shape = once.forecaster.shape
    expected = build_for_training(LINEAR, shape, chosen.training, "m.yaml")
    rows = task.windows_before_test(), task.windows("val")
    fit_by_gradient(expected, *rows, chosen.training, 1, FitOptions(), best)
    for name, weight in expected.state_dict().items():
        assert torch.equal(weight, weights(again)[name]), name
        assert not torch.equal(weight, weights(once)[name]), name


def test_the_windows_before_test_are_those_of_all_its_rows(task: Task) -> None:
    windows = task.windows_before_test()
    assert len(windows) == 400 + 150 - 24 - 12 + 1
    x, y = windows.gather(torch.tensor([0, len(windows) - 1]))
    np.testing.assert_array_equal(x[0], task.scaled[:24])
    np.testing.assert_array_equal(y[1], task.scaled[550 - 12 : 550])


def test_ridge_keeps_its_penalty_and_solves_again(
    fitted: Callable[..., FittedPlan], task: Task
) -> None:
    once, again = weights(fitted(RIDGE, refit=False)), weights(fitted(RIDGE))
    assert again["penalty"] == once["penalty"]
    moments = Moments.of(task.windows_before_test(), 64)
    ridge = moments.xx + float(once["penalty"]) * torch.eye(24, dtype=torch.float64)
    expected = torch.linalg.solve(ridge, moments.xy).T.float()
    torch.testing.assert_close(again["weight"], expected)
    assert not torch.allclose(again["weight"], once["weight"], atol=1e-4)


def test_each_member_of_an_ensemble_is_fitted_again_by_its_own_choice(
    fitted: Callable[..., FittedPlan],
) -> None:
    both, before = weights(fitted(BOTH)), weights(fitted(BOTH, refit=False))
    assert torch.equal(both["members.0.penalty"], before["members.0.penalty"])
    for name in ("members.0.weight", "members.1.map.weight"):
        assert not torch.equal(both[name], before[name]), name


def test_each_copy_is_trained_anew_from_its_own_seed_to_its_own_epoch(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits: list[tuple[int, int]] = []

    def by_gradient(*arguments: Any) -> FitReport:
        *_, seed, _, epoch = arguments
        fits.append((seed, epoch))
        return FitReport(seconds=0.5)

    monkeypatch.setattr("benchmark.training.fit._gradient_fit", lambda options: by_gradient)
    shape = SeriesShape(24, 12, 3, 24)
    three = {"class": "Ensemble", "members": [{"model": LINEAR, "copies": 3}]}
    old, new = (build_for_training(three, shape, TrainingSpec(), "m.yaml") for _ in range(2))
    members = tuple(FitReport(seconds=0, best_epoch=epoch) for epoch in (5, 2, 3))
    rows = task.windows_before_test(), task.windows("val")
    _, again = refit(old, new, *rows, TrainingSpec(), 7, FitReport(seconds=0, members=members))
    assert fits == [(7, 5), (8, 2), (9, 3)]
    assert again.seconds == 1.5


@pytest.mark.parametrize(
    ("first", "second", "both"), [(5.0, 7.0, 12.0), (None, 7.0, None), (5.0, None, None)]
)
def test_both_fits_are_paid_for(
    fitted: Callable[..., FittedPlan],
    monkeypatch: pytest.MonkeyPatch,
    first: float | None,
    second: float | None,
    both: float | None,
) -> None:
    report = FitReport(val_mse=1.0, val_mae=1.0, seconds=1000.0, energy_j=first)
    monkeypatch.setattr("benchmark.harness.fitted.fit", lambda *_: report)
    again = lambda old, *_: (old, FitReport(seconds=10.0, energy_j=second))  # noqa: E731
    monkeypatch.setattr("benchmark.harness.fitted.refit", again)
    paid = fitted(RIDGE).report
    assert (paid.energy_j, paid.seconds) == (both, 1010.0)


@pytest.mark.parametrize("model", [LINEAR, RIDGE, BOTH])
def test_no_test_row_reaches_the_weights_and_validation_rows_do(
    fitted: Callable[..., FittedPlan], values: Any, model: dict[str, Any]
) -> None:
    known = weights(fitted(model))
    test, validation = values.copy(), values.copy()
    test[550:] += 1000.0
    validation[545] += 1000.0
    for name, weight in weights(fitted(model, values=test)).items():
        assert torch.equal(weight, known[name]), name
    moved = weights(fitted(model, values=validation))
    assert any(not torch.equal(weight, known[name]) for name, weight in moved.items())


def test_a_closed_form_that_cannot_be_fitted_again_says_so(
    toy: Path, write_module: Callable[[str, str], None], task: Task
) -> None:
    write_module(
        "closed",
        "from benchmark.forecasters.contract import ClosedFormForecaster\n"
        "class Last(ClosedFormForecaster):\n"
        "    def fit(self, train, validation):\n"
        "        pass\n"
        "    def forward(self, x):\n"
        "        return x[:, -1:].expand(-1, self.shape.horizon, -1)\n",
    )
    planned = plan(spec({"class": "closed.Last"}, refit=True), "m.yaml")
    with pytest.raises(UserError, match=r"refit: Last does not say how .* define its refit"):
        fit_plan(planned, task, Execution(toy / "results", device="cpu"), FitOptions())


def test_the_row_says_so_and_is_ranked_beside_its_like(
    toy: Path, write_yaml: Callable[[str, Any], str], command: Callable[..., Answer]
) -> None:
    model = spec(RIDGE).model_dump(mode="json", exclude={"training", "search", "tuned"})
    write_yaml("m.yaml", model)
    suite = {
        "name": "both",
        "models": ["m.yaml"],
        "grids": [
            {"datasets": ["toy"], "horizons": [12]},
            {"datasets": ["toy"], "horizons": [12], "set": {"refit": True}},
        ],
    }
    write_yaml("both.yaml", suite)
    answer = command("suite", "both.yaml")
    assert answer.code == 0, answer.err
    rows = pd.read_csv(toy / "results" / "both" / "results.csv")
    assert sorted(rows["fit_rows"]) == ["train", "train+val"]
    assert rows["fingerprint"].nunique() == rows["run_id"].nunique() == 2
    table = (toy / "results" / "both" / "leaderboard.md").read_text()
    assert table.count("fitted once more on train and validation rows") == 1


def test_without_refit_a_run_keeps_the_id_that_it_had(toy: Path) -> None:
    once = plan(spec(RIDGE), "m.yaml")
    assert plan(spec(RIDGE, refit=False), "m.yaml").run_id == once.run_id
    assert plan(spec(RIDGE, refit=True), "m.yaml").run_id != once.run_id


@pytest.mark.parametrize(
    ("model", "refit", "blind"),
    [
        pytest.param(LINEAR, True, False, id="fitted on validation rows too"),
        pytest.param(TWO, False, True, id="an ensemble that is trained"),
        pytest.param(BOTH, False, False, id="a closed form in it, whose penalty validation chose"),
        pytest.param(BOTH, True, False, id="both"),
    ],
)
def test_an_audit_finds_no_leak_and_asks_nothing_that_cannot_be(
    toy: Path, model: dict[str, Any], refit: bool, blind: bool
) -> None:
    findings = audit(spec(model, refit=refit), "m.yaml")
    assert not [finding.check for finding in findings if not finding.passed]
    of_validation = [f for f in findings if f.check.startswith("The weights of one epoch")]
    assert bool(of_validation) == blind


@pytest.mark.parametrize(
    ("members", "expected"), [([RIDGE], "closed_form"), ([RIDGE, LINEAR], "gradient")]
)
def test_the_row_of_an_ensemble_says_how_its_members_are_fitted(
    toy: Path, members: list[dict[str, Any]], expected: str
) -> None:
    model = {"class": "Ensemble", "members": [{"model": member} for member in members]}
    planned = plan(spec(model), "m.yaml")
    assert run(planned, Execution(toy / "results", device="cpu")).fitted == expected
