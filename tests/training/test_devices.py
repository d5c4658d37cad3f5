"""Several processes share each batch, and train what one would; one that fails ends them all."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import benchmark.training.devices as devices
import benchmark.training.rank as rank
from benchmark.data.task import Task
from benchmark.errors import UserError
from benchmark.evaluation.forecast import evaluate
from benchmark.forecasters.contract import Forecaster, SeriesShape
from benchmark.forecasters.linear import Linear
from benchmark.forecasters.recurrent import Recurrent
from benchmark.records.store import Store
from benchmark.training.devices import check_devices, fit_on_devices
from benchmark.training.fit import fit, seed_all
from benchmark.training.parallel import Parallel
from benchmark.training.report import EarlierEpoch, Epoch, FitOptions, FitReport
from benchmark.training.share import Share
from benchmark.training.spec import Schedule, TrainingSpec
from benchmark.training.unfinished import Unfinished

SHAPE = SeriesShape(lookback=24, horizon=12, channels=3, season=24)
CPU = torch.device("cpu")
TWO = Parallel(devices=2)


@pytest.fixture(autouse=True)
def _two_threads() -> None:
    torch.set_num_threads(2)


def train(task: Task, parallel: Parallel) -> tuple[Forecaster, FitReport, list[Epoch]]:
    """A small GRU with all that has to agree: average, clipping, schedule, kept epoch."""
    seed_all(3)
    forecaster = Recurrent(SHAPE, cell="gru", hidden_size=8, patch=6, normalise="standard")
    spec = TrainingSpec(
        epochs=4, patience=1, batch_size=52, learning_rate=0.01, ema_decay=0.9,
        gradient_clip=0.5, schedule=Schedule(kind="cosine"),
    )  # fmt: skip
    told: list[Epoch] = []
    options = FitOptions(on_epoch=told.append, parallel=parallel)
    report = fit(forecaster, task.windows("train"), task.windows("val"), spec, 3, options)
    return forecaster, report, told


@pytest.mark.slow
def test_two_processes_train_what_one_trains(task: Task) -> None:
    """365 windows in batches of 52: the last batch, of one window, is smaller than the devices."""
    one, alone, _ = train(task, Parallel())
    both, shared, told = train(task, TWO)
    assert tuple(told) == shared.epochs
    assert len(shared.epochs) == len(alone.epochs)
    assert shared.best_epoch == alone.best_epoch
    for mine, theirs in zip(shared.epochs, alone.epochs, strict=True):
        assert mine.train_loss == pytest.approx(theirs.train_loss, rel=1e-5)
        assert mine.val_mse == pytest.approx(theirs.val_mse, rel=1e-5)
        assert mine.val_mae == pytest.approx(theirs.val_mae, rel=1e-5)
    for name, weight in one.state_dict().items():
        torch.testing.assert_close(both.state_dict()[name], weight, rtol=1e-3, atol=1e-5)
    test = [evaluate(each, task, "cpu").errors.squared.mean() for each in (one, both)]
    assert test[1] == pytest.approx(test[0], rel=1e-5)


@pytest.mark.slow
def test_two_processes_go_on_where_two_were_stopped(
    task: Task, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def train(on_epoch: Callable[[Epoch], None], kept: Unfinished | None) -> dict[str, Tensor]:
        seed_all(3)
        forecaster = Linear(SHAPE)
        options = FitOptions(on_epoch, parallel=TWO, unfinished=kept)
        windows = task.windows("train"), task.windows("val")
        fit(forecaster, *windows, TrainingSpec(epochs=3, batch_size=52), 3, options)
        return forecaster.state_dict()

    def stop(epoch: Epoch) -> None:
        if epoch.number == 2:
            raise KeyboardInterrupt

    kept = Unfinished(tmp_path / "kept", {}, every=0.0)
    expected = train(lambda epoch: None, None)
    with pytest.raises(KeyboardInterrupt):
        train(stop, kept)
    told: list[Epoch] = []
    for name, weight in train(told.append, kept).items():
        assert torch.equal(weight, expected[name]), name
    before = [epoch.number for epoch in told if isinstance(epoch, EarlierEpoch)]
    assert before in ([1], [2]), "whether the second was kept before all ended is a matter of luck"
    assert [epoch.number for epoch in told] == [1, 2, 3]
    assert capfd.readouterr().err == ""

    for number, known in ((3, [2]), (2, [])):  # 2: as if stopped between two
        for second in (kept.folder / "device2").glob(f"epoch{number}-*.pt"):
            second.unlink()
        again: list[Epoch] = []
        for name, weight in train(again.append, kept).items():
            assert torch.equal(weight, expected[name]), name
        found = [epoch.number for epoch in again if isinstance(epoch, EarlierEpoch)]
        assert found == known
        assert capfd.readouterr().err == ""
        for second in (kept.folder / "device2").glob("epoch3-*.pt"):
            second.unlink()


@pytest.mark.slow
def test_a_run_on_two_devices_is_the_same_run_also_where_values_are_missing(
    workplace: Path,
    write_dataset: Callable[..., Path],
    write_yaml: Callable[[str, Any], str],
    command: Callable[..., Any],
) -> None:
    """Gaps are not spread evenly, so each device's loss counts by the values that it has."""
    path = write_dataset("gaps", missing="mask")
    lines = path.read_text().splitlines()
    for number in range(1, len(lines)):
        time, *cells = lines[number].split(",")
        gone = number % 97 < 40  # outages longer than a horizon: windows without a value
        lines[number] = ",".join([time, *(cells if not gone else ["", "", cells[2]])])
    path.write_text("\n".join(lines) + "\n")
    model = {"name": "small", "dataset": "gaps", "lookback": 24, "horizon": 12}
    model |= {"model": {"class": "Linear"}, "training": {"epochs": 2, "batch_size": 9}}
    alone = command("run", write_yaml("one.yaml", model), "--results", "one", "--device", "cpu")
    assert alone.code == 0, alone.err
    shared = write_yaml("two.yaml", model | {"parallel": {"devices": 2, "strategy": "ddp"}})
    answer = command("run", shared, "--results", "two", "--device", "cpu")
    assert answer.code == 0, answer.err
    (first,), (second,) = (Store(Path(name)).records() for name in ("one", "two"))
    assert second.run_id == first.run_id
    assert (first.device, second.device, second.threads) == ("cpu", "2 x cpu", 2)
    assert second.peak_memory_mb is None
    assert second.best_epoch == first.best_epoch
    assert second.val_mse == pytest.approx(first.val_mse, rel=1e-5)
    assert second.mse == pytest.approx(first.mse, rel=1e-5)
    left = sorted(path.name for path in Path("two").iterdir() if path.name[0] != ".")
    assert left == ["results.csv", "runs"]


