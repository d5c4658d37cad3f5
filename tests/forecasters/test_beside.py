"""What a model holds beside its state is seen to change, whatever holds it."""

from __future__ import annotations

import itertools
import random
import threading
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.forecasters.beside import beside_state

CHANGES: dict[str, tuple[Any, Callable[[Any], object]]] = {
    "list": ([0], lambda value: value.append(1)),
    "dict": ({"seen": {1: [2]}}, lambda value: value["seen"][1].clear()),
    "counter": (Counter(), lambda value: value.update("a")),
    "object": (SimpleNamespace(steps=0), lambda value: setattr(value, "steps", 1)),
    "tensor": (torch.zeros(2, 2), lambda value: value.add_(1)),
    "scalar": (torch.zeros((), dtype=torch.bfloat16), lambda value: value.add_(1)),
    "switch": (torch.zeros(2, dtype=torch.bool), lambda value: value.logical_not_()),
    "complex": (torch.zeros(2, dtype=torch.complex64).conj(), lambda value: value.add_(1)),
    "array": (np.zeros(2), lambda value: value.fill(1)),
    "python": (random.Random(1), lambda value: value.random()),
    "numpy": (np.random.default_rng(1), lambda value: value.normal()),
    "torch": (torch.Generator(), lambda value: torch.rand(1, generator=value)),
    "iterator": (itertools.cycle([1, 2]), next),
    "beside a lock": (
        SimpleNamespace(lock=threading.Lock(), of=lambda: 0, steps=0),
        lambda value: setattr(value, "steps", 1),
    ),
}


def changed(module: nn.Module, change: Callable[[], object]) -> list[str]:
    before = beside_state(module)
    assert beside_state(module) == before
    change()
    after = beside_state(module)
    return [name for name in before | after if before.get(name) != after.get(name)]


@pytest.mark.parametrize("kind", CHANGES)
def test_what_an_attribute_holds_is_seen_to_change(kind: str) -> None:
    value, change = CHANGES[kind]
    module = nn.Sequential(nn.Linear(2, 2))
    module[0].mine = value  # type: ignore[assignment]
    assert changed(module, lambda: change(value)) == ["0.mine"]


def test_a_buffer_that_is_not_persistent_is_beside_the_state() -> None:
    module = nn.Linear(2, 2)
    module.register_buffer("seen", torch.zeros(1), persistent=False)
    assert changed(module, lambda: module.get_buffer("seen").add_(1)) == ["seen"]


def test_a_mode_and_what_is_trained_are_beside_the_state() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    assert changed(module, module[1].eval) == ["1.training"]
    module[0].bias.requires_grad_(False)  # type: ignore[union-attr]
    assert changed(module, lambda: module[0].bias.requires_grad_(True)) == ["0.bias.requires_grad"]  # type: ignore[union-attr]


def test_weights_and_buffers_are_in_the_state_wherever_else_they_are_held() -> None:
    module = nn.GRU(2, 2)
    module.register_buffer("seen", torch.zeros(1))
    held: Any = [module, module.weight_ih_l0, {"seen": module.seen}]
    module.held, module.run = held, module.forward

    def train() -> None:
        with torch.no_grad():
            for tensor in module.state_dict().values():
                tensor.add_(1)

    assert changed(module, train) == []


def test_what_cannot_be_looked_into_or_is_not_itself_has_not_changed() -> None:
    module = nn.Linear(2, 2)
    module.lock, module.act = threading.Lock(), lambda x: x
    module.missing = float("nan")
    module.sparse = torch.zeros(2, 2).to_sparse()  # type: ignore[assignment]
    assert changed(module, lambda: None) == []
