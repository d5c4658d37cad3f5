"""Dropout inside the xLSTM's layers: of what they hand on, never of what they remember."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from benchmark.cells.cell import Cell
from benchmark.cells.mlstm import MLSTM
from benchmark.cells.slstm import SLSTM
from benchmark.cells.xlstm import XLSTM

D = 8
DROPOUT = 0.25


def drawn(cell: Cell) -> Cell:
    torch.manual_seed(1)
    for parameter in cell.parameters():
        nn.init.normal_(parameter, std=0.4)
    return cell


def kept_or_dropped(handed_on: Tensor, clean: Tensor) -> None:
    """Every number is zero, or itself over the probability of being kept; a quarter is zero."""
    dropped = handed_on == 0
    torch.testing.assert_close(handed_on, clean.where(~dropped, 0.0) / (1 - DROPOUT))
    assert float(dropped.float().mean()) == pytest.approx(DROPOUT, abs=0.05)


@pytest.mark.parametrize("face", ["forward", "sequential"])
def test_an_slstms_h_is_dropped_before_the_norm_and_remembered_whole(face: str) -> None:
    cell, x = drawn(SLSTM(D, D, dropout=DROPOUT)), torch.randn(20, 30, D)
    seen: list[Tensor] = []
    cell.norm.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    _, clean_state = getattr(cell.eval(), face)(x)
    clean, seen[:] = list(seen), []
    _, state = getattr(cell.train(), face)(x)
    kept_or_dropped(torch.stack(seen), torch.stack(clean))
    for a, b in zip(state, clean_state, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("face", ["forward", "sequential"])
def test_an_mlstms_output_is_dropped(face: str) -> None:
    cell, x = drawn(MLSTM(D, D, dropout=DROPOUT)), torch.randn(20, 30, D)
    clean, clean_state = getattr(cell.eval(), face)(x)
    y, state = getattr(cell.train(), face)(x)
    kept_or_dropped(y, clean)
    for a, b in zip(state, clean_state, strict=True):
        assert torch.equal(a, b)


def test_every_block_of_an_xlstm_drops() -> None:
    blocks = XLSTM(D, D, blocks="sms", dropout=DROPOUT).cells()
    assert [block.dropout.p for block in blocks] == [DROPOUT] * 3  # type: ignore[union-attr]
