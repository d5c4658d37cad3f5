"""A cell of the user's own: found by its path, part of the run's name, and clear refusals."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmark.errors import UserError
from benchmark.forecasters.contract import SeriesShape
from benchmark.forecasters.resolve import build_forecaster, source_digest

SHAPE = SeriesShape(12, 4, 2, season=4)
SPEC = {"class": "Recurrent", "cell": "my_cells.Mine", "hidden_size": 2}
CELL = """
import torch
from benchmark.cells import Cell

class Mine(Cell):
    def initial_state(self, like):
        return (like.new_zeros(len(like), self.hidden_size),)

    def step(self, x, state):
        h = torch.tanh(x + state[0])
        return h, (h,)

class Unfinished(Cell):
    def step(self, x, state):
        return x, state

class Other:
    pass
"""


def test_a_cell_of_the_users_own_is_part_of_the_digest(write: Callable[[str, str], Path]) -> None:
    path = write("my_cells", CELL)
    assert build_forecaster(SPEC, SHAPE, "x")(torch.zeros(1, 12, 2)).shape == (1, 4, 2)
    for spec in (SPEC, {"class": "Ensemble", "members": [{"model": SPEC}]}):
        path.write_text(CELL)
        before = source_digest(spec, "x")
        path.write_text(CELL.replace("tanh", "sigmoid"))
        assert source_digest(spec, "x") != before
    assert source_digest({"class": "Recurrent", "cell": "gru"}, "x") == ""


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("my_cells.Mina", "x: model.cell: my_cells has no 'Mina'; did you mean 'Mine'?"),
        ("my_cell.Mine", "x: model.cell: cannot import 'my_cell'; run from the folder that holds"),
        ("my_cells.", "x: model.cell: 'my_cells.' is not a dotted path; write e.g. my_module.MyCe"),
        (
            "my_cells.Other",
            "x: model.cell: my_cells.Other is not a concrete Cell; derive it",
        ),
        ("my_cells.Unfinished", "benchmark.cells.cell.Cell and define initial_state and step"),
    ],
)
def test_a_mistake_in_naming_a_cell_is_told(
    write: Callable[[str, str], Path], name: str, says: str
) -> None:
    write("my_cells", CELL)
    spec = {"class": "Recurrent", "cell": name}
    for ask in (lambda: source_digest(spec, "x"), lambda: build_forecaster(spec, SHAPE, "x")):
        with pytest.raises(UserError, match=re.escape(says)):
            ask()


@pytest.mark.parametrize(
    ("method", "says"),
    [
        (
            "def step(self, x, s):\n        return x",
            "step returned a tensor (2, 2), not the ",
        ),
        (
            "def step(self, x, s):\n        return x, x",
            "the state of step is a tensor (2, 2)",
        ),
        (
            "def step(self, x, s):\n        return x[0], s",
            "step's output is a tensor (2,), ",
        ),
        (
            "def step(self, x, s):\n        return x, (1,)",
            "the state of step holds a int, no",
        ),
        (
            "def initial_state(self, like):\n        return None",
            "initial_state is a NoneType, no",
        ),
        (
            "def initial_state(self, like):\n        return (like[0, 0],)",
            "the state of initial_state holds a tensor (), not a tensor of a batch of 2",
        ),
        (
            "def __init__(self, i, h, k):\n        super().__init__(i, h)",
            "by name; write a * before it: def __init__(self, input_size, hidden_size, *, k)",
        ),
        ("def __init__(self):\n        pass", "Mine.__init__ takes no input_size and hidden_size"),
    ],
)
def test_a_mistake_in_a_cell_is_told_before_it_is_used(
    write: Callable[[str, str], Path], method: str, says: str
) -> None:
    write("my_cells", CELL.replace("class Unfinished", f"    {method}\n\nclass Unfinished"))
    with pytest.raises(UserError, match=re.escape(says)) as caught:
        build_forecaster(SPEC, SHAPE, "x.yaml")
    assert str(caught.value).startswith("x.yaml: model.cell")
    assert "\n" not in str(caught.value)
