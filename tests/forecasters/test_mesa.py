"""The memory against every pair written out and scikit-learn's ridge, and what it must not do."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import Ridge as TheirRidge
from torch import Tensor

from benchmark.data.windows import Windows
from benchmark.errors import UserError
from benchmark.forecasters import mesa
from benchmark.forecasters.contract import SeriesShape
from benchmark.forecasters.mesa import Mesa, Pairs
from benchmark.forecasters.ridge import PENALTIES, Ridge

Array = NDArray[np.float64]
ALL, L, H, C = 30, 8, 4, 2
SHAPE = SeriesShape(ALL, H, C, season=6)


def make_windows(seed: int = 0, noise: float = 0.5, later: float = 6.0) -> tuple[Windows, Windows]:
    """Train and validation windows; of the latter, the season has another length."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.arange(200.0)
    angle = 2 * torch.pi * torch.where(steps < 120, steps / 6.0, 20.0 + (steps - 120) / later)
    values = torch.stack([torch.sin(angle), torch.cos(angle)])
    values = values + noise * torch.randn(C, 200, generator=generator) + 0.02 * steps
    return Windows(values, range(0, 120), ALL, H), Windows(values, range(120, 200), ALL, H)


def pairs_of(rows: Array) -> tuple[Array, Array]:
    """Every key and value of one channel's steps, less the key's mean."""
    keys, values = [], []
    for s in range(L, len(rows) - H + 1):
        key = rows[s - L : s]
        keys.append(key - key.mean())
        values.append(rows[s : s + H] - key.mean())
    return np.array(keys), np.array(values)


def pairs_inside(x: Tensor) -> tuple[Array, Array]:
    """Those of one window ``(L_all, C)``, of all channels."""
    found = [pairs_of(x[:, c].double().numpy()) for c in range(x.shape[1])]
    return np.concatenate([k for k, _ in found]), np.concatenate([v for _, v in found])


def train_pairs(train: Windows) -> tuple[Array, Array]:
    x, y = train.gather(torch.arange(len(train)))
    return pairs_inside(torch.cat([x[:, 0], x[-1, 1:], y[-1]]))


def by_scikit_learn(train: Windows, x: Tensor, penalty: float, share: float) -> Array:
    """Ridge regression of all pairs, each set of them weighing what its share says ``(H, C)``."""
    keys, values = train_pairs(train)
    own_keys, own_values = pairs_inside(x)
    weights = np.concatenate(
        [
            np.full(len(keys), (1 - share) / len(keys)),
            np.full(len(own_keys), share / len(own_keys)),
        ]
    )
    theirs = TheirRidge(alpha=penalty, fit_intercept=False, solver="cholesky")
    theirs.fit(
        np.concatenate([keys, own_keys]),
        np.concatenate([values, own_values]),
        sample_weight=weights,
    )
    query = x[-L:].double().numpy()
    return np.array(
        [theirs.predict([q - q.mean()])[0] + q.mean() for q in query.T]  # a channel each
    ).T


def fitted(train: Windows, validation: Windows, share: float = 0.5) -> Mesa:
    model = Mesa(SHAPE, stretch=L, share=share)
    model.fit(train, validation)
    return model


