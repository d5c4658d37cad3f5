"""Results of a computation and its gradients, beside those of another that should be equal."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def with_gradients(results: Sequence[Tensor], inputs: Sequence[Tensor]) -> list[Tensor]:
    """Results and the gradients of a weighted sum of them."""
    generator = torch.Generator().manual_seed(1)
    loss = sum(
        (r * torch.randn(r.shape, generator=generator, dtype=torch.float64).to(r)).sum()
        for r in results
    )
    return [*results, *torch.autograd.grad(loss, inputs)]  # type: ignore[arg-type]


def assert_equal(ours: list[Tensor], theirs: list[Tensor], tolerance: float) -> None:
    """Element by element, relative to the largest element of each tensor."""
    for a, b in zip(ours, theirs, strict=True):
        scale = float(b.detach().abs().max())
        torch.testing.assert_close(a.to(b.dtype), b, rtol=0, atol=tolerance * max(scale, 1e-30))


def assert_finite(results: list[Tensor]) -> None:
    assert all(bool(r.isfinite().all()) for r in results)
