from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("matplotlib")


from benchmark.errors import UserError
from benchmark.records.table import write_csv
from benchmark.reports.critical_difference import plot_ranks
from benchmark.reports.ranking import leaderboard
from benchmark.statistics.ranks import average_ranks, critical_difference, equal_groups

NAMES = ["ridge", "gru_bidirectional", "a$b$", "seasonal_naive", "xlstm", "last_value", "m"]


def results(run, names=NAMES, datasets=6):
    """Models whose order is almost the same on every data set."""
    scores = np.arange(len(names)) + np.random.default_rng(3).normal(size=(datasets, len(names)))
    scores = np.exp(scores / 5)
    records = [
        run(name, float(scores[d, m]), dataset=f"data{d}")
        for d in range(datasets)
        for m, name in enumerate(names)
    ]
    return records, scores


def test_bars_join_what_does_not_differ_and_every_model_is_named_at_its_rank(
    run, table, tmp_path, drawn
):
    records, scores = results(run)
    plot_ranks(leaderboard(table(*records)), tmp_path / "ranks.svg")
    assert "<svg" in (tmp_path / "ranks.svg").read_text()
    (axes,) = drawn[0].axes
    ranks = average_ranks(scores)
    reach = critical_difference(7, 6)
    groups = equal_groups(ranks, reach)
    assert len(groups) > 1
    lines = [np.array(line.get_xydata()) for line in axes.lines]
    bars = [xy for line, xy in zip(axes.lines, lines, strict=True) if line.get_linewidth() > 2]
    for group, bar in zip(groups, bars, strict=True):
        edge = ranks[group[0]] - bar[0, 0]
        assert 0 < edge < 0.1
        assert bar[1, 0] - ranks[group[-1]] == pytest.approx(edge)
    for one, other in itertools.combinations(bars, 2):
        apart = one[1, 0] < other[0, 0] or other[1, 0] < one[0, 0]
        assert apart or one[0, 1] != other[0, 1]
    assert any(xy.shape == (2, 2) and np.ptp(xy[:, 0]) == pytest.approx(reach) for xy in lines)
    texts = [text.get_text() for text in axes.texts]
    assert f"critical difference {reach:.2f} (Nemenyi, 5%)" in texts
    assert "average rank over 6 data sets, 1 is best" in texts
    order = np.argsort(ranks)
    for place, model in enumerate(order):
        name, rank = NAMES[model].replace("$", r"\$"), f"{ranks[model]:.2f}"
        (label,) = [text for text in axes.texts if name in text.get_text().split()]
        assert label.get_text().split() == ([name, rank] if place < 4 else [rank, name])
        (leader,) = [
            xy
            for xy in lines
            if len(xy) == 3
            and xy[2, 1] == label.get_position()[1]
            and xy[2, 0] == label.get_position()[0]
        ]
        assert leader[0].tolist() == pytest.approx([ranks[model], 0])


@pytest.mark.parametrize("models", [3, 7, 24])
def test_nothing_that_is_written_overlaps_or_leaves_the_picture(
    models, run, table, tmp_path, drawn
):
    names = [f"{NAMES[i % 7]}_{i}" for i in range(models)]
    records, _ = results(run, names, datasets=3)
    plot_ranks(leaderboard(table(*records)), tmp_path / "ranks.png")
    (figure,) = drawn
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
    for box in boxes:
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
    bars = [line for line in figure.axes[0].lines if line.get_linewidth() > 2]
    height = figure.axes[0].transData.transform
    for bar, box in itertools.product(bars, boxes):
        assert not box.y0 < height(bar.get_xydata()[0])[1] < box.y1


def test_what_cannot_be_drawn_is_one_clear_line(run, table, tmp_path):
    records, _ = results(run, datasets=2)
    with pytest.raises(UserError, match=r"--ranks .*done: 2; models done on all: 7; run"):
        plot_ranks(leaderboard(table(*records)), tmp_path / "ranks.svg")
    with pytest.raises(UserError, match=r"^plot ranks .*done: 2; models done on all: 7; run"):
        plot_ranks(leaderboard(table(*records)), tmp_path / "ranks.svg", "plot ranks")


def test_the_command_draws_it_and_says_where(run, command, workplace):
    records, _ = results(run, datasets=3)
    write_csv(workplace / "mine.csv", records)
    done = command("leaderboard", "mine.csv", "--ranks", "ranks.pdf")
    assert done.code == 0, done.err
    assert (workplace / "ranks.pdf").read_bytes().startswith(b"%PDF")
    assert "Over 3 data sets" in done.out
    write_csv(workplace / "few.csv", records[:7])
    refused = command("leaderboard", "few.csv", "--ranks", "few.svg")
    assert refused.code == 2
    assert refused.err.count("\n") == 1
    assert not (workplace / "few.svg").exists()
