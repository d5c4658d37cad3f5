"""The command line: one function a command, which parses, calls and prints.

Nothing heavy is imported at module level, so that ``--help`` answers at once.
"""

from __future__ import annotations

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmark.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.harness.spec import Execution

PROJECT = Path(__file__).parent.parent
DEFAULT_RESULTS = PROJECT / "results"
LOG_WIDTH = 110  # columns, where the output goes to a file or a log
INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it
STOPPED = "Stopped. Finished runs are kept; the same command goes on from here."

app = typer.Typer(
    help="Benchmark time-series forecasters: run models and suites, rank and compare results.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
datasets_app = typer.Typer(
    help="List the data sets, fetch their files, check them.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
app.add_typer(datasets_app, name="datasets")


class Device(StrEnum):
    """Where to run; ``auto`` takes an NVIDIA GPU where there is one."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the YAML; repeatable."),
]
ResultsOption = Annotated[
    Path, typer.Option("--results", envvar="BENCHMARK_RESULTS", help="Results folder.")
]
DeviceOption = Annotated[Device, typer.Option(help="Where to run.")]
ThreadsOption = Annotated[int, typer.Option(min=0, help="CPU threads; 0 leaves torch's choice.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Run again what is done already.")]
CheckpointOption = Annotated[
    bool, typer.Option("--checkpoint", help="Keep the fitted weights in the run's folder.")
]
TensorboardOption = Annotated[
    bool, typer.Option("--tensorboard", help="Write TensorBoard event files.")
]
VerboseOption = Annotated[bool, typer.Option("--verbose", help="Show Lightning's own messages.")]


@app.command()
def run(
    config: Annotated[str, typer.Argument(help="A model's YAML: a path, or a name of ours.")],
    set_: SetOption = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Short for --set seed=N.")] = None,
    results: ResultsOption = DEFAULT_RESULTS,
    device: DeviceOption = Device.auto,
    threads: ThreadsOption = 0,
    force: ForceOption = False,
    checkpoint: CheckpointOption = False,
    tensorboard: TensorboardOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Train and evaluate one model, e.g. benchmark run gru --set horizon=96 --seed 3."""
    from benchmark.harness.spec import find_config, load_run

    path = find_config("models", config)
    overrides = [*(set_ or []), *([f"seed={seed}"] if seed is not None else [])]
    spec = load_run(path, overrides)

    from benchmark.harness.progress import RunProgress
    from benchmark.harness.run import plan
    from benchmark.harness.run import run as run_one
    from benchmark.records.store import Store

    execution = _execution(results, device, threads, force, checkpoint, tensorboard, verbose)
    console = _console()
    planned = plan(spec, str(path))
    store = Store(execution.results)
    if store.is_done(planned.run_id) and not force:
        console.print("This run is done already; --force runs it again.")
    else:
        with RunProgress([spec], [1.0], console) as progress:
            progress.begin()
            try:
                progress.end(run_one(planned, execution, progress.epoch))
            except FloatingPointError as error:  # says its own cure
                raise UserError(str(path), str(error)) from error
    path = store.rebuild_csv()
    _show_boards(path, console, only={planned.run_id})
    _tell(console, f"Run folder: {store.runs / planned.run_id}")


@app.command()
def suite(
    name: Annotated[str, typer.Argument(help="A suite: etth1, quick, full, or a YAML's path.")],
    set_: SetOption = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail if a data set cannot be had; no stand-in.")
    ] = False,
    results: ResultsOption = DEFAULT_RESULTS,
    device: DeviceOption = Device.auto,
    threads: ThreadsOption = 0,
    force: ForceOption = False,
    checkpoint: CheckpointOption = False,
    tensorboard: TensorboardOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Run every run of a suite that is not done yet, and write its leaderboard."""
    from benchmark.harness.spec import find_config, load_suite

    path = find_config("suites", name)
    spec = load_suite(path)

    from benchmark.harness.suite import run_suite
    from benchmark.records.store import Store
    from benchmark.reports.leaderboard import print_table, write_leaderboard
    from benchmark.reports.ranking import leaderboard as rank

    execution = _execution(results, device, threads, force, checkpoint, tensorboard, verbose)
    console = _console()
    outcome = run_suite(spec, str(path), execution, console, set_ or [], strict)
    store = Store(execution.results)
    if outcome.run_ids:
        table = _rows(store.rebuild_csv(), only=set(outcome.run_ids))
        folder = execution.results / spec.name
        options = [part for item in set_ or [] for part in ("--set", item)]
        command = shlex.join(["benchmark", "suite", name, *options])
        write_leaderboard(folder, table, command=command, note=" ".join(outcome.notes))
        print_table(rank(table), console)
        for note in outcome.notes:
            _tell(console, f"Note: {note}", style="yellow")
        _tell(console, f"Leaderboard: {folder / 'leaderboard.md'}")
    else:
        _tell(console, "No run is left: there is no leaderboard to write.")
    if outcome.failed or outcome.missing:
        parts = [f"{len(outcome.failed)} runs failed"] if outcome.failed else []
        parts += [f"not to be had: {', '.join(outcome.missing)}"] if outcome.missing else []
        _tell(console, "; ".join(parts), style="red")
        raise typer.Exit(1)


@app.command()
def leaderboard(
    csv: Annotated[
        Path | None, typer.Argument(help="A results CSV; default: all runs of --results.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Also write leaderboard.md and leaderboard.csv there.")
    ] = None,
    results: ResultsOption = DEFAULT_RESULTS,
) -> None:
    """Rank what has been run, a table for each data set, horizon and protocol."""
    from benchmark.records.store import Store
    from benchmark.reports.leaderboard import write_leaderboard

    path = csv or Store(results).rebuild_csv()
    console = _console()
    if output is not None:
        command = "benchmark leaderboard" + (f" {csv}" if csv else "")
        write_leaderboard(output, _rows(path), command=command)
        _tell(console, f"Leaderboard: {output / 'leaderboard.md'}")
    _show_boards(path, console)


@app.command()
def compare(
    old: Annotated[Path | None, typer.Argument(help="Results CSV to compare with.")] = None,
    new: Annotated[Path | None, typer.Argument(help="Results CSV to judge.")] = None,
    tolerance: Annotated[
        float, typer.Option(min=0, help="Relative change that counts as none.")
    ] = 0.01,
    published: Annotated[
        bool,
        typer.Option(
            "--published",
            help="Show one CSV (default: results/results.csv) beside results/published.csv.",
        ),
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
) -> None:
    """Compare two results CSVs; exits 1 if anything regressed."""
    from benchmark.records.table import read_results
    from benchmark.reports import compare as comparing
    from benchmark.reports import published as publishing

    console = _console()
    if published:
        figures = publishing.read_published(DEFAULT_RESULTS / "published.csv")
        beside = publishing.compare_published(
            read_results(old or DEFAULT_RESULTS / "results.csv"), figures
        )
        if markdown:
            typer.echo(publishing.to_markdown(beside))
        else:
            publishing.print_published(beside, console)
        return
    if old is None or new is None:
        raise UserError(
            "compare", "names fewer than two CSVs", "use: benchmark compare OLD.csv NEW.csv"
        )
    comparison = comparing.compare(read_results(old), read_results(new), tolerance)
    if markdown:
        typer.echo(comparing.to_markdown(comparison))
    else:
        comparing.print_comparison(comparison, console)
    if comparison.regressed:
        raise typer.Exit(1)


@app.command()
def models() -> None:
    """List the models of the suite."""
    from rich.table import Table

    from benchmark.config import load_yaml
    from benchmark.harness.spec import config_names, find_config

    table = Table("model", "lookback", "description", box=None, pad_edge=False)
    for name in config_names("models"):
        data = load_yaml(find_config("models", name))
        table.add_row(name, str(data.get("lookback", 336)), data.get("description", ""))
    _console().print(table)


@datasets_app.command("list")
def datasets_list() -> None:
    """List the data set cards, and whether each file is here."""
    from rich.table import Table

    from benchmark.data.card import list_cards, load_card
    from benchmark.data.fetch import locate

    table = Table("data set", "every", "channels", "here", "licence", box=None, pad_edge=False)
    for name in list_cards():
        card = load_card(name)
        channels = card.channels if isinstance(card.channels, int) else len(card.channels)
        here = "yes" if locate(card) else "no"
        table.add_row(name, card.frequency, str(channels), here, card.licence)
    _console().print(table)


@datasets_app.command("fetch")
def datasets_fetch(
    names: Annotated[list[str], typer.Argument(help="Cards' names, or 'all'.")],
) -> None:
    """Fetch data sets into the data folder and verify them; what is there is left alone."""
    from benchmark.data.card import list_cards, load_card
    from benchmark.data.fetch import fetch

    failed = []
    for name in list_cards() if names == ["all"] else names:
        try:
            typer.echo(f"{name}: {fetch(load_card(name))}")
        except UserError as error:
            failed.append(error)
    if failed:
        raise UserError.join(failed)


@datasets_app.command("check")
def datasets_check(
    names: Annotated[list[str], typer.Argument(help="Cards' names or paths, or 'all'.")],
) -> None:
    """Read data sets whole and check every cell and timestamp."""
    from benchmark.data.card import list_cards, load_card
    from benchmark.data.load import describe

    failed = []
    for name in list_cards() if names == ["all"] else names:
        try:
            facts = describe(load_card(name))
        except UserError as error:
            failed.append(error)
            continue
        typer.echo(name)
        for fact, value in facts.items():
            typer.echo(f"  {fact}: {value}")
    if failed:
        raise UserError.join(failed)


@app.command()
def check(
    model: Annotated[
        str, typer.Argument(help="A forecaster's class (my_module.MyForecaster) or a YAML.")
    ],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="An option of the class; repeatable."),
    ] = None,
) -> None:
    """Check that a forecaster keeps the contract; exits 1 if it does not."""
    from benchmark.config import apply_overrides
    from benchmark.harness.spec import find_config, load_run

    is_yaml = model.endswith((".yaml", ".yml")) or "." not in model
    if is_yaml:
        path = find_config("models", model)
        spec = load_run(path, [f"model.{item}" for item in set_ or []]).model
    else:
        spec = apply_overrides({"class": model}, set_ or [])

    from benchmark.forecasters.check import check_forecaster

    console = _console()
    findings = check_forecaster(spec, model)
    problems = [finding for finding in findings if finding.problem]
    for sentence in dict.fromkeys(finding.check for finding in findings):
        wrong = [finding for finding in problems if finding.check == sentence]
        mark = "[red]no [/red]" if wrong else "[green]yes[/green]"
        console.print(f"{mark}  {sentence}.", highlight=False)
        for finding in wrong:
            console.print(f"       {finding.shape}: {finding.problem}", markup=False)
    if problems:
        raise typer.Exit(1)


@app.command()
def speed(
    models: Annotated[
        list[str] | None, typer.Argument(help="Models' YAMLs; default: all of ours.")
    ] = None,
    loop: Annotated[
        bool, typer.Option("--loop", help="Time the training loop against a bare one instead.")
    ] = False,
    device: DeviceOption = Device.auto,
    threads: ThreadsOption = 0,
) -> None:
    """Windows a second, forward and training step, beside torch.nn.GRU."""
    from benchmark.harness.spec import config_names, find_config, load_run

    names = models or config_names("models")
    specs = [load_run(find_config("models", name)) for name in names]

    from rich.table import Table

    from benchmark.harness.run import resolve_device
    from benchmark.harness.speed import measure, measure_loop

    execution = _execution(DEFAULT_RESULTS, device, threads, False, False, False, False)
    console = _console()
    if loop:
        took = measure_loop()
        console.print(f"bare loop, two linear layers  {took.bare:.3f} s an epoch")
        console.print(f"bare loop, DLinear            {took.dlinear:.3f} s an epoch")
        console.print(
            f"DLinear under Lightning       {took.suite:.3f} s an epoch, "
            f"{took.suite / took.bare:.2f} x the first, "
            f"{took.suite / took.dlinear:.2f} x the second"
        )
        return
    table = Table(box=None, pad_edge=False)
    for title in ("model", "forecasts/s", "trained/s", "time of torch.nn.GRU"):
        table.add_column(title, justify="left" if title == "model" else "right")
    for row in measure(specs, resolve_device(execution)):
        trained = f"{row.step:,.0f}" if row.step else "-"
        table.add_row(row.name, f"{row.forward:,.0f}", trained, f"{row.relative:.3f} x")
    console.print(table)


def main() -> None:
    """Run the command line; a user's mistake is told in plain lines, without a traceback."""
    try:
        app()
    except UserError as error:
        for line in str(error).split("\n"):
            sys.stderr.write(f"error: {line}\n")
        sys.exit(2)
    except SystemExit as end:  # what Typer makes of Ctrl-C
        if end.code == INTERRUPTED:
            sys.stderr.write(f"\n{STOPPED}\n")
        raise


def _execution(
    results: Path,
    device: Device,
    threads: int,
    force: bool,
    checkpoint: bool,
    tensorboard: bool,
    verbose: bool,
) -> Execution:
    import torch

    from benchmark.harness.spec import Execution

    if threads:
        torch.set_num_threads(threads)
    return Execution(
        results=results,
        device=device.value,
        threads=threads,
        force=force,
        checkpoint=checkpoint,
        tensorboard=tensorboard,
        verbose=verbose,
    )


def _console() -> Console:
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=LOG_WIDTH)


def _tell(console: Console, text: str, style: str | None = None) -> None:
    """Print text as it is: unbroken, and with no markup read into a path or a message."""
    console.print(text, style=style, soft_wrap=True, markup=False, highlight=False)


def _rows(path: Path, only: set[str] | None = None) -> Any:
    from benchmark.records.table import read_results

    results = read_results(path)
    return results if only is None else results[results["run_id"].isin(only)]


def _show_boards(path: Path, console: Console, only: set[str] | None = None) -> None:
    """Print the tables of every task that has a run in `only`, or of all."""
    from benchmark.reports.leaderboard import print_table
    from benchmark.reports.ranking import leaderboard as rank

    rows = _rows(path)
    if only is not None:
        chosen = rows[rows["run_id"].isin(only)]
        keys = ["dataset", "horizon", "fingerprint"]
        rows = rows.merge(chosen[keys].drop_duplicates(), on=keys)
    print_table(rank(rows), console)
