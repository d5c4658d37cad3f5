"""A run's model as a folder for plain torch."""

from __future__ import annotations

import datetime
import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from benchmark.data.task import Task
from benchmark.errors import UserError
from benchmark.evaluation.conformal import Calibration
from benchmark.evaluation.original import OriginalUnits
from benchmark.files import private_name
from benchmark.forecasters.contract import LEVELS, Forecaster, SeriesShape
from benchmark.forecasters.resolve import build_forecaster
from benchmark.harness.export import CHECK, Exported, export
from benchmark.harness.saved import SavedData, SavedRun
from benchmark.harness.spec import RunSpec
from benchmark.training.heads import QuantileHeads

CHANNELS = ["load", "heat", "wind"]
LOOKBACK, HORIZON = 24, 12
SHAPE = SeriesShape(LOOKBACK, HORIZON, len(CHANNELS), 24)

USAGE_WITHOUT_US = """
import os, sys
sys.modules["benchmark"] = None  # as if it were not installed
for name in ("whole", "before", "within"):
    os.replace(name, "input.csv")
    exec({usage!r})
    print(json.dumps(forecast.tolist()), flush=True)
"""
"""Run the lines shown on three files, one after the other."""


@pytest.fixture
def saved(task: Task) -> Callable[[Forecaster], SavedRun]:
    """Make a run of an untrained forecaster, as if it had been kept."""

    def make(forecaster: Forecaster) -> SavedRun:
        offsets = torch.linspace(-1, 1, len(LEVELS))[:, None, None].expand(-1, HORIZON, 3)
        spec = RunSpec(name="m", lookback=LOOKBACK, horizon=HORIZON, model={"class": "M"})
        calibration = Calibration(offsets.numpy().copy(), 99)
        model = OriginalUnits(forecaster.requires_grad_(False), task.scaler, calibration)
        return SavedRun("m-toy-12", spec, SavedData.of(task), model)

    return make


def recurrent(cell: str, **options: Any) -> Forecaster:
    torch.manual_seed(1)
    sizes = {"class": "Recurrent", "cell": cell, "hidden_size": 8, "patch": 12, "layers": 1}
    return build_forecaster(
        sizes | {"channels": "independent", "embedding": "linear"} | options, SHAPE, "m.yaml"
    )


def lookbacks(run: SavedRun, count: int) -> Tensor:
    torch.manual_seed(2)
    size = count, LOOKBACK, len(CHANNELS)
    return torch.randn(size, dtype=torch.float64) * run.model.scale + run.model.mean


@pytest.mark.parametrize(
    "forecaster",
    [
        lambda: recurrent("gru", decoder="segments"),
        lambda: recurrent("lstm", decoder="seq2seq", channels="mixing"),
        pytest.param(lambda: recurrent("slstm", linear_skip=True), marks=pytest.mark.slow),
        pytest.param(lambda: recurrent("mlstm", decoder="flatten"), marks=pytest.mark.slow),
        pytest.param(lambda: recurrent("mamba", normalise="revin"), marks=pytest.mark.slow),
        pytest.param(lambda: recurrent("mamba2"), marks=pytest.mark.slow),
        lambda: QuantileHeads(
            SHAPE,
            build_forecaster(
                {"class": "DLinear", "kernel_size": 5},
                SeriesShape(LOOKBACK, HORIZON * len(LEVELS), 3, 24),
                "m.yaml",
            ),
        ),
    ],
    ids=["gru", "lstm", "slstm", "mlstm", "mamba", "mamba2", "heads"],
)
def test_what_is_exported_is_torchs_own_and_forecasts_as_we_do(
    saved: Any, tmp_path: Path, forecaster: Callable[[], Forecaster]
) -> None:
    run = saved(forecaster())
    assert export(run, tmp_path / "to/it") == Exported(True, ("forecast", "lo80", "hi80"))
    program = torch.export.load(tmp_path / "to/it/model.pt2")
    targets = [node.target for node in program.graph.nodes if node.op == "call_function"]
    operators = [target for target in targets if isinstance(target, torch._ops.OpOverload)]
    assert {target.namespace for target in operators} <= {"aten"}
    assert len(operators) > 5
    x = lookbacks(run, 5)
    ours = run.model(x)
    theirs = program.module()(x)  # without no_grad, which a user need not know of
    assert set(theirs) == set(ours)
    for name, part in ours.items():
        scaled = (theirs[name] - part) / run.model.scale
        assert scaled.abs().max() < 1e-5, name


