"""A training that is cut short, after any epoch, goes on to the weights it would have had."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmark.data.task import Task
from benchmark.forecasters.contract import Forecaster, SeriesShape
from benchmark.forecasters.ensemble import Ensemble, Member
from benchmark.forecasters.linear import Linear
from benchmark.training.fit import fit, refit, seed_all
from benchmark.training.report import EarlierEpoch, Epoch, FitOptions, FitReport
from benchmark.training.spec import TrainingSpec
from benchmark.training.unfinished import Unfinished

SHAPE = SeriesShape(lookback=24, horizon=12, channels=3, season=24)
HERE = {"torch": "2", "threads": "1"}
EPOCHS = 4


class Cut(Exception):  # noqa: N818 - stands for a killed process
    """The process ends here."""


class Drawing(Forecaster):
    """Draws from every generator there is while it trains, and normalises over batches."""

    def __init__(self, shape: SeriesShape) -> None:
        super().__init__(shape)
        self.norm = nn.BatchNorm1d(shape.channels)
        self.drop = nn.Dropout(0.3)
        self.map = nn.Linear(shape.lookback, shape.horizon)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x.transpose(1, 2))
        if self.training:
            x = x * (1 + 0.1 * random.random()) + 0.1 * np.random.standard_normal()
        return self.map(self.drop(x)).transpose(1, 2)


class Counting(Linear):
    """Its forecast depends on how often it was trained, which it keeps to itself."""

    def __init__(self, shape: SeriesShape) -> None:
        super().__init__(shape)
        self.steps = 0

    def training_forecast(self, x: Tensor, y: Tensor) -> Tensor:
        self.steps += 1
        return self(x) * (1 + 0.1 * self.steps)  # type: ignore[no-any-return]


class Telling(Counting):
    """Counts as well, and puts that into its state by a way of its own."""

    def get_extra_state(self) -> int:
        return self.steps

    def set_extra_state(self, state: int) -> None:
        self.steps = state


class Freezing(Linear):
    """In its third epoch, of six steps, it stops to train a part, or to train its mode."""

    def __init__(self, shape: SeriesShape, what: str) -> None:
        super().__init__(shape)
        self.what = what
        self.norm = nn.BatchNorm1d(shape.channels)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.norm(x.transpose(1, 2)).transpose(1, 2))

    def training_forecast(self, x: Tensor, y: Tensor) -> Tensor:
        self.get_buffer("steps").add_(1)
        if self.get_buffer("steps") == 14:
            if self.what == "mode":
                self.norm.eval()
            else:
                self.norm.requires_grad_(False)
        return self(x)  # type: ignore[no-any-return]


class Hiding(Linear):
    """Its forecast follows from a number that is the class's, and not the model's."""

    hidden = 0.0

    def __init__(self, shape: SeriesShape) -> None:
        super().__init__(shape)
        Hiding.hidden = 0.0  # as a process of its own would find it

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + Hiding.hidden

    def training_forecast(self, x: Tensor, y: Tensor) -> Tensor:
        Hiding.hidden += 0.01
        return self(x)  # type: ignore[no-any-return]


@pytest.fixture
def unfinished(tmp_path: Path) -> Unfinished:
    return Unfinished(tmp_path / "unfinished", HERE, every=0.0)


def train(
    task: Task,
    unfinished: Unfinished | None,
    build: Callable[[SeriesShape], Forecaster] = Drawing,
    cut: int = 0,
    told: Callable[[Epoch], object] = lambda epoch: None,
    **training: Any,
) -> tuple[dict[str, Tensor], FitReport]:
    """Train; a cut ends the process in the epoch after that one."""
    spec = TrainingSpec(**({"epochs": EPOCHS, "batch_size": 64, "patience": 9} | training))
    seed_all(7)
    forecaster = build(SHAPE)

    def on_epoch(epoch: Epoch) -> None:
        told(epoch)
        if cut and epoch.number > cut:
            raise Cut

    windows = task.windows("train"), task.windows("val")
    report = fit(forecaster, *windows, spec, 7, FitOptions(on_epoch, unfinished=unfinished))
    return forecaster.state_dict(), report


def same(report: FitReport) -> FitReport:
    """A report without what the clock says."""
    epochs = tuple(replace(epoch, seconds=0.0) for epoch in report.epochs)
    return replace(report, seconds=0.0, epochs=epochs, energy_j=None, gone_on=False)


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize("cut", range(1, EPOCHS))
@pytest.mark.parametrize(
    "training",
    [
        {},
        {"optimiser": "adamw", "weight_decay": 0.1, "gradient_clip": 0.5},
        {"schedule": {"kind": "one_cycle"}},
        {"schedule": {"kind": "exponential", "warmup": 1}, "ema_decay": 0.9},
        {"schedule": {"kind": "cosine"}, "epoch_steps": 3},
        {"precision": "bf16"},
        {"learning_rate": 0.05, "patience": 1},
    ],
    ids=["plain", "adamw", "one_cycle", "averaged", "steps", "bf16", "early"],
)
def test_it_goes_on_to_the_last_bit(
    task: Task, unfinished: Unfinished, training: dict[str, Any], cut: int
) -> None:
    weights, report = train(task, None, **training)
    cut = min(cut, len(report.epochs) - 1)
    with pytest.raises(Cut):
        train(task, unfinished, cut=cut, **training)
    told: list[Epoch] = []
    found, gone_on = train(task, unfinished, told=told.append, **training)
    assert_equal(found, weights)
    assert same(gone_on) == same(report)
    assert gone_on.gone_on
    assert [epoch.number for epoch in told] == list(range(1, len(report.epochs) + 1))
    assert [isinstance(epoch, EarlierEpoch) for epoch in told].index(True) == cut - 1


def test_each_size_of_a_batch_is_compiled_by_itself(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def backend(graph: torch.fx.GraphModule, given: list[Any]) -> Any:
        sizes.append(max(len(value) for value in given if isinstance(value, Tensor)))
        assert not any(isinstance(value, torch.SymInt) for value in given), "compiled for any size"
        return graph.forward

    compiled = partial(torch.compile, backend=backend)
    monkeypatch.setattr("benchmark.training.module.torch.compile", compiled)
    train(task, None, Linear, compile=True)
    assert sizes == [64, 45], "once each, for all epochs"


def test_it_may_be_cut_again_and_again(task: Task, unfinished: Unfinished) -> None:
    weights, report = train(task, None)
    for cut in range(1, EPOCHS):
        with pytest.raises(Cut):
            train(task, unfinished, cut=cut)
    found, gone_on = train(task, unfinished)
    assert_equal(found, weights)
    assert same(gone_on) == same(report)


def test_what_is_over_is_not_trained_again(task: Task, unfinished: Unfinished) -> None:
    weights, report = train(task, unfinished)
    told: list[Epoch] = []
    found, again = train(task, unfinished, told=told.append)
    assert_equal(found, weights)
    assert same(again) == same(report)
    assert [epoch.number for epoch in told] == list(range(1, EPOCHS + 1))
    assert isinstance(told[-1], EarlierEpoch)
    assert again.seconds >= report.epochs[-1].seconds
    assert again.energy_j is None


def test_what_comes_after_a_fit_that_is_over_computes_as_after_any(
    task: Task, unfinished: Unfinished
) -> None:
    train(task, unfinished)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        train(task, unfinished)
        assert not torch.are_deterministic_algorithms_enabled(), "Lightning's choice for a CPU"
    finally:
        torch.use_deterministic_algorithms(False)


def test_seconds_are_those_of_all_processes(task: Task, unfinished: Unfinished) -> None:
    with pytest.raises(Cut):
        train(task, unfinished, cut=2)
    _, state = next(unfinished.read())
    state["epochs"][-1]["seconds"] = 1000.0
    unfinished.write(state)
    _, report = train(task, unfinished)
    assert 1000.0 < report.epochs[2].seconds < report.seconds < 1100.0


@pytest.mark.parametrize(
    ("after", "known"), [(3, 2), (4, 2), (9, 5)], ids=["in", "between", "second"]
)
def test_the_fits_of_an_ensemble_go_on_each_by_itself(
    task: Task, unfinished: Unfinished, after: int, known: int
) -> None:
    def three(shape: SeriesShape) -> Ensemble:
        gru = {"class": "Recurrent", "cell": "gru", "hidden_size": 4, "patch": 6, "dropout": 0.3}
        return Ensemble(shape, members=[Member(model=gru, copies=3)])

    def both(kept: Unfinished | None, told: Callable[[Epoch], None]) -> dict[str, Tensor]:
        """Fit on train rows, and once more on train and validation rows."""
        spec, options = TrainingSpec(epochs=2, batch_size=64), FitOptions(told, unfinished=kept)
        seed_all(7)
        old, new = three(SHAPE), three(SHAPE)
        rows = task.windows("train"), task.windows("val")
        chosen = fit(old, *rows, spec, 7, options)
        before = task.windows_before_test(), task.windows("val")
        again, _ = refit(old, new, *before, spec, 7, chosen, options.part("refit"))
        return again.state_dict()

    expected = both(None, lambda epoch: None)
    seen: list[Epoch] = []

    def cutting(epoch: Epoch) -> None:
        seen.append(epoch)
        if len(seen) > after:
            raise Cut

    with pytest.raises(Cut):
        both(unfinished, cutting)
    told: list[Epoch] = []
    assert_equal(both(unfinished, told.append), expected)
    assert sum(isinstance(epoch, EarlierEpoch) for epoch in told) == known


def test_nothing_is_kept_of_a_fit_that_is_shorter_than_the_time_between(
    task: Task, unfinished: Unfinished
) -> None:
    train(task, replace(unfinished, every=60.0))
    assert not unfinished.folder.exists()


def test_what_takes_long_to_write_is_written_less_often(tmp_path: Path) -> None:
    kept = Unfinished(tmp_path, HERE)
    assert kept.pause(0.01) == 10.0
    assert kept.pause(3.0) == 60.0


def test_not_every_epoch_of_a_long_fit_is_kept(
    task: Task, unfinished: Unfinished, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("benchmark.training.keep.time.perf_counter", lambda: clock[0])
    kept: list[int] = []

    class Watched(Unfinished):
        def write(self, state: Mapping[str, Any]) -> bool:
            kept.append(len(state["epochs"]))
            clock[0] += 1.0
            return True

    def tick(epoch: Epoch) -> None:
        clock[0] += 8.0

    train(task, Watched(unfinished.folder, HERE), told=tick, epochs=9)
    assert kept == [2, 5, 8, 9], "at 16 s; 20 s after that, as it took one; and at the end"


def flip_a_bit_of_the_optimiser(path: Path) -> None:
    state = torch.load(path, weights_only=True)
    moment = state["optimiser"]["state"][0]["exp_avg"].numpy().tobytes()
    content = bytearray(path.read_bytes())
    content[content.index(moment)] ^= 1
    path.write_bytes(content)


def give_it_the_weights_of_another(path: Path) -> None:
    state = torch.load(path, weights_only=True)
    torch.save(state | {"best_weights": {"one": torch.zeros(1), "two": torch.zeros(1)}}, path)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:2000]), "cannot be read"),
        (lambda path: path.write_bytes(b""), "cannot be read"),
        (lambda path: (path.unlink(), path.symlink_to(path)), "cannot be read (OSError)"),
        (lambda path: flip_a_bit_of_the_optimiser(path), "cannot be read (BadZipFile)"),
        (lambda path: give_it_the_weights_of_another(path), "cannot be put back (RuntimeError: "),
        (lambda path: torch.save({"made_by": HERE | {"threads": "2"}}, path), "threads 2, now 1"),
        (lambda path: torch.save([1], path), "cannot be read"),
    ],
)
@pytest.mark.parametrize("anew", [False, True])
def test_what_cannot_be_gone_on_with_is_told_and_the_one_before_is_taken(
    task: Task,
    unfinished: Unfinished,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], object],
    told: str,
    anew: bool,
) -> None:
    weights, report = train(task, None)
    with pytest.raises(Cut):
        train(task, unfinished, cut=3)
    second, third = sorted(unfinished.folder.iterdir())
    assert (second.name[:7], third.name[:7]) == ("epoch2-", "epoch3-")
    damage(third)
    if anew:
        damage(second)
    seen: list[Epoch] = []
    found, again = train(task, unfinished, told=seen.append)
    assert_equal(found, weights)
    assert same(again) == same(report)
    earlier = [epoch.number for epoch in seen if isinstance(epoch, EarlierEpoch)]
    assert earlier == ([] if anew or "threads" in told else [2])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == (2 if anew and "threads" not in told else 1)
    assert lines[0].startswith(f"warning: {third}: ")
    assert told in lines[0]
    assert lines[0].endswith("; it is left out")


def test_machines_of_two_kinds_keep_each_its_own(
    task: Task, unfinished: Unfinished, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, _ = train(task, None)
    with pytest.raises(Cut):
        train(task, unfinished, cut=3)
    there = replace(unfinished, made_by=HERE | {"threads": "2"})
    with pytest.raises(Cut):
        train(task, there, cut=1)
    assert "threads 1, now 2" in capsys.readouterr().err
    for machine, epoch in ((there, 1), (unfinished, 3)):
        told: list[Epoch] = []
        found, _ = train(task, machine, told=told.append)
        assert [each.number for each in told if isinstance(each, EarlierEpoch)] == [epoch]
        assert_equal(found, weights)
    assert capsys.readouterr().err == ""


def test_what_begins_anew_after_states_that_were_left_out_is_kept(
    task: Task, unfinished: Unfinished
) -> None:
    with pytest.raises(Cut):
        train(task, unfinished, cut=3)
    for path in unfinished.folder.iterdir():
        path.write_bytes(b"")
    with pytest.raises(Cut):
        train(task, unfinished, cut=1)
    told: list[Epoch] = []
    train(task, unfinished, told=told.append)
    assert isinstance(told[0], EarlierEpoch)


def test_another_process_that_is_behind_takes_no_later_state_away(
    task: Task, unfinished: Unfinished
) -> None:
    for cut in (3, 1):
        with pytest.raises(Cut):
            train(
                task,
                unfinished
                if cut == 3
                else replace(unfinished, folder=unfinished.folder.with_name("other")),
                cut=cut,
            )
    (first,) = unfinished.folder.with_name("other").iterdir()
    behind = torch.load(first, weights_only=True)
    assert unfinished.write(behind)
    told: list[Epoch] = []
    train(task, unfinished, told=told.append)
    assert [each.number for each in told if isinstance(each, EarlierEpoch)] == [3]


def test_weights_that_score_otherwise_than_they_did_are_left_out(
    task: Task, unfinished: Unfinished, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, _ = train(task, None, Hiding)
    with pytest.raises(Cut):
        train(task, unfinished, Hiding, cut=2)
    found, anew = train(task, unfinished, Hiding)
    assert_equal(found, weights)
    assert not anew.gone_on
    assert "its best weights had validation MSE" in capsys.readouterr().err


def test_a_model_that_counts_beside_its_state_is_not_kept_and_that_is_told_once_at_the_start(
    task: Task, unfinished: Unfinished, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Cut):
        train(task, unfinished, Counting, cut=1)
    (line,) = capsys.readouterr().err.splitlines()
    assert "steps of the model changes in training and is in no state: a training that is " in line
    train(task, unfinished, Counting)
    assert capsys.readouterr().err.count("\n") == 1
    assert not unfinished.folder.exists()


def test_what_a_model_puts_into_its_state_itself_is_kept(
    task: Task, unfinished: Unfinished
) -> None:
    weights, _ = train(task, None, Telling)
    with pytest.raises(Cut):
        train(task, unfinished, Telling, cut=2)
    found, gone_on = train(task, unfinished, Telling)
    assert gone_on.gone_on
    assert found.pop("_extra_state") == weights.pop("_extra_state") == 6 * EPOCHS
    assert_equal(found, weights)


@pytest.mark.parametrize("what", ["part", "mode"])
def test_a_model_that_freezes_a_part_goes_on_from_before_that(
    task: Task, unfinished: Unfinished, what: str
) -> None:
    build = partial(Freezing, what=what)
    weights, _ = train(task, None, build)
    with pytest.raises(Cut):
        train(task, unfinished, build, cut=3)
    told: list[Epoch] = []
    found, _ = train(task, unfinished, build, told=told.append)
    assert next(epoch.number for epoch in told if isinstance(epoch, EarlierEpoch)) == 2
    assert_equal(found, weights)


def test_a_file_in_the_place_of_the_folder_costs_nothing_but_the_state(
    task: Task, unfinished: Unfinished, capsys: pytest.CaptureFixture[str]
) -> None:
    unfinished.folder.write_text("")
    expected, _ = train(task, None)
    found, _ = train(task, unfinished)
    assert_equal(found, expected)
    assert capsys.readouterr().err.count("cannot be kept here") == 1
