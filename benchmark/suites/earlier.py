"""A run that was made before, as far as its folder or its row lets it be known.

A folder holds the whole configuration. A row of a CSV does not: it names the model, and the YAML of
ours of that name is taken, with what the suite sets after which the CSV's folder is named. Whether
that is the row's configuration is told by the hash in its run id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.config import nearest
from benchmark.errors import UserError
from benchmark.harness.plan import Plan, plan
from benchmark.harness.saved import find_run
from benchmark.harness.spec import (
    CONFIGS,
    RunSpec,
    config_names,
    load_kept_run,
    load_run,
    load_suite,
    own_models,
    with_task,
)
from benchmark.records import layout
from benchmark.records.record import ELSEWHERE
from benchmark.records.store import read_record
from benchmark.records.table import read_results
from benchmark.suites.suite import load_models
from benchmark.words import listed

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Earlier:
    """A run to make again.

    Attributes:
        row: the columns of its record; None or absent where it has no such value.
        plan: what is run now.
        notes: where the configuration is from, and what could not be known of it.
    """

    row: Row
    plan: Plan
    notes: tuple[str, ...]


def earlier_run(name: str, model: str | None, results: Path) -> Earlier:
    """Find a run that was made before and plan it anew.

    Args:
        name: of a results CSV, or of a run as `find_run` takes it.
        model: of the CSV's row, or how the row's run id begins; None where it has one row.
        results: the results folder.

    Raises:
        UserError: there is no such run, it failed, or its data or configuration cannot be had.
    """
    if name.endswith(".csv"):
        return _of_row(Path(name), model)
    if model is not None:
        raise UserError(f"--model {model}", f"{name} is no results CSV", "leave --model out")
    folder = find_run(name, results)
    row = read_record(folder).model_dump()
    _check_done(str(folder), row)
    path = folder / layout.CONFIG
    planned = plan(load_kept_run(path), str(path))
    return Earlier(row, planned, _changed(row, planned))


def _of_row(csv: Path, model: str | None) -> Earlier:
    row = _find_row(csv, model)
    where = f"{csv}: {row['run_id']}"
    _check_done(where, row)
    task = {key: row[key] for key in ("dataset", "horizon", "lookback", "seed")}
    planned = None
    for source, spec in _candidates(csv):
        if spec.name != row["model"]:
            continue
        candidate = plan(with_task(spec, **task), source)
        if candidate.run_id == row["run_id"]:
            name = Path(source).name
            note = f"the row's configuration is that of {name}: their hashes are the same"
            return Earlier(row, candidate, (note,))
        planned = planned or candidate
    if planned is None:
        near = nearest(str(row["model"]), own_models())
        raise UserError(where, "no YAML of ours has this model's name", near)
    name = Path(planned.where).name
    note = f"the row's settings are not known, {name} as it is now is run in their place"
    return Earlier(row, planned, (note, *_changed(row, planned)))


def _find_row(csv: Path, model: str | None) -> Row:
    import pandas as pd

    rows = read_results(csv)
    if model is not None:
        begins = rows["run_id"].str.startswith(model)
        fits = (rows["run_id"] == model, rows["model"] == model, begins)
        names = sorted(set(rows["model"]))
        rows = next((rows[each] for each in fits if each.any()), rows[begins])
        if rows.empty:
            raise UserError(f"--model {model}", f"{csv} has no such row", nearest(model, names))
    if len(rows) > 1:
        cure = f"name one with --model: {listed(rows['run_id'].tolist(), most=10)}"
        raise UserError(str(csv), f"{len(rows)} rows fit", cure)
    (row,) = rows.astype(object).to_dict("records")  # Python's own numbers
    return {str(k): None if pd.isna(value) or value == "" else value for k, value in row.items()}


def _check_done(where: str, row: Row) -> None:
    if row["status"] != "done":
        raise UserError(where, f"failed, so it has no score to reproduce ({row['error']})")
    if row["fitted"] == ELSEWHERE:
        what = "its forecasts were made elsewhere, so there is no model to run again"
        raise UserError(where, what, "score their file again: benchmark score FILE")


def _candidates(csv: Path) -> Iterator[tuple[str, RunSpec]]:
    """Configurations of ours: first those of the suite that the CSV's folder is named after."""
    suite = csv.absolute().parent.name
    if suite in config_names("suites"):
        file = CONFIGS / "suites" / f"{suite}.yaml"
        own = load_suite(file)
        for grid in own.grids:
            yield from ((model.where, model.spec) for model in load_models(grid, own, str(file)))
    for path in own_models().values():
        yield str(path), load_run(path)


def _changed(row: Row, planned: Plan) -> tuple[str, ...]:
    if planned.run_id == row["run_id"]:
        return ()
    was, now = row["run_id"][-10:], planned.run_id[-10:]
    what = "its settings, its data or the version of this package are others"
    return (f"what decides the numbers had the hash {was}, now it is {now}: {what}",)