@pytest.mark.parametrize("policy", ["error", "mask"])
def test_the_lines_shown_run_without_this_package(
    toy: Path, command: Any, write_yaml: Any, write_dataset: Any, policy: str
) -> None:
    write_dataset(missing=policy)
    data = {"name": "kept", "dataset": "toy", "lookback": LOOKBACK, "horizon": HORIZON}
    path = write_yaml("kept.yaml", data | {"model": {"class": "Ridge"}})
    assert command("run", path, "--checkpoint").code == 0
    answer = command("export", "kept", "--output", "out")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == "Exported: out\n"
    frame = pd.read_csv(toy / "datasets/toy.csv", nrows=99)
    if policy == "mask":
        frame.loc[70:80, "load"] = frame.loc[95, "heat"] = np.nan
        frame["wind"] = np.nan
        frame.loc[96:, CHANNELS] = np.nan  # times to come
    frame.to_csv(toy / "out/input.csv", index=False)
    answer = command("forecast", "kept", "--input", "out/input.csv", "--output", "f.csv")
    assert answer.code == 0, answer.err

    page = (toy / "out/README.md").read_text()
    assert ("An empty cell of `input.csv` is read as" in page) == (policy == "mask")
    (usage,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(usage.splitlines()) == (18 if policy == "mask" else 12)
    for name, absent in (("whole", []), ("before", [60]), ("within", [90])):
        frame.drop(index=absent).to_csv(toy / "out" / name, index=False)
    code = USAGE_WITHOUT_US.format(usage=usage)
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=toy / "out", capture_output=True, text=True
    )
    assert done.stderr.endswith("AssertionError: a time is absent\n"), done.stderr
    whole, before = map(json.loads, done.stdout.splitlines())  # none where a time is absent within
    ours = pd.read_csv("f.csv")[CHANNELS].to_numpy()
    assert np.array(whole) == pytest.approx(ours, rel=1e-5, abs=1e-6)
    assert np.array(before) == pytest.approx(ours, rel=1e-5, abs=1e-6)

    facts = json.loads((toy / "out/metadata.json").read_text())
    assert (facts["channels"], facts["frequency"], facts["batch"]) == (CHANNELS, "h", "any")
    assert (facts["lookback"], facts["horizon"]) == (LOOKBACK, HORIZON)
    assert facts["versions"]["torch"] == torch.__version__


@pytest.mark.parametrize(
    "style",
    ["%Y/%-m/%-d %-H:%M", "%Y-%m-%dT%H:%M:%SZ", "%Y%m%d %H%M", "%Y-%m-%d %H:%M:%S.000+00:00"],
)
def test_the_page_reads_times_as_data_sets_write_them(style: str) -> None:
    times = pd.date_range("1999-12-31 22:00", periods=30, freq="h")
    facts = {"time_column": "date", "lookback": 24}
    for absent in (False, True):
        written = times.delete(20) if absent else times
        table = [{"date": text} for text in written.strftime(style)]
        names = {"table": table, "facts": facts, "re": re, "datetime": datetime}
        with pytest.raises(AssertionError) if absent else nullcontext():
            exec(CHECK.format(seconds=3600), names)


