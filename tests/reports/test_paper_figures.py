from __future__ import annotations

import errno
import math
import os
import re
from dataclasses import replace
from html import escape

import numpy as np
import pytest

pytest.importorskip("vl_convert")

from benchmark.errors import UserError
from benchmark.reports import figures, specs
from benchmark.reports.details import ranked_channels, read_detail, runs_by_row, spread
from benchmark.reports.drawing import save_figure
from benchmark.reports.ranking import leaderboard


@pytest.fixture
def detail(table, tmp_path):
    """What the runs of one row left behind."""

    def read(label, *records):
        (runs,) = runs_by_row(table(*records)).values()
        return read_detail(label, runs, tmp_path / "runs")

    return read


def test_errors_of_a_row_are_the_means_over_its_seeds(run, leave, detail, tmp_path):
    records = [leave(run("gru", mse, seed=seed)) for seed, mse in enumerate((0.4, 0.6))]
    found = detail("gru", *records)
    arrays = [np.load(tmp_path / "runs" / each.run_id / "errors.npz") for each in records]
    for step in (0, 50, 95):
        expected = np.mean([each["squared_by_step"][step].mean() for each in arrays])
        assert found.by_step("mse")[step] == pytest.approx(expected)
    assert found.by_channel("mse").mean() == pytest.approx(0.5)
    assert found.by_channel("mae").mean() == pytest.approx(0.4)
    assert found.borders.tolist()[2] == [11520, 14400]


def test_a_step_without_a_target_is_left_out_of_a_mean(run, leave, detail):
    found = detail("gru", leave(run("gru")))
    found.errors["mse"][3, 0] = math.nan
    found.errors["mse"][5] = math.nan
    assert found.by_step("mse")[3] == found.errors["mse"][3, 1]
    assert math.isnan(found.by_step("mse")[5])
    assert found.by_channel("mse")[0] == pytest.approx(np.nanmean(found.errors["mse"][:, 0]))


@pytest.mark.parametrize("name", ["errors.npz", "forecasts.npz", "training.json"])
def test_a_damaged_file_is_one_line_with_a_cure(run, leave, detail, tmp_path, name):
    record = leave(run("gru"))
    (tmp_path / "runs" / record.run_id / name).write_bytes(b"PK\x03\x04 no")
    with pytest.raises(UserError, match=rf"{name}: is damaged .*; run that model again"):
        detail("gru", record)


def test_places_are_spread_evenly_with_both_ends():
    assert spread(5, 9).tolist() == [0, 1, 2, 3, 4]
    assert spread(101, 5).tolist() == [0, 25, 50, 75, 100]


def test_channels_shown_are_the_easiest_the_hardest_and_some_between(run, leave, detail):
    names = tuple("abcdefg")
    found = detail("gru", leave(run("gru", channels=7), channels=names))
    found.errors["mse"][:] = [7, 1, 6, 2, 5, 3, 4]
    picked = ranked_channels([found], 3)
    assert [names[place] for place in picked] == ["a", "b", "g"]  # 7, 1 and 4; in their own order


def test_the_task_is_asked_for_where_there_are_several(run, table):
    board = leaderboard(table(run("gru"), run("gru", dataset="ETTh2"), run("gru", horizon=48)))
    assert figures.choose_group(board, "ETTh2", None).dataset == "ETTh2"
    assert figures.choose_group(board, None, 48).horizon == 48
    with pytest.raises(UserError, match=r"2 tasks fit; there are: ETTh1 48 .*, ETTh1 96 "):
        figures.choose_group(board, "ETTh1", None)
    with pytest.raises(
        UserError, match=r"no results for data set 'ETTm1'; there are: ETTh1, ETTh2"
    ):
        figures.choose_group(board, "ETTm1", None)
    board = leaderboard(table(run("gru"), run("gru", fingerprint="b" * 16)))
    with pytest.raises(UserError, match=r"ETTh1 96 \(bbbbbbbb\); .* and --protocol"):
        figures.choose_group(board, "ETTh1", 96)
    assert figures.choose_group(board, None, None, "bbbbbbbb").fingerprint == "b" * 16


