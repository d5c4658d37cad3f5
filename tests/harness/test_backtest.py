"""A finished run is scored from one origin after another."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from forecasts import Run
from numpy.typing import NDArray

from benchmark.forecasters.contract import LEVELS

CHANNELS = ["load", "heat", "wind"]
COLUMNS = ["origin", "mse", "mae", "rmse_original", "mase", "coverage_80"]


@pytest.fixture
def kept(kept: Run) -> Run:
    """The runs of this file have one name, by which each is found."""
    return partial(kept, name="kept")


def scores(command: Any, *words: object) -> pd.DataFrame:
    answer = command("backtest", "kept", *words, "--output", "scores.csv")
    assert answer.code == 0, answer.err
    table = pd.read_csv("scores.csv")
    assert list(table) == COLUMNS
    return table


@pytest.mark.parametrize("model", ["Ridge", "SeasonalNaive"])
def test_every_origin_of_the_test_split_gives_the_runs_own_scores(
    kept: Any, command: Any, model: str
) -> None:
    record = json.loads((kept(model) / "record.json").read_text())
    table = scores(command, "--stride", 1)
    assert len(table) == record["test_windows"]
    for name in ("mse", "mae", "mase", "coverage_80"):
        assert table[name].mean() == pytest.approx(record[name], rel=1e-6), name
    assert table["origin"].iloc[0] == "2020-01-23 21:00:00"  # row 549, the last before test
    assert table["origin"].iloc[-1] == "2020-01-29 15:00:00"  # twelve rows before the last


def test_masked_values_count_in_no_score(
    kept: Any, command: Any, write_dataset: Any, values: NDArray[np.float64]
) -> None:
    gaps = values.copy()
    gaps[600:640, 1] = np.nan
    write_dataset(values=gaps, missing="mask")
    record = json.loads((kept("LastValue") / "record.json").read_text())
    table = scores(command, "--stride", 1)
    assert table[COLUMNS[1:]].notna().all(axis=None)
    known = ~np.isnan(gaps[550:])
    weight = np.array([known[w : w + 12].sum() for w in range(len(table))])
    for name in ("mse", "mae", "coverage_80"):
        mean = (table[name] * weight).sum() / weight.sum()
        assert mean == pytest.approx(record[name], rel=1e-6), name
    shown = command("backtest", "kept", "--stride", 1).out
    (line,) = [line for line in shown.splitlines() if line.strip().startswith("mean")]
    cells = line.replace("│", " ").split()
    expected = [record[name] for name in ("mse", "mae", "mase", "coverage_80")]
    assert [float(cells[place]) for place in (1, 2, 4, 5)] == pytest.approx(expected, abs=6e-5)


def test_a_target_on_an_intervals_end_is_held_as_in_the_runs_own_score(
    kept: Any, command: Any, write_dataset: Any, values: NDArray[np.float64]
) -> None:
    steps = (values / values[:400].std(axis=0)).round(1) * 7.3  # a change is one of few numbers
    write_dataset(values=steps)
    record = json.loads((kept("LastValue") / "record.json").read_text())
    table = scores(command, "--stride", 1)
    assert table["coverage_80"].mean() == pytest.approx(record["coverage_80"], rel=1e-12)


def test_each_origin_of_a_file_is_scored_as_by_hand(
    kept: Any, command: Any, toy: Path, values: NDArray[np.float64]
) -> None:
    folder = kept("LastValue")
    rows = np.random.default_rng(3).normal([500, 0, 0], [100, 1, 0.01], (61, 3)).round(6)
    frame = pd.DataFrame(rows, columns=CHANNELS)
    frame.insert(0, "date", pd.date_range("2024-02-28", periods=61, freq="h").astype(str))
    frame.to_csv("new.csv", index=False)
    table = scores(command, "--input", "new.csv", "--stride", 5)
    scale, train = values[:400].std(axis=0), values[:400]
    seasonal = abs(train[24:] - train[:-24]).mean(axis=0)
    offsets = np.load(folder / "quantiles.npz")["offsets"] * scale
    low, high = offsets[LEVELS.index(0.1)], offsets[LEVELS.index(0.9)]
    origins = list(range(23, 61 - 12, 5))
    assert table["origin"].tolist() == frame["date"].iloc[origins].tolist()
    for number, origin in enumerate(origins):
        error = rows[origin + 1 : origin + 13] - rows[origin]
        expected = [
            ((error / scale) ** 2).mean(),
            abs(error / scale).mean(),
            np.sqrt((error**2).mean(axis=0)).mean(),
            (abs(error).mean(axis=0) / seasonal).mean(),
            ((low <= error) & (error <= high)).mean(),
        ]
        assert table.iloc[number, 1:].tolist() == pytest.approx(expected, rel=1e-5)


def test_the_table_has_a_row_an_origin_and_their_means(kept: Any, command: Any) -> None:
    kept("LastValue")
    table = scores(command)
    answer = command("backtest", "kept")
    assert "lookback 24, horizon 12, 12 origins 12 steps apart" in answer.out
    lines = [line.split() for line in answer.out.splitlines()]
    shown = {" ".join(line[:-5]): line[-5:] for line in lines if len(line) > 5}
    for _, row in table.iterrows():
        assert shown[row["origin"]] == [f"{value:.4f}" for value in row[1:]]
    assert shown["mean"] == [f"{value:.4f}" for value in table[COLUMNS[1:]].mean()]
    every = command("backtest", "kept", "--stride", 1).out
    assert "2020-01-23 21:00:00" not in every
    assert "139 origins; --output FILE.csv has a row for each" in every


def test_without_an_interval_there_is_no_coverage(kept: Any, command: Any) -> None:
    (kept("LastValue") / "quantiles.npz").unlink()
    table = scores(command)
    assert table["coverage_80"].isna().all()
    assert table["mse"].notna().all()


def test_other_data_of_the_same_name_are_refused(
    kept: Any, command: Any, write_dataset: Any, values: NDArray[np.float64]
) -> None:
    folder = kept("LastValue")
    write_dataset(values=values + 1)
    answer = command("backtest", "kept")
    assert answer.code == 2
    assert answer.err == (
        f"error: dataset toy: is not the data that {folder.name} was fitted on; "
        "name a file: --input FILE.csv\n"
    )


def test_a_card_whose_splits_were_moved_since_does_not_move_the_runs(
    kept: Any, command: Any, write_dataset: Any
) -> None:
    kept("Ridge")
    before = scores(command, "--stride", 1)
    write_dataset(splits={"train": 200, "val": 100, "test": 400})
    pd.testing.assert_frame_equal(scores(command, "--stride", 1), before)


def test_a_file_without_one_whole_window_is_refused(kept: Any, command: Any, toy: Path) -> None:
    kept("LastValue")
    lines = (toy / "datasets" / "toy.csv").read_text().splitlines()
    Path("new.csv").write_text("\n".join(lines[:36]))
    answer = command("backtest", "kept", "--input", "new.csv")
    assert (
        answer.err
        == "error: new.csv: holds 35 rows up to its last value, 36 are needed; add earlier rows\n"
    )
    Path("new.csv").write_text("\n".join(lines[:37]))
    assert len(scores(command, "--input", "new.csv")) == 1


def test_a_file_with_gaps_is_scored_as_the_runs_own_test_is(
    kept: Any, command: Any, toy: Path, write_dataset: Any, values: NDArray[np.float64]
) -> None:
    """The data set's own file: its last origins are those of the test split."""
    gaps = values.copy()
    gaps[600:640, 1] = gaps[660:662] = np.nan
    path = write_dataset(values=gaps, missing="mask")
    lines = path.read_text().replace("nan", "").splitlines()
    path.write_text("\n".join([*lines[:661], *lines[663:]]) + "\n")  # rows 660, 661 are absent
    kept("Ridge")
    own = scores(command, "--stride", 1)
    from_file = scores(command, "--input", path, "--stride", 1)
    pd.testing.assert_frame_equal(from_file.tail(len(own)).reset_index(drop=True), own)


def test_a_file_with_nothing_to_score_is_refused(
    kept: Any, command: Any, toy: Path, write_dataset: Any
) -> None:
    path = write_dataset(missing="mask")
    folder = kept("LastValue")
    lines = path.read_text().splitlines()[:40]
    lines[25:-1] = [f"{line.partition(',')[0]},,," for line in lines[25:-1]]
    Path("new.csv").write_text("\n".join(lines))
    answer = command("backtest", folder, "--input", "new.csv", "--stride", 12)
    assert (answer.code, answer.err) == (
        2,
        "error: new.csv: holds no value after any of the origins, so there is nothing to score; "
        "name a file with later rows: --input\n",
    )
