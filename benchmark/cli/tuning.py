"""The command that chooses a model's settings on validation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.options import (
    Device,
    DeviceOption,
    ResultsOption,
    SetOption,
    ThreadsOption,
    check_output,
    execution_of,
    make_console,
    tell,
)
from benchmark.errors import UserError, raise_faults
from benchmark.places import RESULTS
from benchmark.words import command_line, counted

if TYPE_CHECKING:
    import torch
    from rich.console import Console

    from benchmark.data.load import Series
    from benchmark.training.report import Epoch
    from benchmark.tuning.search import Search
    from benchmark.tuning.trials import Trial


def tune(
    configs: Annotated[list[str], typer.Argument(help="Models' YAMLs: paths, or our names.")],
    budget: Annotated[
        int, typer.Option(min=1, help="Trials of each model, earlier ones included.")
    ] = 30,
    horizon: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            help="Steps forecast; if repeated, one setting by the mean over all.",
            show_default="the YAML's",
        ),
    ] = None,
    folds: Annotated[
        int,
        typer.Option(
            min=1,
            help="Blocks of the rows before test, held out in turn; 1 takes the validation split.",
        ),
    ] = 1,
    every: Annotated[
        int,
        typer.Option(min=1, help="Score one in so many held-out windows: neighbours are alike."),
    ] = 1,
    set_: SetOption = None,
    output: Annotated[
        Path | None,
        typer.Option(help="YAML to write the choice to; default: <results>/tune/<name>.yaml."),
    ] = None,
    results: ResultsOption = RESULTS,
    device: DeviceOption = Device.auto,
    threads: ThreadsOption = 0,
) -> None:
    """Choose settings, or a model, on validation.

    Tries what the YAML's `search` names. A key set by --set is fixed or, if a search set by --set
    names it, tried first. Several YAMLs are ranked by the best of each; --budget 1 takes them as
    they are. The test split is not read. If stopped, the same command goes on from there. Examples:
    benchmark tune gru --budget 30;
    benchmark tune ridge --set lookback=24 --set 'search={lookback: [12, 24, 36]}';
    benchmark tune ridge holt_winters gru --budget 1 --folds 4
    """
    from benchmark.harness.spec import find_config

    paths = [find_config("models", config) for config in configs]
    if output is not None and len(paths) > 1:
        what = f"is one file for {len(paths)} configurations"
        raise UserError("--output", what, "leave it out, or tune them one by one")
    check_output(output, ".yaml", ".yml", read=paths)

    from benchmark.tuning.trials import require_optuna

    require_optuna()

    from benchmark.harness.fitted import resolve_device
    from benchmark.reports.terminal import print_tables
    from benchmark.tuning.search import prepare
    from benchmark.tuning.table import models_tables

    execution = execution_of(results, device, threads)
    target = resolve_device(execution)

    def read(path: Path, beside: int | None, series: Series | None = None) -> Search:
        given = set_ or [], execution.results, series, horizon or ()
        return prepare(path, *given, folds=folds, every=every, beside=beside)

    searches = [read(path, 0 if len(paths) > 1 else None) for path in paths]
    longest = max(search.longest for search in searches)
    searches = [  # all on the same windows
        one if one.longest == longest else read(path, longest, one.series)
        for path, one in zip(paths, searches, strict=True)
    ]
    names = [search.spec.name for search in searches]
    for name in names:
        if names.count(name) > 1:
            raise UserError("benchmark tune", f"two configurations are named {name}", "rename one")
    console = make_console()
    unfinished = []
    found = []
    command = command_line(
        "tune",
        *configs,
        budget=budget,
        horizon=horizon,
        folds=folds if folds > 1 else None,
        every=every if every > 1 else None,
        set=set_,
    )
    for search in searches:
        path = output or execution.results / "tune" / f"{search.spec.name}.yaml"
        try:
            trials = _tune_one(search, budget, target, console, path)
            found.append((search, trials))
            searched = len(paths) == 1 or len(trials) > 1
            if searched:  # of several models, those without a search are in the table alone
                _tell_chosen(search, trials, budget, console, path, command)
        except UserError as error:
            unfinished.append(error)
    print_tables(models_tables(found), console)
    raise_faults(unfinished)


def _tune_one(
    search: Search, budget: int, device: torch.device, console: Console, path: Path
) -> list[Trial]:
    from benchmark.files import check_writable
    from benchmark.tuning.chosen import best_trial
    from benchmark.tuning.table import settings
    from benchmark.tuning.tune import tune as search_on

    check_writable(path)
    name, monitor = search.spec.name, search.spec.training.monitor.upper()
    with console.status(f"{name}: starting") as status:

        def on_epoch(epoch: Epoch) -> None:
            score = search.spec.training.monitored(epoch)
            status.update(f"{name}: epoch {epoch.number}, val {monitor} {score:.4f}")

        def on_trial(number: int, trial: Trial) -> None:
            shown = "" if trial.score is None else f"val {monitor} {trial.score:.4f}  "
            tell(
                console,
                f"{name} trial {number:<3} {trial.outcome:<8} {shown}{trial.seconds:6.1f} s  "
                f"{settings(trial)}",
            )

        trials = search_on(search, budget, device, on_epoch, on_trial)
    best_trial(search, trials)  # or it is told why there is none
    return trials


def _tell_chosen(
    search: Search,
    trials: list[Trial],
    budget: int,
    console: Console,
    path: Path,
    command: str,
) -> None:
    from benchmark.files import write_atomically
    from benchmark.reports.terminal import print_tables
    from benchmark.tuning.chosen import chosen_yaml
    from benchmark.tuning.table import trials_table

    print_tables([trials_table(search, trials)], console)
    if len(trials) < budget and any(trial.outcome != "failed" for trial in trials):
        made = f"{counted(len(trials), 'trial')}, not {budget}"
        tell(console, f"{made}: the search has no other values to try.")
    text, own = chosen_yaml(search, trials, command), search.file.with_name("chosen.yaml")
    there = _text(path)
    replaced = there not in (None, text, _text(own))
    write_atomically(own, text)
    write_atomically(path, text)
    tell(console, f"Chosen: {path}")
    if replaced:
        note = "It replaces what another search chose there; each also keeps its own, this one as"
        tell(console, f"{note} {own}", style="yellow")


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
