"""One run as one row: the columns of results.csv, what each means, and what no row may say.

A row is `done` with scores or `failed` with the error that ended it; a failed run never has a score
and a done one always has. A value that a run does not have is absent (None, an empty cell in CSV).
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from benchmark.config import Strict

SCORES = (
    "mse", "mae", "rmse", "mase", "smape", "r2", "mae_original", "crps", "coverage_80", "width_80",
    "coverage_95", "val_mse", "val_mae",
)  # fmt: skip
"""The columns that a failed run must leave empty."""

HEADLINE = ("mse", "mae")
"""Those that runs are compared by."""

FitRows = Literal["train", "train+val"]
TRAIN: FitRows = "train"
TRAIN_AND_VAL: FitRows = "train+val"

ELSEWHERE: Literal["elsewhere"] = "elsewhere"
"""How a model was fitted, and on what device, whose forecasts were only scored here."""

SEEDED = ("gradient", ELSEWHERE)
"""Ways to fit a model whose scores depend on its seed, or may."""

_RUN_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")


def is_run_id(value: str) -> bool:
    """Say whether a text may be a run's id, and so its folder's name: no path leads through it."""
    return _RUN_ID.fullmatch(value) is not None


def check_run_id(value: str) -> str:
    """Return a run's id.

    Raises:
        ValueError: it is none.
    """
    if not is_run_id(value):
        raise ValueError(
            "a run's id is also its folder's name: 1 to 128 ASCII letters, digits, '.', '_' or '-',"
            " a letter or a digit at both ends"
        )
    return value


def _name(value: str) -> str:
    if not value.isprintable():
        raise ValueError("a name may hold no line break and no control character")
    if value[0] in "=+-@":
        raise ValueError("a name may not start with = + - or @: a spreadsheet runs it as a formula")
    return value


def _utc(value: str) -> str:
    if datetime.fromisoformat(value).utcoffset() != timedelta(0):
        raise ValueError("must be a time in UTC, e.g. 2026-01-31T12:00:00+00:00")
    return value


RunId = Annotated[str, AfterValidator(check_run_id)]
"""Text that is safe as a folder's name on any system."""

Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_name)]
"""The name of a data set or a model: safe in a table, a terminal and a spreadsheet."""

