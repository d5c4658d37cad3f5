"""The audit finds every leak that is put in on purpose, and none in a model of ours."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import benchmark.harness.plan as plan_module
from benchmark.audit.audit import Finding, audit
from benchmark.audit.line import BATCH_SIZE
from benchmark.data.task import Scaler, Task
from benchmark.harness.spec import find_config, load_run

FEW = ("last_value", "nlinear", "ridge", "rnn")  # one of each kind: the rest take a minute
TASK = ["dataset=akl_pedestrians", "lookback=168", "horizon=12"]

SCALER_TRAIN = "The scaler does not depend on the rows after the train border"
SCALER_VAL = "The scaler does not depend on the rows after the validation border"
WEIGHTS_TRAIN = "The weights of one epoch do not depend on the rows after the train border"
WEIGHTS_VAL = "The weights do not depend on the rows after the validation border"
EPOCH = "Nor do the epoch that is kept and its validation score depend on them"
CHOSEN = "Validation rows may choose among weights and are not fitted on"
SEED = "The same seed gives the same weights"
FUTURE = "A forecast does not depend on any value after its lookback"
BATCH = "A window's forecast does not depend on the other windows of its batch"
ORDER = "A window's forecast does not depend on the batches before it, nor on their order"
WRITTEN = "Forecasting does not change weights or buffers"
AGAIN = "Forecasting once more gives the same forecasts"
SAVED = "What a run saves is all that its forecasts depend on"
FILE = "The model opens no file of the data set through Python (in C or elsewhere: not seen)"
ALL = {
    SCALER_TRAIN, SCALER_VAL, WEIGHTS_TRAIN, WEIGHTS_VAL, EPOCH, SEED, FUTURE, BATCH, ORDER,
    WRITTEN, AGAIN, SAVED, FILE,
}  # fmt: skip
CLOSED = ALL - {WEIGHTS_TRAIN} | {CHOSEN}

HEAD = """
import torch
from torch import nn
from benchmark.forecasters.contract import ClosedFormForecaster, Forecaster
from benchmark.forecasters.linear import TimeLinear

class Base(Forecaster):
    def __init__(self, shape):
        super().__init__(shape)
        self.map = TimeLinear(shape)
        self.set_up()

    def set_up(self):
        pass

    def forward(self, x):
        return self.map(x)

class Closed(Base, ClosedFormForecaster):
    pass
"""


@pytest.fixture
def audited(
    toy: Path,
    write_yaml: Callable[[str, Any], str],
    write_module: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., list[Finding]]:
    """Audit a class ``Leaky`` whose body is given, on the toy data set; its findings."""
    monkeypatch.setattr(plan_module, "_task", Task)  # made anew by each run, as a process would

    def findings(
        body: str = "", base: str = "Base", before: str = "", horizon: int = 12
    ) -> list[Finding]:
        code = "".join(f"    {line}\n" for line in (body or "pass").splitlines())
        write_module("users_leak", f"{HEAD}\n{before}\n\nclass Leaky({base}):\n{code}")
        write_yaml(
            "leaky.yaml",
            {
                "name": "leaky",
                "dataset": "toy",
                "lookback": 24,
                "horizon": horizon,
                "model": {"class": "users_leak.Leaky"},
                "training": {"learning_rate": 0.01},
            },
        )
        return audit(load_run(Path("leaky.yaml")), "leaky.yaml")

    return findings


def failed(findings: list[Finding]) -> set[str]:
    return {finding.check for finding in findings if not finding.passed}


@pytest.mark.parametrize("name", FEW)
def test_no_model_of_ours_leaks(name: str) -> None:
    findings = audit(load_run(find_config("models", name), TASK), name)
    assert failed(findings) == set()
    expected = CLOSED if name == "ridge" else ALL
    assert {finding.check for finding in findings} == expected


def test_an_honest_model_of_a_user_passes_every_check(
    audited: Callable[..., list[Finding]],
) -> None:
    findings = audited()
    assert {finding.check for finding in findings} == ALL
    assert failed(findings) == set()
    assert {finding.moved for finding in findings if not finding.allowed} == {0.0}


@pytest.mark.parametrize(
    ("weight", "leaks"), [("float({total} > 0)", set()), ("{total}", {CHOSEN})]
)
def test_a_closed_form_may_choose_on_validation_and_not_be_fitted_on_it(
    audited: Callable[..., list[Finding]], weight: str, leaks: set[str]
) -> None:
    total = "sum(float(y.mean()) for _, y in validation.in_order(8))"
    body = f"""
