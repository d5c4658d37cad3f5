"""How far back a cell can learn from: the gradient of its last output by the input of each step.

An untrained cell reads noise; what is measured is the norm of d output_S / d x_t, for a random
direction of the output, against the distance S - t. Where it has fallen to nothing before training,
a dependence that long is learned only if training first opens a gate.

Reference: Y. Bengio et al., Learning long-term dependencies with gradient descent is difficult,
IEEE Transactions on Neural Networks 5 (1994).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.cells import cell_factory
from benchmark.errors import UserError, backward_faults, no_exit


@no_exit()
def gradient_flow(
    cell: str,
    options: Mapping[str, Any],
    *,
    length: int = 336,
    width: int = 64,
    batch: int = 32,
    seed: int = 1,
) -> NDArray[np.float64]:
    """Measure the gradient's norm by distance.

    Args:
        cell: a cell's name, or a dotted path.
        options: its own arguments.
        length: steps S.
        width: of input and state.
        batch: sequences averaged over.
        seed: of weights and input.

    Returns:
        Mean norm over the batch ``(S,)``: element d is the gradient by the input d steps before
        the last.

    Raises:
        UserError: there is none by the last input, against which the others are read, or the
            cell's `forward` writes over what it follows from.
    """
    torch.manual_seed(seed)
    recurrence = cell_factory(cell, options)(width, width).eval()
    dtype = torch.float32
    if not any(weight.is_complex() for weight in recurrence.parameters()):
        # Complex weights stay as they are: a cell of them names complex64 in its step, too.
        recurrence, dtype = recurrence.double(), torch.float64
    x = torch.randn(batch, length, width, dtype=dtype, requires_grad=True)
    outputs, _ = recurrence(x)
    last = outputs[:, -1]
    direction = torch.randn_like(last)
    direction = direction / direction.norm(dim=-1, keepdim=True)
    with backward_faults(partial(UserError, f"cell {cell}")):
        (gradient,) = torch.autograd.grad((last * direction).sum(), x, materialize_grads=True)
    norms: NDArray[np.float64] = gradient.double().norm(dim=-1).mean(dim=0).flip(0).numpy()
    if not norms[0] > 0:
        what = f"the gradient of its last output by its last input is {norms[0]:g}"
        raise UserError(f"cell {cell}", what, "let h_t depend on x_t: the rest is relative to that")
    return norms