def test_models_are_those_named_in_that_order_or_the_best():
    labels = [f"m{n}" for n in range(12)]
    assert figures.choose_models(labels, ["m7", "m2", "m7"]) == [7, 2]
    assert figures.choose_models(labels, []) == [0, 1, 2, 3, 4]
    with pytest.raises(UserError, match=r"model 'm77'.*did you mean 'm7'"):
        figures.choose_models(labels, ["m77"])
    with pytest.raises(UserError, match="names 9 models; name 8 or fewer"):
        figures.choose_models(labels, labels[:9])


def test_a_window_is_its_history_its_truth_and_every_forecast_with_the_firsts_interval(
    run, leave, detail
):
    one, two = (detail(name, leave(run(name))) for name in ("gru", "lstm"))
    rows = figures.forecasts_rows([one, two], "OT", 3)
    by = {name: [row for row in rows if row["series"] == name] for name in ("truth", "gru", "lstm")}
    assert [row["step"] for row in by["truth"]] == list(range(-23, 97))
    assert [row["value"] for row in by["truth"][24:]] == one.forecasts.target[2, :, 1].tolist()
    assert [row["value"] for row in by["lstm"]] == two.forecasts.forecast[2, :, 1].tolist()
    band = [row for row in rows if row["series"] == "80% interval of gru"]
    assert [row["low"] for row in band] == one.forecasts.low[2, :, 1].tolist()
    assert len(rows) == sum(map(len, (*by.values(), band)))
    with pytest.raises(UserError, match=r"--channel OTT: .*did you mean 'OT'"):
        figures.forecasts_rows([one, two], "OTT", 1)
    with pytest.raises(UserError, match="--window 6: is not there; choose 1 to 5"):
        figures.forecasts_rows([one, two], "OT", 6)
    other = detail("rnn", leave(run("rnn"), first_row=np.arange(8)))
    with pytest.raises(UserError, match="'rnn': has other windows"):
        figures.forecasts_rows([one, other], "OT", 1)


def test_every_text_of_an_svg_is_as_wide_as_its_layout_made_it_whatever_font_draws_it(tmp_path):
    pairs = [
        ("trained by gradient", "normal"),
        ("trained by gradient", "bold"),
        ("W <&> W", "normal"),
    ]
    rows = [{"text": text, "weight": weight} for text, weight in pairs]
    marks = [
        {
            "mark": {"type": "text", "fontSize": 20, "fontWeight": weight},
            "transform": [{"filter": f"datum.weight == '{weight}'"}],
            "encoding": {"text": {"field": "text"}},
        }
        for weight in ("normal", "bold")
    ]
    lines = {"mark": {"type": "text", "text": ["iiii", "", "WWWW"], "fontSize": 20}}
    path = tmp_path / "texts.svg"
    save_figure({"data": {"values": rows}, "layer": [*marks, lines]}, path, "--plot")
    found = re.findall(
        r'textLength="([\d.]+)" lengthAdjust="spacingAndGlyphs">([^<]+)<', path.read_text()
    )
    widths = [(text, float(width)) for width, text in found]
    assert [text for text, _ in widths[:3]] == [
        "trained by gradient",
        "W &lt;&amp;&gt; W",
        "trained by gradient",
    ]
    normal, _, bold = (width for _, width in widths[:3])
    assert 150 < normal < bold < 190  # of Liberation Sans, which vl-convert brings along
    assert dict(widths[3:]).keys() == {"iiii", "WWWW"}
    assert dict(widths)["WWWW"] > 4 * dict(widths)["iiii"]


def test_models_that_are_not_trained_have_no_curve(run, leave, detail):
    with pytest.raises(UserError, match="ridge: not trained by gradient"):
        figures.training_rows([detail("ridge", leave(run("ridge", fitted="closed_form")))])


def test_each_member_of_an_ensemble_has_a_curve_of_its_own(run, leave, detail):
    found = detail("mean", leave(run("mean", epochs=6, best_epoch=2)))
    epochs = [found.training[0] | {"number": number} for number in (1, 2, 3, 1, 2, 1)]
    rows = figures.training_rows([replace(found, training=epochs)])
    series = [f"mean, member {member}" for member in (1, 1, 1, 2, 2, 3)]
    assert [row["series"] for row in rows] == series
    assert not any(row["kept"] for row in rows)


