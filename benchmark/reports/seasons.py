"""How long a season is on the axis of a figure, by the times of the windows that a run kept."""

from __future__ import annotations

from datetime import datetime

from benchmark.data.frequency import Frequency
from benchmark.data.seasons import customary_season
from benchmark.reports.details import Forecasts


def season_of(forecasts: Forecasts) -> int:
    """Return the steps of the season that the time between two rows implies; 0 for none."""
    kept = zip(forecasts.first_row, forecasts.time, strict=True)
    known = sorted({(row, time) for row, time in kept if time})
    if len(known) < 2:
        return 0
    (first, begin), (last, end) = known[0], known[-1]
    passed = datetime.fromisoformat(end) - datetime.fromisoformat(begin)
    step = passed.total_seconds() / max(last - first, 1)
    if step < 1 or step % 1:  # of a calendar, or with gaps
        return 0
    season = customary_season(Frequency(int(step), "s"))
    return season if season > 1 else 0