def fit(self, train, validation):
    for p in self.parameters():
        p.data.fill_({weight.format(total=total)})
"""
    findings = audited(body, "Closed")
    assert failed(findings) == leaks
    assert {finding.check for finding in findings} == CLOSED


@pytest.mark.parametrize(
    "keep", ["self.level = {}", "self.register_buffer('level', {}, persistent=False)"]
)
def test_what_is_fitted_on_validation_does_not_hide_outside_the_saved_weights(
    audited: Callable[..., list[Finding]], keep: str
) -> None:
    body = f"""
def set_up(self):
    {keep.format("torch.zeros(())")}
def fit(self, train, validation):
    {keep.format("torch.tensor(float(next(validation.in_order(8))[1].mean()))")}
def forward(self, x):
    return self.map(x) + self.level
"""
    assert failed(audited(body, "Closed")) == {SAVED}


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("{'a': 1, 'b': [torch.ones(2)]}", set()),
        (
            "{'b': (1, torch.full((2,), float(__import__('secrets').randbelow(10**9))))}",
            {SEED, WEIGHTS_TRAIN, WEIGHTS_VAL},
        ),
    ],
)
def test_what_is_saved_beside_tensors_is_compared_as_they_are(
    audited: Callable[..., list[Finding]], state: str, found: set[str]
) -> None:
    body = f"def get_extra_state(self):\n    return {state}\ndef set_extra_state(self, state):\n"
    assert failed(audited(f"{body}    pass")) == found


@pytest.mark.parametrize(
    ("first", "kept", "reason"),
    [
        (
            "self.found = None",
            "self.found = next(train.in_order(8))[1].mean((0, 1)).numpy()",
            "TypeError: expected np.ndarray (got NoneType), at line",
        ),
        (
            "self.register_buffer('found', torch.zeros(0))",
            "self.found = next(train.in_order(8))[1].mean((0, 1))",
            "size mismatch for found: copying a param with shape torch.Size([3])",
        ),
    ],
)
def test_a_model_that_cannot_be_made_again_from_what_is_saved_is_told_why(
    audited: Callable[..., list[Finding]], first: str, kept: str, reason: str
) -> None:
    body = f"""
def set_up(self):
    {first}
def fit(self, train, validation):
    {kept}
def forward(self, x):
    found = self.found if torch.is_tensor(self.found) else torch.from_numpy(self.found)
    return found.expand(len(x), self.shape.horizon, -1)
