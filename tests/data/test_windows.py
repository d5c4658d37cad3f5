"""Windows against a plain loop over rows: which rows they are, how many, and that none is lost."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from benchmark.data.windows import Windows

ETTH1 = {"train": range(0, 8640), "val": range(8640, 11520), "test": range(11520, 14400)}


def series(rows: int, channels: int = 2) -> Tensor:
    """Channel-first ``(C, T)``; every value names its row and channel."""
    return torch.arange(rows) + 1000.0 * torch.arange(channels)[:, None]


def by_loop(
    values: Tensor, split: range, lookback: int, horizon: int
) -> list[tuple[Tensor, Tensor]]:
    """Every stride-1 window whose horizon lies inside `split`, as nested lists of rows."""
    found = []
    for start in range(values.shape[1]):  # first row of the horizon
        horizon_rows = range(start, start + horizon)
        lookback_rows = range(start - lookback, start)
        if lookback_rows.start < 0 or any(row not in split for row in horizon_rows):
            continue
        x = torch.stack([values[:, row] for row in lookback_rows])
        y = torch.stack([values[:, row] for row in horizon_rows])
        found.append((x, y))
    return found


def together(batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    xs, ys = zip(*batches, strict=True)
    return torch.cat(xs), torch.cat(ys)


@given(
    rows=st.integers(1, 30),
    cut=st.tuples(st.integers(0, 30), st.integers(0, 30)),
    lookback=st.integers(1, 12),
    horizon=st.integers(1, 12),
    channels=st.integers(1, 3),
    batch_size=st.integers(1, 40),
)
def test_windows_are_those_of_a_plain_loop(
    rows: int, cut: tuple[int, int], lookback: int, horizon: int, channels: int, batch_size: int
) -> None:
    start, stop = sorted(cut)
    assume(stop <= rows)
    values, split = series(rows, channels), range(start, stop)
    expected = by_loop(values, split, lookback, horizon)
    if not expected:
        with pytest.raises(ValueError, match=f"lookback {lookback} \\+ horizon {horizon} need"):
            Windows(values, split, lookback, horizon)
        return
    windows = Windows(values, split, lookback, horizon)
    assert len(windows) == len(expected)
    x, y = together(windows.in_order(batch_size))
    assert torch.equal(x, torch.stack([x for x, _ in expected]))
    assert torch.equal(y, torch.stack([y for _, y in expected]))
    assert windows.first == int(y[0, 0, 0]), "`first` is the row of the first horizon"


@pytest.mark.parametrize("horizon", [96, 192, 336, 720])
@pytest.mark.parametrize("lookback", [1, 96, 336, 512, 720])
def test_etth1_has_the_published_numbers_of_windows(lookback: int, horizon: int) -> None:
    values = series(14400, channels=1)
    counts = {name: len(Windows(values, rows, lookback, horizon)) for name, rows in ETTH1.items()}
    assert counts["train"] == 8640 - lookback - horizon + 1
    assert counts["val"] == counts["test"] == 2880 - horizon + 1
    if horizon == 336:
        assert counts["test"] == 2545


@pytest.mark.parametrize("lookback", [96, 336, 720])
def test_every_split_ends_at_its_border_and_starts_there_whatever_the_lookback(
    lookback: int,
) -> None:
    values = series(14400, channels=1)
    for name, rows in ETTH1.items():
        windows = Windows(values, rows, lookback, 336)
        first_x, first_y = windows.gather(torch.tensor([0]))
        last_x, last_y = windows.gather(torch.tensor([len(windows) - 1]))
        assert int(last_y[0, -1, 0]) == rows.stop - 1
        assert int(first_y[0, 0, 0]) == (lookback if name == "train" else rows.start)
        for x, y in ((first_x, first_y), (last_x, last_y)):
            assert int(x[0, -1, 0]) + 1 == int(y[0, 0, 0]), "no gap and no overlap between them"


@pytest.mark.parametrize("batch_size", [1, 7, 32, 10_000])
def test_nothing_is_dropped_whatever_the_batch_size(batch_size: int) -> None:
    windows = Windows(series(60), range(20, 60), 10, 5)
    assert len(windows) % 7
    first_rows = torch.arange(20, 56.0)
    _, y = together(windows.in_order(batch_size))
    assert torch.equal(y[:, 0, 0], first_rows)
    _, y = together(windows.shuffled(batch_size, torch.Generator().manual_seed(1)))
    assert torch.equal(y[:, 0, 0].sort().values, first_rows)


def test_shuffled_is_another_permutation_at_every_epoch_and_the_same_for_a_seed() -> None:
    windows = Windows(series(200), range(0, 200), 10, 5)
    generator = torch.Generator().manual_seed(1)
    epochs = [together(windows.shuffled(32, generator))[1][:, 0, 0] for _ in range(2)]
    again = together(windows.shuffled(32, torch.Generator().manual_seed(1)))[1][:, 0, 0]
    in_order = together(windows.in_order(32))[1][:, 0, 0]
    assert not torch.equal(epochs[0], epochs[1])
    assert not torch.equal(epochs[0], in_order)
    assert torch.equal(epochs[0], again)


def test_shuffling_keeps_each_lookback_with_its_horizon() -> None:
    windows = Windows(series(60), range(20, 60), 10, 5)
    x, y = together(windows.shuffled(7, torch.Generator().manual_seed(1)))
    assert torch.equal(x[:, -1] + 1, y[:, 0])


def test_the_latest_steps_are_the_same_windows_with_a_shorter_lookback() -> None:
    windows = Windows(series(60), range(20, 60), 10, 5)
    x, y = together(windows.in_order(7))
    shorter = windows.latest(4)
    seen, aim = together(shorter.in_order(7))
    assert torch.equal(seen, x[:, 6:])
    assert torch.equal(aim, y)
    assert windows.lookback == 10
    x, y = windows.gather(torch.tensor([3]))
    assert x.shape == (1, 10, 2), "the longer windows stay as they were"
    for steps in (0, 11):
        with pytest.raises(ValueError, match=f"10 steps, but {steps} are asked for"):
            windows.latest(steps)


@given(st.data())
def test_windows_with_a_shorter_lookback_are_all_that_it_has_room_for(data: st.DataObject) -> None:
    """Against every start of a horizon, tried one by one."""
    lookback, horizon = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 5))
    shorter = data.draw(st.integers(1, lookback))
    start = data.draw(st.integers(0, 20))
    rows = range(start, start + 40)
    avoided = None
    windows = Windows(series(70), rows, lookback, horizon)
    if data.draw(st.booleans()):
        first = data.draw(st.integers(0, 55))
        avoided = range(first, first + data.draw(st.integers(1, 10)))
        windows = windows.avoiding(avoided)
    expected = [
        first
        for first in range(rows.start, rows.stop - horizon + 1)
        if first >= shorter
        and not (avoided and set(range(first - shorter, first + horizon)) & set(avoided))
    ]
    found = windows.with_lookback(shorter)
    assert found.lookback == shorter
    assert len(found) == len(expected)
    if expected:
        x, y = together(found.in_order(7))
        assert x.shape[1] == shorter
        assert y[:, 0, 0].int().tolist() == expected
        assert torch.equal(x[:, -1] + 1, y[:, 0])


def test_windows_picked_by_number_are_not_fitted_on_with_another_lookback() -> None:
    windows = Windows(series(60), range(20, 60), 10, 5)
    for some in (windows, windows.avoiding(range(20, 22))):
        with pytest.raises(ValueError, match="picked by number"):
            some.only(torch.tensor([3, 4])).with_lookback(4)
    with pytest.raises(ValueError, match="10 steps, but 11 are asked for"):
        Windows(series(60), range(20, 60), 10, 5).with_lookback(11)


def test_of_windows_picked_by_number_those_are_left_that_avoid_the_rows() -> None:
    picked = Windows(series(60), range(20, 60), 10, 5).only(torch.tensor([30, 2, 0]))
    assert picked.starts.tolist() == [50, 22, 20]
    left = picked.avoiding(range(24, 26))
    assert left.starts.tolist() == [50]
    _, y = together(left.in_order(7))
    assert y[:, 0, 0].tolist() == [50.0]
    with pytest.raises(ValueError, match="picked by number"):
        left.with_lookback(4)


def test_only_some_windows_are_those_in_that_order() -> None:
    windows = Windows(series(60), range(20, 60), 10, 5)
    x, y = together(windows.in_order(7))
    numbers = torch.tensor([30, 2, 17])
    some = windows.only(numbers)
    assert len(some) == 3
    seen, aim = together(some.in_order(2))
    assert torch.equal(seen, x[numbers])
    assert torch.equal(aim, y[numbers])
    again = some.only(torch.tensor([2])).latest(4).gather(torch.tensor([0]))
    assert torch.equal(again[0], x[17:18, 6:])
    assert len(windows) == 36
    shuffled = together(some.shuffled(2, torch.Generator().manual_seed(1)))[1]
    assert torch.equal(shuffled[:, 0, 0].sort().values, y[numbers][:, 0, 0].sort().values)


def test_gather_follows_the_index_repeats_included() -> None:
    windows = Windows(series(30, channels=3), range(0, 30), 4, 2)
    x, y = windows.gather(torch.tensor([5, 0, 5]))
    assert x.shape == (3, 4, 3)
    assert y.shape == (3, 2, 3)
    assert x[:, 0, 0].tolist() == [5, 0, 5]
    assert y[:, 0, 1].tolist() == [1009, 1004, 1009]


@pytest.mark.parametrize("channels", [1, 3])
def test_writing_to_a_batch_changes_neither_the_series_nor_its_horizon(channels: int) -> None:
    values = series(30, channels)
    before = values.clone()
    windows = Windows(values, range(0, 30), 4, 2)
    x, y = windows.gather(torch.tensor([0, 1]))
    kept = y.clone()
    x.fill_(-1.0)
    assert torch.equal(y, kept)
    y.fill_(-2.0)
    assert torch.equal(values, before)
    assert torch.equal(windows.gather(torch.tensor([0]))[0][0, :, 0], before[0, :4])


def test_the_lookback_reaches_back_but_never_ahead_of_the_split() -> None:
    values = series(40, channels=1)
    x, y = together(Windows(values, range(20, 30), 15, 3).in_order(100))
    assert int(x.min()) == 5
    assert int(y.max()) == 29
    assert int(x.max()) == 26
