"""Commands that list what there is: models and data sets."""

from __future__ import annotations

from typing import Annotated

import typer

from benchmark.cli.options import make_console
from benchmark.errors import UserError, raise_faults


def models() -> None:
    """List the models of the suite."""
    from rich.table import Table

    from benchmark.harness.spec import own_models
    from benchmark.plain_yaml import load_yaml

    table = Table("model", "lookback", "description", box=None, pad_edge=False)
    for name, path in own_models().items():
        data = load_yaml(path)
        table.add_row(name, str(data.get("lookback", 336)), data.get("description", ""))
    make_console().print(table, markup=False)


def datasets_list() -> None:
    """List the data sets: their cards, and which files are here."""
    from rich.table import Table

    from benchmark.data.card import list_cards, load_card
    from benchmark.data.fetch import locate

    table = Table("data set", "every", "channels", "here", "licence", box=None, pad_edge=False)
    failed = []
    for name in list_cards():
        try:
            card = load_card(name)
        except UserError as error:
            failed.append(error)
            continue
        channels = card.channels if isinstance(card.channels, int) else len(card.channels)
        here = "yes" if locate(card) else "no"
        table.add_row(name, card.frequency, str(channels), here, card.licence)
    make_console().print(table, markup=False)
    raise_faults(failed)


def datasets_fetch(
    names: Annotated[list[str], typer.Argument(help="Cards' names, or 'all'.")],
) -> None:
    """Fetch data sets and verify them.

    They go to the data folder, BENCHMARK_DATA; files already there are left alone.
    """
    from benchmark.data.card import list_cards, load_card
    from benchmark.data.fetch import fetch

    failed = []
    for name in list_cards() if names == ["all"] else names:
        try:
            typer.echo(f"{name}: {fetch(load_card(name))}")
        except UserError as error:
            failed.append(error)
    raise_faults(failed)


def datasets_check(
    names: Annotated[list[str], typer.Argument(help="Cards' names or paths, or 'all'.")],
) -> None:
    """Check every cell and timestamp."""
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
    raise_faults(failed)
