"""Right answers, a row a cell and a column a task and length; and what a trained cell does."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmark.abilities.gates import Gates, Variable
from benchmark.abilities.study import Answers
from benchmark.abilities.tasks import AbilityTask
from benchmark.reports.tables import MISSING, Cell, Column, Table, number
from benchmark.statistics.noise import over_seeds

SOLVED = 0.99
"""A mean share of right answers from which a task counts as solved; it stands in bold."""


def abilities_table(
    answers: Sequence[Answers], tasks: Sequence[AbilityTask], command: str
) -> Table:
    """Lay the answers out, cells in the order in which they come, guessing last.

    Args:
        answers: of every cell on every task, a seed each.
        tasks: in the order of the columns.
        command: what makes the table again.
    """
    columns, constant = [Column("cell", number=False)], [Cell("guessing")]
    rows = {one.cell: [Cell(one.cell)] for one in answers}
    for task in tasks:
        own = [one for one in answers if one.task == task.name]
        for share, length in (("right", task.length), ("right_longer", task.longer)):
            if length is None:
                continue
            columns.append(Column(f"{task.name}, {length} steps"))
            constant.append(Cell(f"{task.chance:.0%}"))
            for cell, row in rows.items():
                row.append(_share([getattr(one, share) for one in own if one.cell == cell]))
    seeds = len({one.seed for one in answers})
    over = f", mean ± standard deviation over {seeds} seeds" if seeds > 1 else ""
    sizes = sorted(one.weights for one in answers)
    weights = " to ".join(dict.fromkeys(f"{size:,}" for size in (sizes[0], sizes[-1])))
    return Table(
        title="What a cell learns easily",
        columns=tuple(columns),
        rows=(*map(tuple, rows.values()), tuple(constant)),
        intro=(
            f"Share of right answers{over}; bold from {SOLVED:.0%}. One layer of the cell between "
            f"two linear maps, {weights} weights, the same budget for all. "
            "Lengths beyond a task's first were not seen in training.",
        ),
        notes=(
            *(f"{task.name}: {task.meaning} {task.steps:,} steps of training." for task in tasks),
            f"Made by: {command}",
        ),
    )


def gates_table(seen: Gates, cell: str, task: AbilityTask, command: str) -> Table:
    """Lay out what was seen of a trained cell, a row for each variable of its `step`.

    Args:
        seen: of the cell.
        cell: its name.
        task: that it was trained on.
        command: what makes the table again.
    """
    return Table(
        title=f"Inside a trained {cell}: {task.name}",
        columns=(
            Column("variable", number=False),
            Column("unit"),
            Column(task.event_name),
            Column("elsewhere"),
        ),
        rows=tuple(tuple(map(Cell, _means(variable))) for variable in seen.variables),
        intro=(
            f"{seen.right:.0%} of its answers are right. The variables of its step, by their names "
            f"in the code, at one unit: their means at a {task.event_name} and at all other steps.",
        ),
        notes=(
            "The unit is the one whose gates move most. Variables of one shape share it, so that "
            "the lines of the step hold between them.",
            f"{task.name}: {task.meaning}",
            f"Made by: {command}",
        ),
    )


def _means(variable: Variable) -> tuple[str, str, str, str]:
    at_event, elsewhere = number(variable.at_event, 3), number(variable.elsewhere, 3)
    return variable.name, _unit(variable), at_event, elsewhere


def titles(seen: Gates, task: AbilityTask) -> dict[str, tuple[float, ...]]:
    """Return each variable's trace, of one sequence, under a title with its means over all."""
    return {
        f"{one.name}[{_unit(one)}], mean of all sequences: {number(one.at_event, 2)} at a "
        f"{task.event_name}, {number(one.elsewhere, 2)} elsewhere": one.trace
        for one in seen.variables
    }


def _unit(variable: Variable) -> str:
    return ", ".join(map(str, variable.unit))


def _share(shares: Sequence[float]) -> Cell:
    if not shares:
        return Cell(MISSING)
    mean, std = over_seeds(shares)
    spread = "" if math.isnan(std) else f"±{100 * std:.0f}"
    return Cell(f"{100 * mean:.0f}{spread}%", "best" if mean >= SOLVED else "")
