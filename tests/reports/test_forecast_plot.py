"""What the figure of a forecast shows."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from benchmark.records.forecast import Forecast
from benchmark.reports.forecast_plot import plot_forecast

pytest.importorskip("matplotlib")


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


def texts(path: Path) -> list[str]:
    """Texts are drawn as outlines, each with a comment that spells it."""
    return re.findall(r"<!-- (.+) -->", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("interval", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_channel_has_a_panel_and_the_legend_names_what_is_drawn(
    tmp_path: Path, channels: int, interval: bool
) -> None:
    path = tmp_path / "forecast.svg"
    plot_forecast(forecast(channels, interval), "gru: 30 steps", path)
    found = texts(path)
    assert [t for t in found if t.startswith("cost")] == [f"cost $ {n}" for n in range(channels)]
    assert {"gru: 30 steps", "seen", "forecast"} <= set(found)
    assert ("95% interval" in found) == interval
    days = [text for text in found if re.fullmatch(r"\d\d (Feb|Mar)", text)]
    assert len(days) >= 2 * min(channels, 2)  # below the last panel of each column


def test_channels_beyond_what_a_figure_holds_are_counted_in_its_title(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.reports.forecast_plot.MOST_PANELS", 4)
    path = tmp_path / "forecast.svg"
    plot_forecast(forecast(6, True), "gru", path)
    found = texts(path)
    assert "gru (the first 4 of 6 channels)" in found
    assert "cost $ 3" in found
    assert "cost $ 4" not in found
