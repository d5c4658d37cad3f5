from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny import LINEAR
from torch import Tensor

import benchmark.harness.fitted as harness
from benchmark.data.card import load_card
from benchmark.data.load import load
from benchmark.data.task import Task
from benchmark.data.windows import Windows
from benchmark.errors import UserError
from benchmark.harness.fitted import resolve_device
from benchmark.harness.machine import hardware
from benchmark.harness.plan import Plan, plan
from benchmark.harness.run import run
from benchmark.harness.spec import Execution, RunSpec, load_run
from benchmark.records.store import Store
from benchmark.suites.done import is_done

SPEC = RunSpec.model_validate_json(
    json.dumps(LINEAR | {"training": {"epochs": 2, "batch_size": 64}})
)


def changed(**fields: Any) -> RunSpec:
    return RunSpec.model_validate_json(json.dumps(SPEC.model_dump() | fields))


def planned(**fields: Any) -> Plan:
    return plan(changed(**fields), "linear.yaml")


@pytest.fixture
def execution(toy: Path) -> Execution:
    return Execution(results=toy / "results", device="cpu", checkpoint=True)


def test_a_run_leaves_a_folder_with_all_it_says(execution: Execution) -> None:
    torch.set_num_threads(2)
    record = run(planned(), execution)
    folder = execution.results / "runs" / record.run_id
    assert {path.name for path in folder.iterdir()} == {
        "SHA256SUMS", "checkpoint.pt", "data.json", "errors.npz", "forecasts.npz", "quantiles.npz",
        "record.json", "run.yaml", "training.json",
    }  # fmt: skip
    assert json.loads((folder / "record.json").read_text()) == record.model_dump()
    errors = np.load(folder / "errors.npz")
    assert errors["squared"].shape == (139, 3)
    assert errors["squared"].mean() == pytest.approx(record.mse, rel=1e-5)
    assert errors["absolute_by_step"].shape == (12, 3)
    assert errors["absolute_by_step"].mean() == pytest.approx(record.mae, rel=1e-5)
    assert errors["channels"].tolist() == ["load", "heat", "wind"]
    curve = json.loads((folder / "training.json").read_text())
    assert [epoch["number"] for epoch in curve] == [1, 2]
    assert min(epoch["val_mse"] for epoch in curve) == record.val_mse
    assert record.params == 24 * 12 + 12
    assert record.test_windows == 139
    assert record.epochs == 2
    assert record.threads == 2
    assert record.hardware == hardware(torch.device("cpu"))
    assert record.data == load(load_card("toy")).digest[:16]


def test_the_written_configuration_is_the_same_run(execution: Execution) -> None:
    first = planned(training={"epochs": 1, "learning_rate": 1e-5, "schedule": {"kind": "cosine"}})
    record = run(first, execution)
    path = execution.results / "runs" / record.run_id / "run.yaml"
    again = load_run(path)
    assert again == first.spec
    assert plan(again, str(path)).run_id == record.run_id


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"lookback": 36},
        {"horizon": 13},
        {"model": {"class": "Linear", "normalise": "last"}},
        {"model": {"class": "DLinear"}},
        {"training": {"epochs": 3, "batch_size": 64}},
    ],
    ids=str,
)
def test_a_changed_option_is_another_run_and_another_configuration(
    toy: Path, change: dict[str, Any]
) -> None:
    first, other = planned(), planned(**change)
    assert first.run_id != other.run_id
    assert first.config != other.config


def test_another_seed_is_another_run_of_the_same_configuration(toy: Path) -> None:
    first, other = planned(), planned(seed=2)
    assert first.run_id != other.run_id
    assert first.config == other.config


@pytest.mark.parametrize(
    "change",
    [
        {"description": "in other words"},
        {"model": {"class": "Linear", "normalise": "none"}},  # its default, spelt out
        {"training": SPEC.training.model_dump() | {"patience": 3}},
    ],
    ids=str,
)
def test_what_changes_no_number_is_the_same_run(toy: Path, change: dict[str, Any]) -> None:
    assert planned().run_id == planned(**change).run_id


def test_how_a_run_is_executed_is_no_part_of_its_id(execution: Execution) -> None:
    quiet = run(planned(), execution)
    loud = replace(execution, device="auto", verbose=False, checkpoint=False)
    again = run(planned(), loud)
    assert (again.run_id, again.mse, again.val_mae) == (quiet.run_id, quiet.mse, quiet.val_mae)


