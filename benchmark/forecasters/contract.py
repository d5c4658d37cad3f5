"""What every forecaster is: a module from lookback to horizon, and how it is fitted.

Shapes, here and in every forecaster: B batch, L lookback, H horizon, C channels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from torch import Tensor, nn

from benchmark.errors import UserError, backward_faults, no_exit, told_by_line

FitKind = Literal["gradient", "closed_form", "none"]

LEVELS = (0.025, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.975)
"""Of every quantile forecast: the deciles, and the ends of the central 95% interval."""

DROP_MISSING = "horizons hold NaN where a value is missing: leave those rows out of the fit"


class ForecastError(ValueError):
    """A forecast is not what the contract asks for; says what it is."""


class NoForecast(ForecastError):  # noqa: N818 - names what is not there
    """What `forward` returned is no tensor at all."""


@contextmanager
def forecasters_fault(where: str, *, own: bool = False) -> Iterator[None]:
    """Tell what a forecaster does wrong in the block, in training or after it, as a user's mistake.

    Args:
        where: the file or name it came from.
        own: whether a class of the user's is at work, as `told_by_line` has it.

    Raises:
        UserError: its training diverged, a forecast is not finite or of another shape, or its own
            code raised something.
        RuntimeError: one of ours would have ended the program.
    """
    with told_by_line(f"{where}: model", own=own):
        try:
            with no_exit():
                yield
        except FloatingPointError as error:  # says its own cure
            raise UserError(where, str(error)) from error
        except ForecastError as error:
            raise UserError(f"{where}: model", str(error)) from error


def going_back() -> AbstractContextManager[None]:
    """Go backward in the block, through a forecast.

    Raises:
        ForecastError: `forward` wrote over a number that the gradient needs, or keeps one of an
            earlier batch with its gradient.
    """
    return backward_faults(lambda what, cure: ForecastError(f"in forward {what}; {cure}"))


@dataclass(frozen=True)
class SeriesShape:
    """Every size that the data decides; a forecaster's YAML never repeats one.

    Attributes:
        lookback: L, steps seen.
        horizon: H, steps forecast.
        channels: C.
        season: steps in the data's shortest season, e.g. 24 for hourly data.
    """

    lookback: int
    horizon: int
    channels: int
    season: int


class WindowSource(Protocol):
    """The windows of one split, as a closed-form fit reads them."""

    def __len__(self) -> int:
        """Return the number of windows."""
        ...

    @property
    def masked(self) -> bool:
        """Whether values of the horizons may be missing (NaN); they are to count in nothing."""
        ...

    def with_lookback(self, lookback: int) -> WindowSource:
        """Return every window of the same rows with a shorter lookback; there can be more."""
        ...

    def in_order(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield lookbacks ``(B, L, C)`` and horizons ``(B, H, C)`` in time order."""
        ...


class Forecaster(nn.Module, ABC):
    """Maps a lookback window to a forecast; the keyword-only constructor arguments are its YAML.

    Args:
        shape: the sizes the data decides.

    Attributes:
        fitted: ``gradient`` (trained by Lightning), ``closed_form`` (`ClosedFormForecaster`) or
            ``none`` (nothing to fit).
        fitted_by_member: whether the models among its options are fitted, each by itself, and not
            it as a whole; it is `fitted` as they are then.
        seeded: whether a model that is not fitted by gradient depends on its seed; where it does
            not, a suite runs it once. Ours do not, and a user's class says so.
        channel_independent: whether each channel is forecast from itself alone and by the same
            weights, so that permuting the channels permutes the forecast.
        tied_steps: whether the steps of a forecast hang together, each computed from the one
            before it or all parts of one wave, so that it cannot be read as several forecasts.
    """

    fitted: ClassVar[FitKind] = "gradient"
    fitted_by_member: ClassVar[bool] = False
    seeded: ClassVar[bool] = True
    channel_independent: bool = False
    tied_steps: bool = False

    def __init__(self, shape: SeriesShape) -> None:
        super().__init__()
        self.shape = shape

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Forecast: scaled lookback ``(B, L, C)`` -> scaled horizon ``(B, H, C)``."""

    @classmethod
    def named_classes(cls, options: Mapping[str, Any]) -> Sequence[type]:
        """Return the classes beside this one that options name: their code makes the run too."""
        return ()

    @classmethod
    def trainings(cls, options: Mapping[str, Any]) -> int:
        """Return how often a fit trains by gradient; an ensemble, each of its members."""
        return int(cls.fitted == "gradient")

    def training_forecast(self, x: Tensor, y: Tensor) -> Tensor:
        """Forecast while training, when the true horizon ``(B, H, C)`` may be looked at.

        Only teacher forcing has a use for it; the default is `forward`.
        """
        return self(x)  # type: ignore[no-any-return]


class ClosedFormForecaster(Forecaster):
    """A forecaster whose optimal weights are computed, not searched for."""

    fitted: ClassVar[FitKind] = "closed_form"

    @abstractmethod
    def fit(self, train: WindowSource, validation: WindowSource) -> None:
        """Set the weights from train windows; validation windows choose, among a few values."""

    def refit(self, windows: WindowSource) -> None:
        """Set the weights from more windows, by what `fit` has chosen.

        Raises:
            UserError: the forecaster does not say how.
        """
        what = f"{type(self).__name__} does not say how it is fitted once more"
        raise UserError("refit", what, "define its refit(self, windows), or leave refit out")


def check_tensor(forecast: object) -> None:
    """Refuse what ``forward`` returned where that is no tensor.

    Raises:
        NoForecast: it is none.
    """
    if not isinstance(forecast, Tensor):
        kind = type(forecast).__name__
        found = "forward returns nothing" if forecast is None else f"forward returns a {kind}"
        raise NoForecast(f"a forecast must be a tensor (B, H, C), but {found}")


def check_shape(forecast: Tensor, expected: tuple[int, ...]) -> None:
    """Refuse a forecast of another shape: a loss or an error would broadcast it, to nonsense.

    Raises:
        ForecastError: it is of another, or no tensor.
    """
    check_tensor(forecast)
    if forecast.shape != expected:
        found = tuple(forecast.shape)
        raise ForecastError(f"a forecast must have shape {tuple(expected)}, but has {found}")


class QuantileForecaster(Forecaster):
    """A forecaster of quantiles; its point forecast is their median."""

    @abstractmethod
    def quantiles(self, x: Tensor) -> Tensor:
        """Forecast: scaled lookback ``(B, L, C)`` -> quantiles at `LEVELS`, ``(B, Q, H, C)``."""

    def forward(self, x: Tensor) -> Tensor:
        """The median ``(B, H, C)``."""
        return self.quantiles(x)[:, LEVELS.index(0.5)]
