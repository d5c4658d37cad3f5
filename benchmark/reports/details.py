"""What a run's folder tells beyond its row: error by step and channel, forecasts, training.

A row of the leaderboard is a mean over seeds, and so are its errors here. Forecasts and the curve
of training are of its first seed.

Shapes: H horizon, C channels, N windows, P steps before a window's horizon, K channels kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmark.records import layout
from benchmark.records.arrays import damaged, read_arrays
from benchmark.records.checksums import open_checked
from benchmark.records.folder import check_own
from benchmark.reports.ranking import ROW

if TYPE_CHECKING:
    from pandas import DataFrame

Array = NDArray[np.float64]
Places = NDArray[np.int64]

MAX_TRAINING = 10_000_000
"""Bytes: an epoch takes about a hundred."""

_ERRORS = {"channels": "U1", "squared_by_step": "f2", "absolute_by_step": "f2", "scale": "f1"}
_ERRORS_OPTIONAL = {"borders": "iu2"}
_FORECASTS = {"first_row": "iu1", "target": "f3", "forecast": "f3"}
_FORECASTS_OPTIONAL = {
    "kind": "U1", "time": "M1", "channel": "iu1", "history": "f3", "low": "f3", "high": "f3",
}  # fmt: skip
_EPOCH = ("number", "train_loss", "val_mse")
_BY_STEP = {"mse": "squared_by_step", "mae": "absolute_by_step"}


@dataclass(frozen=True)
class Forecasts:
    """The windows that a run keeps, in original units.

    Attributes:
        kind: common, best, median or worst ``(N,)``.
        first_row: row of the series at which each horizon begins ``(N,)``.
        time: its time, or empty where the run kept none ``(N,)``.
        channel: numbers of the channels kept ``(K,)``.
        history: values before the horizon ``(N, P, K)``.
        target: true values ``(N, H, K)``.
        forecast: forecast values ``(N, H, K)``.
        low: lower end of the calibrated 80% interval ``(N, H, K)``, NaN where there is none.
        high: upper end.
    """

    kind: list[str]
    first_row: list[int]
    time: list[str]
    channel: Places
    history: Array
    target: Array
    forecast: Array
    low: Array
    high: Array


class Run(NamedTuple):
    """A done run of a row of the leaderboard: its folder's name, and what its row says of it."""

    run_id: str
    model: str
    fitted: str
    best_epoch: int


class Curve(NamedTuple):
    """How one model was trained: its name, its epochs, and whose weights were kept; 0 for none."""

    label: str
    epochs: Sequence[Mapping[str, float]]
    best_epoch: int


@dataclass(frozen=True)
class Detail:
    """What the runs of one row of the leaderboard left behind.

    Attributes:
        label: the model, told apart from the others of its task.
        fitted: how: `gradient`, `closed_form` or `none`.
        errors: MSE and MAE by name, scaled series ``(H, C)``; means over seeds.
        channels: names of all channels.
        scale: original units in one scaled unit ``(C,)``.
        borders: first row of train, validation and test and the row after each ``(3, 2)``; None
            where the run kept none.
        forecasts: of the first seed.
        training: each epoch of the first seed, see `benchmark.training.report.Epoch`.
        best_epoch: whose weights were kept; 0 where nothing is trained.
    """

    label: str
    fitted: str
    errors: Mapping[str, Array]
    channels: list[str]
    scale: Array
    borders: Places | None
    forecasts: Forecasts
    training: list[dict[str, float]]
    best_epoch: int

    def by_step(self, metric: str) -> Array:
        """Mean error over channels ``(H,)``, NaN where no target is known."""
        return mean_of_known(self.errors[metric], axis=1)

    def by_channel(self, metric: str) -> Array:
        """Mean error over steps ``(C,)``, NaN where no target is known."""
        return mean_of_known(self.errors[metric], axis=0)

    def curves(self) -> list[Curve]:
        """Split the training by the models trained: each member of an ensemble counts anew."""
        numbers = [epoch["number"] for epoch in self.training]
        begins = [at for at in range(len(numbers)) if at == 0 or numbers[at] <= numbers[at - 1]]
        if len(begins) == 1:
            return [Curve(self.label, self.training, self.best_epoch)]
        return [
            Curve(f"{self.label}, member {member}", self.training[start:stop], 0)
            for member, (start, stop) in enumerate(pairwise([*begins, len(numbers)]), 1)
        ]


def mean_of_known(errors: Array, axis: int) -> Array:
    """Average errors over steps or channels, those that are known counting alike.

    Args:
        errors: NaN where no target is known ``(H, C)``.
        axis: 0 for the mean over steps, 1 for that over channels; NaN where none is known.
    """
    known = np.isfinite(errors)
    with np.errstate(invalid="ignore"):
        mean: Array = np.where(known, errors, 0).sum(axis=axis) / known.sum(axis=axis)
    return mean


def labels(rows: DataFrame) -> list[str]:
    """Name every row of a group: the model, and its lookback where two rows share a name."""
    twice = rows["name"].duplicated(keep=False)
    pairs = zip(rows["name"], rows["lookback"], twice, strict=True)
    return [f"{name} ({lookback})" if both else name for name, lookback, both in pairs]


def runs_by_row(results: DataFrame) -> dict[Any, list[Run]]:
    """The done runs behind each row of a leaderboard, by `ROW`, in the order of their seeds."""
    done = results[results["status"] == "done"].sort_values("seed", kind="stable")
    epochs = done["best_epoch"].fillna(0).tolist()
    names = (done[name].tolist() for name in (*ROW, "run_id", "model", "fitted"))
    runs: dict[Any, list[Run]] = {}
    for *key, run_id, model, fitted, best_epoch in zip(*names, epochs, strict=True):
        runs.setdefault(tuple(key), []).append(Run(run_id, model, fitted, best_epoch))
    return runs


