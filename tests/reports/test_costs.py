from __future__ import annotations

import errno
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scene import overlap

pytest.importorskip("vl_convert")

from benchmark.errors import UserError
from benchmark.reports.costs import NOTE_WIDTH, PANEL, pareto_front, plot_costs
from benchmark.reports.label_places import around, place_labels, text_width
from benchmark.reports.ranking import leaderboard

REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "etth1" / "results.csv"
SMALL = st.integers(0, 6)
PLACES = st.tuples(st.floats(20, 400), st.floats(20, 300))


def names(scene):
    """The names in panels and their marks: all other texts of a figure's own are in its notes."""
    return {item["text"]: item for item in scene.marks("text") if isinstance(item["text"], str)}


def notes(scene):
    return [" ".join(text) for text in scene.texts() if isinstance(text, list)]


def marks(scene, kind):
    return [(item["x"], item["y"]) for item in scene.marks(kind)]


@given(st.lists(st.tuples(SMALL, SMALL), max_size=12))
def test_the_front_is_what_no_other_point_beats_each_value_once(points):
    def beaten(point):
        return any(
            other != point and other[0] <= point[0] and other[1] <= point[1] for other in points
        )

    front = pareto_front([cost for cost, _ in points], [error for _, error in points])
    expected = sorted({point for point in points if not beaten(point)})
    assert [points[index] for index in front] == expected


@given(st.lists(PLACES, min_size=1, max_size=25), st.lists(PLACES, max_size=5))
def test_a_name_has_a_place_in_the_panel_near_its_point_and_over_nothing_or_none(points, others):
    points, size = np.array(points), np.array([420.0, 320.0])
    texts = [f"model_{number}" * (1 + number % 3) for number in range(len(points))]
    taken = np.vstack([around(points, 4), *(around(np.array([other]), 9) for other in others)])
    ways = place_labels(points, texts, 11, taken, size)
    boxes = []
    for point, text, way in zip(points, texts, ways, strict=True):
        if np.isnan(way).any():
            continue
        half = np.array([text_width(text, 11), 11]) / 2
        (box,) = around((point + way + np.sign(way) * half)[None], half)
        assert 0 < np.abs(way).max() <= 30
        assert (box >= 0).all()
        assert (box <= [*size, *size]).all()
        boxes.append(box)
    for one, other in itertools.chain(
        itertools.combinations(boxes, 2), itertools.product(boxes, taken)
    ):
        assert not overlap(tuple(one + [1e-9, 1e-9, -1e-9, -1e-9]), tuple(other))
    if len(points) == 1 and not others:
        assert len(boxes) == 1


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
    (scene,) = drawn
    titles = scene.texts("axis-title")
    assert titles[::2] == ["training, seconds", "multiply-accumulates of one forecast"]
    assert scene.texts("title-text") == ["ETTh1, horizon 96"] * 2
    assert scene.texts("legend-label") == ["trained by gradient", "closed form"]
    shown = [item["text"] for item in scene.marks("text") if isinstance(item["text"], str)]
    assert sorted(shown) == sorted(["ridge", "gru", "slow", "cheap"] * 2)
    bold = [item["text"] for item in scene.marks("text") if item.get("fontWeight") == "bold"]
    assert sorted(bold) == ["cheap", "gru", "gru", "ridge"]  # of MACs gru is the front alone
    points = marks(scene, "symbol")  # of each panel, best first: gru, slow, ridge, cheap
    assert marks(scene, "line") == [points[3], points[2], points[0], points[4]]
    shapes = {item["shape"]: item["fill"] for item in scene.marks("symbol")}
    assert shapes == {
        item["shape"]: item["fill"] for item in scene.marks("symbol", "legend-symbol")
    }
    (one, other) = [item for item in scene.marks("rule") if item.get("strokeDash")]
    across = [abs(item["x2"] - item["x"]) for item in (one, other)]
    assert across == [PANEL[0], PANEL[0]]
    assert points[3][1] < scene.size[1] > one["y"] == other["y"]
    assert one["y"] < points[3][1]  # a little worse than the cheapest: above it
    assert notes(scene) == [
        "The dashed line joins what no cheaper model beats. The dotted line is the best of what is "
        "free: seasonal_naive 0.5100 Not shown, worse: bad 1.5000 Not shown, free: last_value "
        "0.9000",
        "The dotted line is the best of what is free: seasonal_naive 0.5100 Not shown, worse: bad "
        "1.5000 Not shown, free: last_value 0.9000",
    ]


