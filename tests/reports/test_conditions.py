"""A table says what its runs do not share, where their costs could not be compared."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from benchmark.reports.latex import to_latex
from benchmark.reports.leaderboard import print_table, tables_of, to_markdown
from benchmark.reports.ranking import leaderboard

ALIKE = {"threads": 2, "hardware": "a", "torch_version": "2.13.0", "git_revision": "c1"}


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"threads": 1}, "2 numbers of threads"),
        ({"threads": 1, "git_revision": "c2"}, "2 numbers of threads, 2 revisions of the code"),
        ({"hardware": "b", "torch_version": "2.11.0"}, "2 machines, 2 versions of PyTorch"),
    ],
)
def test_what_differs_between_a_tables_runs_is_told_in_that_table_alone(run, table, other, told):
    rows = [run("a", 0.4, **ALIKE), run("b", 0.5, **(ALIKE | other))]
    rows += [run("a", 0.4, dataset="ETTm1", **ALIKE), run("b", 0.5, dataset="ETTm1", **ALIKE)]
    first, second = leaderboard(table(*rows)).groups
    (note,) = [note for note in first.notes if "made alike" in note]
    assert note.startswith(f"Not all runs were made alike ({told}): ")
    assert not any("made alike" in note for note in second.notes)


def test_what_a_run_does_not_tell_and_what_failed_make_no_difference(run, table):
    rows = [
        run("a", 0.4, **ALIKE),
        run("b", 0.5, **(ALIKE | {"hardware": None, "git_revision": None})),
        run("c", None, status="failed", error="no", **(ALIKE | {"threads": 1})),
    ]
    assert not any("made alike" in note for note in leaderboard(table(*rows)).groups[0].notes)


def test_a_note_that_names_many_rows_is_whole_wherever_it_is_shown(run, table):
    rows = [run("seasonal_naive", 0.1, fitted="none")]
    rows += [run(f"a_name_of_some_length_{n}", 0.2 + n / 100) for n in range(25)]
    rows += [run(f"better_{n}", 0.05) for n in range(25)]
    board = leaderboard(table(*rows))
    wide = Console(width=2000, file=io.StringIO())
    print_table(board, wide)
    last = "length_24"
    assert last in to_markdown(board).split("Trained by gradient")[1]
    assert last in wide.file.getvalue().split("Trained by gradient")[1]
    assert last in to_latex(tables_of(board)).replace(r"\_", "_").split("Trained by gradient")[1]


def test_most_of_a_long_table_is_counted_and_not_named(run, table):
    naive = run("seasonal_naive", 0.2, fitted="none")

    def told(worse, better):
        rows = [run(f"worse_{n}", 0.3) for n in range(worse)]
        rows += [run(f"better_{n}", 0.15) for n in range(better)]
        (note,) = [
            note
            for note in leaderboard(table(naive, *rows)).groups[0].notes
            if "no better than" in note
        ]
        return note

    best = "the best naive forecast (seasonal_naive, MSE 0.2000)"
    assert told(4, 3) == f"4 of 7 rows trained by gradient are no better than {best}."
    names = ", ".join(f"worse_{n} (336)" for n in range(4))
    assert told(4, 4) == f"Trained by gradient and no better than {best}: {names}."
    assert told(1, 0).endswith(": worse_0 (336).")
