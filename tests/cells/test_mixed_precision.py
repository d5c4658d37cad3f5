from __future__ import annotations

import pytest
import torch

from benchmark.cells import Cell
from benchmark.cells.mlstm import MLSTM
from benchmark.cells.slstm import SLSTM


@pytest.mark.parametrize("kind", [MLSTM, SLSTM])
def test_mixed_precision_stays_near_full_precision_and_trains(kind: type[Cell]) -> None:
    torch.manual_seed(0)
    cell, x = kind(3, 32), torch.randn(2, 50, 3)
    exact, _ = cell(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs, state = cell(x)
        resumed, _ = cell(x.bfloat16(), state)
        h, _ = cell.step(x[:, 0], cell.initial_state(x))
    assert float((outputs - exact).detach().abs().max()) < 0.1
    assert float((h - exact[:, 0]).detach().abs().max()) < 0.1
    gradients = torch.autograd.grad((outputs + resumed).square().sum(), list(cell.parameters()))
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
