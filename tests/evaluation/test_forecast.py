from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
from torch import Tensor
from torch.nn import functional

from benchmark.data.task import Task
from benchmark.data.windows import Windows
from benchmark.evaluation.forecast import evaluate
from benchmark.evaluation.metrics import METRICS
from benchmark.evaluation.original import OriginalUnits
from benchmark.forecasters.contract import Forecaster, SeriesShape
from benchmark.forecasters.linear import Linear
from benchmark.forecasters.naive import SeasonalNaive

SHAPE = SeriesShape(lookback=24, horizon=12, channels=3, season=24)
FIRST_ROWS = range(550, 700 - 12 + 1)  # where the test horizons begin


class Returning(Forecaster):
    """Forecasts what `change` makes of the last value held."""

    fitted = "none"

    def __init__(self, change: Callable[[Tensor], Any]) -> None:
        super().__init__(SHAPE)
        self.change = change

    def forward(self, x: Tensor) -> Any:
        return self.change(x[:, -1:].expand(-1, 12, -1).clone())


def scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return (values - values[:400].mean(axis=0)) / values[:400].std(axis=0)


def horizons(values: NDArray[np.float64], back: int = 0) -> NDArray[np.float64]:
    """Every test horizon ``(W, H, C)``, or what stood `back` rows before it."""
    return np.stack([values[row - back : row - back + 12] for row in FIRST_ROWS])


def test_the_seasonal_naive_scores_what_scikit_learn_says_of_the_raw_rows(
    task: Task, values: NDArray[np.float64]
) -> None:
    evaluation = evaluate(SeasonalNaive(SHAPE), task, "cpu")
    y, f = (horizons(scaled(values), back).reshape(-1, 3) for back in (0, 24))
    scores = {name: metric(evaluation.errors) for name, metric in METRICS.items()}
    train = scaled(values)[:400]
    seasonal = np.abs(train[24:] - train[:-24]).mean(axis=0)
    own_y, own_f = (horizons(values, back).reshape(-1, 3) for back in (0, 24))
    expected = {
        "mse": mean_squared_error(y, f),
        "mae": mean_absolute_error(y, f),
        "rmse": np.sqrt(mean_squared_error(y, f)),
        "mase": (np.abs(y - f).mean(axis=0) / seasonal).mean(),
        "smape": (200 * np.abs(own_y - own_f) / (np.abs(own_y) + np.abs(own_f))).mean(),
        "r2": r2_score(y, f),
        "mae_original": mean_absolute_error(own_y, own_f),
    }
    assert evaluation.errors.num_windows == len(FIRST_ROWS) == 139
    for name, value in expected.items():
        tolerance = 1e-3 if name == "smape" else 1e-5  # percentages of values near 0
        assert scores[name] == pytest.approx(value, rel=tolerance), name


@pytest.mark.parametrize("batch", [1, 7])
def test_metrics_are_equal_at_every_batch_size(task: Task, batch: int) -> None:
    torch.manual_seed(1)
    forecaster = Linear(SHAPE)
    together = evaluate(forecaster, task, "cpu", batch_size=512).errors
    apart = evaluate(forecaster, task, "cpu", batch_size=batch).errors
    for name, metric in METRICS.items():
        assert metric(apart) == pytest.approx(metric(together), rel=1e-6), name


def test_every_test_window_is_scored_exactly_once_and_the_extremes_are_read_after_it(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    gather = Windows.gather

    def counting(self: Windows, index: Tensor) -> Any:
        read.extend(index.tolist())
        return gather(self, index)

    monkeypatch.setattr(Windows, "gather", counting)
    errors = evaluate(SeasonalNaive(SHAPE), task, "cpu", batch_size=50).errors
    assert read[:139] == list(range(139))
    by_loss = np.argsort(errors.squared.mean(axis=1), kind="stable")
    assert read[139:] == by_loss[[0, 69, 138]].tolist()


def test_a_lookback_longer_than_the_rows_before_test_still_scores_every_horizon(
    make_task: Callable[..., Task],
) -> None:
    task = make_task(lookback=360)
    shape = SeriesShape(lookback=360, horizon=12, channels=3, season=24)
    long = evaluate(SeasonalNaive(shape), task, "cpu")
    short = evaluate(SeasonalNaive(SHAPE), make_task(), "cpu")
    assert METRICS["mse"](long.errors) == METRICS["mse"](short.errors)


def test_nothing_is_dropped_out_of_a_forecast_in_original_units(task: Task) -> None:
    forecaster = Linear(SHAPE)
    forecaster.register_forward_hook(
        lambda module, _, y: functional.dropout(y, 0.5, module.training)
    )
    model = OriginalUnits(forecaster.train(), task.scaler, None)
    x = torch.from_numpy(task.series.values[None, :24])
    assert torch.equal(model(x)["forecast"], model(x)["forecast"])


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda y: y[:, :11], r"\(139, 11, 3\)"),
        (lambda y: y.transpose(1, 2), r"\(139, 3, 12\)"),
        (lambda y: y.mean(dim=2, keepdim=True), r"\(139, 12, 1\)"),  # would broadcast
        (lambda y: y[:1], r"\(1, 12, 3\)"),  # would broadcast
    ],
)
def test_a_forecast_of_the_wrong_shape_is_refused_with_both_shapes(
    task: Task, change: Callable[[Tensor], Tensor], found: str
) -> None:
    with pytest.raises(ValueError, match=rf"\(139, 12, 3\), but has {found}"):
        evaluate(Returning(change), task, "cpu")


@pytest.mark.parametrize("value", [float("nan"), -1e20])  # whose square float32 has not
def test_a_forecast_that_is_not_finite_or_as_good_as_that_is_refused(
    task: Task, value: float
) -> None:
    def spoil(y: Tensor) -> Tensor:
        y[-1, -1, -1] = value
        return y

    with pytest.raises(FloatingPointError, match="not finite"):
        evaluate(Returning(spoil), task, "cpu")


def test_evaluation_is_in_eval_mode_without_gradient(task: Task) -> None:
    seen = []

    class Watching(Linear):
        def forward(self, x: Tensor) -> Tensor:
            seen.append((self.training, torch.is_grad_enabled()))
            return super().forward(x)

    forecaster = Watching(SHAPE)
    forecaster.train()
    evaluate(forecaster, task, "cpu", batch_size=100)
    assert seen == [(False, False)] * 3  # two batches, then three windows to be shown
