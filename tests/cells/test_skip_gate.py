from __future__ import annotations

import torch
import torch.nn.functional as F

from benchmark.cells.skip_gate import skip_gate


def inputs() -> tuple[torch.Tensor, ...]:
    torch.manual_seed(1)
    y, x, z = torch.randn(3, 2, 5, 4, dtype=torch.float64)
    return tuple(t.requires_grad_() for t in (y, x, torch.randn(4, dtype=torch.float64), z))


def test_a_bypass_and_a_gate_are_what_they_say() -> None:
    y, x, D, z = inputs()
    torch.testing.assert_close(skip_gate(y, x, D, z), (y + D * x) * F.silu(z))


def test_the_gradient_by_hand_is_that_of_differences() -> None:
    assert torch.autograd.gradcheck(skip_gate, inputs())


def test_nothing_but_the_inputs_is_kept() -> None:
    given = inputs()
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: kept.append(tensor.data_ptr()), lambda _: None
    ):
        skip_gate(*given)
    assert set(kept) <= {tensor.data_ptr() for tensor in given}
