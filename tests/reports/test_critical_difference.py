from __future__ import annotations

import itertools

import numpy as np
import pytest
from scene import overlap

pytest.importorskip("vl_convert")

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


def bold(scene):
    return [line for line in scene.marks("rule") if line.get("strokeWidth", 1) > 2]


def test_bars_join_what_does_not_differ_and_every_model_is_named_at_its_rank(
    run, table, tmp_path, drawn
):
    records, scores = results(run)
    plot_ranks(leaderboard(table(*records)), tmp_path / "ranks.svg")
    assert "<svg" in (tmp_path / "ranks.svg").read_text()
    (scene,) = drawn
    ranks = average_ranks(scores)
    reach = critical_difference(7, 6)
    groups = equal_groups(ranks, reach)
    assert len(groups) > 1
    lines = scene.marks("rule")
    named = {item["text"]: item for item in scene.marks("text")}
    one, last = named["1"]["x"], named["7"]["x"]

    def rank(x):
        return 1 + 6 * (x - one) / (last - one)

    for group, bar in zip(groups, bold(scene), strict=True):
        edge = ranks[group[0]] - rank(bar["x"])
        assert 0 < edge < 0.1
        assert rank(bar["x2"]) - ranks[group[-1]] == pytest.approx(edge)
    for bar, other in itertools.combinations(bold(scene), 2):
        apart = bar["x2"] < other["x"] or other["x2"] < bar["x"]
        assert apart or bar["y"] != other["y"]
    across = [line for line in lines if line["y"] == line["y2"]]
    assert [(rank(line["x"]), rank(line["x2"])) for line in across if line["x"] == one] == [
        (1, pytest.approx(7)),
        (1, pytest.approx(1 + reach)),
    ]
    assert f"critical difference {reach:.2f} (Nemenyi, 5%)" in named
    assert "average rank over 6 data sets, 1 is best" in named
    order = np.argsort(ranks)
    for place, model in enumerate(order):
        name, own = NAMES[model], f"{ranks[model]:.2f}"
        (label,) = [item for text, item in named.items() if name in text.split()]
        assert label["text"].split() == ([name, own] if place < 4 else [own, name])
        (leader,) = [
            line for line in across if line["y"] == label["y"] and abs(line["x2"] - label["x"]) == 5
        ]
        assert rank(leader["x"]) == pytest.approx(ranks[model])
        axis = next(line["y"] for line in across if line["x"] == one)
        up = {(line["x"], line["y"], line["y2"]) for line in lines if line["x"] == line["x2"]}
        assert (leader["x"], axis, leader["y"]) in up


@pytest.mark.parametrize("models", [3, 7, 24])
def test_nothing_that_is_written_overlaps_or_leaves_the_picture(
    models, run, table, tmp_path, drawn
):
    names = [f"{NAMES[i % 7]}_{i}" for i in range(models)]
    records, _ = results(run, names, datasets=3)
    plot_ranks(leaderboard(table(*records)), tmp_path / "ranks.png")
    (scene,) = drawn
    boxes = [box for _, box in scene.boxes()]
    assert len(boxes) > models
    for one, other in itertools.combinations(boxes, 2):
        assert not overlap(one, other)
    width, height = scene.size
    for left, upper, right, lower in boxes:
        assert 0 <= left < right <= width
        assert 0 <= upper < lower <= height
    for bar, box in itertools.product(bold(scene), boxes):
        assert not box[1] < bar["y"] < box[3]


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
    refused = command("leaderboard", "few.csv", "--ranks", "few.svg", "--latex", "few.tex")
    assert "data0, horizon 96" in refused.out, "the tables are there all the same"
    assert (workplace / "few.tex").exists()
    assert refused.code == 2
    assert refused.err.count("\n") == 1
    assert not (workplace / "few.svg").exists()