def test_a_batch_is_shared_out_whole_and_a_tiny_one_is_everybodys() -> None:
    index = torch.arange(8)
    assert torch.cat([Share(r, 3).of(index) for r in range(3)]).tolist() == list(range(8))
    assert [Share(r, 3).of(index[:2]).tolist() for r in range(3)] == [[0, 1]] * 3


@pytest.mark.parametrize("counts", [(5, 2), (3, 0), (4, 4)])
def test_means_of_shares_weigh_what_makes_them_the_mean_of_all(
    monkeypatch: pytest.MonkeyPatch, counts: tuple[int, int]
) -> None:
    values = torch.randn(sum(counts), dtype=torch.float64)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda t: t.fill_(sum(counts)))
    parts = [part.mean() if len(part) else part.sum() for part in values.split(list(counts))]
    shares = [
        Share(r, 2).weight(torch.tensor(float(count))) * part
        for r, (count, part) in enumerate(zip(counts, parts, strict=True))
    ]
    torch.testing.assert_close(sum(shares) / 2, values.mean())


def test_weights_that_went_apart_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    forecaster = Linear(SHAPE)
    monkeypatch.setattr(torch.distributed, "broadcast", lambda tensor, source: None)
    rank._check_alike(forecaster, 1)
    monkeypatch.setattr(torch.distributed, "broadcast", lambda tensor, source: tensor.add_(1e-6))
    with pytest.raises(RuntimeError, match=r"device 2 has other weights than the first"):
        rank._check_alike(forecaster, 1)


def test_each_device_drops_out_from_a_seed_of_its_own(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = task.windows("train"), task.windows("val")
    options = FitOptions(parallel=TWO)
    job = devices.Job(Linear(SHAPE), *windows, TrainingSpec(), 2**32 - 1, options, None, 2)
    torch.save(job, tmp_path / devices.JOB)
    for name in ("init_process_group", "destroy_process_group", "broadcast"):
        monkeypatch.setattr(torch.distributed, name, lambda *_, **__: None)
    seeds: list[int] = []
    monkeypatch.setattr(rank, "fit_by_gradient", lambda *_: seeds.append(torch.initial_seed()))
    for number in range(2):
        rank._fit(tmp_path, "cpu", number, io.StringIO())
    assert seeds == [2**32 - 1, 0], "NumPy's seeds have 32 bits"


class Normed(Linear):
    """Normalises over a batch."""

    def __init__(self, shape: SeriesShape) -> None:
        super().__init__(shape)
        self.norm = nn.BatchNorm1d(shape.channels)


def test_what_does_not_go_together_is_told_before_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_devices(TWO, Linear(SHAPE), CPU)
    with pytest.raises(UserError, match=r"3 are asked for, this run has 2 CPU threads to share; "):
        check_devices(Parallel(devices=3), Linear(SHAPE), CPU)
    torch.set_num_threads(1)
    with pytest.raises(UserError, match=r"1 CPU thread to share; .* fewer --jobs$"):
        check_devices(TWO, Linear(SHAPE), CPU)
    torch.set_num_threads(2)
    with pytest.raises(UserError, match=r"Normed normalises over batches"):
        check_devices(TWO, Normed(SHAPE), CPU)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UserError, match=r"2 are asked for, torch sees 1 GPU; ask for fewer"):
        check_devices(TWO, Linear(SHAPE), torch.device("cuda"))
    monkeypatch.setattr(Linear, "__module__", "__main__")
    with pytest.raises(UserError, match=r"cannot import Linear from __main__; put the class"):
        check_devices(TWO, Linear(SHAPE), CPU)


