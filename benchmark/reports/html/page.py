"""One HTML file that opens from a disk: tables and figures of results, nothing fetched."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import UserError
from benchmark.files import write_atomically
from benchmark.records.layout import run_folders
from benchmark.records.losses import once, read_losses
from benchmark.records.store import to_stderr
from benchmark.reports.across import across_table
from benchmark.reports.costs import PANEL
from benchmark.reports.critical_difference import ranks_spec
from benchmark.reports.details import Detail, Run, read_details, runs_by_row
from benchmark.reports.html import figures
from benchmark.reports.html.embed import policy_hash, script_json
from benchmark.reports.html.rows import PARETO_COSTS, SCORES, columns, row_objects
from benchmark.reports.leaderboard import failures
from benchmark.reports.noise_floors import noise_table
from benchmark.reports.published import compare_published
from benchmark.reports.published_tables import tables
from benchmark.reports.ranking import (
    MOST_ROWS,
    ROW,
    Group,
    Leaderboard,
    best_runs,
    leaderboard,
    rows_a_task,
)
from benchmark.reports.seed_noise import unmarked, unmarked_note
from benchmark.reports.specs import INTERVAL, LOOKS, PALETTE, PALETTE_ON_DARK, SPECS, TRUTH
from benchmark.reports.tables import Table, plain
from benchmark.words import counted

if TYPE_CHECKING:
    from pandas import DataFrame

    from benchmark.records.losses import Losses


FOLDER = Path(__file__).parent
SCRIPTS = ("page.js", "table.js", "figures.js")
ROOM = float(PANEL[0]) + 90  # pixels of the card in which names of points find their places
PACKAGES = ("jinja2", "vl_convert")
VERSIONS = (
    "benchmark_version", "python_version", "torch_version", "lightning_version", "git_revision",
    "device", "threads",
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """What a page is made from.

    Attributes:
        csv: the results file; the runs' folders are in ``runs`` beside it or one folder up.
        results: its rows, as `benchmark.records.table.read_results` gives.
        published: figures of others, as `benchmark.reports.published.read_published` gives.
        origin: tells the family of a run's model and the command that makes the run again, by its
            folder, its name and how it is fitted.
        title: of the page.
        command: that made the results; none is shown where empty.
        notes: the caller's sentences at the top.
    """

    csv: Path
    results: DataFrame
    published: DataFrame
    origin: Callable[[Path, str, str], tuple[str, str]]
    title: str
    command: str = ""
    notes: tuple[str, ...] = ()

    @property
    def runs(self) -> Path:
        """The folder of the runs' folders."""
        beside, above = run_folders(self.csv)
        return beside if beside.is_dir() else above

    @cached_property
    def losses(self) -> Mapping[str, Losses]:
        """The errors of every test window of the runs that are shown, by metric."""
        shown, warn = best_runs(self.results), once()
        return {
            "mse": read_losses(self.csv, shown, "mse", warn),
            "mae": read_losses(self.csv, shown, "mae", warn),
        }

    @cached_property
    def board(self) -> Leaderboard:
        """The results, ranked."""
        return leaderboard(self.results, self.losses["mse"])


def missing_packages() -> list[str]:
    """Name what the extra ``report`` would install."""
    return [name for name in PACKAGES if find_spec(name) is None]


