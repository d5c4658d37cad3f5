from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_pinball_loss

from benchmark.data.task import Task
from benchmark.errors import UserError
from benchmark.evaluation.conformal import calibrate
from benchmark.evaluation.forecast import evaluate
from benchmark.forecasters.contract import LEVELS, Forecaster, QuantileForecaster, SeriesShape
from benchmark.forecasters.linear import Linear
from benchmark.forecasters.resolve import find_forecaster
from benchmark.harness.spec import config_names, design_names, find_config, load_run
from benchmark.training.fit import fit, seed_all
from benchmark.training.heads import QuantileHeads, build_for_training, quantile_loss
from benchmark.training.spec import TrainingSpec

SHAPE = SeriesShape(lookback=24, horizon=12, channels=3, season=24)
QUANTILE: dict[str, Any] = {
    "loss": "quantile", "epochs": 12, "batch_size": 32, "learning_rate": 0.01, "monitor": "mae",
}  # fmt: skip


def spec(**changes: Any) -> TrainingSpec:
    return TrainingSpec.model_validate_json(json.dumps(QUANTILE | changes))


def built(model: dict[str, Any], shape: SeriesShape = SHAPE) -> Forecaster:
    return build_for_training(model, shape, spec(), "model.yaml")


def fitted(task: Task, **changes: Any) -> Forecaster:
    seed_all(1)
    forecaster = build_for_training({"class": "Linear"}, SHAPE, spec(**changes), "model.yaml")
    fit(forecaster, task.windows("train"), task.windows("val"), spec(**changes), seed=1)
    return forecaster


def test_a_quantile_is_a_block_of_the_wide_forecast_and_the_median_the_point_forecast() -> None:
    wide = Linear(SeriesShape(24, len(LEVELS) * 12, 3, 24), normalise="last")
    heads = QuantileHeads(SHAPE, wide)
    x = torch.randn(5, 24, 3)
    whole, quantiles = wide(x), heads.quantiles(x)
    for number, level in enumerate(LEVELS):
        block = whole[:, 12 * number : 12 * (number + 1)]
        torch.testing.assert_close(quantiles[:, number], block, rtol=0, atol=0)
        assert torch.equal(heads(x), block) == (level == 0.5)


def test_the_quantile_loss_is_that_of_scikit_learn_twice() -> None:
    generator = torch.Generator().manual_seed(1)
    y = torch.randn(7, 4, 2, generator=generator)
    quantiles = torch.randn(7, len(LEVELS), 4, 2, generator=generator)
    by_level = [
        2 * mean_pinball_loss(y.ravel(), quantiles[:, k].ravel(), alpha=level)
        for k, level in enumerate(LEVELS)
    ]
    assert float(quantile_loss(quantiles, y)) == pytest.approx(np.mean(by_level), rel=1e-5)
    point = y[:, None] + torch.tensor([0.5])
    assert float(quantile_loss(point.expand(-1, len(LEVELS), -1, -1), y)) == pytest.approx(0.5)


def test_training_brings_each_quantile_to_its_level(task: Task) -> None:
    forecaster = fitted(task)
    assert isinstance(forecaster, QuantileForecaster)
    x, y = next(task.windows("train").in_order(400))
    with torch.no_grad():
        below = (y[:, None] <= forecaster.quantiles(x)).float().mean(dim=(0, 2, 3))
    np.testing.assert_allclose(below.numpy(), LEVELS, atol=0.06)


def test_heads_score_lower_than_a_point_forecast_whose_noise_comes_and_goes(
    task: Task, make_task: Any
) -> None:
    """The noise is wide where the first channel says so: constant offsets cannot know."""
    rng = np.random.default_rng(3)
    rows = np.arange(700)
    loud = 1.0 + np.sin(2 * np.pi * rows / 24) * 0.9
    values = np.stack([loud, loud * rng.normal(size=700), loud * rng.normal(size=700)], axis=1)
    noisy = make_task(values=values)
    scores = []
    for changes in ({}, {"loss": "mse"}):
        forecaster = fitted(noisy, **changes)
        calibration = calibrate(forecaster, noisy.windows("val"))
        found = evaluate(forecaster, noisy, "cpu", calibration).quantiles
        assert found is not None
        assert found.crps is not None
        scores.append(found.crps)
    assert scores[0] < scores[1]


@pytest.mark.parametrize("model", ["Ridge", "SeasonalNaive"])
def test_what_is_not_trained_by_gradient_gets_no_heads(model: str) -> None:
    assert type(built({"class": model})) is find_forecaster(model, "model.yaml")


def test_a_decoder_that_goes_on_from_its_own_steps_is_refused() -> None:
    model = {"class": "Recurrent", "cell": "gru", "decoder": "seq2seq"}
    with pytest.raises(UserError, match=r"model\.yaml: model: quantile heads need .* for itself"):
        built(model)
    assert isinstance(built(model | {"decoder": "direct"}), QuantileHeads)


def test_a_forecast_that_is_one_wave_is_refused() -> None:
    with pytest.raises(UserError, match=r"model\.yaml: model: quantile heads need .* for itself"):
        built({"class": "FITS"})


def test_several_forecasters_have_no_heads_together() -> None:
    model = {"class": "Ensemble", "members": [{"model": {"class": "Linear"}}]}
    with pytest.raises(UserError, match=r"model\.yaml: training\.loss: .* several forecasters"):
        built(model)


def test_levels_are_not_rounded_with_the_forecast() -> None:
    y = torch.ones(1, 1, 1)
    loss = quantile_loss(torch.zeros(1, len(LEVELS), 1, 1, dtype=torch.bfloat16), y)
    assert float(loss) == pytest.approx(2 * np.mean(LEVELS), rel=1e-6)


def test_a_quantile_loss_without_quantiles_is_the_users_mistake(task: Task) -> None:
    windows = task.windows("train"), task.windows("val")
    with pytest.raises(UserError, match=r"training\.loss: 'quantile' trains quantiles"):
        fit(Linear(SHAPE), *windows, spec(), seed=1)


def test_quantiles_of_the_wrong_number_are_refused_in_training(task: Task) -> None:
    class Short(QuantileHeads):
        def quantiles(self, x: torch.Tensor) -> torch.Tensor:
            return super().quantiles(x)[:, :1]  # would broadcast

    short = Short(SHAPE, Linear(SeriesShape(24, len(LEVELS) * 12, 3, 24)))
    with pytest.raises(ValueError, match=r"\(32, 11, 12, 3\), but has \(32, 1, 12, 3\)"):
        fit(short, task.windows("train"), task.windows("val"), spec(), seed=1)


@pytest.mark.parametrize("name", [*config_names("models"), *design_names()])
def test_every_configuration_of_ours_can_have_heads_or_has_tied_steps(name: str) -> None:
    path = find_config("models", name)
    run = load_run(path)
    shape = SeriesShape(run.lookback, 48, channels=2, season=24)
    plain = build_for_training(run.model, shape, TrainingSpec(), str(path))
    if plain.fitted != "gradient":
        return
    if plain.tied_steps:
        with pytest.raises(UserError, match="hang together"):
            built(run.model, shape)
        return
    heads = built(run.model, shape)
    assert isinstance(heads, QuantileHeads)
    heads.eval()
    with torch.no_grad():
        assert heads.quantiles(torch.randn(1, run.lookback, 2)).shape == (1, len(LEVELS), 48, 2)
