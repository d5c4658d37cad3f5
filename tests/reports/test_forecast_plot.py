"""What the figure of a forecast shows."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scene import Scene, overlap

from benchmark.records.forecast import Forecast
from benchmark.reports.forecast_plot import plot_forecast

pytest.importorskip("vl_convert")


def forecast(channels: int, interval: bool) -> Forecast:
    times = np.datetime64("2024-02-20T00:00", "s") + np.arange(90) * np.timedelta64(3600, "s")
    values = np.arange(90.0)[:, None] + np.arange(channels)
    return Forecast(
        time_column="date",
        channels=tuple(f"cost $ {number}" for number in range(channels)),
        past_times=times[:60],
        past=values[:60],
        times=times[60:],
        values=values[60:],
        low=values[60:] - 1 if interval else None,
        high=values[60:] + 1 if interval else None,
        level=95,
    )


@pytest.mark.parametrize("interval", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_channel_has_a_panel_and_the_legend_names_what_is_drawn(
    tmp_path: Path, drawn: list[Scene], channels: int, interval: bool
) -> None:
    path = tmp_path / "forecast.svg"
    plot_forecast(forecast(channels, interval), "gru: 30 steps", path)
    assert "<svg" in path.read_text(encoding="utf-8")
    (scene,) = drawn
    panels = [f"cost $ {n}" for n in range(channels)]
    assert sorted(scene.texts("title-text")) == [*panels, "gru: 30 steps"]
    ahead = "forecast and 95% interval" if interval else "forecast"
    assert scene.texts("legend-label") == ["seen", ahead]
    days = [text for text in scene.texts("axis-label") if re.fullmatch(r"\d\d (Feb|Mar)", text)]
    assert len(days) >= 2 * channels
    lines = scene.marks("line")
    assert len(lines) == channels * (48 + 31)  # the forecast starts where the past ends
    past, future = lines[:48], lines[48:79]
    assert (past[-1]["x"], past[-1]["y"]) == (future[0]["x"], future[0]["y"])
    assert past[0]["stroke"] != future[0]["stroke"]
    starts = [line for line in scene.marks("rule") if line["x"] == line["x2"]]
    assert [line["x"] for line in starts][:1] == [past[-1]["x"]]
    assert len(starts) == channels
    band = scene.marks("area")
    assert len(band) == (31 * channels if interval else 0)
    for end, value in zip(band[1:31], future[1:], strict=interval):
        assert end["fill"] == value["stroke"]
        assert min(end["y"], end["y2"]) < value["y"] < max(end["y"], end["y2"])


def test_a_day_is_written_where_it_begins_whatever_the_time_zone(
    tmp_path: Path, drawn: list[Scene]
) -> None:
    here, there = tmp_path / "here.svg", tmp_path / "there.svg"
    plot_forecast(forecast(1, False), "gru", here)
    start, after = (item["x"] for item in drawn[0].marks("line")[:2])  # at noon, and an hour later
    days = {item["text"]: item["x"] for item in drawn[0].marks("text", "axis-label")}
    assert days["21 Feb"] == pytest.approx(start + 12 * (after - start), abs=1)
    code = (
        "import sys; from pathlib import Path; from test_forecast_plot import *; "
        f"plot_forecast(forecast(1, False), 'gru', Path({str(there)!r}))"
    )
    paths = os.pathsep.join(sys.path)
    environment = {**os.environ, "TZ": "Asia/Kolkata", "PYTHONPATH": paths}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert there.read_bytes() == here.read_bytes()


def test_nothing_that_is_written_overlaps_or_is_cut(tmp_path: Path, drawn: list[Scene]) -> None:
    plot_forecast(forecast(5, True), "gru: 30 steps", tmp_path / "forecast.png")
    (scene,) = drawn
    boxes = scene.boxes()
    for (one, its), (other, others) in itertools.combinations(boxes, 2):
        assert not overlap(its, others), (one, other)
    for _, (left, upper, right, lower) in boxes:
        assert 0 <= left < right <= scene.size[0]
        assert 0 <= upper < lower <= scene.size[1]


def test_channels_beyond_what_a_figure_holds_are_counted_in_its_title(
    tmp_path: Path, drawn: list[Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.reports.forecast_plot.MOST_PANELS", 4)
    plot_forecast(forecast(6, True), "gru", tmp_path / "forecast.svg")
    found = drawn[0].texts("title-text")
    assert "gru (the first 4 of 6 channels)" in found
    assert "cost $ 3" in found
    assert "cost $ 4" not in found
