from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.cells import cell_factory, cell_names
from benchmark.cells.cell import Cell
from benchmark.cli import main
from benchmark.errors import UserError
from benchmark.evaluation.gradient_flow import gradient_flow


@pytest.mark.parametrize("cell", cell_names())
def test_every_cell_has_a_gradient_at_its_last_step(cell):
    norms = gradient_flow(cell, {}, length=6, width=16, batch=2)
    assert norms.shape == (6,)
    assert np.isfinite(norms).all()
    assert norms[0] > 0


def test_it_is_the_gradient_of_the_last_output_by_distance():
    norms = gradient_flow("elman", {}, length=4, width=8, batch=1, seed=3)
    torch.manual_seed(3)
    cell = cell_factory("elman", {})(8, 8).double()
    x = torch.randn(1, 4, 8, dtype=torch.float64)

    def last(x: torch.Tensor) -> torch.Tensor:
        return cell.sequential(x)[0][0, -1]

    direction = torch.randn(1, 8, dtype=torch.float64)[0]
    jacobian = torch.autograd.functional.jacobian(last, x)[:, 0]  # (8 outputs, 4 steps, 8 inputs)
    by_step = torch.einsum("o,osi->si", direction / direction.norm(), jacobian).norm(dim=-1)
    np.testing.assert_allclose(norms, by_step.flip(0).numpy(), rtol=1e-10)


def test_an_elman_networks_gradient_vanishes_and_an_mlstms_does_not():
    elman, mlstm = (gradient_flow(cell, {}, length=60, width=16) for cell in ("elman", "mlstm"))
    assert elman[59] / elman[0] < 1e-8
    assert mlstm[59] / mlstm[0] > 1e-3


class Turning(Cell):
    """h_t = lam * h_{t-1} + B x_t and the real part of C h_t, where lam, B and C are complex."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.lam = nn.Parameter(torch.polar(torch.full((hidden_size,), 0.5), torch.ones(())))
        self.into = nn.Parameter(torch.randn(input_size, hidden_size, dtype=torch.cfloat))
        self.out = nn.Parameter(torch.randn(hidden_size, hidden_size, dtype=torch.cfloat))

    def initial_state(self, like):
        return (torch.zeros(len(like), self.hidden_size, dtype=torch.cfloat),)

    def step(self, x, state):
        h = self.lam * state[0] + x.to(torch.cfloat) @ self.into
        return (h @ self.out).real, (h,)


def test_a_cell_of_complex_numbers_has_its_gradient_too():
    norms = gradient_flow(f"{__name__}.Turning", {}, length=90, width=8)
    ratio = norms[1:] / norms[:-1]
    assert ratio.mean() == pytest.approx(0.5, rel=0.05), "that is |lam|, as far back as 1e-27"


class Late(Cell):
    """Reads each input a step late."""

    def initial_state(self, like):
        return (like.new_zeros(len(like), self.hidden_size),)

    def step(self, x, state):
        (h,) = state
        return h, (x,)


class Deaf(Late):
    """Reads nothing."""

    def step(self, x, state):
        (h,) = state
        return h, (h * nn.Parameter(h.new_ones(())),)


class Quitter(Late):
    def step(self, x, state):
        sys.exit(0)


@pytest.mark.parametrize("cell", ["Late", "Deaf"])
def test_a_cell_that_does_not_read_its_last_input_is_refused(cell):
    with pytest.raises(UserError, match="by its last input is 0; let h_t depend on x_t"):
        gradient_flow(f"{__name__}.{cell}", {}, length=4, width=8)


def test_a_cell_that_would_end_the_program_is_an_error():
    with pytest.raises(RuntimeError, match=r"the model ended the program: sys.exit\(0\)"):
        gradient_flow(f"{__name__}.Quitter", {}, length=4, width=8)


def test_the_command_prints_a_row_a_cell_and_draws(tmp_path, monkeypatch, capsys):
    path = tmp_path / "flow.svg"
    words = ["benchmark", "gradients", "--length", "13", "--plot", str(path)]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split() == ["steps", "back", "1", "4", "12"]
    assert [line.split()[0] for line in printed[1:-2]] == cell_names()
    assert printed[-1] == f"Plot: {path}"
    assert "<svg" in path.read_text(encoding="utf-8")