def test_the_names_of_the_reference_results_lie_in_their_panel_and_on_nothing(tmp_path, drawn):
    from benchmark.records.table import read_results

    plot_costs(leaderboard(read_results(REFERENCE)), tmp_path / "costs.png")
    (scene,) = drawn
    boxes = scene.boxes()
    for (one, its), (other, others) in itertools.combinations(boxes, 2):
        assert not overlap(its, others), (one, other)
    width, height = scene.size
    for _, (left, upper, right, lower) in boxes:
        assert 0 <= left < right <= width
        assert 0 <= upper < lower <= height
    points = marks(scene, "symbol")
    named = [box for text, box in boxes if text in names(scene)]
    assert len(named) == len(points) > 30
    dots = [(x - 4, y - 4, x + 4, y + 4) for x, y in points]
    steps = [
        box
        for (x, y), (to, end) in itertools.pairwise(marks(scene, "line"))
        if x < to and y < end  # not from one panel to the next
        for box in ((x, y - 1, to, y + 1), (to - 1, y, to + 1, end))
    ]
    assert len(steps) == 8
    for box, (x, y) in zip(named, points, strict=True):
        assert not any(overlap(box, other) for other in [*dots, *steps])
        gap = math.hypot(max(box[0] - x, 0, x - box[2]), max(box[1] - y, 0, y - box[3]))
        assert 3 < gap < 20


def test_what_has_no_room_for_its_name_is_named_below_and_a_far_name_has_a_line(
    run, table, tmp_path, drawn
):
    records = [
        run(f"a_longish_name_{n}", 0.4 + n % 7 / 1000 - n / 5000, train_seconds=10.0 + n % 5)
        for n in range(60)
    ]
    plot_costs(leaderboard(table(*records)), tmp_path / "costs.png")
    (scene,) = drawn
    (note,) = notes(scene)
    told = note.split("Shown without a name: ")[1].split(", ")
    assert sorted([*names(scene), *told]) == sorted(record.model for record in records)
    assert 5 < len(told) < 55
    assert max(map(len, scene.texts()[-1])) <= NOTE_WIDTH
    leaders = [(item["x"], item["y"], item["x2"], item["y2"]) for item in scene.marks("rule")]
    assert leaders
    assert len(leaders) < len(names(scene))


@pytest.mark.parametrize("name", ["模型", "gru 🚀", r"$\frac$ a_b$", "<b>&'\"</b>", "m" * 200])
def test_names_are_drawn_as_they_are(run, table, tmp_path, drawn, name, capfd):
    plot_costs(leaderboard(table(run(name, 0.5, train_seconds=1.0))), tmp_path / "costs.png")
    (scene,) = drawn
    if len(name) < 200:
        assert list(names(scene)) == [name]
    else:
        assert notes(scene)[0].startswith("Shown without a name: mmm")
    assert capfd.readouterr() == ("", "")


def test_two_rows_of_one_name_are_told_apart(run, table, tmp_path, drawn):
    rows = (run("gru", 0.5, train_seconds=1.0, lookback=lookback) for lookback in (96, 336))
    plot_costs(leaderboard(table(*rows)), tmp_path / "costs.png")
    assert sorted(names(drawn[0])) == ["gru (336)", "gru (96)"]


