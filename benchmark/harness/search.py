"""What a search over a configuration may try, as a model's YAML says it. Nothing heavy is imported.

    search:
      lookback: [336, 504, 720]                                # one of these
      model.dropout: {low: 0.0, high: 0.5}                     # a number between, both included
      training.learning_rate: {low: 1e-4, high: 2e-3, log: true}

A search says what could be, not what is: it is no part of a run's id or of its numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from benchmark.config import Positive, Strict


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, dict | list):
        raise ValueError("must be a plain value: a text, a number, true, false or null")
    return value


Number = Annotated[Any, AfterValidator(_number)]
Choice = Annotated[Any, AfterValidator(_plain)]


class Dimension(Strict):
    """The values that one key may take: a list of choices, or a range.

    Attributes:
        choices: one of these, in no order.
        low: least value of a range.
        high: greatest; whole numbers are tried where `low` and `high` are whole.
        log: spread the trials evenly over orders of magnitude.
    """

    choices: tuple[Choice, ...] = ()
    low: Number = None
    high: Number = None
    log: bool = False

    @model_validator(mode="before")
    @classmethod
    def _from_yaml(cls, data: Any) -> Any:
        if isinstance(data, list):
            if not data:
                raise ValueError("needs at least one choice")
            return {"choices": tuple(data)}
        if not isinstance(data, dict) or "choices" in data or not data.keys() >= {"low", "high"}:
            raise ValueError("must be a list of choices, or {low: ..., high: ...}")
        return data

    @model_validator(mode="after")
    def _can_be_searched(self) -> Dimension:
        if self.choices:
            if len(set(self.choices)) < len(self.choices):
                raise ValueError("holds a choice twice; take one out")
            return self
        if self.low >= self.high:
            raise ValueError(f"low must be below high, got {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"log needs a low above 0, but it is {self.low}")
        return self

    def extremes(self) -> tuple[Any, ...]:
        """Every choice, or both ends: if these are valid, so is what lies between."""
        return self.choices or (self.low, self.high)

    def holds(self, value: Any) -> bool:
        """Say whether a value can come up."""
        if self.choices:
            return value in self.choices
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and self.low <= value <= self.high


def check_keys(keys: Iterable[str]) -> None:
    """Refuse to search over what makes scores incomparable: the task, the seed, the score itself.

    Raises:
        ValueError: names the key.
    """
    for key in keys:
        part_of = key == "lookback" or key.startswith(("model.", "training."))
        if not part_of or not all(key.split(".")) or key == "training.monitor":
            raise ValueError(
                f"{key!r:.60} cannot be searched; search over lookback, model.<option> or "
                "training.<option> but monitor"
            )


class Tuned(Strict):
    """How a configuration was chosen; told in tables, no part of a run's id.

    Attributes:
        trials: how many were tried, the pruned and the failed among them.
        dataset: whose validation split chose.
        horizon: steps forecast; several, where one setting was chosen for all of them.
    """

    trials: Positive
    dataset: Annotated[str, Field(min_length=1)]
    horizon: Positive | Annotated[tuple[Positive, ...], Field(min_length=2)]