@given(
    st.integers(1, 9), st.integers(1, 6), st.integers(0, 12), st.integers(1, 3), st.integers(1, 3)
)
def test_moments_are_those_of_every_pair_written_out(
    lookback: int, horizon: int, more: int, channels: int, batch: int
) -> None:
    generator = torch.Generator().manual_seed(more)
    size = (batch, channels, lookback + horizon + more)
    series = torch.randn(size, generator=generator, dtype=torch.float64) + 3
    inside = Pairs.inside(series, lookback, horizon)
    for b in range(batch):
        pairs = series[b].unfold(1, lookback + horizon, 1).flatten(0, 1)  # (C N, L + H)
        pairs = pairs - pairs[:, :lookback].mean(dim=1, keepdim=True)
        x, y = pairs[:, :lookback], pairs[:, lookback:]
        torch.testing.assert_close(inside.xx[b], x.T @ x / len(x), rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(inside.xy[b], x.T @ y / len(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.9])
def test_the_forecast_is_scikit_learns_ridge_of_all_pairs(share: float) -> None:
    train, validation = make_windows()
    model = fitted(train, validation, share)
    model.penalty.fill_(0.03)
    x, _ = validation.gather(torch.tensor([0, 11, 40]))
    forecast = model(x)
    assert forecast.shape == (3, H, C)
    assert forecast.dtype == x.dtype
    for b in range(3):
        expected = by_scikit_learn(train, x[b], 0.03, share)
        np.testing.assert_allclose(forecast[b].numpy(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("noise", [0.5, 3.0])
def test_the_penalty_kept_is_the_one_with_the_least_validation_error(
    noise: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mesa, "JUDGES", 5)
    train, validation = make_windows(noise=noise, later=9.0)
    assert len(validation) == 77
    x, y = validation.gather(torch.tensor([0, 19, 38, 57, 76]))
    errors = {
        penalty: sum(
            float(np.sum((by_scikit_learn(train, x[b], penalty, 0.5) - y[b].numpy()) ** 2))
            for b in range(len(x))
        )
        for penalty in PENALTIES.tolist()
    }
    best = min(errors, key=errors.__getitem__)
    assert float(fitted(train, validation).penalty) == pytest.approx(best)
    assert best > PENALTIES[0], "else the first would do"


def test_it_follows_a_season_that_changes_after_the_train_rows() -> None:
    train, validation = make_windows(noise=0.1, later=9.0)
    x, y = validation.gather(torch.arange(30, len(validation)))
    ridge = Ridge(SeriesShape(L, H, C, season=6))
    ridge.fit(train.with_lookback(L), validation.latest(L))
    missed = (ridge(x[:, -L:]) - y).square().mean()
    assert (fitted(train, validation)(x) - y).square().mean() < 0.5 * missed


def test_a_lookback_without_room_for_a_pair_is_ridge_regression() -> None:
    train, validation = make_windows()
    train, validation = train.with_lookback(L + H - 1), validation.latest(L + H - 1)
    validation = validation.only(torch.arange(0, 60))  # few enough that all of them choose
    model = Mesa(SeriesShape(L + H - 1, H, C, season=6), stretch=L)
    model.fit(train, validation)
    ridge = Ridge(SeriesShape(L, H, C, season=6))
    ridge.fit(train.with_lookback(L), validation.latest(L))
    assert float(model.penalty) == pytest.approx(float(ridge.penalty))
    x, _ = validation.gather(torch.arange(4))
    torch.testing.assert_close(model(x), ridge(x[:, -L:]), rtol=1e-4, atol=1e-5)


def test_a_stretch_is_at_most_the_lookback() -> None:
    assert Mesa(SHAPE, stretch=10 * ALL).stretch == ALL


def test_a_forecast_is_the_same_alone_and_among_others() -> None:
    train, validation = make_windows()
    model = fitted(train, validation)
    x, _ = validation.gather(torch.arange(20))
    together = model(x)
    for number in (0, 9, 19):
        torch.testing.assert_close(together[number : number + 1], model(x[number : number + 1]))


def test_fitted_once_more_it_knows_more_pairs_and_keeps_what_was_chosen() -> None:
    train, validation = make_windows()
    model = fitted(train, validation)
    chosen = float(model.penalty)
    model.refit(validation)
    assert float(model.penalty) == chosen
    other = Mesa(SHAPE, stretch=L)
    other.fit(validation, validation)
    assert torch.equal(model.xx, other.xx)
    assert torch.equal(model.xy, other.xy)


def test_windows_with_missing_targets_choose_by_those_there() -> None:
    train, validation = make_windows()
    values, rows, _ = validation._made_of
    targets = values.clone()
    targets[0, 150:170] = float("nan")
    gappy = Windows(values, rows, ALL, H, targets=targets)
    model = fitted(train, gappy)
    assert float(model.penalty) > 0
    assert bool(torch.isfinite(model(gappy.gather(torch.arange(5))[0])).all())


class Broken:
    """Windows that hold a value which is not finite."""

    masked = False

    def __init__(self, value: float, steps: int = ALL) -> None:
        self.value, self.steps = value, steps

    def __len__(self) -> int:
        return 1

    def with_lookback(self, lookback: int) -> Broken:
        return Broken(self.value, lookback)

    def in_order(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        yield torch.full((1, self.steps, C), self.value), torch.zeros(1, H, C)


@pytest.mark.parametrize("value", [torch.inf, torch.nan])
def test_values_that_overflow_are_refused(value: float) -> None:
    good = make_windows()[0]
    for train, validation, name in (
        (Broken(value), good, "train"),
        (good, Broken(value), "validation"),
    ):
        with pytest.raises(UserError, match=f"model: Mesa: the {name} windows overflow"):
            Mesa(SHAPE, stretch=L).fit(train, validation)
