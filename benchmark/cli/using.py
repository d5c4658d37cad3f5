"""Commands that use a finished run: on a file of one's own, over and over, or elsewhere."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.options import FIGURES, ResultsOption, check_output, make_console, tell
from benchmark.errors import UserError, told_by_line
from benchmark.places import RESULTS

if TYPE_CHECKING:
    from benchmark.harness.backtest import Backtest
    from benchmark.harness.saved import SavedRun
    from benchmark.reports.tables import Table

RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="A run kept with --checkpoint: its folder, its id or the start of it."
    ),
]

MOST_ROWS = 60
"""Origins that are printed one by one."""


def forecast(
    run: RunArgument,
    input_: Annotated[
        Path,
        typer.Option(
            "--input", help="A CSV with the time column and channels the run was fitted on."
        ),
    ],
    output: Annotated[Path, typer.Option(help="Write the forecast there, as CSV.")],
    plot: Annotated[
        Path | None, typer.Option(help="Also draw it: a .svg, .png or .pdf file.")
    ] = None,
    level: Annotated[int, typer.Option(help="Level of the intervals, in percent: 80 or 95.")] = 80,
    results: ResultsOption = RESULTS,
) -> None:
    """Forecast the steps after a file's last row.

    The last rows are read, as many as the run looks back. Each channel gets a column, in its own
    unit, and <channel>_lo80 and <channel>_hi80, the ends of its 80% interval (_lo95 and _hi95 with
    --level 95). Empty cells and absent times are treated as in the data set that the run was fitted
    on. This needs a run made by benchmark run ... --checkpoint, but not the data it was fitted on.
    Example: benchmark forecast gru-ETTh1 --input new.csv --output forecast.csv
    """
    from benchmark.data.missing import unseen
    from benchmark.harness.saved import load_saved
    from benchmark.records.forecast import write_forecast
    from benchmark.words import listed, time_text

    check_output(output, ".csv", read=[input_])
    check_output(plot, *FIGURES, option="--plot")
    saved = load_saved(run, results, level)
    rows = saved.read(input_)
    console = make_console()
    if rows.ignored:
        names = [name.strip() or "a column without a name" for name in rows.ignored]
        tell(console, f"Note: not read, {listed(names, 8)}", style="yellow")
    times, lookback = rows.timestamps, saved.spec.lookback
    notes = unseen(saved.data.channels, rows.values, lookback, times)
    for note in filter(None, [*notes, saved.without()]):
        tell(console, f"Note: {note}", style="yellow")
    with _own_code_told(saved):
        try:
            found = saved.forecast(rows)
        except FloatingPointError as error:
            cure = "look for values far from all others"
            raise UserError(str(input_), str(error), cure) from error
    write_forecast(output, found)
    steps = f"{len(found.times)} steps, {time_text(found.times[0])} to {time_text(found.times[-1])}"
    tell(console, f"Forecast: {output} ({steps})")
    if plot is not None:
        from benchmark.reports.forecast_plot import plot_forecast

        plot_forecast(found, f"{saved.spec.name}: {steps}", plot)
        tell(console, f"Plot: {plot}")


def backtest(
    run: RunArgument,
    input_: Annotated[
        Path | None,
        typer.Option("--input", help="A CSV as for forecast; default: the run's own test split."),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(min=1, help="Steps between origins; default: the horizon, so none overlap."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Also write a row for each origin there, as CSV.")
    ] = None,
    results: ResultsOption = RESULTS,
) -> None:
    """Forecast again and again through a file, and score each forecast.

    An origin is the time of the last row seen; it counts where a whole lookback lies before it and
    a whole horizon after it. The run is used as it was fitted: nothing is trained. Example:
    benchmark backtest gru-ETTh1 --input new.csv --stride 24
    """
    from benchmark.harness.backtest import backtest as roll
    from benchmark.harness.backtest import write_backtest
    from benchmark.harness.saved import load_saved
    from benchmark.reports.terminal import print_tables

    check_output(output, ".csv", read=[input_])
    saved = load_saved(run, results)
    step = stride or saved.spec.horizon
    with _own_code_told(saved):
        try:
            found = roll(saved, input_, step)
        except FloatingPointError as error:
            raise UserError(str(input_ or saved.run_id), str(error)) from error
    console = make_console()
    where = input_.name if input_ else f"{saved.data.card.name}, test split"
    print_tables([_table(saved, found, where, step)], console)
    if output is not None:
        write_backtest(output, found)
        tell(console, f"Scores: {output}")


def export(
    run: RunArgument,
    output: Annotated[Path, typer.Option(help="Folder to write.")],
    results: ResultsOption = RESULTS,
) -> None:
    """Write a folder that forecasts by torch alone, without this package.

    It holds the model with its scaling (model.pt2, by torch.export), metadata.json and a README.md
    with the few lines that use them. Example: benchmark export gru-ETTh1 --output gru/
    """
    from benchmark.harness.export import export as write
    from benchmark.harness.saved import load_saved

    saved = load_saved(run, results)
    console = make_console()
    with console.status("exporting and comparing"):
        exported = write(saved, output)
    if not exported.any_batch:
        note = "torch cannot leave its batch free: the exported model takes one lookback at a time"
        tell(console, f"Note: {note}", style="yellow")
    tell(console, f"Exported: {output}")


def _own_code_told(saved: SavedRun) -> AbstractContextManager[None]:
    """Tell what a model of the user's raises, which may be another one than was fitted."""
    return told_by_line(f"run {saved.run_id}: model", own=bool(saved.data.source))


def _table(saved: SavedRun, found: Backtest, where: str, stride: int) -> Table:
    """A row an origin, where they are not too many, and one of their means."""
    from benchmark.reports.tables import Cell, Column, Table, number
    from benchmark.words import counted, time_text

    count = len(found.origin)
    origins = counted(count, "origin") + (f" {counted(stride, 'step')} apart" if count > 1 else "")
    columns = [values.tolist() for values in found.scores.values()]
    rows = [
        (Cell(time_text(time)), *(Cell(number(value)) for value in row))
        for time, *row in zip(found.origin, *columns, strict=True)
    ]
    mean = (Cell("mean"), *(Cell(number(value)) for value in found.mean.values()))
    notes = ["MSE and MAE on the scale of the train rows; RMSE in original units, channels' mean"]
    if count > MOST_ROWS:
        notes.append(f"{count} origins; --output FILE.csv has a row for each")
    if saved.model.ends and (without := saved.without()):
        notes.append(f"{without}; inside 80% is of the others")
    return Table(
        title=f"{saved.run_id} on {where}",
        columns=(
            Column("origin", number=False),
            Column("MSE"),
            *(Column(title, spare=1) for title in ("MAE", "RMSE", "MASE", "inside 80%")),
        ),
        rows=(*(rows if count <= MOST_ROWS else ()), mean),
        intro=(f"lookback {saved.spec.lookback}, horizon {saved.spec.horizon}, {origins}",),
        notes=tuple(notes),
    )