def test_of_a_data_set_that_was_filled_the_page_says_what_to_do(
    toy: Path, command: Any, write_yaml: Any, write_dataset: Any
) -> None:
    write_dataset(missing="interpolate", interpolate_limit=5)
    data = {"name": "kept", "dataset": "toy", "lookback": LOOKBACK, "horizon": HORIZON}
    path = write_yaml("kept.yaml", data | {"model": {"class": "LastValue"}})
    assert command("run", path, "--checkpoint").code == 0
    assert command("export", "kept", "--output", "out").code == 0
    page = (toy / "out/README.md").read_text()
    assert "Every cell of `input.csv` must hold a number, and its times be one step apart" in page
    assert "at most 5 missing values in a row were filled, linearly" in page


class FixedBatch(Forecaster):
    """Its code takes the size of the batch for a constant."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, -HORIZON:].view(len(x), HORIZON, -1)


class LooksAtValues(Forecaster):
    """Which operators it needs depends on what it reads."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, -HORIZON:] if bool(x.sum() > 0) else -x[:, -HORIZON:]


class OtherwiseExported(Forecaster):
    """Its graph is not what it computes."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, -HORIZON:] + (0.01 if torch.compiler.is_compiling() else 0.0)


def test_a_batch_that_cannot_be_left_free_is_one(saved: Any, tmp_path: Path) -> None:
    run = saved(FixedBatch(SHAPE))
    assert not export(run, tmp_path).any_batch
    x = lookbacks(run, 1)
    theirs = torch.export.load(tmp_path / "model.pt2").module()(x)
    assert torch.allclose(theirs["forecast"], run.model(x)["forecast"])
    assert json.loads((tmp_path / "metadata.json").read_text())["batch"] == 1
    assert "One lookback may be given at once" in (tmp_path / "README.md").read_text()


def test_a_model_that_cannot_be_exported_says_why(saved: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        export(saved(LooksAtValues(SHAPE)), tmp_path / "out")
    told = str(caught.value)
    assert told.startswith("run m-toy-12: torch.export cannot export it (GuardOnDataDependent")
    assert told.endswith("; use it by benchmark forecast")
    assert "\n" not in told
    assert not (tmp_path / "out").exists()


def test_an_exported_model_that_forecasts_otherwise_is_not_written(
    saved: Any, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"its forecast is 0\.01 scaled units from ours"):
        export(saved(OtherwiseExported(SHAPE)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_of_the_users_files_is_left_alone(saved: Any, tmp_path: Path) -> None:
    run = saved(build_forecaster({"class": "LastValue"}, SHAPE, "m.yaml"))
    folder = tmp_path / "project"
    folder.mkdir()
    export(run, folder)  # an empty one will do, and an earlier export
    export(run, folder)
    (folder / "model.pt2").unlink()
    (folder / "README.md").write_text("mine")
    with pytest.raises(UserError, match="project: holds files, and no earlier export; name a new"):
        export(run, folder)
    assert (folder / "README.md").read_text() == "mine"


def test_a_file_in_the_way_is_one_line(saved: Any, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(UserError, match="out: is a file, or lies below one"):
        export(saved(build_forecaster({"class": "LastValue"}, SHAPE, "m.yaml")), tmp_path / "out")


def test_an_export_that_ends_in_its_midst_leaves_the_earlier_one_whole(
    saved: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another model beside the channels and the sizes of the one before would forecast nonsense."""
    run, folder = saved(build_forecaster({"class": "LastValue"}, SHAPE, "m.yaml")), tmp_path / "out"
    export(run, folder)
    for path in folder.iterdir():
        path.write_text("earlier")

    def full(*_: Any) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("benchmark.harness.export._readme", full)
        with pytest.raises(UserError, match="the disk is full"):
            export(run, folder)
    assert {path.name: path.read_text() for path in folder.iterdir()} == dict.fromkeys(
        ["model.pt2", "metadata.json", "README.md"], "earlier"
    )


def test_what_an_export_that_was_killed_has_left_is_in_no_ones_way(
    saved: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(os, "getpid", lambda: 2**22 + 1)  # above every process's id
        (folder / private_name("writing", "model.pt2")).write_text("half")
    export(saved(build_forecaster({"class": "LastValue"}, SHAPE, "m.yaml")), folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "metadata.json", "model.pt2",
    ]  # fmt: skip
