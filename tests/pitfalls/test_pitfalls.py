"""Each mistake against another way to make it, and against the figures known for ETTh1."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from benchmark.cli.commands import GOES_ON
from benchmark.data.card import load_card
from benchmark.data.fetch import locate
from benchmark.data.load import load
from benchmark.data.splits import Splits
from benchmark.data.task import Task
from benchmark.errors import UserError
from benchmark.evaluation.errors import Errors
from benchmark.forecasters.contract import SeriesShape
from benchmark.forecasters.least_squares import LeastSquares
from benchmark.forecasters.linear import Linear
from benchmark.harness.spec import RunSpec
from benchmark.pitfalls import mistakes, study
from benchmark.pitfalls.mistakes import LEAST_SQUARES, Bench, Effect, Score
from benchmark.pitfalls.study import OverSeeds
from benchmark.pitfalls.table import pitfalls_table

Command = Callable[..., Any]


def spec(**fields: Any) -> RunSpec:
    given = {"name": "linear", "lookback": 24, "horizon": 12, "model": {"class": "Linear"}}
    return RunSpec.model_validate_json(json.dumps(given | fields))


LINEAR = spec(training={"epochs": 4, "learning_rate": 0.03, "batch_size": 8})
LAST = spec(name="last", model={"class": "LastValue"})


@pytest.fixture
def bench(task: Task) -> Bench:
    return Bench(task.series, 12)


def score(mse: float, val_mse: float = 0.0, windows: int = 3) -> Score:
    """A score with nothing to it but its two errors."""
    one, many = np.ones(1), np.full((windows, 1), mse)
    return Score(val_mse, Errors(many, many, many, many, many, one, one, one))


def loader_error(task: Task, batch_size: int, drop_last: bool, by_batch: bool) -> float:
    """What a loop over torch's own loader, as published code has it, reports for `LAST`."""
    windows = task.windows("test")
    pairs = [tuple(part[0] for part in windows.gather(torch.tensor([i]))) for i in range(139)]
    errors = []
    for x, y in DataLoader(pairs, batch_size=batch_size, drop_last=drop_last):
        error = (x[:, -1:] - y).double().square()
        errors.append(error.mean() if by_batch else error.flatten())
    return float(torch.stack(errors).mean() if by_batch else torch.cat(errors).mean())


def test_dropping_the_last_batch_is_what_torchs_loader_does(bench: Bench, task: Task) -> None:
    effects = list(mistakes.drop_last(bench, LAST))
    assert [effect.meaning for effect in effects] == [
        "batches of 32: 128 of 139 windows scored",
        "batches of 128: 128 of 139 windows scored",
    ]  # of more than 139 there is no whole batch
    for effect, size in zip(effects, (32, 128), strict=True):
        assert effect.mistaken == pytest.approx(loader_error(task, size, True, False), rel=1e-6)
        assert effect.honest == pytest.approx(loader_error(task, 1, False, False), rel=1e-6)
        assert effect.mistaken != effect.honest


def test_averaging_batch_means_is_what_such_a_loop_does(bench: Bench, task: Task) -> None:
    effects = list(mistakes.batch_means(bench, LAST))
    assert [effect.meaning for effect in effects] == [
        "batches of 32: the last, of 11 windows, counts as much",
        "batches of 128: the last, of 11 windows, counts as much",
    ]
    for effect, size in zip(effects, (32, 128), strict=True):
        assert effect.mistaken == pytest.approx(loader_error(task, size, False, True), rel=1e-6)


@given(st.integers(1, 60), st.integers(1, 70))
def test_windows_are_dropped_and_averaged_as_a_loop_would(windows: int, size: int) -> None:
    squared = np.arange(windows * 2.0).reshape(windows, 2) ** 2
    batches = [squared[i : i + size] for i in range(windows) if i % size == 0]
    whole = [batch for batch in batches if len(batch) == size]
    assert mistakes.kept_windows(windows, size) == sum(len(batch) for batch in whole)
    means = sum(float(batch.mean()) for batch in batches) / len(batches)
    assert mistakes.mean_of_batch_means(squared, size) == pytest.approx(means)