def test_the_members_of_an_ensemble_are_drawn_in_its_colour(run, leave, detail, tmp_path):
    details = [detail(name, leave(run(name, epochs=3, best_epoch=2))) for name in ("gru", "mean")]
    details[1] = replace(details[1], training=2 * details[1].training)
    rows = figures.training_rows(details)
    figures.save_chart("training", rows, details, tmp_path / "a.svg")
    drawn = (tmp_path / "a.svg").read_text()
    assert "mean, member 2" in drawn
    lines = re.findall(
        r'<path aria-label="[^"]*; series: ([^"]*)" role[^>]* stroke="(#\w+)"', drawn
    )
    assert dict(lines) == {
        "gru": specs.PALETTE[0],
        "mean, member 1": specs.PALETTE[1],
        "mean, member 2": specs.PALETTE[1],
    }


@pytest.mark.parametrize("kind", ["steps", "channels", "training", "forecasts"])
def test_every_kind_is_drawn_with_names_as_they_are(run, leave, detail, tmp_path, kind):
    name = "<b>&gru</b>"
    details = [
        detail(label, leave(run(label, epochs=3, best_epoch=2), channels=("HUFL", "</text>")))
        for label in (name, "lstm")
    ]
    if kind == "forecasts":
        rows = figures.forecasts_rows(details, "</text>", 1)
    else:
        rows = figures.SIMPLE[kind](details)
    figures.save_chart(kind, rows, details, tmp_path / "a.svg", "ETTh1 & more", "value")
    drawn = (tmp_path / "a.svg").read_text()
    assert ">ETTh1 &amp; more</text>" in drawn
    assert (f">80% interval of {escape(name)}</text>" in drawn) == (kind == "forecasts")
    assert "&lt;b&gt;&amp;gru&lt;/b&gt;" in drawn
    for colour in specs.PALETTE[:2]:
        assert colour in drawn
    assert (specs.TRUTH in drawn) == (kind == "forecasts")


def test_the_title_of_a_window_names_its_task_channel_and_time(run, leave, detail, table):
    records = [leave(run("gru")), leave(run("lstm", 0.6), time=())]
    (group,) = leaderboard(table(*records)).groups
    found, untimed = (detail(record.model, record) for record in records)
    title = figures.window_title(group, [found], "OT", 2)
    assert title == "ETTh1, horizon 96, OT, from 2020-01-02 00:00"
    assert figures.window_title(group, [untimed], "OT", 2) == "ETTh1, horizon 96, OT, window 2"


@pytest.mark.parametrize(("days", "expected"), [(1, [24, 48, 72, 96]), (0, None)])
def test_ticks_are_at_whole_seasons_where_the_times_tell_of_one(
    run, leave, detail, tmp_path, drawn, days, expected
):
    at = np.arange(8)
    time = np.datetime64("2020-01-01T00", "s") + at * np.timedelta64(days, "D")
    found = detail("gru", leave(run("gru"), first_row=24 * at, time=time))
    figures.save_chart("steps", figures.steps_rows([found]), [found], tmp_path / "a.svg")
    (scene,) = drawn
    axes = [int(text) for text in scene.texts("axis-label") if text.isdecimal()]
    assert axes == (expected or [*range(10, 100, 10)])


@pytest.mark.parametrize("horizon", [2, 3, 5])
def test_ticks_of_a_few_steps_are_whole_numbers(run, leave, detail, tmp_path, drawn, horizon):
    found = detail("gru", leave(run("gru", horizon=horizon)))
    figures.save_chart("steps", figures.steps_rows([found]), [found], tmp_path / "a.svg")
    (scene,) = drawn
    steps = [str(step) for step in range(1, horizon + 1)]
    assert scene.texts("axis-label")[:horizon] == steps


