from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import ReferenceType, ref

import pytest

import benchmark.suites.suite as suites
from benchmark.config import validate
from benchmark.data.task import Task
from benchmark.errors import UserError
from benchmark.harness.plan import Plan
from benchmark.harness.spec import (
    SuiteSpec,
    config_names,
    design_names,
    find_config,
    load_run,
    load_suite,
)
from benchmark.plain_yaml import load_yaml
from benchmark.records.record import RunRecord
from benchmark.records.store import Store
from benchmark.suites.attempt import InProcess, freeze_modules

RunTiny = Callable[..., Any]


def records(toy: Path) -> list[RunRecord]:
    return Store(toy / "results").records()


def test_every_combination_is_run_and_what_has_no_randomness_once(
    toy: Path, run_tiny: RunTiny
) -> None:
    done = run_tiny()
    found = sorted((r.model, r.horizon, r.seed, r.status) for r in records(toy))
    assert found == [
        ("linear", 6, 1, "done"), ("linear", 6, 2, "done"),
        ("linear", 12, 1, "done"), ("linear", 12, 2, "done"),
        ("naive", 6, 1, "done"), ("naive", 12, 1, "done"),
    ]  # fmt: skip
    assert done.outcome.run_ids == {r.run_id for r in records(toy)}
    assert done.outcome.failed == ()
    lines = [line for line in done.output.splitlines() if line.startswith("done")]
    assert len(lines) == 6
    assert "linear" in lines[1]
    assert "toy 24>6" in lines[1]
    assert "best epoch 1 of 1" in lines[1]


OWN = """
import torch
from benchmark.forecasters.naive import LastValue

class Drawn(LastValue):
    def __init__(self, shape):
        super().__init__(shape)
        self.register_buffer("drawn", torch.rand(()))
    def forward(self, x):
        return super().forward(x) + self.drawn

class Fixed(LastValue):
    seeded = False
"""


@pytest.mark.parametrize(("name", "seeds"), [("Drawn", {1, 2}), ("Fixed", {1})])
def test_a_users_model_is_run_at_every_seed_unless_it_says_that_it_has_none(
    toy: Path, run_tiny: RunTiny, write_yaml: Any, write_module: Any, name: str, seeds: set[int]
) -> None:
    write_module("users_seeds", OWN)
    own = {"name": "own", "model": {"class": f"users_seeds.{name}"}}
    write_yaml("own.yaml", own)
    member = {"model": {"class": f"users_seeds.{name}"}}
    write_yaml("mean.yaml", {"name": "mean", "model": {"class": "Ensemble", "members": [member]}})
    run_tiny(models=["own.yaml", "mean.yaml", "naive.yaml"])
    rows = records(toy)
    assert {r.seed for r in rows if r.model in ("own", "mean") and r.status == "done"} == seeds
    assert {r.seed for r in rows if r.model == "naive"} == {1}
    scores = {r.mse for r in rows if r.model == "own" and r.horizon == 6}
    assert len(scores) == len(seeds)


