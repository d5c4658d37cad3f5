"""Sums in stretches: numpy's own bits; what is large is neither copied nor read as a whole."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
import torch

from benchmark.data import parse, totals
from benchmark.data.load import load
from benchmark.data.task import Scaler, Task


@pytest.mark.parametrize("channels", [1, 2, 7, 33])
@pytest.mark.parametrize("masked", [False, True])
def test_the_scaler_in_stretches_has_the_bits_of_numpy(
    monkeypatch: pytest.MonkeyPatch, channels: int, masked: bool
) -> None:
    monkeypatch.setattr(totals, "AT_ONCE", 500)
    rng = np.random.default_rng(channels)
    values = 50 * rng.normal(size=(3000, channels)) + 7
    if masked:
        values[rng.random(values.shape) < 0.1] = np.nan
    mean, std = (np.nanmean, np.nanstd) if masked else (np.mean, np.std)
    found = Scaler.fit(values)
    np.testing.assert_array_equal(found.mean, mean(values, axis=0))
    np.testing.assert_array_equal(found.scale, std(values, axis=0))


def test_a_task_cut_into_stretches_is_the_same_task(
    monkeypatch: pytest.MonkeyPatch, make_task: Callable[..., Task]
) -> None:
    whole = make_task()
    monkeypatch.setattr(totals, "AT_ONCE", 100)
    cut = make_task()
    np.testing.assert_array_equal(cut.scaled, whole.scaled)
    np.testing.assert_array_equal(cut.seasonal_error(), whole.seasonal_error())
    assert cut.fingerprint("") == whole.fingerprint("")


def test_the_windows_of_a_fit_share_one_array_and_each_split_ends_where_it_should(
    make_task: Callable[..., Task],
) -> None:
    task = make_task()
    storages = {}
    for split, rows in task.borders.items():
        view = task.windows(split)._view  # (W, C, L + H)
        storages[split] = view.untyped_storage().data_ptr()
        last = view.data_ptr() + view.element_size() * sum(
            (size - 1) * stride for size, stride in zip(view.shape, view.stride(), strict=True)
        )
        whole = len(task.scaled) if split == "test" else task.borders["val"].stop
        first = view.untyped_storage().data_ptr()
        assert last == first + view.element_size() * (2 * whole + rows.stop - 1)  # of 3 channels
    assert storages["train"] == storages["val"] != storages["test"]
    assert storages["test"] == torch.from_numpy(task.scaled).untyped_storage().data_ptr()


def test_a_task_takes_the_scaled_series_and_little_more(
    make_task: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totals, "AT_ONCE", 1 << 12)
    values = np.random.default_rng(0).normal(size=(200_000, 3))
    tracemalloc.start()
    task = make_task(values=values, splits={"train": 0.7, "val": 0.1, "test": 0.2})
    for split in task.borders:
        task.windows(split)
    task.seasonal_error()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.1 * values.size * 4, "the series, and its rows before test for the fit"


def test_a_file_read_in_pieces_is_the_same_table_and_its_faults_have_the_same_lines(
    monkeypatch: pytest.MonkeyPatch, write, make_card, rows
) -> None:
    card = make_card()
    path = write(rows)
    whole = parse.parse(card, path)
    monkeypatch.setattr(parse, "AT_ONCE", 6)
    pieces = parse.parse(card, path)
    assert pieces.digest == whole.digest
    np.testing.assert_array_equal(load(card).values, whole.values)
    for cell, what in (("x", "'x' is not a number"), ("inf", "'inf' is infinite")):
        rows[4] = f"2020-01-01 03:00:00,{cell},40"
        with pytest.raises(parse.UserError, match=f"line 5, column 'load': {what}"):
            parse.parse(card, write(rows, "other.csv"))
    rows[4] = "soon,1,40"
    with pytest.raises(parse.UserError, match="line 5, column 'date'"):
        parse.parse(card, write(rows, "other.csv"))
