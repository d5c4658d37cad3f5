"""The mean forecast of several forecasters, each fitted by itself.

    y = (f_1(x) + ... + f_M(x)) / M

A network's forecast is its data's and its seed's. The seed's part differs from member to member and
averages out: the squared error of the mean is the members' mean squared error less the mean squared
distance of their forecasts from it (A. Krogh and J. Vedelsby, Neural network ensembles, cross
validation, and active learning, 1995, Equation 3). So members that err differently are worth more
than members that are good: a line beside a recurrence, a short lookback beside a long one.

Reference: B. Lakshminarayanan, A. Pritzel and C. Blundell, Simple and scalable predictive
uncertainty estimation using deep ensembles (2017), arXiv:1612.01474, Section 2.4: each member on
all of the data, from a seed of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from benchmark.config import Positive, Strict
from benchmark.forecasters.contract import Forecaster, SeriesShape
from benchmark.forecasters.resolve import build_forecaster, trainings


class Member(Strict):
    """A member, or several that differ by their seed alone.

    Attributes:
        model: ``class`` and that class's options, as in any YAML.
        lookback: the last steps of the window that it sees; None for all of them.
        copies: how many, each with first weights and an order of batches of its own.
    """

    model: dict[str, Any]
    lookback: Positive | None = None
    copies: Positive = 1


class Ensemble(Forecaster):
    """Forecasters whose mean is the forecast.

    Args:
        shape: the sizes the data decides.
        members: of which it is the mean, all alike.

    Raises:
        ValueError: a member sees more than the window holds.
        UserError: a member cannot be built.
    """

    fitted_by_member: ClassVar[bool] = True

    def __init__(
        self,
        shape: SeriesShape,
        *,
        members: Annotated[tuple[Member, ...], Field(min_length=1)],
    ) -> None:
        super().__init__(shape)
        built = [each for i, member in enumerate(members) for each in _built(member, shape, i)]
        self.members = nn.ModuleList(built)
        self.channel_independent = all(member.channel_independent for member in built)

    @classmethod
    def trainings(cls, options: Mapping[str, Any]) -> int:
        """Return how many members are trained by gradient."""
        members = [Member.model_validate(member) for member in options["members"]]
        return sum(member.copies * trainings(member.model, "model") for member in members)

    def __iter__(self) -> Iterator[Forecaster]:
        """Yield the members; each sees the last `member.shape.lookback` steps."""
        return iter(self.members)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L, C)`` -> ``(B, H, C)``."""
        return torch.stack([member(x[:, -member.shape.lookback :]) for member in self]).mean(dim=0)


def _built(member: Member, shape: SeriesShape, index: int) -> Iterator[Forecaster]:
    lookback = member.lookback or shape.lookback
    if lookback > shape.lookback:
        raise ValueError(
            f"a member sees part of the window, but members.{index}.lookback is {lookback} "
            f"and the window's lookback is {shape.lookback}; take one that is no longer"
        )
    own = replace(shape, lookback=lookback)
    for _ in range(member.copies):
        yield build_forecaster(member.model, own, f"model.members.{index}")