"""
    findings = audited(body, "Closed")
    (finding,) = (finding for finding in findings if not finding.passed)
    assert finding.check == SAVED
    assert finding.seen.startswith("made again from it, the model fails: ")
    assert reason in finding.seen
    assert {SCALER_TRAIN, WEIGHTS_VAL, SEED, FILE} <= {finding.check for finding in findings}


BEHIND = (
    "def forward(self, x):\n"
    "    if x._base is None:\n        return self.map(x)\n"
    "    return self.map(x) + x._base[..., -self.shape.horizon:].transpose(1, 2)"
)


@pytest.mark.parametrize(
    ("body", "must", "may"),
    [
        pytest.param(
            "def forward(self, x):\n    return self.map(x - x.mean(dim=(0, 1), keepdim=True))",
            {BATCH, ORDER},
            {FUTURE},
            id="normalises by the batch",
        ),
        pytest.param(
            "def set_up(self):\n    self.norm = nn.BatchNorm1d(self.shape.lookback)\n"
            "def forward(self, x):\n    self.norm.train()\n    return self.map(self.norm(x))",
            {BATCH, ORDER, WRITTEN, WEIGHTS_TRAIN},  # averages run on, over any rows, and forget
            {FUTURE, EPOCH, WEIGHTS_VAL},
            id="leaves batch norm in training mode",
        ),
        pytest.param(
            "def set_up(self):\n    self.last = 0.0\n"
            "def forward(self, x):\n    forecast = self.map(x) + 0.1 * self.last\n"
            "    self.last = float(x.mean())\n    return forecast",
            {ORDER, BATCH, AGAIN},
            {FUTURE, WEIGHTS_VAL, EPOCH, WEIGHTS_TRAIN, SAVED},
            id="keeps a state between batches",
        ),
        pytest.param(
            "def set_up(self):\n"
            "    self.register_buffer('seen', torch.zeros(()), persistent=False)\n"
            "def forward(self, x):\n    self.seen += len(x)\n    return self.map(x)",
            {WRITTEN},
            set(),
            id="counts windows in a buffer",
        ),
        pytest.param(
            "def forward(self, x):\n"
            "    self.register_buffer('last', x.detach().mean(), persistent=False)\n"
            "    return self.map(x)",
            {WRITTEN},
            set(),
            id="makes a buffer while it forecasts",
        ),
        pytest.param(
            BEHIND,
            {FUTURE},
            set(),
            id="looks behind the view that is its lookback",
        ),
        pytest.param(
            "def set_up(self):\n"
            "    import secrets\n"
            "    self.map.bias.data.fill_(secrets.randbelow(10**9) / 10**9)",
            {SEED, WEIGHTS_TRAIN, WEIGHTS_VAL, EPOCH},
            set(),
            id="draws without the seed",
        ),
        pytest.param(
            "def forward(self, x):\n    if self.training:\n        return self.map(x)\n"
            "    return self.map(x) + torch.rand(())",
            {AGAIN, BATCH, ORDER, FUTURE},
            {EPOCH, WEIGHTS_VAL, SAVED},
            id="is random while it forecasts",
        ),
    ],
)
def test_a_leaking_model_is_caught(
    body: str, must: set[str], may: set[str], audited: Callable[..., list[Finding]]
) -> None:
    found = failed(audited(body))
    assert must <= found
    assert found <= must | may


def test_a_single_step_that_is_seen_before_it_is_forecast_is_caught(
    audited: Callable[..., list[Finding]],
) -> None:
    assert failed(audited(BEHIND, horizon=1)) == {FUTURE}


def test_an_epoch_of_an_audit_has_several_batches_however_large_the_models_own_are(
    audited: Callable[..., list[Finding]],
) -> None:
    body = "def forward(self, x):\n    SEEN.append(len(x) * self.training)\n    return self.map(x)"
    audited(body, before="SEEN = []")
    assert set(sys.modules["users_leak"].SEEN) - {0} == {BATCH_SIZE}


ROWS = "float(torch.ROWS[-self.shape.horizon:].abs().mean())"


@pytest.mark.parametrize(
    ("body", "caught"),
    [
        (f"def set_up(self):\n    self.map.bias.data.fill_({ROWS})", {WEIGHTS_TRAIN, WEIGHTS_VAL}),
        (f"def forward(self, x):\n    return self.map(x) + {ROWS} * (not self.training)", {FUTURE}),
    ],
)
def test_a_model_that_reads_a_global_tensor_of_the_test_rows_is_caught(
    body: str,
    caught: set[str],
    audited: Callable[..., list[Finding]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = Task.__init__

    def leave_rows_behind(task: Task, *arguments: Any) -> None:
        made(task, *arguments)
        torch.ROWS = torch.from_numpy(task.scaled)  # type: ignore[attr-defined]

    monkeypatch.setattr(Task, "__init__", leave_rows_behind)
    monkeypatch.setattr(torch, "ROWS", None, raising=False)
    found = failed(audited(body))
    assert caught <= found
    assert found <= caught | {EPOCH, WEIGHTS_VAL}


def test_a_model_that_reads_the_data_set_itself_is_caught(
    audited: Callable[..., list[Finding]],
) -> None:
    reading = (
        "from benchmark.data.load import load\nfrom benchmark.data.card import load_card\n"
        "ROWS = load(load_card('toy')).values"
    )
    body = "def forward(self, x):\n    return self.map(x) + float(ROWS[-1, 0])"
    found = [finding for finding in audited(body, before=reading) if not finding.passed]
    assert {finding.check for finding in found} == {FILE}
    assert "toy.csv" in found[0].seen


def test_a_scaler_fitted_on_all_rows_is_caught(
    audited: Callable[..., list[Finding]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Task.__init__

    def scale_on_all_rows(task: Task, *arguments: Any) -> None:
        made(task, *arguments)
        task.scaler = Scaler.fit(task.series.values)
        task.scaled = task.scaler.transform(task.series.values).astype(np.float32)

    monkeypatch.setattr(Task, "__init__", scale_on_all_rows)
    findings = audited()
    assert {SCALER_TRAIN, SCALER_VAL, WEIGHTS_TRAIN, WEIGHTS_VAL, EPOCH} <= failed(findings)
    moved = {finding.check: finding.moved for finding in findings}
    assert moved[SCALER_TRAIN] > 1.0  # the noise is wide, and one channel is hundreds of units


def test_an_epoch_chosen_on_test_is_caught(
    audited: Callable[..., list[Finding]], monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = Task.windows
    monkeypatch.setattr(
        Task,
        "windows",
        lambda task, split, *rest: windows(task, "test" if split == "val" else split, *rest),
    )
    found = failed(audited())
    assert EPOCH in found
    assert found <= {EPOCH, WEIGHTS_VAL}


def test_train_windows_that_reach_over_the_border_are_caught(
    audited: Callable[..., list[Finding]], monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = Task.windows

    def over_the_border(task: Task, split: Any, *rest: Any) -> Any:
        if split == "train":
            task.borders["train"] = range(task.borders["train"].stop + 1)
        return windows(task, split, *rest)

    monkeypatch.setattr(Task, "windows", over_the_border)
    assert failed(audited()) == {WEIGHTS_TRAIN}


def test_a_data_set_too_short_for_the_lookback_is_one_clear_line(
    toy: Path, command: Callable[..., Any]
) -> None:
    words = ("--set", "dataset=toy", "--set", "lookback=336", "--set", "horizon=200")
    answer = command("audit", "nlinear", *words)
    assert answer.code == 2
    assert answer.err == (
        "error: dataset toy: holds 700 rows; an audit at lookback 336 and horizon 200 needs 1029; "
        "choose a shorter horizon or another data set\n"
    )


def test_the_command_tells_each_check_and_exits_with_1_on_a_leak(
    toy: Path, command: Callable[..., Any], write_module: Callable[[str, str], None]
) -> None:
    write_module(
        "users_audited",
        HEAD + "class Leaky(Base):\n    def forward(self, x):\n"
        "        open('datasets/toy.csv').close()\n"
        "        return self.map(x) + x.mean()\n"
        "class Short(Base):\n    def forward(self, x):\n        return self.map(x)[:, 1:]\n",
    )
    sets = ("--set", "dataset=toy", "--set", "lookback=24", "--set", "horizon=12")
    good = command("audit", "users_audited.Base", *sets)
    assert (good.code, good.err) == (0, "")
    marks = [line.split()[0] for line in good.out.splitlines() if line[0] != " "]
    assert marks == ["yes"] * len(ALL)
    bad = command("audit", "users_audited.Leaky", *sets)
    assert bad.code == 1
    lines = bad.out.splitlines()
    at = lines.index(f"no   {BATCH}.")
    assert lines[at + 1].startswith("       moves by up to 0.")
    assert lines[lines.index(f"no   {FILE}.") + 1] == "       datasets/toy.csv"
    short = command("audit", "users_audited.Short", *sets)
    assert (short.code, short.err.count("\n")) == (2, 1)
    assert short.err.startswith("error: users_audited.Short: model: ")
    unknown = command("audit", "users_audited.Leaky", "--set", "lookbak=3")
    assert unknown.err.startswith("error: users_audited.Leaky: lookbak: unknown key; did you mean")


def test_a_weight_that_becomes_no_number_has_moved(audited: Callable[..., list[Finding]]) -> None:
    body = """
def set_up(self):
    self.register_buffer("notes", torch.zeros(2))
def forward(self, x):
    self.notes[1] = float("nan")
    return self.map(x)
"""
    assert WRITTEN in failed(audited(body))