def test_a_second_call_runs_nothing(
    toy: Path, run_tiny: RunTiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_tiny()
    monkeypatch.setattr("benchmark.suites.attempt.run", lambda *_: pytest.fail("ran what was done"))
    second = run_tiny()
    assert second.outcome.run_ids == first.outcome.run_ids
    assert second.output == "6 of 6 runs are done already and are not run again.\n"


def test_force_runs_again_what_is_done(toy: Path, run_tiny: RunTiny) -> None:
    run_tiny(models=["naive.yaml"])
    folders = {path: path.stat().st_ino for path in (toy / "results" / "runs").iterdir()}
    done = run_tiny(models=["naive.yaml"], force=True)
    assert "done already" not in done.output
    again = {path: path.stat().st_ino for path in (toy / "results" / "runs").iterdir()}
    assert again.keys() == folders.keys()
    assert all(again[path] != folders[path] for path in folders)


def test_only_what_was_changed_is_run_again(toy: Path, run_tiny: RunTiny) -> None:
    run_tiny()
    done = run_tiny(["training.epochs=2"])  # the naive rows have no training to change
    assert "2 of 6 runs are done already" in done.output
    done = run_tiny(seeds=[1, 2, 3])
    assert "6 of 8 runs are done already" in done.output
    assert len(done.outcome.run_ids) == 8


def test_runs_that_grids_or_seeds_repeat_are_run_once(toy: Path, run_tiny: RunTiny) -> None:
    grid = {"datasets": ["toy", "toy"], "horizons": [6, 6], "models": ["naive.yaml", "linear.yaml"]}
    done = run_tiny(grids=[grid, grid], seeds=[1, 1])
    assert done.output.count("done ") == 2
    assert len(records(toy)) == 2


def test_the_suites_own_overrides_come_before_the_command_lines(
    toy: Path, run_tiny: RunTiny
) -> None:
    done = run_tiny(
        ["training.epochs=3"],
        models=["linear.yaml"],
        seeds=[1],
        grids=[{"datasets": ["toy"], "horizons": [6]}],
        set={"training.epochs": 2, "training.learning_rate": 1e-5},
    )
    (run_id,) = done.outcome.run_ids
    spec = load_run(toy / "results" / "runs" / run_id / "run.yaml")
    assert spec.training.epochs == 3
    assert spec.training.learning_rate == 1e-5


def test_a_grid_sets_its_lookback_its_models_and_what_it_leaves_out(
    toy: Path, run_tiny: RunTiny
) -> None:
    run_tiny(
        seeds=[1],
        grids=[
            {"datasets": ["toy"], "horizons": [6]},
            {"datasets": ["toy"], "horizons": [12], "lookbacks": [48], "without": ["naive.yaml"]},
            {
                "datasets": ["toy"],
                "horizons": [7],
                "lookbacks": [36, 72],
                "models": ["naive.yaml"],
            },
        ],
    )
    found = {(r.model, r.lookback, r.horizon) for r in records(toy)}
    own = {("naive", 24, 6), ("linear", 24, 6)}
    assert found == own | {("linear", 48, 12), ("naive", 36, 7), ("naive", 72, 7)}


def test_a_grid_may_have_seeds_of_its_own(toy: Path, run_tiny: RunTiny) -> None:
    run_tiny(
        models=["linear.yaml"],
        seeds=[1],
        grids=[
            {"datasets": ["toy"], "horizons": [6]},
            {"datasets": ["toy"], "horizons": [7], "seeds": [3, 4]},
        ],
    )
    assert {(r.horizon, r.seed) for r in records(toy)} == {(6, 1), (7, 3), (7, 4)}


def test_a_grids_overrides_are_for_its_own_runs_and_come_after_the_suites(
    toy: Path, run_tiny: RunTiny
) -> None:
    done = run_tiny(
        models=["linear.yaml"],
        seeds=[1],
        set={"training.epochs": 2},
        grids=[
            {"datasets": ["toy"], "horizons": [6]},
            {"datasets": ["toy"], "horizons": [7], "set": {"training.epochs": 3}},
        ],
    )
    runs = (load_run(toy / "results" / "runs" / each / "run.yaml") for each in done.outcome.run_ids)
    assert {spec.horizon: spec.training.epochs for spec in runs} == {6: 2, 7: 3}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"set": {"training.epocs": 1}},
            "naive.yaml with overrides: training.epocs: unknown key; did you mean 'epochs'?",
        ),
        ({"set": {"model.hidden_size": 4}}, "naive.yaml with overrides: model.hidden_size"),
        ({"set": {"horizon": 6}}, "tiny.yaml: set.horizon: is not for all runs of a suite alike"),
        (
            {"grids": [{"datasets": ["toy"], "horizons": [6], "set": {"seed": 6}}]},
            "tiny.yaml: grids.0.set.seed: is not for all runs of a suite alike",
        ),
        ({"set": {"name": "x"}}, "tiny.yaml: set.name: is not for all runs of a suite alike"),
        ({"models": ["liner"]}, "model liner: unknown model 'liner'; did you mean 'linear'?"),
        ({"models": ["liner.yaml"]}, "liner.yaml: no such file; did you mean 'linear.yaml'?"),
        (
            {
                "set": {"lookback": 12},
                "grids": [{"datasets": ["toy"], "horizons": [6], "lookbacks": [24]}],
            },
            "tiny.yaml: set.lookback: is not for all runs of a suite alike",
        ),
        ({"name": "runs"}, "tiny.yaml: name: is a folder of the results already"),
        ({"grids": []}, "tiny.yaml: grids: "),
        ({"grids": [{"datasets": ["toyy"], "horizons": [6]}]}, "no such card; did you mean 'toy'?"),
        (
            {"grids": [{"datasets": ["toy"], "horizons": [6], "without": ["gru"]}]},
            "suite tiny: grids.without: gru is none of the grid's models",
        ),
        (
            {"grids": [{"datasets": ["toy"], "horizons": [6, 151]}]},
            "toy: horizon: 151 steps do not fit into the 150 val rows",
        ),
        ({"fallback": "toyy", "grids": [{"datasets": ["gone"], "horizons": [6]}]}, "no such card"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_every_fault_of_a_suite_is_found_before_its_first_run(
    toy: Path,
    run_tiny: RunTiny,
    write_dataset: Callable[..., Path],
    changes: dict[str, Any],
    message: str,
) -> None:
    write_dataset("gone").unlink()
    with pytest.raises(UserError) as fault:
        run_tiny(**changes)
    assert message in str(fault.value)
    assert not (toy / "results").exists()


@pytest.mark.parametrize("key", ["dataset", "horizon", "seed", "name"])
def test_the_command_line_does_not_override_what_the_grid_decides(
    toy: Path, run_tiny: RunTiny, key: str
) -> None:
    with pytest.raises(UserError, match=r"edit a copy of tiny\.yaml"):
        run_tiny([f"{key}=1"])


def test_plans_do_not_each_keep_a_scaled_copy_of_the_data(
    toy: Path, run_tiny: RunTiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[ReferenceType[Task]] = []
    alive: list[int] = []
    initialise = Task.__init__

    def noted(task: Task, *args: Any, **options: Any) -> None:
        made.append(ref(task))
        initialise(task, *args, **options)

    class Counting(InProcess):
        def submit(self, planned: Plan) -> Any:
            future = super().submit(planned)
            alive.append(sum(task() is not None for task in made))
            return future

    monkeypatch.setattr(Task, "__init__", noted)
    horizons = list(range(1, 11))
    run_tiny(
        models=["naive.yaml"],
        grids=[{"datasets": ["toy"], "horizons": horizons}],
        executor=Counting,
    )
    assert len(made) >= len(alive) == 10
    assert max(alive) <= 4


def test_runs_do_not_look_for_garbage_among_modules(toy: Path, run_tiny: RunTiny) -> None:
    gc.unfreeze()
    freeze_modules.cache_clear()
    looked_at: list[int] = []

    class Counting(InProcess):
        def submit(self, planned: Plan) -> Any:
            future = super().submit(planned)
            looked_at.append(len(gc.get_objects()))
            return future

    run_tiny(models=["naive.yaml"], executor=Counting)
    assert max(looked_at) < gc.get_freeze_count() / 10


def test_a_model_beside_its_suite_is_found_from_anywhere(
    toy: Path, suite_yaml: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    suite_yaml()
    elsewhere = toy.parent / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    where = f"../{toy.name}/tiny.yaml"
    suite = load_suite(Path(where))
    models = suites.load_models(suite.grids[0], suite, where)
    assert [model.spec.name for model in models] == ["naive", "linear"]


def test_a_folder_called_like_one_of_our_models_does_not_hide_it(toy: Path) -> None:
    (toy / "ridge").mkdir()
    assert find_config("models", "ridge").suffix == ".yaml"
    with pytest.raises(UserError, match="unknown model"):
        find_config("models", "x" * 5000)


def test_a_model_that_only_a_suite_of_ours_has_is_named_with_it(toy: Path) -> None:
    assert load_run(find_config("models", "tuned/gru")).name == "gru_tuned"
    with pytest.raises(UserError, match="did you mean 'tuned/gru'"):
        find_config("models", "tuned/gruu")


def test_files_called_like_our_models_do_not_stand_for_them_where_nobody_named_them(
    toy: Path, command: Callable[..., Any]
) -> None:
    (toy / "gru").write_text("not a model")
    assert "\ngru " in command("models").out
    grid = {"datasets": ["toy"], "horizons": [6], "without": ["lstm"]}
    suite = validate(SuiteSpec, {"name": "s", "models": ["all"], "grids": [grid]}, "s.yaml")
    names = [model.spec.name for model in suites.load_models(suite.grids[0], suite, "s.yaml")]
    assert names == [name for name in config_names("models") if name != "lstm"]


@pytest.mark.parametrize("name", config_names("suites"))
def test_our_suites_name_models_that_exist_and_options_that_all_of_them_have(name: str) -> None:
    path = find_config("suites", name)
    suite = load_suite(path)
    assert suite.name == name
    for grid in suite.grids:
        suites.load_models(grid, suite, str(path), [])


@pytest.mark.parametrize("name", [*config_names("models"), *design_names()])
def test_our_models_are_called_as_their_files_and_described_in_a_line(name: str) -> None:
    path = find_config("models", name)
    assert load_run(path).name == path.stem
    assert 10 < len(load_yaml(path)["description"]) <= 100


def test_nor_the_lookback_where_the_grid_names_some(toy: Path, run_tiny: RunTiny) -> None:
    grid = {"datasets": ["toy"], "horizons": [6]}
    with pytest.raises(UserError, match=r"--set lookback=12: .*; edit a copy of tiny\.yaml"):
        run_tiny(["lookback=12"], grids=[grid | {"lookbacks": [24]}])
    done = run_tiny(["lookback=12"], grids=[grid])
    specs = [
        load_run(toy / "results" / "runs" / each / "run.yaml") for each in done.outcome.run_ids
    ]
    assert {spec.lookback for spec in specs} == {12}
