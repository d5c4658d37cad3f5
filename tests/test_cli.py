"""Every command, as a user gives it: what it prints, writes and answers."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import LINEAR, SUITE

from benchmark.harness.spec import config_names
from benchmark.records.record import COLUMNS
from benchmark.suites import done

Command = Callable[..., Any]


@pytest.fixture(autouse=True)
def configs(toy: Path, write_yaml: Callable[[str, Any], str]) -> None:
    """A model's and a suite's YAML in the working directory."""
    write_yaml("linear.yaml", LINEAR)
    write_yaml("tiny.yaml", SUITE)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open() as stream:
        return list(csv.DictReader(stream))


def test_run_trains_evaluates_and_shows_a_table(toy: Path, command: Command) -> None:
    answer = command("run", "linear.yaml", "--set", "horizon=6", "--set", "name=lin", "--seed", 3)
    assert answer.code == 0
    assert answer.err == ""
    (row,) = rows(toy / "results")
    assert list(row) == list(COLUMNS)
    assert (row["model"], row["horizon"], row["seed"], row["status"]) == ("lin", "6", "3", "done")
    assert answer.out.startswith("done ")
    assert "toy, horizon 6" in answer.out
    assert f"{float(row['mse']):.3f}" in answer.out
    folder = toy / "results" / "runs" / row["run_id"]
    assert answer.out.splitlines()[-1] == f"Run folder: {folder}"
    assert {path.name for path in folder.iterdir()} == {
        "SHA256SUMS", "errors.npz", "forecasts.npz", "quantiles.npz", "record.json", "run.yaml",
        "training.json",
    }  # fmt: skip


def test_run_again_does_nothing_unless_forced(toy: Path, command: Command) -> None:
    first = command("run", "linear.yaml")
    again = command("run", "linear.yaml")
    assert again.code == 0
    assert again.out.startswith("This run is done already; --force runs it again.\n")
    assert again.out.splitlines()[1:] == first.out.splitlines()[1:]
    assert command("run", "linear.yaml", "--force").out.startswith("done ")


def test_a_run_older_than_the_code_is_told_so(
    toy: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who works on a cell is not shown its old numbers without a word."""
    command("run", "linear.yaml")
    command("suite", "tiny.yaml")
    package = toy / "benchmark"
    for folder in done.DECISIVE:
        (package / folder).mkdir(parents=True)
        (package / folder / "old.py").touch()
        os.utime(package / folder / "old.py", (0, 0))
    monkeypatch.setattr(done, "PACKAGE", package)
    done._newest.cache_clear()
    assert command("run", "linear.yaml").out.startswith("This run is done already; --force")
    (package / "cells" / "gru.py").touch()
    done._newest.cache_clear()
    says = "This run is done already (benchmark/cells/gru.py is newer than it); --force"
    assert command("run", "linear.yaml").out.startswith(says)
    says = "done already and are not run again. benchmark/cells/gru.py is newer than"
    assert says in command("suite", "tiny.yaml").out
    done._newest.cache_clear()


