from __future__ import annotations

import pytest
import torch

from benchmark.cells import Cell
from benchmark.cells.mamba import Mamba
from benchmark.cells.mamba2 import Mamba2
from benchmark.cells.mlstm import MLSTM
from benchmark.cells.slstm import SLSTM


@pytest.mark.parametrize("kind", [MLSTM, SLSTM, Mamba, Mamba2])
def test_mixed_precision_stays_near_full_precision_and_trains(
    kind: type[Cell], engine: None
) -> None:
    torch.manual_seed(0)
    cell, x = kind(8, 32), torch.randn(2, 50, 8)
    exact, last = cell(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs, state = cell(x)
        resumed, _ = cell(x.bfloat16(), state)
        h, _ = cell.step(x[:, 0], cell.initial_state(x))
    assert state[-1].dtype == torch.float32, "the recurrence runs in full"
    for ours, whole in ((outputs, exact), (h, exact[:, 0]), (state[-1], last[-1])):
        scale = float(whole.detach().abs().max())
        torch.testing.assert_close(ours.float(), whole, rtol=0.05, atol=0.05 * scale)
    loss = (outputs + resumed).square().sum() + state[-1].sum()
    gradients = torch.autograd.grad(loss, list(cell.parameters()))
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
