from __future__ import annotations

import errno
import itertools
import math
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure
from matplotlib.text import Text

from benchmark.errors import UserError
from benchmark.reports import plots
from benchmark.reports.plots import pareto_front, plot_costs
from benchmark.reports.ranking import leaderboard

REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "etth1" / "results.csv"
SMALL = st.integers(0, 6)


def labels(axes):
    return [text for text in axes.texts if text.arrow_patch is not None]


@given(st.lists(st.tuples(SMALL, SMALL), max_size=12))
def test_the_front_is_what_no_other_point_beats_each_value_once(points):
    def beaten(point):
        return any(
            other != point and other[0] <= point[0] and other[1] <= point[1] for other in points
        )

    front = pareto_front([cost for cost, _ in points], [error for _, error in points])
    expected = sorted({point for point in points if not beaten(point)})
    assert [points[index] for index in front] == expected


def test_a_panel_a_cost_with_front_and_free_line_and_names_of_what_is_not_shown(
    run, table, tmp_path, drawn
):
    board = leaderboard(
        table(
            run("seasonal_naive", 0.51, fitted="none", train_seconds=1e-5, macs=0),
            run("last_value", 0.9, fitted="none", train_seconds=1e-6, macs=0),
            run("ridge", 0.5, fitted="closed_form", train_seconds=0.5, macs=1000),
            run("gru", 0.45, train_seconds=50.0, macs=500),
            run("slow", 0.46, train_seconds=60.0, macs=2000),
            run("cheap", 0.505, train_seconds=0.2, macs=9000),
            run("bad", 1.5, train_seconds=9.0, macs=9000),
        )
    )
    plot_costs(board, tmp_path / "costs.svg")
    assert "<svg" in (tmp_path / "costs.svg").read_text()
    (figure,) = drawn
    seconds, macs = figure.axes
    assert (seconds.get_xlabel(), seconds.get_xscale()) == ("training, seconds", "log")
    assert "multiply" in macs.get_xlabel()
    assert seconds.get_title(loc="left") == "ETTh1, horizon 96"
    front, free = seconds.lines
    assert list(front.get_xdata()) == [0.2, 0.5, 50.0]
    assert [line.get_label() for line in macs.lines] == ["seasonal_naive: free"]  # one on the front
    assert list(free.get_ydata()) == [0.51, 0.51]
    assert free.get_label() == "seasonal_naive: free"
    assert {label.get_text() for label in labels(seconds)} == {"ridge", "gru", "slow", "cheap"}
    bold = {label.get_text() for label in labels(seconds) if label.get_fontweight() == "bold"}
    assert bold == {"ridge", "gru", "cheap"}
    (note,) = [text.get_text() for text in seconds.texts if text.arrow_patch is None]
    assert note == "Not shown, worse: bad 1.500\nNot shown, free: last_value 0.900"


def test_the_labels_of_the_reference_results_lie_in_their_panel_and_on_nothing(tmp_path, drawn):
    from benchmark.records.table import read_results

    plot_costs(leaderboard(read_results(REFERENCE)), tmp_path / "costs.png")
    (figure,) = drawn
    for axes in figure.axes:
        assert len(labels(axes)) > 10
        boxes = [Text.get_window_extent(label) for label in labels(axes)]  # without its leader
        points = [axes.transData.transform(label.xy) for label in labels(axes)]
        inside = axes.get_window_extent()
        for one, other in itertools.combinations(boxes, 2):
            assert not one.overlaps(other)
        for box in boxes:
            assert inside.x0 <= box.x0 < box.x1 <= inside.x1
            assert inside.y0 <= box.y0 < box.y1 <= inside.y1
            assert not any(box.contains(*point) for point in points)
        for box, (x, y) in zip(boxes, points, strict=True):
            gap = math.hypot(max(box.x0 - x, 0, x - box.x1), max(box.y0 - y, 0, y - box.y1))
            assert gap < 0.1 * inside.width


def test_places_for_labels_are_found_at_once(run, table, tmp_path, monkeypatch):
    spread, spent = plots._spread, []

    def timed(axes, labels):
        before = time.process_time()
        spread(axes, labels)
        spent.append(time.process_time() - before)

    monkeypatch.setattr(plots, "_spread", timed)
    records = [run(f"m{n}", 0.4 + n % 7 / 1000 - n / 500, train_seconds=1.0 + n) for n in range(30)]
    plot_costs(leaderboard(table(*records)), tmp_path / "costs.png")
    assert sum(spent) < 1


@pytest.mark.parametrize("name", ["模型", "gru 🚀"])
def test_a_name_that_no_font_has_is_drawn_without_a_warning(run, table, tmp_path, name):
    plot_costs(leaderboard(table(run(name, 0.5, train_seconds=1.0))), tmp_path / "costs.png")
    assert (tmp_path / "costs.png").stat().st_size


def test_an_older_file_without_a_cost_has_no_panel_of_it(run, table, tmp_path, drawn):
    board = leaderboard(
        table(
            run("gru", 0.5, train_seconds=1.0),
            run("gru", 0.5, train_seconds=1.0, dataset="other", macs=10),
        )
    )
    plot_costs(board, tmp_path / "costs.png")
    titles = [(axes.get_title(loc="left"), axes.get_xlabel()[:8]) for axes in drawn[0].axes]
    assert titles == [
        ("ETTh1, horizon 96", "training"),
        ("other, horizon 96", "training"),
        ("other, horizon 96", "multiply"),
    ]


def test_a_free_model_that_nothing_beats_leaves_no_front_but_its_line(run, table, tmp_path, drawn):
    naive = run("last_value", 0.4, fitted="none", train_seconds=1e-6)
    plot_costs(leaderboard(table(naive, run("gru", 0.5, train_seconds=1.0))), tmp_path / "c.png")
    (free,) = drawn[0].axes[0].lines
    assert list(free.get_ydata()) == [0.4, 0.4]
    assert list(free.get_ydata()) == [0.4, 0.4]


def test_names_are_drawn_as_they_are(run, table, tmp_path, drawn):
    name = r"$\frac$ a_b$"
    plot_costs(leaderboard(table(run(name, 0.5, train_seconds=1.0))), tmp_path / "costs.png")
    assert labels(drawn[0].axes[0])[0].get_text().replace(r"\$", "$") == name


def test_the_folder_of_a_figure_is_made_and_a_full_disk_is_no_wrong_ending(
    run, table, tmp_path, monkeypatch
):
    board = leaderboard(table(run("gru", 0.5, train_seconds=1.0)))
    plot_costs(board, tmp_path / "new" / "folder" / "costs.png")
    assert (tmp_path / "new" / "folder" / "costs.png").stat().st_size

    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", refuse)
    with pytest.raises(UserError, match=r"costs.png: the disk is full; free some space"):
        plot_costs(board, tmp_path / "costs.png")


def test_what_cannot_be_drawn_is_one_clear_line(run, table, tmp_path):
    naive = leaderboard(table(run("last_value", 0.5, fitted="none", train_seconds=1e-6, macs=0)))
    with pytest.raises(UserError, match="no model that cost anything is done"):
        plot_costs(naive, tmp_path / "costs.svg")
