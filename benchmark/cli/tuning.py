"""The command that chooses a model's settings on validation."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
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
from benchmark.errors import UserError
from benchmark.places import RESULTS
from benchmark.words import counted

if TYPE_CHECKING:
    import torch
    from rich.console import Console

    from benchmark.reports.tables import Table
    from benchmark.training.report import Epoch
    from benchmark.tuning.search import Search
    from benchmark.tuning.trials import Trial


def tune(
    configs: Annotated[list[str], typer.Argument(help="Models' YAMLs: paths, or names of ours.")],
    budget: Annotated[
        int, typer.Option(min=1, help="Trials for each, earlier ones included.")
    ] = 30,
    horizon: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            help="Steps forecast; repeated: one setting for all, by the mean over them.",
            show_default="the YAML's",
        ),
    ] = None,
    folds: Annotated[
        int,
        typer.Option(
            min=1,
            help="Blocks of the rows before test, held out in turn; 1: the validation split.",
        ),
    ] = 1,
    set_: SetOption = None,
    output: Annotated[
        Path | None, typer.Option(help="Chosen YAML; default: <results>/tune/<name>.yaml.")
    ] = None,
    results: ResultsOption = RESULTS,
    device: DeviceOption = Device.auto,
    threads: ThreadsOption = 0,
) -> None:
    """Choose settings on validation.

    Tries what the YAML's `search` names; a key that --set sets is fixed, or begins a search that is
    set. The test split is not read. Stopped, the same command goes on from there. Examples:
    benchmark tune gru --budget 30;
    benchmark tune ridge --set lookback=24 --set 'search={lookback: [12, 24, 36]}'
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
    from benchmark.tuning.search import prepare

    execution = execution_of(results, device, threads)
    target = resolve_device(execution)
    searches = [
        prepare(path, set_ or [], execution.results, None, horizon or (), folds) for path in paths
    ]
    names = [search.spec.name for search in searches]
    for name in names:
        if names.count(name) > 1:
            raise UserError("benchmark tune", f"two configurations are named {name}", "rename one")
    console = make_console()
    unfinished = []
    for config, search in zip(configs, searches, strict=True):
        words = ["benchmark", "tune", config, "--budget", str(budget)]
        words += [word for each in horizon or () for word in ("--horizon", str(each))]
        words += ["--folds", str(folds)] if folds > 1 else []
        words += [word for item in set_ or [] for word in ("--set", item)]
        path = output or execution.results / "tune" / f"{search.spec.name}.yaml"
        try:
            _tune_one(search, budget, target, console, path, shlex.join(words))
        except UserError as error:
            unfinished.append(error)
    if unfinished:
        raise UserError.join(unfinished)


def _tune_one(
    search: Search, budget: int, device: torch.device, console: Console, path: Path, command: str
) -> None:
    from benchmark.files import check_writable, write_atomically
    from benchmark.reports.terminal import print_tables
    from benchmark.tuning.chosen import chosen_yaml
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
                f"{_what(trial)}",
            )

        trials = search_on(search, budget, device, on_epoch, on_trial)
    print_tables([_table(search, trials)], console)
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
        note = "What another search had chosen there is replaced; each keeps its own, this one as"
        tell(console, f"{note} {own}", style="yellow")


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None


def _what(trial: Trial) -> str:
    """A trial's values on one line, and why it failed."""
    values = " ".join(
        f"{key.split('.')[-1]}={_short(value)}" for key, value in trial.params.items()
    )
    return f"{values}: {trial.reason}" if trial.reason else values


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _table(search: Search, trials: Sequence[Trial]) -> Table:
    """Every trial: the finished by their score, then the pruned by theirs, then the failed."""
    from benchmark.reports.tables import MISSING, Cell, Column, Table, amount, number

    kinds = ("finished", "pruned", "failed")
    ranked = sorted(
        enumerate(trials),
        key=lambda item: (kinds.index(item[1].outcome), item[1].score or 0.0, item[0]),
    )
    rows: list[tuple[Cell, ...]] = []
    for i, trial in ranked:
        chosen = not rows and trial.outcome == "finished"
        rows.append(
            (
                Cell(str(i)),
                Cell(
                    MISSING if trial.score is None else number(trial.score),
                    "best" if chosen else "",
                ),
                Cell(str(len(trial.scores))),
                Cell(amount(trial.seconds)),
                Cell(trial.outcome, "bad" if trial.outcome == "failed" else ""),
                Cell(_what(trial)),
            )
        )
    monitor = search.spec.training.monitor.upper()
    horizons = ", ".join(map(str, search.horizons))
    several = [f"{len(search.horizons)} horizons"] if len(search.horizons) > 1 else []
    several += [f"{search.folds} blocks, each held out in turn"] if search.folds > 1 else []
    of = f"mean over {' and '.join(several)}" if several else "on validation"
    return Table(
        title=f"{search.spec.name}, {search.series.name}, horizon {horizons}",
        columns=(
            Column("trial"),
            Column(f"val {monitor}"),
            Column("fits" if several else "epochs", spare=1),
            Column("s", spare=1),
            Column("outcome", number=False),
            Column("settings", number=False),
        ),
        rows=tuple(rows),
        intro=(f"{counted(len(trials), 'trial')}; {monitor} {of}. Trial 0 is what it began with.",),
    )
