"""An exponential moving average of the weights, seen by validation and test.

Late in training the weights wander around a minimum; their average lies nearer to it than any one
of them, and its validation score changes less from epoch to epoch, so choosing an epoch by it is
less of a lottery.

Reference: B. Polyak and A. Juditsky, Acceleration of stochastic approximation by averaging (1992).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


class WeightAverage:
    """average <- decay * average + (1 - decay) * weights, after every step.

    The decay starts low, min(decay, (1 + t) / (10 + t)), so that the random first weights are
    forgotten.

    Args:
        weights: the trained tensors.
        decay: share of the old average kept at each step.
    """

    def __init__(self, weights: Sequence[Tensor], decay: float) -> None:
        self._weights = weights
        self._average = [weight.detach().clone() for weight in weights]
        self._decay = decay
        self._steps = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a step."""
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        torch._foreach_lerp_(self._average, [w.detach() for w in self._weights], 1 - decay)
        self._steps += 1

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange weights and average; called again, exchange them back."""
        for weight, average in zip(self._weights, self._average, strict=True):
            kept = weight.detach().clone()
            weight.copy_(average)
            average.copy_(kept)

    def state(self) -> dict[str, Any]:
        """Everything that the next averages follow from, the weights aside."""
        return {"average": self._average, "steps": self._steps}

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Put a state in the place of its own."""
        for average, kept in zip(self._average, state["average"], strict=True):
            average.copy_(kept)
        self._steps = state["steps"]