@pytest.mark.parametrize(("member", "devices"), [("Ridge", 1), ("LastValue", 1), ("Linear", 2)])
def test_only_a_fit_by_gradient_is_shared_by_devices(toy: Path, member: str, devices: int) -> None:
    alone: dict[str, Any] = {"class": member}
    for model in (alone, {"class": "Ensemble", "members": [{"model": alone}]}):
        assert planned(model=model, parallel={"devices": 2}).devices == devices


def test_another_season_is_another_run_under_another_protocol(
    toy: Path, write_dataset: Callable[..., Path]
) -> None:
    customary = planned(model={"class": "SeasonalNaive"})
    write_dataset("other", season=12)
    other = plan(changed(dataset="other", model={"class": "SeasonalNaive"}), "linear.yaml")
    assert (customary.task.season, other.task.season) == (24, 12)
    assert other.series.digest == customary.series.digest
    assert other.config != customary.config
    assert other.task.fingerprint("") != customary.task.fingerprint("")


def test_training_options_are_no_part_of_what_is_not_trained(toy: Path) -> None:
    ridge = {"class": "Ridge"}
    for model in (ridge, {"class": "Ensemble", "members": [{"model": ridge}]}):
        assert planned(model=model).run_id == planned(model=model, training={"epochs": 9}).run_id
    mixed = {"class": "Ensemble", "members": [{"model": ridge}, {"model": {"class": "Linear"}}]}
    assert planned(model=mixed).run_id != planned(model=mixed, training={"epochs": 9}).run_id


def test_other_data_under_the_same_name_are_another_run(
    toy: Path, values: NDArray[np.float64], write_dataset: Callable[..., Path]
) -> None:
    first = planned()
    other = values.copy()
    other[-1, 0] += 1
    write_dataset(values=other)
    assert planned().run_id != first.run_id
    write_dataset(splits={"train": 399, "val": 150, "test": 150})
    assert planned().run_id != first.run_id


def test_editing_a_users_module_makes_another_run(
    toy: Path, write_module: Callable[[str, str], None]
) -> None:
    text = "from benchmark.forecasters.linear import Linear\nclass Mine(Linear):\n    pass\n"
    write_module("users_edited", text)
    first = planned(model={"class": "users_edited.Mine"})
    assert planned(model={"class": "users_edited.Mine"}).run_id == first.run_id
    write_module("users_edited", text + "# another thought\n")
    assert planned(model={"class": "users_edited.Mine"}).run_id != first.run_id


OPTIONS = """\
from pathlib import Path
from benchmark.forecasters.linear import Linear

class Odd(Linear):
    def __init__(
        self, shape, *, table: Path = Path("a.csv"), names: frozenset[str] = frozenset("ab"), kind=0
    ):
        super().__init__(shape)

class Nameless(Linear):
    def __init__(self, shape, *, kind=Odd, bound: float = 1.0):
        super().__init__(shape)

class Endless(Linear):
    def __init__(self, shape, *, bound: float = float("inf")):
        super().__init__(shape)
"""


def test_an_option_may_be_what_json_has_not(
    toy: Path, write_module: Callable[[str, str], None]
) -> None:
    write_module("users_options", OPTIONS)

    def run_id(**options: Any) -> str:
        return planned(model={"class": "users_options.Odd", **options}).run_id

    assert run_id() == run_id(table="a.csv", names=["b", "a"])
    assert len({run_id(), run_id(table="b.csv"), run_id(names=["a", "c"])}) == 3
    letters = list("abcdefgh")
    assert run_id(names=letters) == run_id(names=letters[::-1])


@pytest.mark.parametrize("name", ["Nameless", "Endless"])
def test_an_option_that_nothing_can_tell_apart_is_refused(
    toy: Path, write_module: Callable[[str, str], None], name: str
) -> None:
    write_module("users_options", OPTIONS)
    with pytest.raises(UserError, match=r"^linear\.yaml: model: has an option that cannot be wri"):
        planned(model={"class": f"users_options.{name}"})


