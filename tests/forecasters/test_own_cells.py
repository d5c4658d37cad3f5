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
    alone = {"class": "Recurrent", "cell": "my_cells.Mine", "hidden_size": 2}
    assert build_forecaster(alone, SHAPE, "x")(torch.zeros(1, 12, 2)).shape == (1, 4, 2)
    for spec in (alone, {"class": "Ensemble", "members": [{"model": alone}]}):
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
