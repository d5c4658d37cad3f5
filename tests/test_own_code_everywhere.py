"""What a user's class raises through no line of its file is told by every command that runs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mistakes import LINEAR

Command = Callable[..., Any]

OWN = """\
from benchmark.cells.elman import Elman
from benchmark.forecasters.linear import Linear

class Model(Linear):
    def forward(self, x):
        return super().forward(x)

class Stepping(Elman):
    def step(self, x):
        return x
"""

CHANGED = OWN.replace("def forward(self, x):", "def forward(self, x, y):")
ON_TOY = ("--dataset", "toy", "--horizon", "12", "--seeds", "1")
WHY = "TypeError: Model.forward() missing 1 required positional argument: 'y'"


def told(answer: Any, *parts: str) -> None:
    """Assert one line of an error, after whatever showed the progress."""
    assert answer.code == 2, answer
    assert answer.err.count("error: ") == 1
    for part in parts:
        assert part in answer.err, answer.err


@pytest.mark.parametrize(
    "words",
    [("speed", "model.yaml"), *((word, "model.yaml", *ON_TOY) for word in ("pitfalls", "epochs"))],
    ids=lambda words: words[0],
)
def test_by_what_tries_a_model_out(
    toy: Path,
    command: Command,
    write_yaml: Callable[[str, Any], str],
    write_module: Callable[[str, str], None],
    words: tuple[str, ...],
) -> None:
    write_module("users_all", CHANGED)
    write_yaml("model.yaml", LINEAR.replace("Linear", "users_all.Model"))
    told(command(*words), f": model: {WHY}\n")


@pytest.mark.parametrize("word", ["forecast", "backtest", "reproduce"])
def test_by_what_uses_a_run_whose_code_has_changed(
    toy: Path,
    command: Command,
    write_yaml: Callable[[str, Any], str],
    write_module: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
    word: str,
) -> None:
    write_module("users_all", OWN)
    write_yaml("model.yaml", LINEAR.replace("Linear", "users_all.Model"))
    assert command("run", "model.yaml", "--checkpoint").code == 0
    import users_all  # type: ignore[import-not-found]

    monkeypatch.setattr(users_all.Model, "forward", lambda self, x, y: x)
    files = ("--input", "datasets/toy.csv", "--output", "f.csv")
    answer = command(word, "linear-toy", *(files if word == "forecast" else ()))
    told(answer, ": model: TypeError: ", "missing 1 required positional argument: 'y'\n")


@pytest.mark.parametrize(
    "words", [("gradients",), ("abilities", "--only", "parity"), ("gates", "--task", "parity")]
)
def test_by_what_looks_into_a_cell(
    workplace: Path,
    command: Command,
    write_module: Callable[[str, str], None],
    words: tuple[str, ...],
) -> None:
    write_module("users_all", OWN)
    word, *options = words
    answer = command(word, "users_all.Stepping", *options)
    told(answer, "error: model.cell: Stepping: step takes (x) after self, but is given (x, state)")


def test_a_search_names_the_line_that_failed(
    toy: Path,
    command: Command,
    write_yaml: Callable[[str, Any], str],
    write_module: Callable[[str, str], None],
) -> None:
    write_module("users_all", OWN.replace("super().forward(x)", "x @ x"))
    write_yaml("model.yaml", LINEAR.replace("Linear", "users_all.Model"))
    answer = command("tune", "model.yaml", "--budget", "1", "--set", "search={lookback: [12, 24]}")
    told(answer, "at line 6 of users_all.py, 'return x @ x'")
