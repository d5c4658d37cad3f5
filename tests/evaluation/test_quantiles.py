from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_pinball_loss

from benchmark.data.task import Task
from benchmark.evaluation import quantiles
from benchmark.evaluation.conformal import calibrate
from benchmark.evaluation.errors import Errors
from benchmark.evaluation.forecast import evaluate
from benchmark.evaluation.quantiles import QuantileScores, QuantileSums
from benchmark.forecasters.contract import LEVELS, SeriesShape
from benchmark.forecasters.linear import Linear
from benchmark.forecasters.naive import SeasonalNaive

SHAPE = SeriesShape(lookback=24, horizon=12, channels=3, season=24)


@pytest.mark.parametrize("heads", [1, len(LEVELS)])
@pytest.mark.parametrize("piece", [1, 100_000])
def test_scores_are_those_of_scikit_learn_and_of_counting(
    monkeypatch: pytest.MonkeyPatch, heads: int, piece: int
) -> None:
    monkeypatch.setattr(quantiles, "PIECE", piece)
    generator = torch.Generator().manual_seed(1)
    y = torch.randn(40, 5, 3, generator=generator)
    raw = 0.3 * torch.randn(40, heads, 5, 3, generator=generator)  # crossing, where there are many
    offsets = torch.linspace(-1.5, 1.8, len(LEVELS))[:, None, None].expand(-1, 5, 3)
    sums = QuantileSums(offsets)
    for start in (0, 25):
        part = slice(start, start + 25)
        sums.add(raw[part], y[part])
    found = sums.scores()

    q = np.sort((raw + offsets).double().numpy(), axis=1)
    flat = y.double().numpy().ravel()
    deciles = [(t, q[:, k].ravel()) for k, t in enumerate(LEVELS) if 0.05 < t < 0.95]
    assert len(deciles) == 9
    losses = [2 * mean_pinball_loss(flat, forecast, alpha=t) for t, forecast in deciles]
    assert found.crps == pytest.approx(np.mean(losses), rel=1e-5)
    assert found.coverage_80 == np.mean((q[:, 1].ravel() <= flat) & (flat <= q[:, 9].ravel()))
    assert found.width_80 == pytest.approx((q[:, 9] - q[:, 1]).mean(), rel=1e-5)
    assert found.coverage_95 == np.mean((q[:, 0].ravel() <= flat) & (flat <= q[:, 10].ravel()))
    assert 0 < found.coverage_80 < found.coverage_95 < 1


def test_the_crps_of_uniform_quantiles_is_the_mean_of_t_times_1_minus_t() -> None:
    """With y and q_t = t uniform, E 2 l_t = t^2 (1 - t) + (1 - t)^2 t = t (1 - t)."""
    y = ((torch.arange(100_000) + 0.5) / 100_000).reshape(-1, 1, 1)
    sums = QuantileSums(torch.tensor(LEVELS)[:, None, None])
    sums.add(torch.zeros(100_000, 1, 1, 1), y)
    found = sums.scores()
    assert found.crps == pytest.approx(np.mean([t * (10 - t) / 100 for t in range(1, 10)]))
    assert found.coverage_80 == pytest.approx(0.8)
    assert found.width_80 == pytest.approx(0.8)
    assert found.coverage_95 == pytest.approx(0.95)


def test_of_a_normal_forecast_the_deciles_give_nine_percent_more_than_the_integral() -> None:
    """As results/README.md says; the integral is 1 / sqrt(pi) (Gneiting & Raftery 2007, eq. 21)."""
    grid = torch.linspace(0.5, 9999.5, 10000, dtype=torch.float64) / 10000
    target = torch.special.ndtri(grid)[:, None, None]
    offsets = torch.special.ndtri(torch.tensor(LEVELS, dtype=torch.float64))[:, None, None]
    sums = QuantileSums(offsets)
    sums.add(torch.zeros(10000, 1, 1, 1, dtype=torch.float64), target)
    assert sums.scores().crps == pytest.approx(1.094 / math.sqrt(math.pi), rel=1e-3)


def test_without_a_spread_the_crps_is_the_mae_and_the_ends_are_inside() -> None:
    y, f = torch.randn(2, 30, 4, 2, generator=torch.Generator().manual_seed(2))
    sums = QuantileSums(torch.zeros(len(LEVELS), 4, 2))
    sums.add(f[:, None], y)
    assert sums.scores().crps == pytest.approx(float((y - f).abs().mean()))
    exact = QuantileSums(torch.zeros(len(LEVELS), 4, 2))
    exact.add(y[:, None], y)
    assert exact.scores() == QuantileScores(0.0, 1.0, 0.0, 1.0)


@pytest.mark.parametrize(("horizon", "known"), [(131, 3), (145, 0)])  # 20 windows; 6
def test_an_endless_interval_has_no_score(
    make_task: Callable[..., Task], horizon: int, known: int
) -> None:
    task = make_task(horizon=horizon)
    forecaster = SeasonalNaive(SeriesShape(24, horizon, 3, 24))
    found = evaluate(forecaster, task, "cpu", calibrate(forecaster, task.windows("val"))).quantiles
    assert found is not None
    assert [value is not None for value in vars(found).values()] == [True] * known + [False] * (
        4 - known
    )


def test_scoring_quantiles_leaves_every_point_error_as_it_was(task: Task) -> None:
    torch.manual_seed(1)
    forecaster = Linear(SHAPE)
    calibration = calibrate(forecaster, task.windows("val"))
    plain, scored = (evaluate(forecaster, task, "cpu", c) for c in (None, calibration))
    assert plain.quantiles is None
    for name in Errors.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(plain.errors, name), getattr(scored.errors, name))
    np.testing.assert_array_equal(plain.samples.forecast, scored.samples.forecast)


def test_an_interval_covers_its_own_residuals_from_rank_to_rank(task: Task) -> None:
    forecaster = SeasonalNaive(SHAPE)
    calibration = calibrate(forecaster, task.windows("test"))
    found = evaluate(forecaster, task, "cpu", calibration).quantiles
    assert found is not None
    assert found.coverage_80 == (126 - 14 + 1) / 139  # of 140 / 10
    assert found.coverage_95 == (137 - 3 + 1) / 139  # of 140 / 40 = 3.5, outwards
