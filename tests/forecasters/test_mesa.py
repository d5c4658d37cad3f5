"""The memory against every pair written out and scikit-learn's ridge, and what it must not do."""

from __future__ import annotations

from collections.abc import Sequence

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
SEASON = 3  # of the forecaster: H holds one and a step more
SHAPE = SeriesShape(ALL, H, C, SEASON)


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


def parts_of(values: Array) -> list[Array]:
    """The level of each row ``(N, H)``, the rest of its mean season and the rest."""
    level = np.repeat(values.mean(axis=1, keepdims=True), H, axis=1)
    season = np.empty_like(values)
    for phase in range(SEASON):
        season[:, phase::SEASON] = values[:, phase::SEASON].mean(axis=1, keepdims=True)
    return [level, season - level, values - season]


def fading(fade: float) -> Array:
    """What the steps of a key are multiplied by, which is what the prior comes to."""
    seasons = np.arange(L, 0, -1) / SEASON
    precision = (1 + seasons) ** (2 * fade)
    scale: Array = (precision / precision.mean()) ** -0.5
    return scale


def by_scikit_learn(
    train: Windows, x: Tensor, penalties: Sequence[float], share: float, fade: float = 1.0
) -> Array:
    """Ridge regressions of all pairs, each set of them weighing what its share says ``(H, C)``.

    There is one for each part of the horizon.
    """
    keys, values = train_pairs(train)
    own_keys, own_values = pairs_inside(x)
    weights = np.concatenate(
        [
            np.full(len(keys), (1 - share) / len(keys)),
            np.full(len(own_keys), share / len(own_keys)),
        ]
    )
    keys = np.concatenate([keys, own_keys]) * fading(fade)
    centre = x[-L:].double().numpy().mean(axis=0)
    query = (x[-L:].double().numpy() - centre).T * fading(fade)  # (C, L)
    forecast = np.zeros((C, H))
    parts = parts_of(np.concatenate([values, own_values]))
    for penalty, part in zip(penalties, parts, strict=True):
        theirs = TheirRidge(alpha=penalty, fit_intercept=False, solver="cholesky")
        theirs.fit(keys, part, sample_weight=weights)
        forecast += theirs.predict(query)
    found: Array = forecast.T + centre
    return found


def fitted(train: Windows, validation: Windows, share: float = 0.5, fade: float = 1.0) -> Mesa:
    model = Mesa(SHAPE, stretch=L, share=share, fade=fade)
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
        xx = (x.T @ x / len(x)).triu()
        torch.testing.assert_close(inside.xx[b].triu(), xx, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(inside.xy[b], x.T @ y / len(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("share", "fade"), [(0.0, 1.0), (0.2, 0.0), (0.2, 1.0), (0.9, 2.0)])
def test_the_forecast_is_scikit_learns_ridge_of_all_pairs(share: float, fade: float) -> None:
    train, validation = make_windows()
    model = fitted(train, validation, share, fade)
    penalties = (0.03, 0.2, 4.0)
    model.penalty.copy_(torch.tensor(penalties))
    x, _ = validation.gather(torch.tensor([0, 11, 40]))
    forecast = model(x)
    assert forecast.shape == (3, H, C)
    assert forecast.dtype == x.dtype
    for b in range(3):
        expected = by_scikit_learn(train, x[b], penalties, share, fade)
        np.testing.assert_allclose(forecast[b].numpy(), expected, rtol=1e-4, atol=1e-4)


def test_the_penalty_kept_of_each_part_is_the_one_with_the_least_validation_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mesa, "JUDGES", 5)
    train, validation = make_windows(noise=2.0, later=9.0)
    assert len(validation) == 77
    x, y = validation.gather(torch.tensor([0, 19, 38, 57, 76]))
    errors = np.zeros((len(PENALTIES), 3))
    for i, penalty in enumerate(PENALTIES.tolist()):
        for b in range(len(x)):
            wrong = by_scikit_learn(train, x[b], [penalty] * 3, 0.5) - y[b].numpy()
            errors[i] += [np.sum(part**2) for part in parts_of(wrong.T)]
    best = PENALTIES[errors.argmin(axis=0)]
    torch.testing.assert_close(fitted(train, validation).penalty, best)
    assert len(set(best.tolist())) == 3, "else one for all would do"


@given(st.integers(1, 30), st.integers(1, 12))
def test_the_parts_of_a_horizon_are_orthogonal_and_make_it_up(horizon: int, season: int) -> None:
    parts = mesa.parts_of(horizon, season)
    assert len(parts) == 1 + (min(season, horizon) > 1) + (season < horizon)
    torch.testing.assert_close(parts.sum(dim=0), torch.eye(horizon, dtype=torch.float64))
    for i, part in enumerate(parts):
        for j, other in enumerate(parts):
            product = part if i == j else torch.zeros_like(part)
            torch.testing.assert_close(part @ other, product)
    day = torch.rand(season, dtype=torch.float64).repeat(horizon)[:horizon]
    torch.testing.assert_close(parts[:2].sum(dim=0) @ day, day)


def test_it_follows_a_season_that_changes_after_the_train_rows() -> None:
    train, validation = make_windows(noise=0.1, later=9.0)
    x, y = validation.gather(torch.arange(30, len(validation)))
    ridge = Ridge(SeriesShape(L, H, C, SEASON))
    ridge.fit(train.with_lookback(L), validation.latest(L))
    missed = (ridge(x[:, -L:]) - y).square().mean()
    assert (fitted(train, validation)(x) - y).square().mean() < 0.5 * missed


def test_a_lookback_without_room_for_a_pair_and_no_prior_is_ridge_regression(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mesa, "parts_of", lambda horizon, season: torch.eye(horizon).double()[None])
    train, validation = make_windows()
    train, validation = train.with_lookback(L + H - 1), validation.latest(L + H - 1)
    validation = validation.only(torch.arange(0, 60))  # few enough that all of them choose
    model = Mesa(SeriesShape(L + H - 1, H, C, SEASON), stretch=L, fade=0)
    model.fit(train, validation)
    ridge = Ridge(SeriesShape(L, H, C, SEASON))
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
    chosen = model.penalty.clone()
    model.refit(validation)
    assert torch.equal(model.penalty, chosen)
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
    assert bool((model.penalty > 0).all())
    assert bool(torch.isfinite(model(gappy.gather(torch.arange(5))[0])).all())


@pytest.mark.parametrize("value", [torch.inf, torch.nan])
def test_values_that_overflow_are_refused(value: float) -> None:
    for name, row in (("train", 0), ("validation", 119)):  # of lookbacks alone
        windows = dict(zip(("train", "validation"), make_windows(), strict=True))
        values, rows, _ = windows[name]._made_of
        broken = values.clone()
        broken[:, row] = value
        windows[name] = Windows(broken, rows, ALL, H)
        with pytest.raises(UserError, match=f"model: Mesa: the {name} windows overflow"):
            Mesa(SHAPE, stretch=L).fit(**windows)