def read_details(
    rows: DataFrame, places: Iterable[int], runs: Mapping[Any, Sequence[Run]], folder: Path
) -> list[Detail]:
    """Read what the runs of some rows of a group left behind, where their folders are there.

    Args:
        rows: of the group.
        places: of the rows to read.
        runs: as `runs_by_row` gives.
        folder: holds a folder for each run.

    Raises:
        UserError: a file is damaged.
    """
    names, keys = labels(rows), list(rows[ROW].itertuples(index=False, name=None))
    read = (read_detail(names[place], runs[keys[place]], folder) for place in places)
    return [detail for detail in read if detail is not None]


def read_detail(label: str, runs: Sequence[Run], folder: Path) -> Detail | None:
    """Read what the runs of a row left behind.

    Args:
        label: see `Detail`.
        runs: a value of `runs_by_row`.
        folder: holds a folder for each run.

    Returns:
        None where a run's folder is not there: its row may have come from elsewhere.

    Raises:
        UserError: a file is damaged.
    """
    folders = [folder / run.run_id for run in runs]
    if not all((each / layout.ERRORS).is_file() for each in folders):
        return None
    for each in folders:
        check_own(each)
    errors = [_errors(each / layout.ERRORS) for each in folders]
    first = errors[0]
    if len({each["squared_by_step"].shape for each in errors}) > 1:
        raise damaged(folders[-1] / layout.ERRORS, "other steps or channels than another seed's")
    return Detail(
        label=label,
        fitted=runs[0].fitted,
        errors={
            name: np.mean([each[key] for each in errors], axis=0, dtype=np.float64)
            for name, key in _BY_STEP.items()
        },
        channels=first["channels"].tolist(),
        scale=first["scale"],
        borders=first.get("borders"),
        forecasts=_forecasts(folders[0] / layout.FORECASTS, len(first["channels"])),
        training=_training(folders[0] / layout.TRAINING),
        best_epoch=runs[0].best_epoch,
    )


def spread(length: int, most: int) -> Places:
    """Pick at most `most` of `length` places, evenly, the first and the last included."""
    if length <= most:
        return np.arange(length)
    return np.linspace(0, length - 1, most).round().astype(np.int64)


def ranked_channels(details: Sequence[Detail], most: int) -> Places:
    """Pick channels spread evenly from the easiest to the hardest, by the models' mean MSE.

    Returns:
        At most `most` numbers in the data's own order.
    """
    by_channel = np.mean([detail.by_channel("mse") for detail in details], axis=0)
    order = np.argsort(by_channel, kind="stable")
    return np.sort(order[spread(len(order), most)])


def _errors(path: Path) -> dict[str, NDArray[Any]]:
    arrays = read_arrays(path, _ERRORS, _ERRORS_OPTIONAL)
    steps, channels = arrays["squared_by_step"].shape
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(_BY_STEP.values(), (steps, channels))
    shapes |= {"channels": (channels,), "scale": (channels,), "borders": (3, 2)}
    _check_shapes(path, arrays, shapes)
    return arrays


def _check_shapes(
    path: Path, arrays: Mapping[str, NDArray[Any]], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    for name, array in arrays.items():
        if array.shape != shapes[name] or 0 in shapes[name][-2:]:
            raise damaged(path, f"'{name}' is of shape {array.shape}")


def _forecasts(path: Path, num_channels: int) -> Forecasts:
    """Read windows; runs of earlier versions kept no history, no interval and no extremes."""
    arrays = read_arrays(path, _FORECASTS, _FORECASTS_OPTIONAL)
    target = arrays["target"]
    count, _, channels = target.shape
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(arrays, target.shape)
    shapes |= {"first_row": (count,), "kind": (count,), "time": (count,), "channel": (channels,)}
    past = arrays.get("history", target[:, :0]).shape[1]
    _check_shapes(path, arrays, shapes | {"history": (count, past, channels)})
    kept = arrays.get("channel", np.arange(channels))
    if kept.min() < 0 or kept.max() >= num_channels:
        raise damaged(path, f"it keeps channels that are none of {num_channels}")
    unknown = np.full_like(target, np.nan)
    return Forecasts(
        kind=arrays["kind"].tolist() if "kind" in arrays else ["common"] * count,
        first_row=arrays["first_row"].tolist(),
        time=[str(time) for time in arrays["time"]] if "time" in arrays else [""] * count,
        channel=kept,
        history=arrays.get("history", target[:, :0]),
        target=target,
        forecast=arrays["forecast"],
        low=arrays.get("low", unknown),
        high=arrays.get("high", unknown),
    )


def _training(path: Path) -> list[dict[str, float]]:
    try:
        with open_checked(path, MAX_TRAINING) as stream:
            epochs: list[dict[str, float]] = json.load(stream)
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(path, error) from error
    if not isinstance(epochs, list) or not all(map(_is_epoch, epochs)):
        raise damaged(path, f"it is no list of epochs with {', '.join(_EPOCH)}")
    return epochs


def _is_epoch(epoch: object) -> bool:
    values = [epoch.get(key) for key in _EPOCH] if isinstance(epoch, dict) else [None]
    return all(isinstance(value, int | float) and abs(value) < 1e300 for value in values)
