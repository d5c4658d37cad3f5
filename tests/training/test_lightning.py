"""Lightning stays in the background: silent, interruptible, and without traces on the disk."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from benchmark.data.task import Task
from benchmark.errors import UserError
from benchmark.forecasters.contract import SeriesShape
from benchmark.forecasters.linear import Linear
from benchmark.training.fit import fit
from benchmark.training.report import Epoch, FitOptions, FitReport
from benchmark.training.spec import TrainingSpec

SHAPE = SeriesShape(lookback=24, horizon=12, channels=3, season=24)


def train(task: Task, options: FitOptions, **training: object) -> FitReport:
    spec = TrainingSpec(**({"epochs": 2, "batch_size": 64} | training))  # type: ignore[arg-type]
    return fit(Linear(SHAPE), task.windows("train"), task.windows("val"), spec, 1, options)


def test_a_fit_prints_logs_and_writes_nothing(
    task: Task,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.INFO)
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        train(task, FitOptions())
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
    assert raised == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore")  # what it says is Lightning's own
def test_verbose_lets_lightning_speak(task: Task, capfd: pytest.CaptureFixture[str]) -> None:
    train(task, FitOptions(verbose=True))
    assert "Total params" in capfd.readouterr().out


def test_a_fit_leaves_warning_filters_and_log_level_as_they_were(task: Task) -> None:
    logger = logging.getLogger("lightning.pytorch")
    before = list(warnings.filters), logger.level
    train(task, FitOptions())
    assert (list(warnings.filters), logger.level) == before


def raise_interrupt(epoch: Epoch) -> None:
    raise KeyboardInterrupt


def send_sigint(epoch: Epoch) -> None:
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("interrupt", [raise_interrupt, send_sigint])
def test_ctrl_c_comes_out_as_keyboard_interrupt_and_works_again(
    task: Task, interrupt: object, capfd: pytest.CaptureFixture[str]
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    assert handler is signal.default_int_handler
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train(task, FitOptions(on_epoch=interrupt))  # type: ignore[arg-type]
        assert signal.getsignal(signal.SIGINT) is handler
    assert capfd.readouterr() == ("", "")


def test_sigterm_is_answered_during_a_fit_as_it_is_outside_of_it(task: Task) -> None:
    """Not by Lightning, after a block of steps, with an exception that looks like a model's own."""
    outside = signal.getsignal(signal.SIGTERM)
    assert outside is signal.SIG_DFL
    during: list[object] = []
    train(task, FitOptions(on_epoch=lambda _: during.append(signal.getsignal(signal.SIGTERM))))
    assert during == [outside, outside]
    assert signal.getsignal(signal.SIGTERM) is outside


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), SystemExit(3)])
def test_an_error_inside_a_fit_comes_out_as_itself(task: Task, error: BaseException) -> None:
    def fail(epoch: Epoch) -> None:
        raise error

    with pytest.raises(type(error), match=str(error)):
        train(task, FitOptions(on_epoch=fail))


def test_a_fit_is_one_process_also_within_a_job_of_several_tasks(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = {"NTASKS": "4", "JOB_NAME": "sweep", "JOB_ID": "12", "PROCID": "0", "LOCALID": "0"}
    for name, value in job.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert len(train(task, FitOptions()).epochs) == 2


def test_tensorboard_files_hold_the_scores_of_every_epoch(task: Task, tmp_path: Path) -> None:
    folder = tmp_path / "tensorboard" / "a-run"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorBoard's own, as it is imported
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    report = train(task, FitOptions(tensorboard=folder))
    assert list(folder.glob("events.out.tfevents.*"))
    events = EventAccumulator(str(folder))
    events.Reload()
    for tag in ("train_loss", "val_mse", "val_mae"):
        scalars = events.Scalars(tag)
        assert [scalar.step for scalar in scalars] == [1, 2]
        expected = [getattr(epoch, tag) for epoch in report.epochs]
        assert [scalar.value for scalar in scalars] == pytest.approx(expected, rel=1e-6)


def test_parts_of_a_fit_have_event_files_of_their_own(tmp_path: Path) -> None:
    options = FitOptions(tensorboard=tmp_path)
    folders = {options.part("member1").tensorboard, options.part("member2").tensorboard}
    assert folders == {tmp_path / "member1", tmp_path / "member2"}
    assert FitOptions().part("member1").tensorboard is None


def test_without_tensorboard_the_option_names_the_package_to_install(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lightning.pytorch.loggers as loggers

    def absent(**_: object) -> None:
        raise ModuleNotFoundError("No module named 'tensorboard'")

    monkeypatch.setattr(loggers, "TensorBoardLogger", absent)
    with pytest.raises(UserError, match=r"--tensorboard: .*pip install"):
        train(task, FitOptions(tensorboard=tmp_path / "tensorboard"))


def test_to_import_lightning_draws_no_random_number() -> None:
    code = (
        "import random\n"
        "from benchmark.training.fit import _gradient_fit\n"
        "from benchmark.training.report import FitOptions\n"
        "random.seed(7); _gradient_fit(FitOptions()); drawn = random.random()\n"
        "random.seed(7); assert drawn == random.random()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
