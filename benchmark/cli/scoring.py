"""The command that scores what another program has forecast."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.options import ResultsOption, make_console, tell
from benchmark.cli.results import show_boards
from benchmark.places import RESULTS


def score(
    file: Annotated[
        Path, typer.Argument(help="An .npy (windows, horizon, channels), a .csv or a .parquet.")
    ],
    name: Annotated[str, typer.Option(help="Name of the model in tables.")],
    lookback: Annotated[int, typer.Option(min=1, help="Steps that it saw before each forecast.")],
    dataset: Annotated[str, typer.Option(help="A card's name or path.")] = "ETTh1",
    horizon: Annotated[int, typer.Option(min=1, help="Steps forecast.")] = 336,
    seed: Annotated[int, typer.Option(min=0, help="The seed that it was trained with.")] = 1,
    column: Annotated[
        str | None,
        typer.Option(help="A table's column of forecasts; default: the only one."),
    ] = None,
    target: Annotated[
        Path | None, typer.Option(help="An .npy of the true values, to be compared with ours.")
    ] = None,
    original_units: Annotated[
        bool,
        typer.Option("--original-units", help="The forecasts are in the data's units, not scaled."),
    ] = False,
    results: ResultsOption = RESULTS,
) -> None:
    """Score forecasts that another program made, and rank them among ours.

    The file holds the forecasts of all test windows, at stride 1, scaled by mean and standard
    deviation of the train rows unless --original-units says otherwise. An .npy holds them in time
    order, like pred.npy of Time-Series-Library. A table has a row for each value, with columns
    unique_id (the channel), ds (its time), cutoff (the time of the last row before) and the
    forecast, like cross_validation of Nixtla's libraries (which is in original units). If it has
    the true values too, as y, they are compared with ours.

    Example: benchmark score pred.npy --name PatchTST_TSLib --lookback 96
    """
    from benchmark.config import validate
    from benchmark.harness.elsewhere import Forecasts, score_file
    from benchmark.records.store import Store

    told = {
        "file": str(file), "name": name, "dataset": dataset, "lookback": lookback,
        "horizon": horizon, "seed": seed, "column": column,
        "target": str(target) if target else None, "original_units": original_units,
    }  # fmt: skip
    record = score_file(validate(Forecasts, told, "benchmark score"), results)
    store = Store(results)
    console = make_console()
    show_boards(store.rebuild_csv(), console, only={record.run_id})
    tell(console, f"Run folder: {store.runs / record.run_id}")
