"""What can hardly be meant is refused or told, not passed over in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mistakes import LINEAR, mistaken

Command = Callable[..., Any]

PANIC = """\
class Panic(BaseException):
    pass
raise Panic("at the disco")
"""


def test_what_a_package_raises_beside_exceptions_is_told_by_its_line(
    toy: Path,
    command: Command,
    write_yaml: Callable[[str, Any], str],
    write_module: Callable[[str, str], None],
) -> None:
    write_module("users_panic", PANIC)
    write_yaml("model.yaml", LINEAR.replace("Linear", "users_panic.Model"))
    answer = command("run", "model.yaml")
    mistaken(answer, "model.class: Panic: at the disco, at line 3 of users_panic.py")


@pytest.mark.parametrize(
    ("setting", "part"),
    [
        ("model.class=3", ": model.class: is not a name, got 3; name the forecaster's class\n"),
        ("name=1", ': name: input should be a valid string, got 1; put it in quotes: "1"\n'),
    ],
)
def test_a_value_in_the_place_of_a_name_is_told_as_one(
    toy: Path, command: Command, write_yaml: Callable[[str, Any], str], setting: str, part: str
) -> None:
    write_yaml("model.yaml", LINEAR)
    mistaken(command("run", "model.yaml", "--set", setting), part)


WARMING = "linear: training.schedule warms up over 100 epochs (no steps), of 1 in all: the rate "


def test_a_warm_up_longer_than_the_training_is_told(
    toy: Path, command: Command, write_yaml: Callable[[str, Any], str]
) -> None:
    write_yaml("model.yaml", LINEAR)
    grid = {"datasets": ["toy"], "horizons": [12]}
    write_yaml("suite.yaml", {"name": "mine", "models": ["model.yaml"], "grids": [grid]})
    told = f"Note: {WARMING}never rises above 1% of learning_rate"
    run, suite = ("run", "model.yaml"), ("suite", "suite.yaml")
    for words, warmup, expected in ((run, 100, True), (suite, 100, True), (run, 1, False)):
        warm = f"training.schedule={{kind: cosine, warmup: {warmup}}}"
        answer = command(*words, "--set", warm)
        assert answer.code == 0
        assert (told in answer.out) is expected
        assert ("warms up" in answer.out) is expected


@pytest.mark.parametrize(
    ("schedule", "told"),
    [
        ("{factor: 0.9, hold: 3}", "is constant, which reads no factor and no hold: exponential"),
        ("{kind: cosine, hold: 3}", "is cosine, which reads no hold: exponential does"),
        ("{kind: exponential, factor: 0.9, hold: 3}", ""),
        ("{kind: cosine, factor: 0.5, hold: 1, warmup: 0}", ""),  # as a run.yaml has it
    ],
)
def test_an_option_of_another_schedule_is_told(
    toy: Path, command: Command, write_yaml: Callable[[str, Any], str], schedule: str, told: str
) -> None:
    write_yaml("model.yaml", LINEAR)
    answer = command("run", "model.yaml", "--set", f"training.schedule={schedule}")
    assert answer.code == 0
    assert ("Note: linear: training.schedule" in answer.out) is bool(told)
    assert told in answer.out


@pytest.mark.parametrize(
    ("search", "told"),
    [
        ("model.channel_wise", "search.model.channel_wise is no option; "),
        ("training.epocs", "search.training.epocs is no option; did you mean 'epochs'?"),
        ("model.class", ""),
        ("training.epochs", ""),
        ("lookback", ""),
    ],
)
def test_a_key_that_a_search_cannot_try_is_told_by_a_run(
    toy: Path, command: Command, write_yaml: Callable[[str, Any], str], search: str, told: str
) -> None:
    write_yaml("model.yaml", f"{LINEAR}search: {{{search}: [24, 36]}}\n")
    answer = command("run", "model.yaml")
    assert answer.code == 0
    assert ("Note: linear: search." in answer.out) is bool(told)
    assert told in answer.out


def test_a_grid_without_any_model_is_refused(
    toy: Path, command: Command, write_yaml: Callable[[str, Any], str]
) -> None:
    write_yaml("model.yaml", LINEAR)
    grid = {"datasets": ["toy"], "horizons": [12], "without": ["model.yaml"]}
    write_yaml("suite.yaml", {"name": "mine", "models": ["model.yaml"], "grids": [grid]})
    part = "suite.yaml: grids.without: leaves none of the grid's models: model.yaml; keep one"
    mistaken(command("suite", "suite.yaml"), part)


def test_numbers_beyond_all_bounds(
    toy: Path, command: Command, write_yaml: Callable[[str, Any], str]
) -> None:
    write_yaml("model.yaml", LINEAR)
    assert command("run", "model.yaml", "--checkpoint").code == 0
    answer = command("backtest", "linear-toy", "--stride", "1" + "0" * 20)
    assert answer.code == 0
    assert "horizon 12, 1 origin" in answer.out
    for tolerance in ("inf", "nan"):
        answer = command("reproduce", "linear-toy", "--tolerance", tolerance)
        assert answer.code == 2
        assert "tolerance" in answer.err
    answer = command("gates", "gru", "--seed", "1" + "0" * 20)
    assert answer.code == 2
    assert "--seed" in answer.err
