"""Ridge against scikit-learn's, a brute-force choice of its penalty, and what it must not do."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import Ridge as TheirRidge
from torch import Tensor

from benchmark.data.windows import Windows
from benchmark.errors import UserError
from benchmark.forecasters.contract import SeriesShape
from benchmark.forecasters.ridge import PENALTIES, Ridge

Array = NDArray[np.float64]
L, H, C = 8, 4, 2
SHAPE = SeriesShape(L, H, C, season=6)


def make_windows(seed: int = 0, noise: float = 1.0) -> tuple[Windows, Windows]:
    """Train and validation windows of a noisy season on a drifting level."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.arange(160.0)
    season = torch.stack([torch.sin(steps * 2 * torch.pi / 6), torch.cos(steps * 2 * torch.pi / 6)])
    values = season + noise * torch.randn(C, 160, generator=generator) + 0.02 * steps
    return Windows(values, range(0, 80), L, H), Windows(values, range(80, 160), L, H)


def rows(windows: Windows) -> tuple[Array, Array]:
    """Every window of every channel, one after the other, less the mean of its lookback."""
    xs, ys = [], []
    for number in range(len(windows)):
        x, y = windows.gather(torch.tensor([number]))
        for c in range(C):
            lookback = x[0, :, c].double().numpy()
            xs.append(lookback - lookback.mean())
            ys.append(y[0, :, c].double().numpy() - lookback.mean())
    return np.array(xs), np.array(ys)


def by_scikit_learn(penalty: float, x: Array, y: Array) -> TheirRidge:
    """Their penalty is on the sum over rows, ours on the mean."""
    return TheirRidge(alpha=penalty * len(x), fit_intercept=False, solver="cholesky").fit(x, y)


@pytest.fixture
def fitted() -> tuple[Ridge, Windows, Windows]:
    train, validation = make_windows()
    ridge = Ridge(SHAPE)
    ridge.fit(train, validation)
    return ridge, train, validation


def test_the_weights_are_scikit_learns(fitted: tuple[Ridge, Windows, Windows]) -> None:
    ridge, train, _ = fitted
    theirs = by_scikit_learn(float(ridge.penalty), *rows(train))
    np.testing.assert_allclose(ridge.weight.numpy(), theirs.coef_, rtol=1e-4, atol=1e-5)


