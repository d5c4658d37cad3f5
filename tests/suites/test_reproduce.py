"""A run is made again and compared to the last digit; committed rows are reproduced."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.cli import reproducing
from benchmark.cli.options import Device
from benchmark.forecasters.linear import Linear
from benchmark.harness.machine import hardware
from benchmark.harness.run import run
from benchmark.harness.spec import Execution
from benchmark.records.checksums import write_sums
from benchmark.records.record import SCORES
from benchmark.reports.reproduction import PROVENANCE, compare
from benchmark.suites.earlier import earlier_run

CI = Path(__file__).parents[2] / "results/reference/ci/results.csv"
ETTH1 = Path(__file__).parents[2] / "results/reference/etth1/results.csv"
MODEL = {
    "name": "small", "dataset": "toy", "lookback": 24, "horizon": 12,
    "model": {"class": "Linear"}, "training": {"epochs": 1},
}  # fmt: skip


@pytest.fixture
def folder(toy: Path, command: Any, write_yaml: Any) -> Path:
    """The folder of a finished run."""
    answer = command("run", write_yaml("small.yaml", MODEL), "--threads", 1)
    assert answer.code == 0, answer.err
    return Path(answer.out.splitlines()[-1].removeprefix("Run folder: "))


def edit(folder: Path, **values: Any) -> None:
    path = folder / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    write_sums(folder)


# --- committed rows ------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["ridge", "dlinear", "gru"])
def test_a_committed_row_is_reproduced_to_the_last_digit(tmp_path: Path, model: str) -> None:
    """On one thread, to the last bit where the row's CPU and torch are this machine's.

    Elsewhere to 1e-4: libraries choose their loops by the CPU's vector instructions and by version,
    and sums in another order round otherwise. That cannot be promised away.
    """
    earlier = earlier_run(str(CI), model, tmp_path)
    (note,) = earlier.notes
    assert "their hashes are the same" in note
    now = run(earlier.plan, Execution(results=tmp_path, device="cpu")).model_dump()
    row = earlier.row
    cpu, instructions, *_ = row["hardware"].split(", ")
    alike = hardware(torch.device("cpu")).startswith(f"{cpu}, {instructions}, ")
    exact = alike and row["torch_version"] == torch.__version__
    found = compare(row, now, 0.0 if exact else 1e-4)
    assert len(found.scores) == len(SCORES)
    assert found.holds, [asdict(score) for score in found.scores if score.verdict != "equal"]
    for column in ("config", "fingerprint", "data", "params", "epochs", "best_epoch"):
        assert now[column] == row[column], column


# --- the command ---------------------------------------------------------------------------------


def test_a_run_of_ones_own_is_reproduced(folder: Path, command: Any) -> None:
    before = sorted(folder.parents[1].rglob("*"))
    for name in (str(folder), folder.name, "small"):
        answer = command("reproduce", name)
        assert answer.code == 0, answer.err
        assert "13 of 13 scores are equal to the last digit" in answer.out
        assert "hardware, threads, versions and data are the same" in answer.out
        assert answer.out.rstrip().endswith("Reproduced.")
    assert sorted(folder.parents[1].rglob("*")) == before, "nothing of the new run is kept"


def test_a_score_that_differs_in_its_last_bit_is_told_and_a_tolerance_lets_it_pass(
    folder: Path, command: Any
) -> None:
    mse = json.loads((folder / "record.json").read_text())["mse"]
    edit(folder, mse=mse * (1 + 2**-52), torch_version="1.0", hardware=None)
    answer = command("reproduce", "small")
    assert answer.code == 1
    assert "12 of 13 scores are equal" in answer.out
    assert [line.split()[-1] for line in answer.out.splitlines() if line.startswith(" mse ")] == [
        "differs"
    ]
    assert "not recorded" in answer.out
    assert [line.split()[1] for line in answer.out.splitlines() if "torch_version" in line] == [
        "1.0"
    ]
    assert answer.out.rstrip().endswith("Not reproduced.")
    told = answer.out.splitlines()[-2]
    assert told.startswith("The largest relative difference is ")
    assert "e-16 (mse); --tolerance " in told
    answer = command("reproduce", "small", "--tolerance", 1e-12)
    assert answer.code == 0
    assert "within tolerance" in answer.out


def test_as_many_threads_as_then_are_taken_unless_told_otherwise(
    folder: Path, command: Any
) -> None:
    edit(folder, threads=3)
    answer = command("reproduce", "small")
    assert "threads, versions and data are the same" in answer.out
    answer = command("reproduce", "small", "--threads", 1)
    assert [line.split() for line in answer.out.splitlines() if line.startswith(" threads")] == [
        ["threads", "3", "1"]
    ]


@pytest.mark.parametrize(
    ("device", "taken"), [("cpu", "cpu"), ("2 x cpu", "cpu"), ("2 x NVIDIA H100", "auto")]
)
def test_what_was_made_on_the_cpu_is_made_there_again(
    folder: Path, command: Any, monkeypatch: pytest.MonkeyPatch, device: str, taken: str
) -> None:
    edit(folder, device=device)
    asked = []

    def execution_of(results: Path, device: Device, *options: Any) -> Execution:
        asked.append(device.value)
        return made(results, device, *options)

    made = reproducing.execution_of
    monkeypatch.setattr(reproducing, "execution_of", execution_of)
    assert command("reproduce", "small").code == 0
    assert asked == [taken]


def test_data_that_changed_since_is_told(folder: Path, command: Any, values: Any) -> None:
    path = Path("datasets/toy.csv")
    text = path.read_text()
    path.write_text(text.replace(repr(float(values[600, 0])), repr(float(values[600, 0]) + 1)))
    answer = command("reproduce", "small")
    assert answer.code == 1
    told = " ".join(answer.out.split())
    assert "its settings, its data or the version of this package are others" in told
    assert any(line.startswith(" data ") for line in answer.out.splitlines())


def test_a_row_whose_settings_are_not_known_says_so(toy: Path, command: Any) -> None:
    words = ("--set", "dataset=toy", "--set", "lookback=48", "--set", "horizon=12")
    assert command("run", "ridge", *words, "--set", "name=ridge", "--threads", 1).code == 0
    (csv,) = toy.glob("results/results.csv")
    answer = command("reproduce", csv)
    assert answer.code == 0, answer.err
    same = "the row's configuration is that of ridge.yaml: their hashes are the same"
    assert same in " ".join(answer.out.split())
    csv.write_text(csv.read_text().replace("ridge-toy-12-seed1-", "ridge-toy-12-seed1-x"))
    answer = command("reproduce", csv, "--model", "ridge")
    assert answer.code == 0
    unknown = "the row's settings are not known, ridge.yaml as it is now is run in their place"
    assert unknown in " ".join(answer.out.split())


# --- mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([ETTH1], " rows fit; name one with --model: "),
        ([ETTH1, "--model", "grru"], "has no such row; did you mean 'gru'?"),
        ([ETTH1, "--model", "gru_"], "rows fit; name one with --model: gru_"),
        (["none.csv"], "none.csv: no such file"),
        (["none"], "run none: no such run in"),
    ],
)
def test_a_row_that_is_not_one_is_refused(
    toy: Path, command: Any, words: list[Any], says: str
) -> None:
    answer = command("reproduce", *words)
    assert answer.code == 2
    assert says in answer.err
    assert answer.err.count("\n") == 1


def test_a_model_or_run_that_is_in_the_table_wins_over_longer_names(tmp_path: Path) -> None:
    own = next(line for line in CI.read_text().splitlines() if line.startswith("gru-"))
    run_id = own.split(",")[0]
    longer = [own.replace(run_id, f"{run_id}0"), own.replace("gru", "gru_plain")]
    csv = tmp_path / "results.csv"
    csv.write_text("\n".join((CI.read_text().rstrip(), *longer)))
    assert earlier_run(str(csv), run_id, tmp_path).row["run_id"] == run_id
    csv.write_text("\n".join((CI.read_text().rstrip(), longer[1])))
    assert earlier_run(str(csv), "gru", tmp_path).row["model"] == "gru"


def test_other_mistakes_are_one_line(folder: Path, command: Any) -> None:
    answer = command("reproduce", folder, "--model", "small")
    assert "--model small: " in answer.err
    assert "leave --model out" in answer.err
    csv = folder.parents[1] / "results.csv"
    answer = command("reproduce", csv)
    assert "no YAML of ours has this model's name" in answer.err
    edit(folder, status="failed", error="it broke", **dict.fromkeys(SCORES))
    answer = command("reproduce", folder)
    assert answer.code == 2
    assert "failed, so it has no score to reproduce (it broke)" in answer.err


def test_a_model_that_forecasts_otherwise_by_now_is_told(
    folder: Path, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = Linear.forward
    monkeypatch.setattr(Linear, "forward", lambda self, x: forward(self, x)[:, 1:])
    answer = command("reproduce", folder)
    assert (answer.code, answer.out) == (2, "")
    assert "run.yaml: model: a forecast must have shape (32, 12, 3), but has " in answer.err
    assert answer.err.count("\n") == 1


# --- comparing -----------------------------------------------------------------------------------


def test_scores_are_compared_where_the_earlier_run_has_them() -> None:
    now = dict.fromkeys((*SCORES, *PROVENANCE)) | {"mse": 2.0, "mae": 1.0, "r2": -1.0}
    found = compare({"mse": 2.2, "r2": -1.0, "crps": 3.0, "mae": None}, now, 0.1)
    assert {score.name: score.verdict for score in found.scores} == {
        "mse": "within tolerance",
        "r2": "equal",
        "crps": "differs",  # the run made again has none
    }
    assert not found.holds
    assert compare({"mse": 2.2}, now, 0.09).scores[0].verdict == "differs"
    assert compare({"r2": -1.01}, now, 0.1).holds
    assert found.others == ()


def test_what_is_not_the_same_or_was_not_recorded_is_listed() -> None:
    now = dict.fromkeys((*SCORES, *PROVENANCE)) | {"mse": 1.0, "threads": 1, "hardware": "x"}
    found = compare({"mse": 1.0, "threads": 2, "device": "cpu"}, now)
    assert found.others == (
        ("hardware", "not recorded", "x"),
        ("device", "cpu", "none"),
        ("threads", "2", "1"),
    )


@pytest.mark.parametrize("change", [3.9e-9, 4e-9, 9.7e-5, 0.5, 1.0, 12.0])
def test_the_tolerance_that_is_told_accepts_the_difference(change: float) -> None:
    row = {"mse": 0.4256, "mae": 0.5, "hardware": "one"}
    now = dict.fromkeys((*SCORES, *PROVENANCE)) | row | {"mse": 0.4256 * (1 + change)}
    told = compare(row, now).distance
    assert "(mse); --tolerance" in told
    accepted = float(told.split("--tolerance ")[1].split()[0])
    assert change <= accepted <= 2 * change
    assert compare(row, now, accepted).holds
    assert "(mse), on other hardware;" in compare(row, now | {"hardware": "two"}).distance


def test_what_no_tolerance_accepts_is_told_none() -> None:
    now = dict.fromkeys((*SCORES, *PROVENANCE)) | {"mse": 0.5}
    assert compare({"mse": 0.5, "mae": 0.4}, now).distance == ""
    assert compare({"mse": 0.0}, now).distance == ""
    assert compare({"mse": 0.5}, now).distance == ""
