"""A forecast as a figure: what came before it, where it goes, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmark.records.forecast import Forecast, Times, Values
from benchmark.reports.drawing import save_figure
from benchmark.reports.specs import Rows, Spec, complete, forecasts_spec
from benchmark.reports.tables import plain

SEEN, NEXT = "#4a5568", "#2b6cb0"

DATES = {
    "year": "%Y", "quarter": "%b %Y", "month": "%b %Y",
    "week": "%d %b", "day": "%d %b", "date": "%d %b",
    "hours": "%d %b %H:%M", "minutes": "%H:%M",
}  # fmt: skip
"""How a tick is written that is a whole year, quarter and so on; the largest counts."""

MOST_PANELS = 24
"""Channels that are drawn; the title says where there are more."""

FEWEST_PAST = 48
"""Rows of the past that are drawn; a longer horizon shows as many as it has steps."""


def plot_forecast(forecast: Forecast, title: str, path: Path) -> None:
    """Draw the recent past, the forecast and its interval, a panel a channel.

    Args:
        forecast: what is drawn.
        title: of the figure.
        path: file to write; its ending (.svg, .png, .pdf) decides the format.

    Raises:
        UserError: vl-convert is not installed, or the file cannot be written.
    """
    shown = min(len(forecast.channels), MOST_PANELS)
    told = f" (the first {shown} of {len(forecast.channels)} channels)"
    figure = {
        "title": plain(title) + (told if shown < len(forecast.channels) else ""),
        "concat": [_panel(forecast, number) for number in range(shown)],
        "columns": 2,
    }
    save_figure(figure, path, "--plot")


def _panel(forecast: Forecast, number: int) -> Spec:
    recent = slice(-max(len(forecast.times), FEWEST_PAST), None)
    # the last row seen is where the forecast starts: without it there would be a hole
    last = slice(-1, None)
    drawn = {"value": forecast.values}
    ahead = "forecast"
    low, high = forecast.low, forecast.high
    if low is not None and high is not None and not np.isnan(low[:, number]).any():
        drawn |= {"low": low, "high": high}
        ahead = f"forecast and {forecast.level}% interval"
    past = forecast.past[:, number]
    joined = {name: np.append(past[last], values[:, number]) for name, values in drawn.items()}
    seen = _rows("seen", forecast.past_times[recent], {"value": past[recent]})
    rows = [*seen, *_rows(ahead, np.append(forecast.past_times[last], forecast.times), joined)]
    spec = complete(forecasts_spec("time", "", seen[-1]["time"]), rows, {"seen": SEEN, ahead: NEXT})
    spec["encoding"]["x"] |= {
        "type": "temporal",
        "scale": {"type": "utc"},
        "axis": {"format": DATES, "tickCount": 5},
    }
    spec["encoding"]["y"] |= {"title": None, "axis": {"tickCount": 5}}
    title = {"text": plain(forecast.channels[number]), "fontSize": 11}
    wide = 560 if len(forecast.channels) == 1 else 400
    return spec | {"title": title, "width": wide, "height": 110}


def _rows(series: str, times: Times, values: Mapping[str, Values]) -> Rows:
    """Rows of one line; times in milliseconds, of no time zone."""
    table = {"time": times.astype("datetime64[ms]").astype(np.int64), **values}
    columns = (column.tolist() for column in table.values())
    return [
        {"series": series, **dict(zip(table, row, strict=True))}
        for row in zip(*columns, strict=True)
    ]