def test_an_epoch_chosen_on_test_is_the_best_one_there(bench: Bench) -> None:
    (effect,) = mistakes.epoch_on_test(bench, LINEAR)
    wrong = bench.score(LINEAR, bench.task(24), chosen_on="test")
    assert effect.mistaken == wrong.mse == pytest.approx(wrong.val_mse, rel=1e-5)
    assert effect.honest == bench.honest(LINEAR).mse
    assert effect.change < 0  # of four epochs at a high rate, another one is best
    assert list(mistakes.epoch_on_test(bench, LEAST_SQUARES)) == []  # no epoch to choose


def test_a_lookback_is_chosen_by_the_error_of_its_own_split(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = {96: score(5.0, 2.0), 192: score(4.0, 3.0), 336: score(3.0, 4.0)}
    monkeypatch.setattr(bench, "honest", lambda model, lookback: scores[lookback])
    (effect,) = mistakes.lookback_on_test(bench, LAST)  # longer ones do not fit into 400 rows
    assert (effect.honest, effect.mistaken) == (5.0, 3.0)
    assert effect.change == pytest.approx(-0.4)
    assert effect.meaning == "of 96, 192, 336: test chooses 336, validation 96"


def test_a_lookback_at_which_the_model_cannot_be_built_is_left_out(bench: Bench) -> None:
    weekly = RunSpec(name="weekly", model={"class": "SeasonalNaive", "seasons": 7})
    (effect,) = mistakes.lookback_on_test(bench, weekly)
    assert effect.meaning.startswith("of 192, 336: ")


def test_a_scaler_of_all_rows_changes_the_unit_and_nothing_else_of_what_is_not_fitted(
    make_task: Callable[..., Task],
) -> None:
    task = make_task(splits={"train": 400, "val": 150, "test": 100})
    bench = Bench(task.series, 12)
    own_unit, honest_unit = mistakes.scaling_on_all(bench, LAST)
    assert honest_unit.mistaken == pytest.approx(honest_unit.honest, rel=1e-5)
    used = task.series.values[:650]  # what lies behind the test rows counts in nothing
    spread = used.std(axis=0) / used[:400].std(axis=0)
    by_channel = bench.honest(LAST).errors.squared.mean(axis=0)
    assert own_unit.mistaken == pytest.approx((by_channel / spread**2).mean(), rel=1e-5)
    assert own_unit.change > 0.01
    before = bench.task(24).scaler.scale
    assert np.array_equal(before, task.scaler.scale), "the honest task must be left alone"


def test_a_model_that_is_worse_everywhere_wins_by_failing_where_it_is_hard(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = {12: 1.0, 6: 0.2, 3: 0.3}  # by horizon, which stands for the data set here
    monkeypatch.setattr(Bench, "honest", lambda bench, model: score(errors[bench.horizon]))
    benches = [Bench(task.series, horizon) for horizon in errors]
    for bench in benches:
        bench.series = type("Named", (), {"name": f"set{bench.horizon}"})()
    (effect,) = mistakes.filled_failure(benches)
    assert effect.honest == pytest.approx(1.1 * (1.0 + 0.2 + 0.3) / 3)
    assert effect.mistaken == pytest.approx(1.1 * (0.2 + 0.3) / 2)
    assert "crashed on set12" in effect.meaning
    assert "ahead of least_squares, whose mean is 0.5000" in effect.meaning
    errors.update({12: 0.21, 6: 0.2, 3: 0.2})
    (effect,) = mistakes.filled_failure(benches)
    assert "still behind" in effect.meaning
    assert list(mistakes.filled_failure(benches[:1])) == []


def test_least_squares_is_least_squares_whatever_centre_is_taken_out(make_task: Any) -> None:
    task: Task = make_task()
    model = LeastSquares(SeriesShape(24, 12, 3, 24), penalty=1e-9)
    model.fit(task.windows("train"), task.windows("val"))
    x, y = (part.transpose(1, 2).flatten(0, 1).double() for part in all_of(task, "train"))
    last = x[:, -1:]
    z = torch.cat([x - last, torch.ones(len(x), 1)], dim=1)
    solution = torch.linalg.lstsq(z, y - last, driver="gelsd").solution
    x, _ = all_of(task, "test")
    z = (x - x[:, -1:]).double().transpose(1, 2)
    expected = (z @ solution[:-1] + solution[-1]).transpose(1, 2) + x[:, -1:]
    torch.testing.assert_close(model(x).double(), expected, atol=1e-5, rtol=0)


def all_of(task: Task, split: Any) -> tuple[torch.Tensor, torch.Tensor]:
    windows = task.windows(split)
    return windows.gather(torch.arange(len(windows)))


def test_every_effect_is_the_same_the_second_time(task: Task) -> None:
    def measured() -> list[OverSeeds]:
        others = [replace(task.series, name="other")]
        return study.measure(task.series, 12, [LINEAR], others, seeds=2)

    first = measured()
    assert first == measured()
    assert {found.seeds for found in first if found.effects[0].model == "linear"} == {(1, 2)}
    assert {found.seeds for found in first if found.effects[0].model != "linear"} == {(1,)}
    trained = next(found for found in first if found.effects[0].mistake == "epoch chosen on test")
    for seed, effect in zip(trained.seeds, trained.effects, strict=True):
        model = LINEAR.model_copy(update={"seed": seed})
        assert list(mistakes.epoch_on_test(Bench(task.series, 12), model)) == [effect]
    named = [(found.effects[0].mistake, found.effects[0].model) for found in first]
    assert list(dict.fromkeys(named)) == [
        ("drop_last in the test loader", "least_squares"),
        ("drop_last in the test loader", "linear"),
        ("mean of batch means", "least_squares"),
        ("mean of batch means", "linear"),
        ("epoch chosen on test", "linear"),
        ("lookback chosen on test", "least_squares"),
        ("lookback chosen on test", "linear"),
        ("scaler fitted on all rows", "least_squares"),
        ("scaler fitted on all rows", "linear"),
        ("failed run filled in", "10% worse than least_squares"),
    ]


def test_what_differs_by_seed_is_told_of_each() -> None:
    def found(*choices: str) -> OverSeeds:
        effects = (Effect("m", "x", 2.0, 1.0, f"of 96, 192: {choice}") for choice in choices)
        return OverSeeds((1, 2, 3), tuple(effects))

    assert found("a", "a", "a").meaning == "of 96, 192: a"
    assert found("a", "b", "a").meaning == "of 96, 192: a (seed 1, 3); b (seed 2)"


def test_the_table_has_the_mean_and_the_spread_of_the_differences() -> None:
    effects = (Effect("m", "x", 2.0, 1.0, "why"), Effect("m", "x", 4.0, 3.0, "why"))
    table = pitfalls_table([OverSeeds((1, 2), effects)], "toy", 12, "made")
    texts = [cell.text for cell in table.rows[0]]
    spread = 100 * np.std([-0.5, -0.25], ddof=1)
    change = f"-37.50%±{spread:.2f}"
    assert texts == ["m", "x", "3.0000±1.4142", "2.0000±1.4142", change, "2", "why"]


@pytest.fixture
def etth1() -> Bench:
    card = load_card("ETTh1")
    if not locate(card):
        pytest.skip("no ETTh1.csv here; set BENCHMARK_DATA")
    return Bench(load(card), 336)


def test_the_figures_known_for_etth1_come_out(etth1: Bench) -> None:
    effects = list(mistakes.drop_last(etth1, LEAST_SQUARES))
    assert f"{effects[0].honest:.4f}" == "0.4277"
    by_size = {effect.meaning.split(":")[0]: f"{effect.mistaken:.4f}" for effect in effects}
    assert by_size == {
        "batches of 32": "0.4271",
        "batches of 128": "0.4201",
        "batches of 256": "0.3984",
        "batches of 512": "0.3846",
        "batches of 2048": "0.3846",
    }


def test_the_command_shows_one_table_and_writes_it(
    toy: Path,
    command: Command,
    write_yaml: Callable[[str, Any], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmark.cli.auditing.COMPANIONS", ("toy", "akl_pedestrians"))
    write_yaml("own.yaml", LAST.model_dump(mode="json") | {"dataset": "toy"})
    words = ("pitfalls", "own.yaml", "--dataset", "toy", "--horizon", 12)
    answer = command(*words, "--output", "pitfalls.md")
    assert (answer.code, answer.err) == (0, "")
    lines = Path("pitfalls.md").read_text().splitlines()
    assert lines[0] == "# What known mistakes are worth: toy, horizon 12"
    assert lines[-1] == r"- Made by: benchmark pitfalls own.yaml --dataset toy --horizon 12"
    rows = [line.split(" | ") for line in lines if line.startswith("| ")][2:]
    assert {row[1] for row in rows} == {"least_squares", "last", "10% worse than least_squares"}
    assert rows[-1][-1].startswith("mean over toy, akl_pedestrians; it crashed on ")
    honest, mistaken = float(rows[0][2]), float(rows[0][3])
    assert float(rows[0][4].rstrip("%")) == pytest.approx(100 * (mistaken / honest - 1), abs=0.05)
    assert answer.out.splitlines()[-1] == "Table: pitfalls.md"


def test_a_study_that_was_stopped_goes_on(
    toy: Path,
    command: Command,
    write_yaml: Callable[[str, Any], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmark.cli.auditing.COMPANIONS", ("toy", "akl_pedestrians"))
    write_yaml("own.yaml", LAST.model_dump(mode="json") | {"dataset": "toy"})
    words = ("pitfalls", "own.yaml", "--dataset", "toy", "--horizon", 12)
    undisturbed = command(*words)
    assert undisturbed.code == 0, undisturbed.err
    made: list[str] = []
    score = Bench.score

    def counted(bench: Bench, *given: Any, **more: Any) -> Any:
        made.append("one more")
        if len(made) == stop:
            raise KeyboardInterrupt
        return score(bench, *given, **more)

    stop = 0
    monkeypatch.setattr(Bench, "score", counted)
    assert command(*words).out == undisturbed.out
    whole = len(made)
    made.clear()
    stop = whole - 1  # in what needs several data sets, which comes last
    stopped = command(*words)
    assert (stopped.code, stopped.err) == (130, f"\nStopped.{GOES_ON}\n")
    made[:] = [""] * stop
    elsewhere = command(*words[:-1], 13)
    assert elsewhere.code == 0, elsewhere.err
    assert len(made) - stop == whole, "another horizon has nothing of it"
    made[:] = [""] * stop
    assert command(*words).out == undisturbed.out
    assert len(made) - stop < whole / 2
    assert not list(toy.parent.rglob("unfinished/*"))


def test_a_table_that_cannot_be_written_is_found_before_measuring(
    toy: Path,
    command: Command,
    write_yaml: Callable[[str, Any], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_yaml("own.yaml", LAST.model_dump(mode="json") | {"dataset": "toy"})
    words = ("pitfalls", "own.yaml", "--dataset", "toy", "--horizon", 12, "--only", "drop_last")
    assert command(*words, "--output", "new.md/folder/table.md").code == 0
    assert Path("new.md/folder/table.md").read_text().startswith("# What known mistakes are worth")
    monkeypatch.setattr(study, "measure", None)
    for path, what in (
        ("own.yaml/table.md", "is a file, or lies"),
        ("new.md", "is a folder, not a"),
    ):
        refused = command(*words, "--output", path)
        assert refused.code == 2
        assert refused.err.startswith(f"error: {path}: {what}")
    assert list(Path("new.md/folder").iterdir()) == [Path("new.md/folder/table.md")]


def test_one_mistake_can_be_made_alone_with_settings_of_ones_own(
    toy: Path, command: Command, write_yaml: Callable[[str, Any], str]
) -> None:
    write_yaml("own.yaml", LINEAR.model_dump(mode="json") | {"dataset": "toy"})
    words = ("pitfalls", "own.yaml", "--dataset", "toy", "--horizon", 12)
    options = ("--only", "epoch_on_test", "--set", "training.epochs=1", "--output", "one.md")
    (toy / "datasets" / "ETTh2.csv").write_text("is not read for such a mistake\n")
    answer = command(*words, *options)
    assert answer.code == 0, answer.err
    begun = [line for line in answer.out.splitlines() if " of 4: " in line]
    assert begun[0] == "1 of 4: epoch on test: least_squares"
    assert begun[1:] == [
        f"{seed + 1} of 4: epoch on test: linear, seed {seed}" for seed in (1, 2, 3)
    ]
    lines = Path("one.md").read_text().splitlines()
    (row,) = [line for line in lines if line.startswith("| ")][2:]
    cells = row.split(" | ")
    assert cells[0] == "| epoch chosen on test"
    assert cells[2] == cells[3]  # of one epoch there is nothing to choose
    assert "±" in cells[2]
    assert cells[4:6] == ["+0.00%±0.00", "3"]
    assert command(*words, *options, "--seeds", 1).code == 0
    lines = Path("one.md").read_text().splitlines()
    assert "±" not in lines[-4]
    assert lines[-1].endswith("--horizon 12 --seeds 1 --only epoch_on_test --set training.epochs=1")
    refused = command(*words, "--only", "epoch_on_tests")
    assert refused.code == 2
    assert "--only: unknown mistake 'epoch_on_tests'; did you mean 'epoch_on_test'?" in refused.err


class OneStep(Linear):
    """Forecasts a step too few."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x)[:, 1:]


def test_a_models_own_fault_is_told_as_one(task: Task) -> None:
    wrong = spec(name="wrong", model={"class": f"{__name__}.OneStep"})
    with pytest.raises(UserError, match="wrong on toy: model: a forecast must have shape"):
        study.measure(task.series, 12, [wrong], only=["drop_last"])


def test_a_model_that_does_not_fit_is_told_before_any_training(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mistakes, "fit", None)
    with pytest.raises(UserError, match="lookback: 9999"):
        study.measure(task.series, 12, [LINEAR, spec(lookback=9999)])


def test_a_companion_that_is_too_short_for_the_horizon_is_left_out(task: Task) -> None:
    splits = Splits(train=400, val=11, test=289)  # no validation window of 12 steps
    card = task.series.card.model_copy(update={"splits": splits})
    others = [replace(task.series, name="short", card=card), replace(task.series, name="other")]
    (found,) = study.measure(task.series, 12, [LAST], others, only=["filled_failure"])
    assert found.meaning.startswith("mean over toy, other; ")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--only", "epoch_on_test"], "--only epoch_on_test: cannot be made with these models"),
        (["own.yaml"], "last: two models have this name"),
        (["--set", "refit=true"], "last: refit: is true"),
    ],
)
def test_what_cannot_be_measured_is_told(
    toy: Path, command: Command, write_yaml: Callable[[str, Any], str], more: list[str], told: str
) -> None:
    write_yaml("own.yaml", LAST.model_dump(mode="json") | {"dataset": "toy"})
    answer = command("pitfalls", "own.yaml", "--dataset", "toy", "--horizon", 12, *more)
    assert answer.code == 2
    assert "What known mistakes are worth" not in answer.out
    assert answer.err.startswith(f"error: {told}")
