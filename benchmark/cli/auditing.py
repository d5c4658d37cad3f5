"""Commands that ask what a number is worth: the audit, known mistakes, and an epoch's choice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.options import (
    SetOption,
    TableOption,
    TriedArgument,
    check_table,
    make_console,
    model_of,
    show_tables,
    tell_check,
)
from benchmark.cli.progress import each_begun
from benchmark.errors import UserError
from benchmark.words import command_line

if TYPE_CHECKING:
    from benchmark.harness.spec import RunSpec

SEEDS = 3
"""Of a model that is trained, in the tables of mistakes and of epochs."""

BLOCKS = 4
"""Of the rows before test, for the number of epochs that they choose."""

AUDITED = "akl_pedestrians"
"""The data set that ships with the project, so that an audit needs no network."""

COMPANIONS = ("ETTh1", "ETTh2", "exchange_rate", AUDITED)
"""For what needs several data sets: those of these that are here."""


def audit(model: TriedArgument, set_: SetOption = None) -> None:
    """Check that nothing leaks: no test row into a fit, no future into a forecast.

    Runs the model through the whole suite on a short piece of akl_pedestrians (--set dataset=ETTh1
    takes another), with a few steps a fit. Exits with 1 on a leak. It sees a model open the data
    set's file in Python, but not in a library's C code, nor in another process.

    Example: benchmark audit my_module.MyForecaster --set lookback=96
    """
    where, spec = model_of(model, [f"dataset={AUDITED}", *(set_ or [])])

    from benchmark.audit.audit import audit as audit_run
    from benchmark.forecasters.contract import forecasters_fault
    from benchmark.forecasters.resolve import source_digest

    console = make_console()
    own = bool(source_digest(spec.model, where))
    with forecasters_fault(where, own=own):
        findings = audit_run(spec, where)
    for finding in findings:
        moved = f"moves by up to {finding.moved:.3g}, allowed {finding.allowed:g}"
        seen = finding.seen or (moved if finding.moved else "")
        tell_check(console, finding.check, finding.passed, [seen] if seen else [])
    if not all(finding.passed for finding in findings):
        raise typer.Exit(1)


def pitfalls(
    models: Annotated[
        list[str] | None,
        typer.Argument(help="Models' YAMLs, beside least squares; default: dlinear nlinear."),
    ] = None,
    dataset: Annotated[str, typer.Option(help="A card's name or path.")] = "ETTh1",
    horizon: Annotated[int, typer.Option(min=1, help="Steps forecast.")] = 336,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="MISTAKE", help="One mistake, e.g. epoch_on_test; repeatable."),
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, help="Trainings of each model that is trained by gradient.")
    ] = SEEDS,
    set_: SetOption = None,
    output: TableOption = None,
) -> None:
    """Measure what the field's known mistakes are worth.

    Drops windows, chooses on test, scales on test rows and fills in failures, each mistake alone,
    and shows the resulting number beside the honest one.
    """
    from benchmark.config import nearest
    from benchmark.data.card import load_card
    from benchmark.data.fetch import locate
    from benchmark.data.load import load

    specs = _load_models(models or ("dlinear", "nlinear"), set_ or [])
    card = load_card(dataset)

    from benchmark.harness.pieces import Pieces
    from benchmark.pitfalls.mistakes import NAMES, filled_failure
    from benchmark.pitfalls.study import measure
    from benchmark.pitfalls.table import pitfalls_table

    for name in only or []:
        if name not in NAMES:
            raise UserError("--only", f"unknown mistake {name!r}", nearest(name, NAMES))
    check_table(output)
    wanted = only or NAMES
    others = map(load_card, COMPANIONS if filled_failure.__name__ in wanted else ())
    companions = [load(other) for other in others if other.name != card.name and locate(other)]
    console = make_console()
    pieces = Pieces()
    with each_begun(console) as on_start:
        effects = measure(load(card), horizon, specs, companions, on_start, wanted, seeds, pieces)
    if not effects:
        what = "cannot be made with these models and data sets"
        raise UserError(f"--only {', '.join(only or [])}", what, "choose another mistake")
    command = command_line(
        "pitfalls",
        *(models or []),
        dataset=dataset,
        horizon=horizon,
        seeds=seeds if seeds != SEEDS else None,
        only=only,
        set=set_,
    )
    show_tables([pitfalls_table(effects, card.name, horizon, command)], console, output)
    pieces.forget()


def epochs(
    models: Annotated[
        list[str] | None, typer.Argument(help="Models' YAMLs; default: dlinear nlinear rnn.")
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(help="A card's name or path; repeatable. Default: four of ours, if here."),
    ] = None,
    horizon: Annotated[int, typer.Option(min=1, help="Steps forecast.")] = 336,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each model.")] = SEEDS,
    blocks: Annotated[
        int, typer.Option(min=2, help="Blocks of the rows before test, held out in turn.")
    ] = BLOCKS,
    set_: SetOption = None,
    output: Annotated[
        Path | None, typer.Option(help="Also write the tables there, as Markdown.")
    ] = None,
) -> None:
    """Measure what each way to choose an epoch is worth.

    Trains every model to its last epoch, lets validation MSE, validation MAE, a smoothed curve,
    blocks, the mean of weights and others choose, and scores what each of them chose.
    """
    from benchmark.data.card import load_card
    from benchmark.data.fetch import locate
    from benchmark.data.load import load

    specs = _load_models(models or ("dlinear", "nlinear", "rnn"), set_ or [])
    cards = [load_card(name) for name in dataset or COMPANIONS]
    if not dataset:
        cards = [card for card in cards if locate(card)]
    _check_each_once("data sets", [card.name for card in cards])

    from benchmark.epochs.study import check, study
    from benchmark.epochs.table import epochs_tables
    from benchmark.harness.pieces import Pieces

    check_table(output)
    console = make_console()
    pairs = [(series, spec) for series in map(load, cards) for spec in specs]
    for series, spec in pairs:
        check(series, horizon, spec, blocks)
    found, total = [], len(pairs) * (blocks + seeds)
    pieces = Pieces()
    with each_begun(console) as begun:
        for series, spec in pairs:
            asked = series, horizon, spec, seeds, blocks
            found.append(study(*asked, lambda text: begun(text, total), pieces))
    command = command_line(
        "epochs",
        *(models or []),
        dataset=dataset,
        horizon=horizon,
        seeds=seeds if seeds != SEEDS else None,
        blocks=blocks if blocks != BLOCKS else None,
        set=set_,
    )
    show_tables(epochs_tables(found, horizon, seeds, blocks, command), console, output)
    pieces.forget()


def _load_models(names: Sequence[str], overrides: list[str]) -> list[RunSpec]:
    """Read models that are fitted once; what is one for all of them has an option of its own."""
    from benchmark.harness.spec import find_config, load_run

    for text in overrides:
        key, _, value = (part.strip() for part in text.partition("="))
        if key in ("dataset", "horizon"):
            raise UserError(f"--set {text}", f"--{key} decides that", f"use --{key} {value}")
    specs = [load_run(find_config("models", name), overrides) for name in names]
    _check_each_once("models", [spec.name for spec in specs])
    for spec in specs:
        if spec.refit:
            what = "is true, and what is measured here is a model that is fitted once"
            raise UserError(f"{spec.name}: refit", what, "take it out")
    return specs


def _check_each_once(kind: str, names: Sequence[str]) -> None:
    """Refuse what would count twice in a mean."""
    for name in names:
        if names.count(name) > 1:
            raise UserError(name, f"two {kind} have this name", "give one of them")
