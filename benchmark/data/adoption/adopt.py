"""Making a data set of a user's own file: a card, and a copy of the data beside it."""

from __future__ import annotations

import filecmp
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmark.config import validate
from benchmark.data.adoption.look import Look, look
from benchmark.data.card import (
    DatasetCard,
    Source,
    card_of,
    data_folder,
    list_cards,
    load_card,
    places_of,
)
from benchmark.data.checksum import sha256s
from benchmark.data.files import is_zipped, writable
from benchmark.data.rewrite import stem
from benchmark.data.seasons import Season, find_season
from benchmark.errors import UserError, cured
from benchmark.files import sweep, writing
from benchmark.plain_yaml import parse_yaml

_LICENCE = "not stated"


@dataclass(frozen=True, eq=False)
class Proposal:
    """A data set to be.

    Attributes:
        card: what will be written.
        found: what the file holds.
        season: how it was found.
        source: the CSV.
        data: where its copy will lie; the source itself, where that lies there already.
        card_path: where the card will.
    """

    card: DatasetCard
    found: Look
    season: Season
    source: Path
    data: Path
    card_path: Path


def propose(
    source: Path,
    *,
    name: str | None = None,
    time_column: str | None = None,
    frequency: str | None = None,
    season: int | None = None,
    label: str | None = None,
) -> Proposal:
    """Look at a CSV and say what a card would say; writes nothing.

    Args:
        source: the file, plain or gzipped.
        name: of the data set; None takes the file's.
        time_column: see `look`.
        frequency: see `look`.
        season: its length in steps; None finds it.
        label: what to call the file in the card; None takes its name.

    Raises:
        UserError: as `look`, or the season does not fit.
    """
    found = look(source, time_column, frequency)
    train = found.card.splits.borders(len(found.table.values))["train"]
    if season is not None and season >= len(train):
        what = f"{season} steps do not fit into the train split of {len(train)} rows"
        raise UserError("--season", what, "choose a shorter one")
    seen = find_season(found.table.values[train.start : train.stop], found.card.step, season)
    if name is None:
        name = name_of(source)
    elif not _is_text(name):
        what = f"{name!r} is no text in YAML, where a run names its data set"
        raise UserError("--name", what, f"e.g. --name data_{name}")
    channels, step = len(found.table.channels), found.card.step.words.removeprefix("a ")
    fields: dict[str, Any] = found.card.model_dump(mode="json") | {
        "name": name,
        "title": f"{label or source.name}, {channels} channels, every {step}",
        "licence": _LICENCE,
        "season": seen.length,
    }
    card_of(fields, "--name")  # the one field that is told, and not yet checked
    folder = home()
    inside = source.parent.resolve() == folder.resolve()
    file = source.name.removesuffix(".gz") if inside else f"{name}.csv"
    with cured(f"rename it to {name}.csv"):  # what else the card says is checked by now
        card = validate(DatasetCard, fields | {"file": file}, str(source))
    checksum = sha256s(card, source)[0]
    zipped = ".gz" if is_zipped(source) else ""
    return Proposal(
        card=card.model_copy(update={"source": Source(sha256=checksum)}),
        found=found,
        season=seen,
        source=source,
        data=source if inside else folder / f"{file}{zipped}",
        card_path=folder / f"{name}.yaml",
    )


def adopt(proposal: Proposal, force: bool = False) -> Literal["new", "unchanged", "replaced"]:
    """Write what was proposed: the data first, so that there is never a card without them.

    Args:
        proposal: what to write.
        force: whether to replace a card, or data, of the same name.

    Raises:
        UserError: there is a data set of this name that says otherwise, or nothing can be written.
    """
    card, path = proposal.card, proposal.card_path
    _check_name(proposal)
    same_data = proposal.data.is_file() and filecmp.cmp(proposal.source, proposal.data, False)
    there = path.is_file()
    if same_data and there and not force and load_card(path) == card:
        return "unchanged"
    if not force:
        _check_no_loss(proposal, same_data)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        if not same_data:
            with proposal.source.open("rb") as stream, writing(proposal.data) as copy:
                shutil.copyfileobj(stream, copy)
        with writing(path) as stream:
            stream.write(card_text(card).encode())
    except OSError as error:
        what = f"cannot be written ({error.strerror or error})"
        raise UserError(str(path.parent), what, "set BENCHMARK_DATA to another folder") from None
    return "replaced" if there else "new"


def name_of(source: Path) -> str:
    """The name of a data set that is made of a file, unless it is given another."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", stem(source)).lstrip("_.-") or "data"
    return name if _is_text(name) else f"data_{name}"


def home() -> Path:
    """The folder of new data sets: the data folder; where that is read-only, ``datasets`` here."""
    folder = data_folder()
    return folder if writable(folder) else Path("datasets")


def card_text(card: DatasetCard) -> str:
    """Write a card as YAML that reads back as the same card; what is not said is left out."""
    fields = card.model_dump(mode="json", exclude_defaults=True)
    lines = ["# Written by 'benchmark datasets add'. Whatever it says may be corrected."]
    for key, value in fields.items():
        if isinstance(value, list):
            lines += [f"{key}:", *(f"  - {_quoted(item)}" for item in value)]
        elif isinstance(value, dict):
            inner = ", ".join(f"{k}: {_quoted(v)}" for k, v in value.items() if v is not None)
            lines.append(f"{key}: {{{inner}}}")
        else:
            lines.append(f"{key}: {_quoted(value)}")
    return "\n".join(lines) + "\n"


def _quoted(value: Any) -> str:
    """Write a value as JSON, which is YAML too, but for characters that YAML refuses as such."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text)


def _is_text(name: str) -> bool:
    try:
        return isinstance(parse_yaml(name, "--name"), str)
    except UserError:
        return True  # no YAML at all, and told by the card's own check


def _check_name(proposal: Proposal) -> None:
    """Refuse a name under which another card or other data would be found first."""
    name = proposal.card.name
    card = list_cards().get(name)
    if card is not None and card.resolve() != proposal.card_path.resolve():
        what = f"there is one of this name: {card}"
        raise UserError(f"dataset '{name}'", what, "choose another with --name")
    for path in places_of(proposal.card.file):
        if path.resolve() == proposal.data.resolve():
            return
        if path.is_file():
            what = "has the name of the new data, and would be found first"
            raise UserError(str(path), what, "choose another with --name")


def _check_no_loss(proposal: Proposal, same_data: bool) -> None:
    if proposal.data.is_file() and not same_data:
        cure = "--force replaces them, --name keeps both"
        raise UserError(str(proposal.data), "is there and holds other data", cure)
    if proposal.card_path.is_file():
        old = load_card(proposal.card_path).model_dump()
        new = proposal.card.model_dump()
        other = ", ".join(key for key in new if new[key] != old[key])
        cure = "--force writes it anew, --name keeps both"
        raise UserError(str(proposal.card_path), f"is there and differs in {other}", cure)
