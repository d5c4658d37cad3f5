"""How much a computation does, in numbers that no other program on the machine can disturb."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode


class _Elements(TorchDispatchMode):
    """Adds up the elements of all results, those of the backward pass among them."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.total += sum(x.numel() for x in tree_leaves(result) if isinstance(x, Tensor))
        return result


def count_work(run: Callable[[], object]) -> int:
    """Elements written and multiplications of matrices, of whatever `run` calls."""
    with _Elements() as elements, FlopCounterMode(display=False) as flops:
        run()
    return elements.total + flops.get_total_flops()


def saved_bytes(run: Callable[[], Tensor]) -> int:
    """What autograd keeps between the forward and the backward pass, every storage once."""
    seen: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = run()
    assert result.requires_grad
    return sum(seen.values())
