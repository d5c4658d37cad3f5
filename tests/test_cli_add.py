"""From a file of one's own to a table: added, checked, run, with the gaps that real files have."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmark.places import DATASETS

Command = Callable[..., Any]
ROWS = 900


@pytest.fixture
def cut(tmp_path: Path) -> pd.DataFrame:
    """The first rows of a published series: ETTh1's where it is here, else the shipped one's."""
    named = os.environ.get("BENCHMARK_DATA", "")
    path = Path(named) / "ETTh1.csv"
    path = path if named and path.is_file() else DATASETS / "akl_pedestrians.csv.gz"
    return pd.read_csv(path, nrows=ROWS).iloc[:, :4]


@pytest.fixture
def gappy(cut: pd.DataFrame) -> pd.DataFrame:
    """The same with a text column, empty cells and a day that is absent."""
    cut.iloc[::50, 1] = np.nan
    cut.iloc[300:312, 2] = np.nan
    cut["remark"] = "fine"
    return cut.drop(index=range(500, 524))


GRU = {
    "name": "gru", "dataset": "my", "lookback": 48, "horizon": 24,
    "model": {"class": "Recurrent", "cell": "gru", "hidden_size": 4, "patch": 24},
    "training": {"epochs": 1},
}  # fmt: skip


def test_a_file_of_an_old_mac_is_told_how_to_be_converted(
    cut: pd.DataFrame, workplace: Path, command: Command
) -> None:
    (workplace / "my.csv").write_bytes(cut.to_csv(index=False).replace("\n", "\r").encode())
    told = command("datasets", "add", "my.csv")
    assert told.code == 2
    assert "lines end in CR alone" in told.err
    assert subprocess.run(told.err.partition("convert them: ")[2], shell=True).returncode == 0
    assert command("datasets", "add", "my.lf.csv", "--dry-run").code == 0


def test_a_value_that_is_none_of_a_few_is_told_the_one_meant(command: Command) -> None:
    told = command("plot", "cost")
    assert told.code == 2
    assert "Value error" not in told.err
    assert "; did you mean 'costs'?" in told.err


def test_a_file_of_ones_own_is_added_checked_and_run(
    gappy: pd.DataFrame, workplace: Path, tmp_path: Path, command: Command
) -> None:
    source = tmp_path / "my.csv"
    gappy.to_csv(source, index=False)
    (workplace / "gru.yaml").write_text(json.dumps(GRU))

    shown = command("datasets", "add", source, "--dry-run")
    assert (shown.code, shown.err) == (0, "")
    assert not (workplace / "datasets" / "my.yaml").exists()
    added = command("datasets", "add", source)
    assert (added.code, added.err) == (0, "")
    unwritten = added.out.replace("(new)", "(not written)")
    assert unwritten.replace("Next: ", "Next: the same without --dry-run, then ") == shown.out
    words = " ".join(added.out.split())
    for fact in (
        "time column date --time-column NAME",
        "frequency h: 900 rows,",
        "channels 3: ",
        "left out remark: 'fine' in line 2 is no number",
        "absent times 24, whose values are missing",
        "at most 24 in a row missing in the card",
        "season 24 steps, autocorrelation 0.",
        "splits train 0-630, val 630-720, test 720-900 splits in the card",
        f"Card (new): {workplace / 'datasets' / 'my.yaml'}",
    ):
        assert fact in words, (fact, added.out)
    again = command("datasets", "add", source)
    assert again.out == added.out.replace("(new)", "(unchanged)")
    other = command("datasets", "add", source, "--season", 12)
    assert other.code == 2
    assert other.err.endswith("differs in season; --force writes it anew, --name keeps both\n")

    checked = command("datasets", "check", "my")
    assert (checked.code, checked.err) == (0, "")
    missing = 3 * 24 + sum(row % 50 == 0 for row in range(900) if not 500 <= row < 524) + 12
    assert f"  masked: {missing} of 2,700 values" in checked.out
    listed = command("datasets", "list").out.splitlines()
    assert any(line.split()[:4] == ["my", "h", "3", "yes"] for line in listed)

    next_words = added.out.splitlines()[-1].removeprefix("Next: benchmark ").split()
    assert command(*next_words).code == 0
    assert command("run", "gru.yaml").code == 0
    with (workplace / "results" / "results.csv").open() as stream:
        rows = {row["model"]: row for row in csv.DictReader(stream)}
    assert set(rows) == {"ridge", "gru"}
    assert all(row["status"] == "done" and float(row["mse"]) > 0 for row in rows.values())
    assert "gru" in command("leaderboard").out


@pytest.mark.parametrize(("step", "season"), [("ME", 12), ("3MS", 4), ("B", 5)])
def test_rows_that_go_by_the_calendar_are_added_run_and_forecast_by_it(
    step: str, season: int, workplace: Path, tmp_path: Path, command: Command
) -> None:
    past, future = tmp_path / "past.csv", tmp_path / "future.csv"
    t = np.arange(250)
    wave = np.sin(2 * np.pi * t / season) + 0.1 * np.random.default_rng(1).normal(size=250)
    days = pd.date_range("1960-01-01", periods=250, freq=step)
    frame = pd.DataFrame({"when": days, "sales": 100 + 10 * wave})
    frame.drop(index=[40, 41, 120]).to_csv(tmp_path / "shop.csv", index=False)
    frame.iloc[:-6].to_csv(past, index=False)
    added = command("datasets", "add", tmp_path / "shop.csv")
    assert (added.code, added.err) == (0, "")
    words = " ".join(added.out.split())
    for fact in (f"frequency {step}: 250 rows", "absent times 3,", f"season {season} steps"):
        assert fact in words, (fact, added.out)
    settings = ("--set", "dataset=shop", "--set", f"lookback={2 * season}", "--set", "horizon=6")
    assert command("run", "ridge", "--checkpoint", *settings).code == 0
    (run,) = (workplace / "results" / "runs").iterdir()
    forecast = command("forecast", run, "--input", past, "--output", future)
    assert (forecast.code, forecast.err) == (0, "")
    ahead = pd.read_csv(future, parse_dates=["when"])
    assert list(ahead["when"]) == list(days[-6:])
    assert np.abs(ahead["sales"] - frame["sales"].iloc[-6:].to_numpy()).max() < 5


def test_a_single_row_at_which_no_step_begins_is_not_forecast_from(
    workplace: Path, tmp_path: Path, command: Command
) -> None:
    days = pd.date_range("2020-01-01", periods=250, freq="B")
    pd.DataFrame({"day": days, "x": np.arange(250) % 7}).to_csv(tmp_path / "b.csv", index=False)
    command("datasets", "add", tmp_path / "b.csv")
    sets = ("--set", "dataset=b", "--set", "lookback=1", "--set", "horizon=3")
    assert command("run", "last_value", "--checkpoint", *sets).code == 0
    (tmp_path / "one.csv").write_text("day,x\n2021-01-02,1\n")
    answer = command("forecast", "last_value", "--input", tmp_path / "one.csv", "--output", "o.csv")
    assert (answer.code, answer.out) == (2, "")
    assert "one.csv: line 2, column 'day': 2021-01-02 00:00:00 is a Saturday, and" in answer.err
    assert not (workplace / "o.csv").exists()


def test_the_policy_is_changed_in_the_card(
    gappy: pd.DataFrame, workplace: Path, tmp_path: Path, command: Command
) -> None:
    gappy.to_csv(tmp_path / "my.csv", index=False)
    command("datasets", "add", tmp_path / "my.csv")
    card = workplace / "datasets" / "my.yaml"
    text = card.read_text()
    card.write_text(text.replace('missing: "mask"', "missing: interpolate\ninterpolate_limit: 12"))
    refused = command("datasets", "check", "my")
    assert refused.code == 2
    assert ": line 2, column '" in refused.err
    assert "the first value is missing" in refused.err
    gappy.iloc[0, 1] = gappy.iloc[1, 1]
    gappy.to_csv(tmp_path / "my.csv", index=False)
    command("datasets", "add", tmp_path / "my.csv", "--force")
    text = card.read_text()
    for limit, code in ((12, 2), (24, 0)):
        policy = f"missing: interpolate\ninterpolate_limit: {limit}"
        card.write_text(text.replace('missing: "mask"', policy))
        checked = command("datasets", "check", "my")
        assert checked.code == code
    card.write_text(text.replace('missing: "mask"\n', ""))
    assert "is empty" in command("datasets", "check", "my").err


def test_the_index_that_pandas_writes_is_left_out_and_told_apart(
    gappy: pd.DataFrame, workplace: Path, tmp_path: Path, command: Command
) -> None:
    gappy.reset_index(drop=True).to_csv(tmp_path / "my.csv")  # its column has no name
    added = command("datasets", "add", tmp_path / "my.csv")
    assert (added.code, added.err) == (0, "")
    assert "left out (no name): counts the rows" in " ".join(added.out.split())


@pytest.mark.parametrize(("zone", "told"), [("Europe/Berlin", True), ("UTC", False)])
def test_local_times_whose_doubled_hour_was_dropped_are_told_by_the_one_that_is_skipped(
    workplace: Path, tmp_path: Path, command: Command, zone: str, told: bool
) -> None:
    times = pd.date_range("2023-03-01", "2023-12-01", freq="h", tz="UTC").tz_convert(zone)
    local = times.tz_localize(None)
    noise = np.random.default_rng(1).normal(size=len(local)).round(3)
    frame = pd.DataFrame({"date": local, "load": noise}).drop_duplicates("date")
    frame.drop(index=[500, 501]).to_csv(tmp_path / "my.csv", index=False)
    added = " ".join(command("datasets", "add", tmp_path / "my.csv").out.split())
    assert f"absent times {3 if told else 2}, whose values are missing" in added
    assert ("a clock of Europe/Berlin skips" in added) == told


def test_a_mistake_is_one_line(workplace: Path, command: Command) -> None:
    answer = command("datasets", "add", "none.csv")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "error: none.csv: no such file; name a CSV or Parquet file\n"


def test_a_channel_that_is_constant_in_train_is_told_and_can_be_left_out(
    workplace: Path, tmp_path: Path, command: Command
) -> None:
    rows = np.random.default_rng(1).normal(size=(300, 2)).round(3)
    frame = pd.DataFrame(rows, columns=["load", "setpoint"])
    frame.insert(0, "date", pd.date_range("2024-01-01", periods=300, freq="h").astype(str))
    frame.loc[:209, "setpoint"] = 21.5  # later it changes, but 210 rows are train
    frame.loc[5, "setpoint"] = np.nan
    frame.to_csv(tmp_path / "my.csv", index=False)
    note = "setpoint (21.5) in train, not after: unscaled, may outweigh all"
    added = command("datasets", "add", tmp_path / "my.csv")
    assert f"constant {note} left_out in the card" in " ".join(added.out.split())
    checked = command("datasets", "check", "my").out.splitlines()
    assert f"  constant: {note}; move it to left_out in the card to leave it out" in checked
    card = workplace / "datasets" / "my.yaml"
    card.write_text(card.read_text().replace('  - "setpoint"\n', "") + "left_out: [setpoint]\n")
    checked = command("datasets", "check", "my")
    assert (checked.code, checked.err) == (0, "")
    assert "constant" not in checked.out
    frame.loc[100, "setpoint"] = 21.6
    frame.to_csv(tmp_path / "my.csv", index=False)
    assert "constant" not in command("datasets", "add", tmp_path / "my.csv", "--force").out


def test_a_step_that_no_day_is_made_of_assumes_no_season(
    workplace: Path, tmp_path: Path, command: Command
) -> None:
    times = pd.date_range("2024-01-01", periods=4000, freq="7min")  # of which a week is 1,440
    noise = np.random.default_rng(1).normal(size=4000).round(3)
    pd.DataFrame({"date": times, "a": noise}).head(900).to_csv(tmp_path / "my.csv", index=False)
    added = command("datasets", "add", tmp_path / "my.csv").out
    assert "none, 1 step" in added
    assert added.splitlines()[-1].endswith("--set lookback=24 --set horizon=12")
    pd.DataFrame({"date": times, "a": noise}).to_csv(tmp_path / "my.csv", index=False)
    assert "none, 1 step" in command("datasets", "add", tmp_path / "my.csv", "--force").out


@pytest.mark.parametrize(
    ("rows", "lookback", "horizon"),
    [(400, 104, 20), (157, 52, 8), (140, 52, 7), (20, 10, 1), (10, 5, 1)],
)
def test_the_command_for_a_short_series_fits_it_and_a_season_into_its_lookback(
    rows: int, lookback: int, horizon: int, workplace: Path, command: Command
) -> None:
    times = pd.date_range("2019-01-07", periods=rows, freq="7D")
    year = np.sin(2 * np.pi * np.arange(rows) / 52) + np.arange(rows) % 3
    pd.DataFrame({"date": times, "sold": year}).to_csv("weeks.csv", index=False)
    added = command("datasets", "add", "weeks.csv", "--season", min(52, rows // 2))
    following = added.out.splitlines()[-1].removeprefix("Next: benchmark ")
    assert following.endswith(f"--set lookback={lookback} --set horizon={horizon}")
    for model in ("ridge", "seasonal_naive"):
        done = command(*following.replace("ridge", model).split())
        assert (done.code, done.err) == (0, "")


def test_blanks_around_a_name_in_the_header_are_none_of_it(
    cut: pd.DataFrame, workplace: Path, command: Command
) -> None:
    channels = list(cut.columns[1:])
    Path("clean.csv").write_text(cut.to_csv(index=False))
    Path("my.csv").write_text(cut.rename(columns=lambda name: f" {name} ").to_csv(index=False))
    assert command("datasets", "add", "my.csv").code == 0
    fit = ["--set", "dataset=my", "--set", "lookback=48", "--set", "horizon=24"]
    assert command("run", "ridge", *fit, "--checkpoint").code == 0
    done = command("forecast", "ridge-my", "--input", "clean.csv", "--output", "next.csv")
    assert (done.code, done.err) == (0, "")
    assert set(channels) < set(pd.read_csv("next.csv").columns)
