"""The authors' own xLSTM, made comparable: built for a CPU, every parameter drawn, names mapped.

Fresh layers hide mistakes: R and the gates of the mLSTM start at zero, and so would equal anything
that is multiplied by them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("xlstm", reason="the official implementation, in the extra 'dev'")

from xlstm.blocks.mlstm.layer import mLSTMLayer, mLSTMLayerConfig
from xlstm.blocks.slstm.layer import sLSTMLayer, sLSTMLayerConfig

Tensors = Mapping[str, Tensor]


def slstm_config(**options: Any) -> sLSTMLayerConfig:
    return sLSTMLayerConfig(backend="vanilla", dtype="float32", num_heads=4, **options)


def official_slstm(width: int, block: int = 0, blocks: int = 1) -> nn.Module:
    layer = sLSTMLayer(slstm_config(embedding_dim=width, _block_idx=block, _num_blocks=blocks))
    layer.reset_parameters()  # as the block around it does
    return layer


def official_mlstm(width: int, steps: int, blocks: int = 1) -> nn.Module:
    config = mLSTMLayerConfig(embedding_dim=width, context_length=steps, _num_blocks=blocks)
    return mLSTMLayer(config)


def slstm_names(theirs: Tensors) -> dict[str, Tensor]:
    """Their parameters, or gradients, under our names and in our order of gates."""
    gate = {name: theirs[f"{name}gate.weight"] for name in "ifzo"}
    heads, width, _ = gate["i"].shape
    return {
        "conv.weight": theirs["conv1d.conv.weight"],
        "conv.bias": theirs["conv1d.conv.bias"],
        "gates_from_conv.weight": torch.cat([gate["f"], gate["i"]], dim=1),  # they cross these two
        "gates_from_input.weight": torch.cat([gate["z"], gate["o"]], dim=1),
        "gates_from_past.weight": theirs["slstm_cell._recurrent_kernel_"],
        "bias": theirs["slstm_cell._bias_"].view(4, heads, width).transpose(0, 1).flatten(1),
        "norm.weight": theirs["group_norm.weight"],
    }


def mlstm_names(theirs: Tensors) -> dict[str, Tensor]:
    """As `slstm_names`."""
    gates = [f"mlstm_cell.{gate}gate" for gate in "if"]
    return {
        "up.weight": theirs["proj_up.weight"],
        "conv.weight": theirs["conv1d.conv.weight"],
        "conv.bias": theirs["conv1d.conv.bias"],
        "query.weight": theirs["q_proj.weight"],
        "key.weight": theirs["k_proj.weight"],
        "value.weight": theirs["v_proj.weight"],
        "gates.weight": torch.cat([theirs[f"{gate}.weight"] for gate in gates]),
        "gates.bias": torch.cat([theirs[f"{gate}.bias"] for gate in gates]),
        "norm.weight": theirs["mlstm_cell.outnorm.weight"],
        "skip": theirs["learnable_skip"],
        "down.weight": theirs["proj_down.weight"],
    }


def copied(
    ours: nn.Module, theirs: nn.Module, names: Callable[[Tensors], dict[str, Tensor]]
) -> None:
    """Draw every parameter of theirs anew, large enough to matter, and give ours the same."""
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_(std=0.25)
        renamed = names(dict(theirs.named_parameters()))
        for name, parameter in ours.named_parameters():
            parameter.copy_(renamed.pop(name))
    assert not renamed, "every parameter of theirs has its place in ours"


def assert_equal(
    ours: Any,
    theirs: nn.Module,
    names: Callable[[Tensors], dict[str, Tensor]],
    x: Tensor,
    tolerance: float,
) -> None:
    """Outputs and gradients of every parameter and of x, relative to each one's largest.

    Of a single step the gates' gradients are zero, as h / n forgets them, and are compared as such.
    """
    x = x.requires_grad_()
    mine, reference = ours(x)[0], theirs(x)
    loss_weights = torch.randn(x.shape, generator=torch.Generator().manual_seed(3)).to(x)
    gradients = torch.autograd.grad((mine * loss_weights).sum(), [x, *ours.parameters()])
    own = dict(zip(["x", *dict(ours.named_parameters())], gradients, strict=True))
    gradients = torch.autograd.grad((reference * loss_weights).sum(), [x, *theirs.parameters()])
    expected = dict(zip(["x", *dict(theirs.named_parameters())], gradients, strict=True))
    expected = {"x": expected.pop("x"), **names(expected)}
    largest = max(float(gradient.abs().max()) for gradient in expected.values())
    torch.testing.assert_close(mine, reference, rtol=tolerance, atol=tolerance)
    for name, want in expected.items():
        scale = float(want.abs().max())
        off = float((own[name] - want).abs().max()) / (scale if scale > 1e-6 * largest else largest)
        assert off <= tolerance, f"{name} is off by {off:.1e}"