def test_the_forecast_is_scikit_learns_with_the_mean_put_back(
    fitted: tuple[Ridge, Windows, Windows],
) -> None:
    ridge, train, validation = fitted
    theirs = by_scikit_learn(float(ridge.penalty), *rows(train))
    x, _ = validation.gather(torch.tensor([3, 11]))
    forecast = ridge(x)
    assert forecast.shape == (2, H, C)
    for b in range(2):
        for c in range(C):
            window = x[b, :, c].double().numpy()
            expected = theirs.predict([window - window.mean()])[0] + window.mean()
            np.testing.assert_allclose(forecast[b, :, c].numpy(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("noise", [0.0, 0.1, 1.0, 5.0])
def test_the_penalty_kept_is_the_one_with_the_least_validation_error(noise: float) -> None:
    train, validation = make_windows(seed=1, noise=noise)
    ridge = Ridge(SHAPE)
    ridge.fit(train, validation)
    x, y = rows(validation)
    errors = {}
    for penalty in PENALTIES.tolist():
        model = by_scikit_learn(penalty, *rows(train))
        errors[penalty] = float(np.mean((model.predict(x) - y) ** 2))
    best = min(errors, key=errors.__getitem__)
    chosen = min(PENALTIES.tolist(), key=lambda penalty: abs(penalty - float(ridge.penalty)))
    assert errors[chosen] == pytest.approx(errors[best], rel=1e-9)
    assert chosen == pytest.approx(float(ridge.penalty), rel=1e-6)


def test_penalties_at_both_ends_are_chosen_where_they_should_be() -> None:
    """The test above would be empty if one penalty won everywhere."""
    chosen = []
    for noise in (0.0, 5.0):
        ridge = Ridge(SHAPE)
        ridge.fit(*make_windows(seed=1, noise=noise))
        chosen.append(float(ridge.penalty))
    assert chosen[0] < 1e-3
    assert chosen[1] > 0.1


def test_the_batch_size_does_not_change_the_result() -> None:
    train, validation = make_windows()
    weights = []
    for batch_size in (1, 7, 256):
        ridge = Ridge(SHAPE, batch_size=batch_size)
        ridge.fit(train, validation)
        weights.append(ridge.weight.clone())
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(weights[0], weights[2], rtol=1e-6, atol=1e-7)


def test_validation_chooses_the_penalty_and_nothing_else() -> None:
    train, validation = make_windows()
    ridge, other = Ridge(SHAPE), Ridge(SHAPE)
    ridge.fit(train, validation)
    other.fit(train, make_windows(seed=2)[1])
    for model in (ridge, other):
        theirs = by_scikit_learn(float(model.penalty), *rows(train))
        np.testing.assert_allclose(model.weight.numpy(), theirs.coef_, rtol=1e-4, atol=1e-5)


def test_a_level_added_to_the_lookback_is_added_to_the_forecast(
    fitted: tuple[Ridge, Windows, Windows],
) -> None:
    ridge, train, _ = fitted
    x, _ = train.gather(torch.arange(4))
    torch.testing.assert_close(ridge(x + 50), ridge(x) + 50, rtol=1e-4, atol=1e-4)


def test_a_constant_channel_is_forecast_by_its_constant() -> None:
    values = torch.stack([torch.full((160,), 3.0), torch.sin(torch.arange(160.0))])
    ridge = Ridge(SHAPE)
    ridge.fit(Windows(values, range(0, 80), L, H), Windows(values, range(80, 160), L, H))
    torch.testing.assert_close(ridge(torch.full((1, L, C), 3.0)), torch.full((1, H, C), 3.0))


def test_fitting_again_starts_anew() -> None:
    first, second = make_windows(seed=1, noise=0.1), make_windows(seed=2, noise=3.0)
    twice, once = Ridge(SHAPE), Ridge(SHAPE)
    twice.fit(*first)
    twice.fit(*second)
    once.fit(*second)
    assert torch.equal(twice.weight, once.weight)


class Broken:
    """Windows whose horizon or lookback holds a value that is not finite."""

    masked = False

    def __init__(self, x: float, y: float) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return 1

    def in_order(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        yield torch.full((1, L, C), self.x), torch.full((1, H, C), self.y)


@pytest.mark.parametrize(("x", "y"), [(torch.inf, 0.0), (0.0, torch.inf), (torch.nan, 0.0)])
def test_values_that_overflow_are_refused_and_not_fitted_to_zero(x: float, y: float) -> None:
    good = make_windows()[0]
    for train, validation, name in (
        (Broken(x, y), good, "train"),
        (good, Broken(x, y), "validation"),
    ):
        with pytest.raises(UserError, match=f"model: Ridge: the {name} windows overflow"):
            Ridge(SHAPE).fit(train, validation)


def test_rows_without_any_target_count_in_nothing() -> None:
    """An outage of whole horizons leaves the exact solution of the other rows."""
    train, validation = make_windows()
    values = torch.cat([train.gather(torch.arange(len(train)))[0][:, 0], torch.zeros(11, C)]).T
    targets = values.clone()
    targets[0, 20:40] = targets[0, 60:] = float("nan")
    gappy = Windows(values, range(0, values.shape[1]), L, H, targets=targets)
    xs, ys = (np.array(part) for part in rows(gappy))
    share = (~np.isnan(ys)).mean(axis=1)
    ridge = Ridge(SHAPE)
    ridge.fit(gappy, validation)
    mean = (xs * share[:, None]).T @ xs / share.sum()
    mean[np.diag_indices(L)] += float(ridge.penalty)
    for step in range(H):
        there = ~np.isnan(ys[:, step])
        right = xs[there].T @ ys[there, step] / there.sum()
        np.testing.assert_allclose(ridge.weight[step], np.linalg.solve(mean, right), atol=1e-4)
    whole = share == 1.0
    assert 0 < whole.sum() < len(share)


def test_gaps_in_whole_rows_leave_the_weights_of_the_rest() -> None:
    generator = torch.Generator().manual_seed(2)
    values = torch.randn(2, 80, generator=generator)
    validation = Windows(values.flip(1), range(0, 80), L, H)
    targets = values.clone()
    targets[1] = float("nan")  # a channel of which nothing is known: every row of it is missing
    one, other = Ridge(SHAPE), Ridge(SHAPE)
    one.fit(Windows(values, range(0, 80), L, H, targets=targets), validation)
    other.fit(Windows(values[:1], range(0, 80), L, H), validation)
    assert one.penalty == other.penalty
    torch.testing.assert_close(one.weight, other.weight, rtol=1e-4, atol=1e-5)


def test_a_mask_over_whole_windows_gives_the_same_weights() -> None:
    generator = torch.Generator().manual_seed(2)
    values = torch.randn(2, 80, generator=generator)
    weights = []
    for targets in (None, values):
        ridge = Ridge(SHAPE)
        windows = Windows(values, range(0, 80), L, H, targets=targets)
        ridge.fit(windows, windows)
        weights.append(ridge.weight)
    torch.testing.assert_close(*weights, rtol=1e-6, atol=1e-7)
