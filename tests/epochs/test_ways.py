"""Each way to choose an epoch against the plainest way to say the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.epochs.ways import WAYS, Curves

CHOOSE = {way.name: way.choose for way in WAYS}
ERRORS = st.lists(st.floats(0.1, 2.0), min_size=1, max_size=12)


def curves(
    mse: Sequence[float],
    mae: Sequence[float] | None = None,
    blocks: Sequence[float] | None = None,
    patience: int = 3,
) -> Curves:
    val_mse = np.array(mse, dtype=float)
    val_mae = np.array(mse if mae is None else mae)
    return Curves(val_mse, val_mae, np.array(mse if blocks is None else blocks), val_mse, patience)


@given(ERRORS, st.integers(1, 5))
def test_a_run_stops_once_patience_epochs_were_no_better(mse: list[float], patience: int) -> None:
    (found,) = CHOOSE["as a run"](curves(mse, patience=patience))
    seen = next(
        (
            stop
            for stop in range(len(mse))
            if stop >= patience and min(mse[: stop - patience + 1]) <= min(mse[: stop + 1])
        ),
        len(mse) - 1,
    )
    assert found == mse.index(min(mse[: seen + 1]))


@given(ERRORS)
def test_a_smoothed_curve_is_the_mean_of_neighbours(mse: list[float]) -> None:
    (found,) = CHOOSE["smoothed"](curves(mse))
    means = [np.mean(mse[max(0, i - 1) : i + 2]) for i in range(len(mse))]
    assert means[found] == pytest.approx(min(means))


def test_each_curve_has_its_own_least_epoch() -> None:
    found = curves([3, 2, 4, 1, 5], [3, 4, 5, 6, 1], [5, 4, 1, 3, 2], patience=2)
    assert {name: choose(found) for name, choose in CHOOSE.items()} == {
        "as a run": (3,),
        "least MSE": (3,),
        "least MAE": (4,),
        "smoothed": (2,),  # the means are 2.5, 3, 2.33, 3.33 and 3
        "blocks": (2,),
        "last": (4,),
        "three best": (3, 1, 0),
        "latter half": (2, 3, 4),
    }


def test_patience_hides_what_comes_after_it() -> None:
    found = curves([2, 3, 4, 1], patience=2)
    assert CHOOSE["as a run"](found) == (0,)
    assert CHOOSE["least MSE"](found) == (3,)


def test_one_epoch_leaves_nothing_to_choose() -> None:
    assert {choose(curves([1.0])) for choose in CHOOSE.values()} == {(0,)}