def write_report(path: Path, source: Source) -> None:
    """Write the page, atomically.

    Raises:
        UserError: the packages it takes are not installed, a run's file is damaged, or the page
            cannot be written.
    """
    missing = missing_packages()
    if missing:
        what = f"{' and '.join(missing)} not installed"
        raise UserError("report", what, "pip install 'ts-benchmark[report]'")

    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from vl_convert import javascript_bundle

    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined
    )
    scripts = [
        javascript_bundle(),  # type: ignore[call-arg]  # its stub knows no defaults
        *((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS),
    ]
    page = environment.get_template("template.html.j2").render(
        **_content(source),
        title=source.title,
        command=source.command,
        sentences=source.notes,
        style=(FOLDER / "style.css").read_text(encoding="utf-8"),
        scripts=scripts,
        policy=" ".join(map(policy_hash, scripts)),
    )
    write_atomically(path, page)


def _content(source: Source) -> dict[str, Any]:
    """All that the template shows, by name."""
    board = source.board
    most = rows_a_task(len(board.groups))
    groups = board.groups[:MOST_ROWS]
    limits, detailed = figures.choose_limits(groups)
    published = _published(source)
    runs = runs_by_row(source.results)
    tasks, rows, protocols = [], [], []
    scores = {each.title: each.key for each in SCORES}
    for number, group in enumerate(groups):
        shown = group.rows.head(most)
        facts = [_fact(source, runs[key]) for key in shown[ROW].itertuples(index=False, name=None)]
        rows += row_objects(group, number, most, facts)
        drawn, borders = None, None
        if number < detailed:
            drawn, borders = _figures(source, group, runs, limits)
        protocols.append((group, borders))
        tasks.append(
            {
                "dataset": group.dataset,
                "horizon": group.horizon,
                "label": plain(group.title),
                "notes": [*group.notes, *unmarked_note(unmarked(scores, group.rows, group.noise))],
                "failures": list(failures(group.failed)),
                "rows": [len(shown), len(group.rows)],
                "figures": drawn,
                "no_figures": _no_figures(source, number, detailed),
                "published": published.get((group.dataset, group.horizon), []),
            }
        )
    ranks = ranks_spec(board)
    data = {
        "columns": columns(),
        "rows": rows,
        "tasks": tasks,
        "charts": {kind: spec() for kind, spec in SPECS.items()},
        "costs": PARETO_COSTS,
        "ranks": ranks,
        "palette": {"light": PALETTE, "dark": PALETTE_ON_DARK},
        "truth": TRUTH,
        "interval": INTERVAL,
        "looks": LOOKS,
        "room": ROOM,
    }
    return {
        "data": script_json(data),
        "summary": _summary(source.results),
        "truncated": [
            *_rows_left_out(board, most),
            *(_figures_left_out(board, limits, detailed) if source.runs.is_dir() else ()),
        ],
        "protocols": protocols,
        "versions": _versions(source.results),
        "ranks": ranks,
        "across": across_table(board),
        "noise": noise_table(board),
    }


def _fact(source: Source, runs: Sequence[Run]) -> dict[str, Any]:
    origins = [source.origin(source.runs / run.run_id, run.model, run.fitted) for run in runs]
    return {
        "family": origins[0][0],
        "commands": [command for _, command in origins if command],
        "runs": [run.run_id for run in runs],
    }


def _figures(
    source: Source, group: Group, runs: Mapping[Any, Sequence[Run]], limits: figures.Limits
) -> tuple[Any, Any]:
    """The object that a task's figures are drawn from, and its split borders; None without runs."""
    if not source.runs.is_dir():
        return None, None
    places = figures.chosen_rows(group, limits)
    details: list[Detail] = []
    for place in places:
        try:
            details += read_details(group.rows, [place], runs, source.runs)
        except UserError as error:
            to_stderr(f"{error}; until then the page draws nothing of that row")
    if not details:
        return None, None
    borders = next((each.borders.tolist() for each in details if each.borders is not None), None)
    return figures.figure_object(details, limits), borders


def _no_figures(source: Source, number: int, detailed: int) -> str:
    """Say why a task has no figures where it has none, and the cure."""
    if number >= detailed and source.runs.is_dir():
        return (
            f"No figures of errors and forecasts: the page is full, it holds those of {detailed} "
            "tasks. benchmark report of a results CSV with this task alone shows them."
        )
    return (
        "No figures of errors and forecasts: the folders of this task's runs are not beside the "
        "results CSV. Copy them there, into runs/, or run these models again; then write the "
        "report anew."
    )


def _published(source: Source) -> Mapping[tuple[str, int], list[dict[str, Any]]]:
    """Our rows beside published ones, by data set and horizon; only where there are any."""
    if not (source.results["status"] == "done").any():
        return {}
    found: dict[tuple[str, int], list[dict[str, Any]]] = {}
    beside = compare_published(source.results, source.published, source.losses, source.board)
    for key, table in tables(beside):
        if table.rows:
            found.setdefault(key, []).append(_table_object(table))
    return found


def _table_object(table: Table) -> dict[str, Any]:
    return {
        "title": plain(table.title),
        "intro": list(table.intro),
        "notes": list(table.notes),
        "columns": [{"title": each.title, "number": each.number} for each in table.columns],
        "rows": [[plain(cell.text) for cell in row] for row in table.rows],
    }


def _summary(results: DataFrame) -> str:
    runs, failed = len(results), int((results["status"] == "failed").sum())
    sets = results["dataset"].nunique()
    started = sorted(day[:10] for day in results["started"].unique())
    parts = [
        counted(runs, "run") + (f" ({failed:,} failed)" if failed else ""),
        counted(results["model"].nunique(), "model"),
        counted(sets, "data set"),
        started[0] if started[0] == started[-1] else f"{started[0]} to {started[-1]}",
    ]
    return " · ".join(part for part in parts if part)


def _rows_left_out(board: Leaderboard, most: int) -> Iterator[str]:
    """Say which rows the page lacks, to stay small enough to be opened."""
    longest = max((len(group.rows) for group in board.groups), default=0)
    if longest > most or len(board.groups) > MOST_ROWS:
        tasks = f", of the first {MOST_ROWS:,} tasks" if len(board.groups) > MOST_ROWS else ""
        yield (
            f"The table holds the best {most} rows of each task{tasks}; leaderboard.csv has them "
            "all."
        )


def _figures_left_out(board: Leaderboard, limits: figures.Limits, detailed: int) -> Iterator[str]:
    """Say which rows and tasks have no figures, for the same reason."""
    if any(len(group.rows) > limits.models for group in board.groups):
        yield f"Figures hold the best {limits.models} rows of a task and the best naive one."
    if detailed < len(board.groups):
        yield f"Figures are there for the first {detailed} of {len(board.groups)} tasks."


def _versions(results: DataFrame) -> list[dict[Hashable, Any]]:
    texts = results[list(VERSIONS)].astype("str")
    return texts.value_counts().rename("runs").reset_index().to_dict("records")