_Text = Annotated[str, Field(min_length=1)]
_Count = Annotated[int, Field(ge=0)]
_Size = Annotated[int, Field(ge=1)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Amount = Annotated[float, Field(allow_inf_nan=False, ge=0)]
_Share = Annotated[float, Field(ge=0, le=1)]


class RunRecord(Strict):
    """The result of one run: what was run, how well it forecast, what it cost, with what it ran.

    Raises:
        pydantic.ValidationError: a done run lacks a finite MSE or MAE or has an error; a failed run
            has a score or no error; a name or an id is not safe to write.
    """

    run_id: RunId = Field(description="Hash of the run's configuration and data; its folder's name")
    status: Literal["done", "failed"] = Field(
        description="`done`, or `failed`: no score, see `error`"
    )
    dataset: Name = Field(description="Name of the data set")
    lookback: _Size = Field(description="Steps seen before each forecast")
    horizon: _Size = Field(description="Steps forecast")
    model: Name = Field(description="Name of the model's configuration")
    seed: _Count = Field(description="Seed of every random number of the run")
    config: _Text = Field(
        description="Hash of all that decides the numbers but the seed: rows that share it differ "
        "by chance alone"
    )
    tuned: _Size | None = Field(
        None, description="Trials of the search that chose the settings; empty where none did"
    )
    mse: _Amount | None = Field(
        None,
        description="Mean squared error on test, scaled series; mean over windows, steps, channels",
    )
    mae: _Amount | None = Field(
        None, description="Mean absolute error on test, scaled series; the same mean"
    )
    rmse: _Amount | None = Field(
        None, description="Root of the mean squared error on test, scaled series"
    )
    mase: _Amount | None = Field(
        None,
        description="Absolute error on test over that of the seasonal naive forecast on train rows",
    )
    smape: _Amount | None = Field(
        None, description="Symmetric mean absolute percentage error on test, original units, 0-200"
    )
    r2: _Finite | None = Field(None, description="Coefficient of determination on test; 1 is best")
    mae_original: _Amount | None = Field(
        None, description="Mean absolute error on test in the data's original units"
    )
    crps: _Amount | None = Field(
        None,
        description="Continuous ranked probability score on test, scaled series: twice the mean "
        "quantile loss of nine deciles, calibrated on validation; without a spread it is the MAE, "
        "and where forecast and truth are normal 9% more than the integral over all levels",
    )
    coverage_80: _Share | None = Field(
        None,
        description="Share of test values in the central 80% interval calibrated on validation",
    )
    width_80: _Amount | None = Field(
        None, description="Mean width of that 80% interval, scaled series"
    )
    coverage_95: _Share | None = Field(
        None,
        description="Share of test values in the central 95% interval calibrated on validation",
    )
    val_mse: _Amount | None = Field(
        None, description="MSE on validation, scaled series: what early stopping and choices saw"
    )
    val_mae: _Amount | None = Field(None, description="MAE on validation, scaled series; the same")
    params: _Count | None = Field(None, description="Number of fitted parameters")
    fitted: Literal["gradient", "closed_form", "none", "elsewhere"] = Field(
        description="How the model is fitted: `gradient`, `closed_form`, `none` (naive), or "
        "`elsewhere`: its forecasts were read from a file"
    )
    fit_rows: FitRows | None = Field(
        None,
        description="Rows that the scored weights were fitted on: `train`, or `train+val`, once "
        "more, when validation had chosen",
    )
    epochs: _Count | None = Field(None, description="Epochs trained; empty without gradients")
    best_epoch: _Count | None = Field(
        None, description="Epoch whose weights were kept, chosen on validation"
    )
    train_seconds: _Amount | None = Field(None, description="Wall-clock seconds of fitting")
    energy_j: _Amount | None = Field(
        None,
        description="Joules during fitting by the counter of the whole CPU and its memory, or of "
        "the whole GPU; empty where there is none to read",
    )
    macs: _Count | None = Field(
        None,
        description="Multiply-accumulates of one window's forecast, all channels: products of "
        "matrices, convolutions and solving equations in the plain torch path; no elementwise "
        "work, no Fourier transforms. It is what the code multiplies: of an mLSTM also the "
        "products inside a chunk, of a Mamba nothing of its state, which is elementwise",
    )
    latency_ms: _Amount | None = Field(
        None, description="Wall-clock milliseconds of one window's forecast, by itself"
    )
    throughput: _Amount | None = Field(
        None,
        description="Windows forecast a second, 256 at a time or all validation windows if they "
        "are fewer",
    )
    peak_memory_mb: _Amount | None = Field(
        None, description="Peak memory in MiB: of the accelerator if there is one, else the process"
    )
    device: _Text = Field(description="Device the run used")
    threads: _Size | None = Field(None, description="CPU threads the run could use")
    hardware: _Text | None = Field(
        None,
        description="CPU, its vector instructions, cores and memory; GPU and memory where one is "
        "used",
    )
    data: _Text | None = Field(
        None,
        description="Begin of the SHA-256 of the series read: names, times and values, the same "
        "for every copy",
    )
    fingerprint: _Text = Field(
        description="Protocol fingerprint: rows with different ones are never ranked together"
    )
    test_windows: _Count | None = Field(None, description="Test windows scored")
    channels: _Size | None = Field(None, description="Channels forecast")
    started: Annotated[str, AfterValidator(_utc)] = Field(
        description="When the run began, ISO 8601, UTC"
    )
    benchmark_version: _Text = Field(description="Version of this package")
    python_version: _Text = Field(description="Version of Python")
    torch_version: _Text = Field(description="Version of PyTorch")
    lightning_version: _Text = Field(description="Version of Lightning")
    git_revision: _Text | None = Field(
        None, description="Git revision of the working copy; empty outside one"
    )
    error: Annotated[str, Field(min_length=1, max_length=100_000)] | None = Field(
        None, description="What ended a failed run; empty where done"
    )

    @model_validator(mode="after")
    def _status_and_scores_agree(self) -> Self:
        if self.status == "done":
            if self.mse is None or self.mae is None:
                raise ValueError("a done run must have a finite mse and mae")
            if self.error is not None:
                raise ValueError("a done run cannot have an error")
            return self
        scored = [name for name in SCORES if getattr(self, name) is not None]
        if scored:
            raise ValueError(f"a failed run cannot have a score, got {', '.join(scored)}")
        if self.error is None:
            raise ValueError("a failed run must say its error")
        return self


COLUMNS = tuple(RunRecord.model_fields)
"""Columns of results.csv, in order."""

OF_THE_MACHINE = (
    "train_seconds", "energy_j", "latency_ms", "throughput", "peak_memory_mb", "device", "threads",
    "hardware", "started", "python_version", "torch_version", "lightning_version",
)  # fmt: skip
"""Columns that say where and when a run was made, and what was measured there by the clock."""


def column_kinds() -> dict[str, type]:
    """Return the plain type of every column: str, int or float."""
    kinds = {"string": str, "integer": int, "number": float}
    return {name: kinds[schema["type"]] for name, schema in _schemas().items()}


def column_bounds() -> dict[str, tuple[float, float]]:
    """Return the least and the greatest value of every column of numbers that has such."""
    return {
        name: (schema["minimum"], schema.get("maximum", math.inf))
        for name, schema in _schemas().items()
        if "minimum" in schema
    }


@cache
def _schemas() -> dict[str, dict[str, Any]]:
    """The JSON schema of every column's values where they are not absent."""
    properties = RunRecord.model_json_schema()["properties"]
    return {name: schema.get("anyOf", [schema])[0] for name, schema in properties.items()}
