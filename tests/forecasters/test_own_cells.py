"""A cell of the user's own: found by its path, part of the run's name, and clear refusals."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.cells import cell_factory, cell_names, find_cell
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
            "step's output of a tensor (2, 2) is a tensor (2,), ",
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
            "def step(self, x, s):\n        return x, (*s, *s)",
            "initial_state holds 1 tensor, step returns 2; see",
        ),
        (
            "def step(self, x, s):\n        return x, (s[0][:, None],)",
            "tensor 1 of the state is a tensor (2, 2) of torch.float32 in initial_state and a "
            "tensor (2, 1, 2) of torch.float32 after a step; keep its dim",
        ),
        (
            "def step(self, x, s):\n        return x, (s[0].long(),)",
            "tensor (2, 2) of torch.int64 after a step",
        ),
        (
            "def step(self, x, s):\n        h = s[0]\n        h *= 0.5\n        return h, (h,)",
            "step writes into the state it was given; write h = h * 0.5, not h *= 0.5",
        ),
        (
            "def step(self, x, s):\n        x[:, 0] = 0\n        return x, s",
            "step writes into its input; write x = x * 0.5, not x *= 0.5",
        ),
        (
            "def step(self, x, s):\n        n = x[:, :2].sigmoid()\n        n *= 2\n"
            "        return n, (n,)",
            "in step a number that the gradient needs is written over; write n = n * 2, not n *= ",
        ),
        (
            "def initial_state(self, like):\n        return (torch.zeros(len(like), 2),)",
            "initial_state of an input in float64 holds a tensor (2, 2) of torch.float32; use lik",
        ),
        (
            "def __init__(self, i, h, k):\n        super().__init__(i, h)",
            "by name; write a * before it: def __init__(self, input_size, hidden_size, *, k)",
        ),
        (
            "def step(self, x, h, c):\n        return h, (h, c)",
            "Mine: step takes (x, h, c) after self, but is given (x, state); see benchmark.cells",
        ),
        (
            "def initial_state(self):\n        return ()",
            "Mine: initial_state takes () after self, but is given (like); see",
        ),
        (
            "def forward(self, x, state):\n        return self.sequential(x, state)",
            "Mine: forward takes (x, state) after self, but is given (x); see",
        ),
        (
            "def forward(self, x, state=None):\n        return self.sequential(x, state)[0]",
            "Mine: forward returned a tensor (2, 4, 2), not outputs and the last state; ",
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


FORGETS_NOTHING = """
import torch

from benchmark.cells import Cell
from benchmark.cells.lstm import LSTM

class Kept(LSTM):
    def step(self, x, state):
        h, c = state
        i, _, g, o = (self.from_input(x) + self.from_past(h)).chunk(4, dim=-1)
        c = c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)

class Looped(Kept):
    forward = Cell.forward

class Levelled(Looped):
    def step(self, x, state):
        h, c = super().step(x, state)[1]
        h = h - h.mean(dim=1, keepdim=True)
        return h, (h, c)

class Joined(Looped):
    def step(self, x, state):
        torch.cat([x, state[0]], dim=-1)
        return super().step(x, state)

class Whole(Levelled):
    fork = Cell.fork

class Noisy(Cell):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.map = torch.nn.Linear(input_size, hidden_size)

    def initial_state(self, like):
        return (like.new_zeros(len(like), self.hidden_size),)

    def step(self, x, state):
        h = state[0] + self.map(x) + torch.randn_like(state[0])
        return h, (h,)
"""


def test_a_changed_step_is_not_run_by_the_fast_path_of_the_step_before(
    write: Callable[[str, str], Path],
) -> None:
    write("my_cells", FORGETS_NOTHING)
    with pytest.raises(UserError) as caught:
        cell_factory("my_cells.Kept", {})(2, 3)
    assert re.fullmatch(
        r"model.cell: Kept: forward does not do what step does: they differ by up to "
        r"0\.\d+; write forward anew, or the line forward = Cell.forward, which repeats step",
        str(caught.value),
    )
    looped = cell_factory("my_cells.Looped", {})(2, 3)
    x = torch.randn(2, 6, 2)
    torch.testing.assert_close(looped(x)[0], looped.sequential(x)[0])


@pytest.mark.parametrize(("name", "why"), [("Levelled", "they differ"), ("Joined", "Runtime")])
def test_a_step_for_one_state_at_a_time_is_not_forked_as_ours_are(
    write: Callable[[str, str], Path], name: str, why: str
) -> None:
    write("my_cells", FORGETS_NOTHING)
    with pytest.raises(UserError, match=f"{name}: fork does not do what step does: {why}.*; write"):
        cell_factory(f"my_cells.{name}", {})(2, 3)


@pytest.mark.parametrize("name", ["Whole", "Noisy"])
def test_what_is_made_of_step_is_not_held_to_it(
    write: Callable[[str, str], Path], name: str
) -> None:
    write("my_cells", FORGETS_NOTHING)
    assert cell_factory(f"my_cells.{name}", {})(2, 3).hidden_size == 3


@pytest.mark.parametrize("name", cell_names())
def test_a_cell_of_ours_does_what_is_asked_of_a_users(name: str) -> None:
    ours = find_cell(name)
    cell = cell_factory(f"{ours.__module__}.{ours.__name__}", {})(8, 8)
    assert type(cell) is ours


REMEMBERING = """
import random

import numpy as np
import torch
from torch import nn

from benchmark.cells import Cell

class Mine(Cell):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.kernel = nn.Linear(input_size, hidden_size)
        self.first = nn.Parameter(torch.full((hidden_size,), random.random() + np.random.rand()))

    def initial_state(self, like):
        return self.first.expand(len(like), -1), torch.zeros(len(like), dtype=torch.int64)

    def step(self, x, state):
        h, n = state
        return torch.tanh(self.kernel(x) + h), (h, n + 1)
"""


def test_what_a_cell_is_tried_on_leaves_no_trace(write: Callable[[str, str], Path]) -> None:
    write("my_cells", REMEMBERING)
    built, drawn = [], []
    for make in (find_cell("my_cells.Mine"), cell_factory("my_cells.Mine", {})):
        torch.manual_seed(1)
        np.random.seed(1)
        random.seed(1)
        built.append(make(2, 3))
        drawn.append((float(torch.rand(())), np.random.rand(), random.random()))
    assert drawn[0] == drawn[1]
    for one, other in zip(*(cell.parameters() for cell in built), strict=True):
        assert torch.equal(one, other)
        assert other.grad is None


@torch.inference_mode()
def test_a_cell_is_tried_where_nothing_is_trained_too(write: Callable[[str, str], Path]) -> None:
    write("my_cells", CELL)
    assert build_forecaster(SPEC, SHAPE, "x")(torch.zeros(1, 12, 2)).shape == (1, 4, 2)