@pytest.mark.parametrize("model", ["Linear", "Ridge"])
def test_no_row_after_the_validation_border_changes_what_is_fitted(
    execution: Execution,
    values: NDArray[np.float64],
    write_dataset: Callable[..., Path],
    model: str,
) -> None:
    other = values.copy()
    other[550:] = np.random.default_rng(2).normal(size=(150, 3)) * 1e3
    write_dataset("perturbed", values=other)
    records, weights = [], []
    for dataset in ("toy", "perturbed"):
        record = run(planned(dataset=dataset, model={"class": model}), execution)
        records.append(record)
        path = execution.results / "runs" / record.run_id / "checkpoint.pt"
        weights.append(torch.load(path, weights_only=True))
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert records[0].val_mse == records[1].val_mse
    assert records[0].best_epoch == records[1].best_epoch
    assert records[1].mse > 100 * records[0].mse  # the test rows are other ones indeed
    scales = [
        np.load(execution.results / "runs" / r.run_id / "errors.npz")["scale"] for r in records
    ]
    assert (scales[0] == scales[1]).all()


@pytest.mark.parametrize("model", ["Linear", "Ridge", "SeasonalNaive"])
def test_test_windows_come_after_the_fit_and_each_is_scored_once(
    execution: Execution, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    asked: list[str] = []
    read: list[int] = []
    test: list[Windows] = []
    windows, gather, fit = Task.windows, Windows.gather, harness.fit

    def asking(self: Task, split: Any, device: Any = "cpu") -> Windows:
        asked.append(split)
        made = windows(self, split, device)
        if split == "test":
            test.append(made)
        return made

    def fitting(*arguments: Any) -> Any:
        asked.append("fit begins")
        report = fit(*arguments)
        asked.append("fit ends")
        return report

    def reading(self: Windows, index: Tensor) -> Any:
        if any(self is made for made in test):
            read.extend(index.tolist())
        return gather(self, index)

    monkeypatch.setattr(Task, "windows", asking)
    monkeypatch.setattr(Windows, "gather", reading)
    monkeypatch.setattr(harness, "fit", fitting)
    run(planned(model={"class": model}), execution)
    assert asked == ["train", "val", "fit begins", "fit ends", "test"]
    assert read[:139] == list(range(139))
    assert len(read) == 139 + 3, "the best, the median and the worst are forecast again to be shown"


def test_the_windows_given_to_a_fit_hold_no_test_row(toy: Path) -> None:
    task = planned().task
    for windows in (task.windows("train"), task.windows("val"), task.windows_before_test()):
        assert windows._view.untyped_storage().nbytes() == 550 * 3 * 4
    assert task.windows("test")._view.untyped_storage().nbytes() == 700 * 3 * 4


def test_a_metric_that_the_data_do_not_have_is_an_empty_column(
    execution: Execution, values: NDArray[np.float64], write_dataset: Callable[..., Path]
) -> None:
    still = values.copy()
    still[550:] = 0.1
    write_dataset(values=still)
    assert run(planned(), execution).r2 is None
    write_dataset(values=np.tile(values[:24], (30, 1))[:700])
    record = run(planned(), execution)
    assert record.mase is None
    assert record.status == "done"


def test_a_results_folder_that_cannot_be_written_is_told_before_training(
    execution: Execution, toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harness, "fit", lambda *_: pytest.fail("trained in vain"))
    (toy / "taken").write_text("")
    with pytest.raises(UserError, match="is a file, or lies below one"):
        run(planned(), replace(execution, results=toy / "taken" / "results"))


def test_a_name_too_long_for_a_folder_is_refused_before_training(
    toy: Path, write_dataset: Callable[..., Path]
) -> None:
    write_dataset("d" * 60)
    with pytest.raises(UserError, match=r"linear\.yaml: name: .* longer than 128 characters"):
        planned(name="m" * 60, dataset="d" * 60)


def test_a_row_that_the_store_rebuilds_is_the_record_returned(execution: Execution) -> None:
    record = run(planned(seed=2**32 - 1), execution)
    assert Store(execution.results).records() == [record]


def test_cuda_where_there_is_none_is_the_users_mistake(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="use --device cpu"):
        resolve_device(Execution(results=toy, device="cuda"))
    assert resolve_device(Execution(results=toy)).type == "cpu"


def test_a_run_without_the_weights_that_are_wanted_is_not_done(execution: Execution) -> None:
    weightless = replace(execution, checkpoint=False)
    run(planned(), weightless)
    assert is_done(planned(), weightless)
    assert not is_done(planned(), execution)
    run(planned(), execution)
    assert is_done(planned(), execution)
    assert not is_done(planned(), replace(execution, force=True))