def test_an_older_file_without_a_cost_has_no_panel_of_it(run, table, tmp_path, drawn):
    board = leaderboard(
        table(
            run("gru", 0.5, train_seconds=1.0),
            run("gru", 0.5, train_seconds=1.0, dataset="other", macs=10),
        )
    )
    plot_costs(board, tmp_path / "costs.png")
    (scene,) = drawn
    places = {(item["x"], item["y"]): item["text"] for item in scene.marks("text", "title-text")}
    assert [places[place] for place in sorted(places, key=lambda place: place[1])] == [
        "ETTh1, horizon 96",
        "other, horizon 96",
        "other, horizon 96",
    ]
    axes = [text[:8] for text in scene.texts("axis-title")[::2]]
    assert axes == ["training", "training", "multiply"]


@pytest.mark.parametrize(("mse", "expected"), [(0.42563, "0.4256"), (0.62, "0.62"), (1.5, "1.5")])
def test_an_axis_with_one_value_names_it(run, table, tmp_path, drawn, mse, expected):
    ridge = run("ridge", mse, fitted="closed_form", train_seconds=47.6483, macs=790_272)
    plot_costs(leaderboard(table(ridge)), tmp_path / "costs.png")
    named = {text for text in drawn[0].texts("axis-label") if text}
    assert named == {expected, "47.6", "790k"}


def test_what_was_made_elsewhere_has_no_cost_and_no_place(run, table, tmp_path, drawn):
    theirs = run("theirs", 0.4, fitted="elsewhere", device="elsewhere")
    plot_costs(leaderboard(table(theirs, run("gru", 0.5, train_seconds=1.0))), tmp_path / "c.png")
    assert list(names(drawn[0])) == ["gru"]


def test_a_free_model_that_nothing_beats_leaves_no_front_but_its_line(run, table, tmp_path, drawn):
    naive = run("last_value", 0.4, fitted="none", train_seconds=1e-6)
    plot_costs(leaderboard(table(naive, run("gru", 0.5, train_seconds=1.0))), tmp_path / "c.png")
    (scene,) = drawn
    assert scene.marks("line") == []
    assert names(scene)["gru"].get("fontWeight") != "bold"
    (free,) = scene.marks("rule")
    assert free["y"] > scene.marks("symbol")[0]["y"]
    assert notes(scene) == ["The dotted line is the best of what is free: last_value 0.4000"]


def test_small_errors_are_told_apart_below_a_panel(run, table, tmp_path, drawn):
    free = [run(name, mse, fitted="none") for name, mse in (("a", 2.4e-5), ("b", 2.5e-5))]
    plot_costs(leaderboard(table(*free, run("gru", 3e-5, train_seconds=1.0))), tmp_path / "c.png")
    (scene,) = drawn
    assert notes(scene) == [
        "The dotted line is the best of what is free: a 0.00002400 Not shown, free: b 0.00002500"
    ]


def test_the_folder_of_a_figure_is_made_and_a_full_disk_is_no_wrong_ending(
    run, table, tmp_path, monkeypatch
):
    board = leaderboard(table(run("gru", 0.5, train_seconds=1.0)))
    plot_costs(board, tmp_path / "new" / "folder" / "costs.png")
    assert (tmp_path / "new" / "folder" / "costs.png").stat().st_size

    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(UserError, match=r"costs.png: the disk is full; free some space"):
        plot_costs(board, tmp_path / "new" / "folder" / "costs.png")
    (left,) = (tmp_path / "new" / "folder").iterdir()
    assert left.read_bytes().startswith(b"\x89PNG")  # the earlier one, whole


def test_what_cannot_be_drawn_is_one_clear_line(run, table, tmp_path):
    naive = leaderboard(table(run("last_value", 0.5, fitted="none", train_seconds=1e-6, macs=0)))
    with pytest.raises(UserError, match="no model that cost anything is done"):
        plot_costs(naive, tmp_path / "costs.svg")