@pytest.mark.parametrize(("mse", "expected"), [(0.26, "0.26"), (0.62, "0.62"), (2.5, "2.5")])
def test_the_error_of_one_step_of_one_row_is_named(
    run, leave, detail, tmp_path, drawn, mse, expected
):
    found = detail("gru", leave(run("gru", horizon=1)))
    rows = [{"step": 1, "value": mse, "series": "gru"}]
    figures.save_chart("steps", rows, [found], tmp_path / "a.svg")
    assert drawn[0].texts("axis-label") == ["1", expected]


@pytest.mark.parametrize(("horizon", "expected"), [(24, False), (48, True)])
def test_past_steps_count_among_the_seasons_that_are_drawn(
    run, leave, detail, tmp_path, drawn, horizon, expected
):
    at = np.arange(8)
    time = np.datetime64("2020-01-01T00", "s") + at * np.timedelta64(1, "D")
    record = leave(run("gru", horizon=horizon), first_row=24 * at, time=time)  # 24 past steps
    found = detail("gru", record)
    rows = figures.forecasts_rows([found], "OT", 1)
    figures.save_chart("forecasts", rows, [found], tmp_path / "a.svg")
    (scene,) = drawn
    labels = scene.texts("axis-label")
    assert ({"0", "24", "48"} <= set(labels)) == expected
    assert ("20" in labels) != expected


@pytest.mark.parametrize("kind", ["steps", "forecasts"])
@pytest.mark.parametrize(("horizon", "dots"), [(1, 2), (2, 0)])
def test_a_horizon_of_one_step_is_drawn_as_dots(
    run, leave, detail, tmp_path, drawn, kind, horizon, dots
):
    details = [detail(name, leave(run(name, horizon=horizon))) for name in ("gru", "lstm")]
    make = figures.SIMPLE.get(kind, lambda found: figures.forecasts_rows(found, "OT", 1))
    figures.save_chart(kind, make(details), details, tmp_path / "a.svg")
    (scene,) = drawn
    assert {mark["fill"] for mark in scene.marks("symbol")} == set(specs.PALETTE[:dots])
    bars = [mark for mark in scene.marks("rule") if mark.get("strokeWidth") == 10]
    assert len(bars) == (dots > 0 and kind == "forecasts")


@pytest.mark.parametrize("kind", ["steps", "channels"])
def test_models_are_told_apart_without_colours(run, leave, detail, tmp_path, kind):
    names = [f"m{number}" for number in range(8)]
    details = [detail(name, leave(run(name))) for name in names]
    figures.save_chart(kind, figures.SIMPLE[kind](details), details, tmp_path / "a.svg")
    drawn = (tmp_path / "a.svg").read_text()
    symbols = re.findall(r'role-legend-symbol"[^>]*><path ([^>]*)/>', drawn)
    looks = {re.sub(r'(transform|stroke|fill)="[^"]*"', "", symbol) for symbol in symbols}
    assert len(symbols) == len(looks) == 8
    if kind == "channels":  # models that are as good do not hide each other
        points = re.findall(r'description="point" transform="translate\([\d.]+,([\d.]+)\)', drawn)
        assert len(set(points)) == len(points) == 16


@pytest.mark.parametrize(("ending", "start"), [(".png", b"\x89PNG"), (".pdf", b"%PDF")])
def test_the_ending_decides_the_format(run, leave, detail, tmp_path, ending, start):
    found = detail("gru", leave(run("gru")))
    path = tmp_path / f"figure{ending}"
    figures.save_chart("steps", figures.steps_rows([found]), [found], path)
    assert path.read_bytes().startswith(start)


def test_what_cannot_be_written_is_one_line(run, leave, detail, tmp_path):
    found = detail("gru", leave(run("gru")))
    rows = figures.steps_rows([found])
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file, or lies below one"):
        figures.save_chart("steps", rows, [found], tmp_path / "file" / "figure.svg")


def test_a_figure_that_the_disk_has_no_room_for_leaves_the_earlier_one(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "bars.svg"
    path.write_text("earlier")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="the disk is full"):
        save_figure({"data": {"values": [{}]}, "mark": "bar"}, path, "--plot")
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [
        ("bars.svg", "earlier")
    ]