def test_mistakes_of_a_yaml_are_one_line_each(
    toy: Path, write_yaml: Callable[[str, Any], str], command: Callable[..., Any]
) -> None:
    model = {
        "name": "x",
        "dataset": "toy",
        "lookback": 24,
        "horizon": 12,
        "model": {"class": "Linear"},
    }
    for parallel, told in (
        ({"devices": 2, "strategy": "dpp"}, "parallel.strategy: "),
        ({"devices": 0}, "parallel.devices: "),
        ({"devices": 64}, "parallel.devices: 64 are asked for, this run has 2 CPU threads"),
    ):
        answer = command(
            "run", write_yaml("x.yaml", model | {"parallel": parallel}), "--device", "cpu"
        )
        assert answer.code == 2
        assert answer.err.startswith(f"error: x.yaml: {told}")
        assert answer.err.count("\n") == 1


def test_what_cannot_be_sent_to_another_process_is_told(task: Task) -> None:
    forecaster = Linear(SHAPE)
    forecaster.hook = lambda x: x  # type: ignore[assignment]
    windows = task.windows("train"), task.windows("val")
    with pytest.raises(UserError, match=r"parallel\.devices: Linear cannot be sent to other"):
        fit_on_devices(forecaster, *windows, TrainingSpec(), 1, FitOptions(parallel=TWO))


# What follows supervises processes that train nothing, so as to be quick about their end.

RANK = """
import json, os, pickle, signal, sys, time
from pathlib import Path
folder, rank = Path(sys.argv[1]), os.environ["LOCAL_RANK"]
def fail(error):
    (folder / f"error{rank}.pickle").write_bytes(pickle.dumps(error))
    sys.exit(1)
"""
WAIT = "time.sleep(60)"


def supervise(
    folder: Path, monkeypatch: pytest.MonkeyPatch, first: str, second: str
) -> tuple[list[Epoch], devices._Ranks]:
    """Start two ranks that run some code; return the epochs told until the first one ends."""
    code = f"{RANK}\nif rank == '0':\n {first}\nelse:\n {second}\n"
    (folder / "a_rank.py").write_text(code, encoding="utf-8")
    monkeypatch.setattr(devices, "RANK", "a_rank")
    monkeypatch.syspath_prepend(folder)
    ranks = devices._Ranks(folder, "cpu", 2, 1, verbose=False)
    return list(ranks.epochs()), ranks


@pytest.mark.parametrize(
    ("first", "second", "error"),
    [
        (WAIT, "fail(ValueError('of the second'))", ValueError("of the second")),
        ("fail(FloatingPointError('diverged'))", WAIT, FloatingPointError("diverged")),
        (
            "time.sleep(0.3); fail(RuntimeError('connection closed'))",
            "fail(KeyError('x'))",
            KeyError("x"),
        ),
        (
            WAIT,
            "os.kill(os.getpid(), signal.SIGKILL)",
            RuntimeError("the process of device 2 of 2 was killed (signal 9)"),
        ),
        (
            "sys.exit('no such library')",
            WAIT,
            RuntimeError("the process of device 1 of 2 ended with exit status 1: no such library"),
        ),
    ],
)
def test_the_first_error_of_any_process_ends_the_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, second: str, error: Exception
) -> None:
    epochs, ranks = supervise(tmp_path, monkeypatch, first, second)
    assert epochs == []
    with pytest.raises(type(error)) as raised:
        ranks.check()
    assert str(raised.value) == str(error)
    ranks.close()
    assert all(process.poll() is not None for process in ranks._processes)


def test_an_interrupt_leaves_no_process_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a_rank.py").write_text(f"{RANK}\n{WAIT}\n")
    monkeypatch.setattr(devices, "RANK", "a_rank")
    monkeypatch.syspath_prepend(tmp_path)
    ranks = devices._Ranks(tmp_path, "cpu", 2, 1, False)
    with pytest.raises(KeyboardInterrupt), closing(ranks):
        raise KeyboardInterrupt
    assert [process.returncode for process in ranks._processes] == [-signal.SIGKILL] * 2


def test_a_rank_ends_when_the_process_that_started_it_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    reading, writing = os.pipe()
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        watcher = threading.Thread(target=rank._end_with_parent)
        watcher.start()
        assert ended == []
        os.close(writing)
        watcher.join()
    assert ended == [1]
