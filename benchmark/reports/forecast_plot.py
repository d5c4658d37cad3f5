"""A forecast as a figure: what came before it, where it goes, and how sure it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.records.forecast import Forecast
from benchmark.reports.plots import escape_mathtext, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAST, NEXT = "#4a5568", "#2b6cb0"

DATES = ["%Y", "%b %Y", "%d %b", "%d %b %H:%M", "%d %b %H:%M", "%H:%M:%S"]
"""How ticks are written that lie years, months, days, hours, minutes or seconds apart."""

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
        UserError: matplotlib is not installed, or the file cannot be written.
    """
    num_channels = len(forecast.channels)
    shown = min(num_channels, MOST_PANELS)
    across = min(shown, 2)
    down = -(-shown // across)
    figure = new_figure(9.6 if across == 1 else 6.2 * across, 1.1 + 1.7 * down)
    grid = figure.subplots(down, across, squeeze=False, sharex=True)
    panels = list(grid.flat)
    for number, axes in enumerate(panels[:shown]):
        _panel(axes, forecast, number)
    for axes in panels[shown:]:
        axes.remove()
    for axes in panels[max(shown - across, 0) : shown]:  # the last in each column
        axes.tick_params(labelbottom=True)
    left_out = f" (the first {shown} of {num_channels} channels)" if shown < num_channels else ""
    figure.suptitle(escape_mathtext(title) + left_out, fontsize="medium")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=len(labels), frameon=False,
        fontsize="small",
    )  # fmt: skip
    save_figure(figure, path)


def _panel(axes: Axes, forecast: Forecast, number: int) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    recent = slice(-max(len(forecast.times), FEWEST_PAST), None)
    past_times, past = forecast.past_times[recent], forecast.past[recent, number]
    # the last row seen is where the forecast starts: without it there would be a hole
    times = np.concatenate([past_times[-1:], forecast.times])
    if forecast.low is not None and forecast.high is not None:
        low, high = (
            np.concatenate([past[-1:], end[:, number]]) for end in (forecast.low, forecast.high)
        )
        label = f"{forecast.level}% interval"
        axes.fill_between(times, low, high, color=NEXT, alpha=0.2, linewidth=0, label=label)
    axes.plot(past_times, past, color=PAST, linewidth=1, label="seen")
    values = np.concatenate([past[-1:], forecast.values[:, number]])
    axes.plot(times, values, color=NEXT, linewidth=1.4, label="forecast")
    axes.axvline(past_times[-1], color="0.6", linewidth=0.8, linestyle=":")
    axes.set_title(escape_mathtext(forecast.channels[number]), loc="left", fontsize="small")
    locator = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    written = ConciseDateFormatter(  # type: ignore[no-untyped-call]
        locator, formats=DATES, zero_formats=DATES, show_offset=False
    )
    axes.xaxis.set_major_formatter(written)
    axes.margins(x=0.01)
    axes.tick_params(labelsize="x-small")
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
