"""A run whose training is cut short, and the same run again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmark.harness import identity
from benchmark.harness.plan import Plan, plan
from benchmark.harness.run import begin_anew, run
from benchmark.harness.spec import Execution, RunSpec
from benchmark.records.record import RunRecord
from benchmark.training.report import EarlierEpoch, Epoch
from benchmark.training.unfinished import Unfinished

TIMED = {"train_seconds", "energy_j", "latency_ms", "throughput", "peak_memory_mb", "started"}
EPOCHS = 4

SLOW = '''
import time
from pathlib import Path

from benchmark.forecasters.linear import Linear


class Slow(Linear):
    """Its first epoch takes longer than what passes between two states; its second never ends."""

    def training_forecast(self, x, y):
        if not Path("go").exists():
            if list(Path("results/runs").glob(".unfinished-*/epoch*.pt")):
                Path("second").touch()
                time.sleep(60)
            elif not Path("first").exists():
                Path("first").touch()
                time.sleep(11)
        return self(x)
'''


@pytest.fixture
def planned(toy: Path) -> Callable[..., Plan]:
    def make(**fields: Any) -> Plan:
        training = {"epochs": EPOCHS, "batch_size": 64, "patience": 9}
        data = {"name": "m", "dataset": "toy", "lookback": 24, "horizon": 12, "training": training}
        model = {"model": {"class": "Linear"}}
        return plan(RunSpec.model_validate_json(json.dumps(data | model | fields)), "m.yaml")

    return make


@pytest.fixture(autouse=True)
def always_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.harness.run.Unfinished", partial(Unfinished, every=0.0))


def cut_after(number: int) -> Callable[[Epoch], None]:
    def on_epoch(epoch: Epoch) -> None:
        if epoch.number > number:
            raise KeyboardInterrupt

    return on_epoch


def lasting(record: RunRecord) -> dict[str, Any]:
    return record.model_dump(exclude=TIMED)


@pytest.mark.parametrize("fields", [{}, {"refit": True}], ids=["once", "refit"])
def test_a_run_that_was_cut_short_comes_to_the_same_row(
    toy: Path, planned: Callable[..., Plan], fields: dict[str, Any]
) -> None:
    expected = run(planned(**fields), Execution(toy / "undisturbed"))
    here = Execution(toy / "results")
    with pytest.raises(KeyboardInterrupt):
        run(planned(**fields), here, cut_after(2))
    assert [path.name[:12] for path in (toy / "results/runs").iterdir()] == [".unfinished-"]
    told: list[Epoch] = []
    found = run(planned(**fields), here, told.append)
    assert lasting(found) == lasting(expected)
    assert next(epoch.number for epoch in told if isinstance(epoch, EarlierEpoch)) == 2
    assert [path.name for path in (toy / "results/runs").iterdir()] == [found.run_id]


def test_force_begins_anew(toy: Path, planned: Callable[..., Plan]) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(planned(), Execution(toy / "results"), cut_after(2))
    told: list[Epoch] = []
    anew = Execution(toy / "results", force=True)
    begin_anew(planned(), anew)
    run(planned(), anew, told.append)
    assert not any(isinstance(epoch, EarlierEpoch) for epoch in told)


def test_another_seed_begins_anew(toy: Path, planned: Callable[..., Plan]) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(planned(), Execution(toy / "results"), cut_after(2))
    told: list[Epoch] = []
    run(planned(seed=2), Execution(toy / "results"), told.append)
    assert not any(isinstance(epoch, EarlierEpoch) for epoch in told)


@pytest.mark.parametrize("name", ["device", "processor", "threads", "code", "torch_version"])
def test_what_the_last_digits_depend_on_must_be_the_same(
    toy: Path,
    planned: Callable[..., Plan],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    from benchmark.harness import run as module

    with pytest.raises(KeyboardInterrupt):
        run(planned(), Execution(toy / "results"), cut_after(2))
    made_by = module.made_by
    monkeypatch.setattr(module, "made_by", lambda *given: made_by(*given) | {name: "another"})
    told: list[Epoch] = []
    run(planned(), Execution(toy / "results"), told.append)
    assert not any(isinstance(epoch, EarlierEpoch) for epoch in told)
    assert f"{name} " in capsys.readouterr().err


def test_the_code_is_told_by_its_files_and_not_by_an_editor_s_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "harness").mkdir()
    (tmp_path / "harness" / "run.py").write_text("one = 1\n")
    monkeypatch.setattr(identity, "__file__", str(tmp_path / "harness" / "identity.py"))
    digest = identity.code_digest.__wrapped__
    before = digest()
    (tmp_path / "harness" / ".#run.py").symlink_to("somebody@somewhere.1234")  # Emacs'
    assert digest() == before
    (tmp_path / "harness" / "run.py").write_text("one = 2\n")
    after = digest()
    (tmp_path / "kernel.cpp").write_text("float one = 2;\n")
    assert len({before, after, digest()}) == 3


def test_a_training_that_diverged_begins_anew(
    toy: Path, planned: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(planned(), Execution(toy / "results"), cut_after(2))

    def diverge(*_: object) -> None:
        raise FloatingPointError("training diverged")

    with monkeypatch.context() as patch:
        patch.setattr("benchmark.harness.run.fit_plan", diverge)
        with pytest.raises(FloatingPointError):
            run(planned(), Execution(toy / "results"))
    told: list[Epoch] = []
    run(planned(), Execution(toy / "results"), told.append)
    assert not any(isinstance(epoch, EarlierEpoch) for epoch in told)


def test_a_process_that_is_killed_loses_the_epoch_it_was_in(
    toy: Path,
    write_module: Callable[[str, str], None],
    write_yaml: Callable[[str, Any], str],
    command: Callable[..., Any],
) -> None:
    write_module("users_slow", SLOW)
    training = {"epochs": EPOCHS, "batch_size": 64, "patience": 9}
    model = {"model": {"class": "users_slow.Slow"}, "training": training}
    write_yaml("m.yaml", {"name": "m", "dataset": "toy", "lookback": 24, "horizon": 12} | model)
    words = ("run", "m.yaml", "--threads", "1")
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmark", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            if (toy / "second").exists() or process.poll() is not None:
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    finally:
        process.kill()
    (toy / "go").touch()
    again = command(*words)
    assert again.code == 0, again.err
    assert again.out.startswith("goes on  m toy 12 seed 1: after epoch 1 of 4, val MSE ")
    seconds = float(again.out.splitlines()[1].split(" s ")[0].split()[-1])
    assert seconds > 11.0, "all processes' together"
