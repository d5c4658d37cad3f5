"""The xLSTM against the authors' own stack, block by block, and its cells inside a forecaster."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from official import Tensors, assert_equal, copied, mlstm_names, slstm_config, slstm_names
from torch import Tensor, nn
from xlstm import (
    FeedForwardConfig,
    mLSTMBlockConfig,
    mLSTMLayerConfig,
    sLSTMBlockConfig,
    xLSTMBlockStack,
    xLSTMBlockStackConfig,
)

from benchmark.cells import cell_factory, cell_names
from benchmark.cells.xlstm import XLSTM
from benchmark.errors import UserError
from benchmark.forecasters.check import CHECKS, check_forecaster
from benchmark.forecasters.contract import SeriesShape

D, B = 16, 3
double = torch.float64


def inputs(steps: int, dtype: torch.dtype = double) -> Tensor:
    generator = torch.Generator().manual_seed(steps)
    return torch.randn(B, steps, D, generator=generator, dtype=double).to(dtype)


# --- ours / theirs -------------------------------------------------------------------------------


def official_stack(blocks: str, width: int, steps: int) -> nn.Module:
    config = xLSTMBlockStackConfig(
        mlstm_block=mLSTMBlockConfig(mlstm=mLSTMLayerConfig()) if "m" in blocks else None,
        slstm_block=sLSTMBlockConfig(slstm=slstm_config(), feedforward=FeedForwardConfig()),
        context_length=steps,
        num_blocks=len(blocks),
        embedding_dim=width,
        slstm_at=[number for number, kind in enumerate(blocks) if kind == "s"],
    )
    return xLSTMBlockStack(config)


def stack_names(theirs: Tensors) -> dict[str, Tensor]:
    """Their parameters, or gradients, under our names."""

    def below(prefix: str) -> dict[str, Tensor]:
        return {k.removeprefix(prefix): v for k, v in theirs.items() if k.startswith(prefix)}

    ours = {"norm.weight": theirs["post_blocks_norm.weight"]}
    number = 0
    while block := below(f"blocks.{number}."):
        cell = below(f"blocks.{number}.xlstm.")
        names = slstm_names(cell) if "slstm_cell._bias_" in cell else mlstm_names(cell)
        named = {f"cell.{name}": tensor for name, tensor in names.items()}
        named["norm.weight"] = block["xlstm_norm.weight"]
        if "ffn_norm.weight" in block:
            named["feed_forward.norm.weight"] = block["ffn_norm.weight"]
            named["feed_forward.up.weight"] = block["ffn.proj_up.weight"]
            named["feed_forward.down.weight"] = block["ffn.proj_down.weight"]
        ours |= {f"blocks.{number}.{name}": tensor for name, tensor in named.items()}
        number += 1
    return ours


@pytest.mark.parametrize(("dtype", "tolerance"), [(double, 1e-8), (torch.float32, 1e-4)])
@pytest.mark.parametrize("blocks", ["m", "s", "ms", "smm"])
def test_outputs_and_every_gradient_are_the_authors(
    blocks: str, dtype: torch.dtype, tolerance: float
) -> None:
    torch.manual_seed(len(blocks))
    ours, theirs = XLSTM(D, D, blocks=blocks).to(dtype), official_stack(blocks, D, 45).to(dtype)
    copied(ours, theirs, stack_names)
    assert_equal(ours, theirs, stack_names, inputs(45, dtype), tolerance)


def test_new_blocks_start_as_the_authors_do_wherever_they_stand() -> None:
    torch.manual_seed(0)
    ours, theirs = XLSTM(128, 128, blocks="smss"), official_stack("smss", 128, 4)
    for name, tensor in stack_names(dict(theirs.named_parameters())).items():
        mine = ours.get_parameter(name)
        spread = float(tensor.detach().std())
        assert float(mine.detach().std()) == pytest.approx(spread, rel=0.1), name
        if spread == 0 or name.endswith("cell.bias"):
            torch.testing.assert_close(mine, tensor)


# --- its own properties --------------------------------------------------------------------------


@pytest.mark.parametrize("blocks", ["m", "s", "mms"])
def test_its_state_is_that_of_all_blocks(blocks: str) -> None:
    cell, x = XLSTM(3, D, blocks=blocks).double(), torch.randn(B, 50, 3, dtype=double)
    lengths = {"m": 4, "s": 5}
    assert len(cell.initial_state(x)) == sum(lengths[kind] for kind in blocks)
    whole, last = cell(x)
    first, state = cell(x[:, :20])
    second, resumed = cell.sequential(x[:, 20:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    for a, b in zip(resumed, last, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("blocks", ["", "x", "ms7", "M"])
def test_other_letters_than_m_and_s_are_refused(blocks: str) -> None:
    with pytest.raises(UserError, match=r"model\.cell_options\.blocks"):
        cell_factory("xlstm", {"blocks": blocks})


def test_what_cells_share_is_no_cell() -> None:
    assert {"slstm", "mlstm", "xlstm"} <= set(cell_names())
    assert not {"heads", "causal_conv", "scalar_memory", "matrix_memory"} & set(cell_names())


# --- inside a forecaster -------------------------------------------------------------------------


@pytest.mark.parametrize("decoder", ["direct", "flatten", "seq2seq", "segments"])
@pytest.mark.parametrize("cell", ["slstm", "mlstm", "xlstm"])
def test_a_forecaster_of_these_cells_keeps_the_contract(cell: str, decoder: str) -> None:
    spec: dict[str, Any] = {
        "class": "Recurrent",
        "cell": cell,
        "hidden_size": 16,
        "layers": 2 if cell != "xlstm" else 1,
        "decoder": decoder,
        "patch": 6,
        "embedding": "linear" if decoder == "segments" else "none",
        "channels": "independent" if decoder == "flatten" else "mixing",
        # seq2seq hands over a state, of which what only shapes the output is no part; a
        # bidirectional encoder hands over its output too
        "bidirectional": decoder in ("direct", "seq2seq"),
    }
    shapes = (SeriesShape(48, 60, 3, 12), SeriesShape(48, 1, 1, 12))
    findings = check_forecaster(spec, "test", shapes)
    assert len(findings) == len(shapes) * len(CHECKS)
    assert not [f"{f.check} {f.shape}: {f.problem}" for f in findings if f.problem]
