"""An ensemble's forecast is its members' mean, each of what it sees and fitted by itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import benchmark.training.fit as fit_module
from benchmark.data.windows import Windows
from benchmark.errors import UserError
from benchmark.forecasters.check import CHECKS, check_forecaster
from benchmark.forecasters.contract import SeriesShape
from benchmark.forecasters.ensemble import Ensemble
from benchmark.forecasters.resolve import build_forecaster
from benchmark.forecasters.ridge import Ridge
from benchmark.training.fit import fit, seed_all
from benchmark.training.report import FitReport
from benchmark.training.spec import TrainingSpec

L, H, C = 24, 6, 3
SHAPE = SeriesShape(L, H, C, season=6)
GRU: dict[str, Any] = {
    "class": "Recurrent",
    "cell": "gru",
    "hidden_size": 4,
    "patch": 6,
    "channels": "independent",
    "normalise": "mean",
    "embedding": "linear",
}
MEMBERS = [
    {"model": {"class": "Ridge"}},
    {"model": GRU, "lookback": 12, "copies": 2},
]
SPEC = {"class": "Ensemble", "members": MEMBERS}
TRAINING = TrainingSpec(epochs=4, patience=4, batch_size=16, learning_rate=0.01)


def build() -> Ensemble:
    seed_all(3)
    ensemble = build_forecaster(SPEC, SHAPE, "test")
    assert isinstance(ensemble, Ensemble)
    return ensemble


def windows() -> tuple[Windows, Windows]:
    generator = torch.Generator().manual_seed(1)
    steps = torch.arange(200.0)
    values = torch.sin(steps * torch.pi / 3) + 0.3 * torch.randn(C, 200, generator=generator)
    return Windows(values, range(0, 130), L, H), Windows(values, range(130, 200), L, H)


def test_an_ensemble_keeps_the_contract() -> None:
    findings = check_forecaster(SPEC, "test", (SHAPE, SeriesShape(L, 1, 1, season=6)))
    assert len(findings) == 2 * len(CHECKS)
    # a closed form's weights are not reached by a gradient, being no parameters
    assert not [finding for finding in findings if finding.problem]


def test_the_forecast_is_the_mean_of_the_members_each_of_the_steps_that_it_sees() -> None:
    ensemble = build()
    x = torch.randn(5, L, C)
    ridge, first, second = ensemble
    expected = (ridge(x) + first(x[:, 12:]) + second(x[:, 12:])) / 3
    torch.testing.assert_close(ensemble(x), expected)
    assert not torch.equal(first(x[:, 12:]), second(x[:, 12:])), "copies begin with other weights"


def test_each_member_is_fitted_as_it_would_be_alone() -> None:
    train, validation = windows()
    ensemble, alone = build(), build()
    report = fit(ensemble, train, validation, TRAINING, 7)
    reports = []
    for number, member in enumerate(alone):
        seen = member.shape.lookback
        reports.append(
            fit(member, train.with_lookback(seen), validation.latest(seen), TRAINING, 7 + number)
        )
    for name, weight in alone.state_dict().items():
        assert torch.equal(weight, ensemble.state_dict()[name]), name
    assert [r.val_mse for r in report.members[1:]] == [r.val_mse for r in reports[1:]]
    ridge = next(iter(ensemble))
    assert isinstance(ridge, Ridge)
    assert bool(ridge.weight.any()), "the closed form is solved"
    orders = [[e.train_loss for e in r.epochs] for r in reports[1:]]
    assert orders[0] != orders[1], "copies see other orders of batches"


def test_the_ensembles_validation_score_is_its_own_and_no_worse_than_its_members_mean() -> None:
    train, validation = windows()
    ensemble = build()
    report = fit(ensemble, train, validation, TRAINING, 7)
    x, y = next(validation.in_order(len(validation)))
    ensemble.eval()
    with torch.no_grad():
        expected = float((ensemble(x) - y).square().mean())
        alone = [float((one(x[:, -one.shape.lookback :]) - y).square().mean()) for one in ensemble]
    assert report.val_mse == pytest.approx(expected, rel=1e-5)
    # Jensen: the squared error of a mean is at most the mean of the squared errors
    assert report.val_mse <= sum(alone) / 3 + 1e-6
    assert len(report.epochs) == sum(len(r.epochs) for r in report.members)


@pytest.mark.parametrize(("last", "total"), [(7.0, 15.0), (None, None)])
def test_every_members_fit_is_paid_for(
    monkeypatch: pytest.MonkeyPatch, last: float | None, total: float | None
) -> None:
    costs = [(1.0, 3.0), (2.0, 5.0), (4.0, last)]
    reports = iter([FitReport(seconds, energy_j=joules) for seconds, joules in costs])
    whole, fitted = build(), fit_module._fitted
    monkeypatch.setattr(
        fit_module,
        "_fitted",
        lambda one, *rest: fitted(one, *rest) if one is whole else next(reports),
    )
    report = fit(whole, *windows(), TRAINING, 7)
    assert (report.seconds, report.energy_j) == (7.0, total)


@pytest.mark.parametrize("channels", ["independent", "mixing"])
def test_an_ensemble_mixes_channels_where_one_of_its_members_does(channels: str) -> None:
    members = [{"model": {"class": "Ridge"}}, {"model": GRU | {"channels": channels}}]
    ensemble = build_forecaster({"class": "Ensemble", "members": members}, SHAPE, "test")
    assert ensemble.channel_independent == (channels == "independent")


def test_a_member_that_sees_more_than_the_window_is_refused() -> None:
    spec = {"class": "Ensemble", "members": [{"model": GRU, "lookback": 48}]}
    told = r"members\.0\.lookback is 48 and the window's lookback is 24; take one"
    with pytest.raises(UserError, match=told):
        build_forecaster(spec, SHAPE, "my.yaml")


def test_a_members_fault_is_told_with_its_place() -> None:
    spec = {"class": "Ensemble", "members": [{"model": GRU | {"cell": "gro"}}]}
    with pytest.raises(UserError, match=r"my\.yaml: model\.members\.0: model\.cell: .*'gro'"):
        build_forecaster(spec, SHAPE, "my.yaml")
    unknown = {"class": "Ensemble", "members": [{"model": GRU, "copy": 2}]}
    with pytest.raises(UserError, match=r"my\.yaml: model\.members\.0.*copy.*'copies'"):
        build_forecaster(unknown, SHAPE, "my.yaml")


def test_an_ensemble_of_what_is_solved_for_keeps_the_contract_once_its_members_are_fitted() -> None:
    members = [{"model": {"class": "Mesa", "stretch": 24}}, {"model": {"class": "Ridge"}}]
    members[1]["lookback"] = 12
    findings = check_forecaster({"class": "Ensemble", "members": members}, "my.yaml")
    assert [finding.problem for finding in findings if finding.problem] == []