def test_run_options_reach_the_run(toy: Path, command: Command) -> None:
    other = toy / "elsewhere"
    answer = command(
        "run", "linear.yaml", "--results", other, "--device", "cpu", "--threads", 2,
        "--checkpoint", "--tensorboard",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    (row,) = rows(other)
    assert (row["device"], row["threads"]) == ("cpu", "2")
    assert (other / "runs" / row["run_id"] / "checkpoint.pt").exists()
    assert list((other / "tensorboard" / row["run_id"]).glob("events.out.tfevents.*"))
    assert not (toy / "results").exists()


def test_run_shows_only_the_board_of_its_own_task(toy: Path, command: Command) -> None:
    command("run", "linear.yaml", "--set", "horizon=6")
    command("run", "seasonal_naive", *sets(dataset="toy", lookback=24, horizon=12))
    answer = command("run", "linear.yaml")
    assert "toy, horizon 12" in answer.out
    assert "seasonal_naive" in answer.out
    assert "horizon 6" not in answer.out


def sets(**values: Any) -> list[str]:
    return [word for key, value in values.items() for word in ("--set", f"{key}={value}")]


def test_a_users_own_forecaster_is_trained_from_its_yaml(
    toy: Path,
    command: Command,
    write_yaml: Callable[[str, Any], str],
    write_module: Callable[[str, str], None],
) -> None:
    write_module(
        "users_own",
        "from benchmark.forecasters.linear import Linear\n"
        "class Doubled(Linear):\n"
        "    def __init__(self, shape, *, factor: float = 2.0):\n"
        "        super().__init__(shape)\n"
        "        self.factor = factor\n"
        "    def forward(self, x):\n"
        "        return self.factor * super().forward(x)\n",
    )
    write_yaml("own.yaml", LINEAR | {"model": {"class": "users_own.Doubled", "factor": 0.5}})
    assert command("run", "own.yaml").code == 0
    assert command("run", "own.yaml", "--set", "model.factor=3.0").code == 0
    assert len({row["mse"] for row in rows(toy / "results")}) == 2
    wrong = command("run", "own.yaml", "--set", "model.facter=1.0")
    assert (
        wrong.err
        == "error: own.yaml with overrides: model.facter: unknown key; did you mean 'factor'?\n"
    )


def test_a_suite_writes_its_leaderboard_and_says_where(toy: Path, command: Command) -> None:
    answer = command("suite", "tiny.yaml", "--set", "training.batch_size = 32")
    assert (answer.code, answer.err) == (0, "")
    folder = toy / "results" / "tiny"
    assert f"Leaderboard: {folder / 'leaderboard.md'}" in answer.out.splitlines()
    text = (folder / "leaderboard.md").read_text()
    assert rows(folder) == rows(toy / "results")
    assert "\nbenchmark suite tiny.yaml --set 'training.batch_size = 32'\n" in text
    assert "seasonal_naive" in text
    assert (folder / "leaderboard.csv").exists()
    again = command("suite", "tiny.yaml", "--set", "training.batch_size = 32")
    assert again.out.startswith("2 of 2 runs are done already and are not run again.\n")
    assert (folder / "leaderboard.md").read_text() == text


def test_a_suite_with_a_failed_run_shows_its_table_and_exits_with_1(
    toy: Path, command: Command, write_yaml: Callable[[str, Any], str]
) -> None:
    write_yaml("wild.yaml", LINEAR | {"name": "wild", "training": {"learning_rate": 1e38}})
    write_yaml("tiny.yaml", SUITE | {"models": ["wild.yaml", "seasonal_naive"]})
    answer = command("suite", "tiny.yaml")
    assert (answer.code, answer.err) == (1, "")
    *_, count, why, again = answer.out.splitlines()
    assert count == "1 run failed"
    (folder,) = [each.parent for each in (toy / "results" / "runs").glob("*/traceback.txt")]
    assert why.endswith(f"e.g. {folder}")
    assert again == "The same command runs again what failed."
    assert "lower training.learning_rate" in answer.out
    assert "failed, unranked: wild" in (toy / "results" / "tiny" / "leaderboard.md").read_text()
    assert answer.out.index("seasonal_naive") < answer.out.index("Leaderboard: ")


def test_a_suite_names_no_traceback_of_a_failure_that_left_what_was_done(
    toy: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("suite", "tiny.yaml")
    monkeypatch.setattr("benchmark.harness.run.score", lambda _: 1 / 0)
    *_, count, kept = command("suite", "tiny.yaml", "--force").out.splitlines()
    assert (count, kept) == ("2 runs failed", "Of 2 an earlier row that is done is kept.")
    command("suite", "tiny.yaml", "--set", "training.batch_size=32")
    *_, why, again, kept = command(
        "suite", "tiny.yaml", "--set", "training.batch_size=32", "--force"
    ).out.splitlines()
    assert Path(why.partition("e.g. ")[2], "traceback.txt").exists()
    assert again == "The same command without --force runs again what failed."
    assert kept == "Of 1 an earlier row that is done is kept."


def test_a_suite_whose_data_set_is_gone_says_so_in_its_table(
    toy: Path,
    command: Command,
    write_dataset: Callable[..., Path],
    write_yaml: Callable[[str, Any], str],
) -> None:
    write_dataset("gone").unlink()
    grid = {"datasets": ["gone"], "horizons": [6], "lookbacks": [24]}
    gone = SUITE | {"grids": [grid]}
    write_yaml("gone.yaml", gone | {"fallback": "toy"})
    answer = command("suite", "gone.yaml")
    sentence = "toy stands in for it: these are not gone numbers."
    assert answer.code == 0
    assert sentence in answer.out
    assert sentence in (toy / "results" / "tiny" / "leaderboard.md").read_text()
    strict = command("suite", "gone.yaml", "--strict")
    assert strict.code == 2
    assert strict.err.startswith("error: dataset 'gone': no file 'gone.csv'")
    write_yaml("gone.yaml", gone)
    missing = command("suite", "gone.yaml")
    assert (missing.code, missing.err) == (1, "")
    assert missing.out.splitlines()[-1] == "not available: gone"


def test_compare_exits_with_1_where_something_regressed(toy: Path, command: Command) -> None:
    command("suite", "tiny.yaml")
    old = toy / "results" / "results.csv"
    same = command("compare", old, old)
    assert (same.code, same.err) == (0, "")
    assert same.out.startswith("Note: both are the same file\n")
    row = rows(toy / "results")[0]
    worse = float(row["mse"]) * 1.05
    text = old.read_text().replace(row["mse"], repr(worse))
    (toy / "worse.csv").write_text(text.replace(row["rmse"], repr(worse**0.5)))
    assert command("compare", old, "worse.csv").code == 1
    assert command("compare", "worse.csv", old).code == 0
    assert command("compare", old, "worse.csv", "--tolerance", 0.06).code == 0
    table = command("compare", old, "worse.csv", "--markdown")
    assert table.code == 1
    assert "| regressed |" in table.out
    assert "5.0" in table.out


def test_compare_published_shows_our_rows_beside_cited_ones(toy: Path, command: Command) -> None:
    command("suite", "tiny.yaml")
    csv_file = toy / "results" / "results.csv"
    csv_file.write_text(csv_file.read_text().replace(",toy,", ",ETTh1,").replace(",12,", ",96,"))
    shown = command("compare", csv_file, "--published")
    assert (shown.code, shown.err) == (0, "")
    assert "ETTh1" in shown.out
    marked = command("compare", csv_file, "--published", "--markdown")
    assert "| " in marked.out
    assert "## ETTh1, horizon 96: ours and published" in marked.out
    assert marked.out.endswith("\n")
    assert not marked.out.endswith("\n\n"), "a file it is sent to ends with its last line"


def test_models_and_data_sets_are_listed(toy: Path, command: Command) -> None:
    listed = command("models").out
    assert all(f"\n{name} " in listed for name in config_names("models"))
    listed = command("datasets", "list").out
    here = {line.split()[0]: line.split()[3] for line in listed.splitlines()[1:] if line[0] != " "}
    assert here["toy"] == "yes"
    assert "ETTh1" in here


def test_a_cards_texts_are_listed_as_they_are(
    toy: Path, command: Command, write_dataset: Callable[..., Path]
) -> None:
    write_dataset(licence="see [/terms] of [bold] :key:")
    answer = command("datasets", "list")
    assert (answer.code, answer.err) == (0, "")
    assert "see [/terms] of [bold] :key:" in answer.out


def test_one_broken_card_does_not_hide_the_other_data_sets(
    toy: Path, command: Command, write_dataset: Callable[..., Path]
) -> None:
    write_dataset("broken", seasons=24)
    answer = command("datasets", "list")
    assert answer.code == 2
    assert "\ntoy " in answer.out
    assert "broken" not in answer.out
    assert "broken.yaml: seasons: unknown key; did you mean 'season'?" in answer.err


def test_data_sets_are_checked_and_fetched_by_name(toy: Path, command: Command) -> None:
    checked = command("datasets", "check", "toy")
    assert (checked.code, checked.err) == (0, "")
    for fact in ("rows: 700", "channels: 3", "splits: train 0-400, val 400-550, test 550-700"):
        assert f"  {fact}\n" in checked.out
    fetched = command("datasets", "fetch", "toy")
    assert fetched.out == f"toy: {toy / 'datasets' / 'toy.csv'}\n"


def test_one_bad_data_set_does_not_hide_the_good_ones(
    toy: Path, command: Command, write_dataset: Callable[..., Path]
) -> None:
    write_dataset("gone").unlink()
    for verb in ("check", "fetch"):
        answer = command("datasets", verb, "gone", "nowhere", "toy")
        assert answer.code == 2
        assert answer.out.startswith("toy")
        assert answer.err.splitlines()[0].startswith("error: dataset 'gone': no file")
        assert answer.err.splitlines()[1].startswith("error: dataset 'nowhere': no such card")


def test_check_holds_a_users_class_to_the_contract(
    toy: Path, command: Command, write_module: Callable[[str, str], None]
) -> None:
    write_module(
        "users_checked",
        "from benchmark.forecasters.linear import Linear\n"
        "class Good(Linear):\n    pass\n"
        "class Short(Linear):\n"
        "    def forward(self, x):\n        return super().forward(x)[:, :-1]\n",
    )
    good = command("check", "users_checked.Good", "--set", "normalise=last")
    assert (good.code, good.err) == (0, "")
    assert {line.split()[0] for line in good.out.splitlines()} == {"yes"}
    same = command("check", "users_checked.Good", "--set", "model.normalise=last")
    assert (same.code, same.out) == (0, good.out)
    bad = command("check", "users_checked.Short")
    assert bad.code == 1
    assert any(line.startswith("no") for line in bad.out.splitlines())
    steps = re.search(r"expected \(4, (\d+), 3\), got \(4, (\d+), 3\)", bad.out)
    assert steps is not None
    assert int(steps[1]) == int(steps[2]) + 1
    assert command("check", "linear.yaml").code == 0
    assert command("check", "seasonal_naive").code == 0
    unknown = command("check", "users_checked.Goood")
    assert unknown.code == 2
    assert "did you mean 'Good'?" in unknown.err


def test_check_takes_a_yamls_lookback_and_frozen_weights_and_tells_a_cell(
    toy: Path, command: Command, write_module: Callable[[str, str], None]
) -> None:
    write_module(
        "users_frozen",
        "import torch\n"
        "from torch import nn\n"
        "from benchmark.cells.gru import GRU\n"
        "from benchmark.forecasters.linear import Linear\n"
        "class Frozen(Linear):\n"
        "    def __init__(self, shape):\n"
        "        super().__init__(shape)\n"
        "        self.still = nn.Parameter(torch.zeros(3), requires_grad=False)\n"
        "class Leaky(GRU):\n    pass\n",
    )
    frozen = command("check", "users_frozen.Frozen", "--set", "lookback=96")
    assert (frozen.code, "no" in frozen.out.split()) == (0, False)
    wrong = command("check", "linear", "--set", "lookback=0")
    assert "lookback" in wrong.err
    told = "users_frozen.Leaky is a Cell, not a Forecaster; try it in one: "
    told += "benchmark check gru --set cell=users_frozen.Leaky"
    assert told in command("check", "users_frozen.Leaky").err
    Path("short.yaml").write_text(
        "name: short\nlookback: 96\n"
        "model: {class: Recurrent, cell: gru, patch: 32, hidden_size: 8}\n"
    )
    for words in (["short.yaml"], ["short.yaml", "--set", "patch=64", "--set", "lookback=128"]):
        assert command("check", *words).code == 0
    assert "lookback is 100" in command("check", "short.yaml", "--set", "lookback=100").err


def test_speed_times_the_models_it_is_given(
    toy: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmark.speed import models as speed
    from benchmark.speed import timing

    for size in ("BATCH", "LENGTH", "WIDTH"):
        monkeypatch.setattr(speed, size, 24)
    monkeypatch.setattr(timing, "seconds", lambda call, device, repeats: call() or 0.5)
    answer = command("speed", "linear.yaml", "seasonal_naive")
    assert (answer.code, answer.err) == (0, "")
    lines = [line.split() for line in answer.out.splitlines()]
    assert lines[1][:3] == ["torch.nn.GRU,", "2", "x"]
    assert lines[2] == ["linear", "48", "48", "1.000", "x"]
    assert lines[3] == ["seasonal_naive", "48", "-", "1.000", "x"]


def test_the_program_runs_a_model_without_a_word_on_standard_error(toy: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmark", "run", "linear.yaml"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("done ")
    assert len(rows(toy / "results")) == 1
