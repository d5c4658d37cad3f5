"""How long a season is: the shortest that is natural to the time step and seen in the data.

Seen is what stands out in the autocorrelation of the train rows, the mean over channels of

    r(k) = sum_t z_t z_(t+k) / n_k  /  (sum_t z_t^2 / n_0)

where z is a channel less its moving mean, and n_k the number of pairs that both have a value. The
mean is over some natural seasons: what changes from year to year must not hide a day.

Shapes: T rows, C channels, K lags.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.data.frequency import SECONDS, Frequency
from benchmark.data.totals import moments, never_changes
from benchmark.errors import UserError

Array = NDArray[np.float64]

HOUR, DAY, WEEK = (SECONDS[unit] for unit in ("h", "D", "W"))
YEAR = 365 * DAY
IN_CALENDAR = {"MS": (12,), "ME": (12,), "B": (5, 261)}  # months of a year, working days of a week
HOURS_MATTER = 300  # seconds of a step from which on an hour is no season

PROMINENCE = 0.03
"""How far a season's autocorrelation stands above the lowest at a shorter lag, beside what may be
chance: two standard errors of it under noise, 2 / sqrt(T)."""

STRENGTH = 0.1
"""Of an autocorrelation worth a name. Of few seasons it is more, sqrt(season / T): what wanders
comes back by chance."""

CLEAR = 0.3
"""Both of a length that is not natural: among so many lags, some are high by chance."""

EVEN = 0.03
"""By how much another lag nearby may be ahead by chance."""

SMOOTHED = 10
"""Length of the moving mean, in natural seasons."""

ROUNDING = 1e-9
"""What is left of a channel's range where it only counts up: its noise must not look as large."""

TIMES = 10  # that it fits into the train rows

MOST_LAGS = 2000  # looked through where no natural season is seen


@dataclass(frozen=True)
class Season:
    """What was found.

    Attributes:
        length: in steps.
        correlations: the autocorrelation at this and at every natural length that fits three times
            into the train rows, by length.
        seen: whether it stands out; else it is a custom.
    """

    length: int
    correlations: dict[int, float]
    seen: bool


def natural_seasons(step: Frequency) -> list[int]:
    """Return the hours, days, weeks and years that are whole numbers of steps, ascending.

    >>> [natural_seasons(Frequency.parse(step)) for step in ("min", "15min", "h", "D", "W")]
    [[60, 1440, 10080], [96, 672], [24, 168], [7, 365], [52]]
    >>> [natural_seasons(Frequency.parse(step)) for step in ("MS", "3ME", "12MS", "B")]
    [[12], [4], [], [5, 261]]
    """
    if step.unit in IN_CALENDAR:
        periods = IN_CALENDAR[step.unit]
        seasons = {period // step.count for period in periods if period % step.count == 0}
    else:
        seconds = step.count * SECONDS[step.unit]
        periods = (*([HOUR] if seconds < HOURS_MATTER else []), DAY, WEEK)
        seasons = {period // seconds for period in periods if period % seconds == 0}
        if seconds >= DAY:
            seasons.add(round(YEAR / seconds))
    return sorted(season for season in seasons if season > 1)


def customary_season(step: Frequency) -> int:
    """Return the season that a time step implies where nothing else is known; 1 for none.

    Of steps shorter than a day that do not divide one, a week may be whole, but implies nothing.

    >>> [customary_season(Frequency.parse(step)) for step in ("15min", "h", "D", "2W", "MS")]
    [96, 24, 7, 26, 12]
    >>> customary_season(Frequency.parse("7min"))
    1
    """
    shortest = (natural_seasons(step) or [1])[0]
    seconds = 0 if step.unit in IN_CALENDAR else step.count * SECONDS[step.unit]
    return 1 if seconds < DAY < shortest * seconds else shortest


def autocorrelation(values: Array, smoothed: int) -> Array:
    """Return r(k) of ``(T, C)``, NaN where missing, for k from 0 to T // 3: ``(K,)``.

    Args:
        values: the rows.
        smoothed: length of the moving mean, shorter at both ends of the series.

    Channels that never change, or always by the same, have none, and count in nothing; of such
    alone it is all zeros.
    """
    rows = len(values)
    size = 1 << (2 * rows - 1).bit_length()  # room for every lag, so that none wraps around
    total = np.zeros(rows // 3 + 1)
    channels = 0
    for column in values.T:
        known = ~np.isnan(column)
        if known.sum() < 2 or never_changes(*moments(column[known, None])).all():
            continue
        z = _without_level(column, known, smoothed)
        if np.ptp(z[known]) <= ROUNDING * np.ptp(column[known]):
            continue
        products, pairs = (_lagged(part, size)[: len(total)] for part in (z, known.astype(float)))
        means = products / np.maximum(np.round(pairs), 1)
        if means[0] > 0:
            total += means / means[0]
            channels += 1
    return total / max(channels, 1)


def season_fault(name: str, season: int, train: int) -> UserError | None:
    """Describe a data set's season that `train` rows do not hold with a row after it; or None."""
    if season < train:
        return None
    what = f"{season} steps do not fit into the train split of {train} rows"
    return UserError(f"{name}: season", what, "correct the season or the splits in the card")


def find_season(train: Array, step: Frequency, length: int | None = None) -> Season:
    """Find the season of train rows ``(T, C)``, NaN where missing.

    Args:
        train: the rows.
        step: from one to the next.
        length: the season, where it is known: then only its autocorrelation is found.
    """
    natural = [season for season in natural_seasons(step) if 3 * season <= len(train)]
    third = len(train) // 3
    r = autocorrelation(train, min(third, SMOOTHED * max(natural, default=third)))
    seen = [season for season in natural if _stands_out(r, season, PROMINENCE, STRENGTH)]
    if length is None and not seen:
        seen = _others(r)
    customary = customary_season(step)
    found = length or (seen[0] if seen else customary if customary < len(train) else 1)
    shown = sorted({found, *natural})
    return Season(
        length=found,
        correlations={season: float(r[season]) for season in shown if season < len(r)},
        seen=bool(length or seen),
    )


def _without_level(column: Array, known: NDArray[np.bool_], length: int) -> Array:
    """Take the moving mean out of ``(T,)``; 0 where a value is missing."""
    values = np.where(known, column - column[known].mean(), 0.0)
    sums, counts = (np.concatenate([[0], np.cumsum(part)]) for part in (values, known))
    rows = np.arange(len(values))
    half = np.minimum(np.minimum(rows, rows[::-1]), length // 2)  # as far back as ahead: no bias
    start, stop = rows - half, rows + half + 1
    level = (sums[stop] - sums[start]) / np.maximum(counts[stop] - counts[start], 1)
    return np.where(known, values - level, 0.0)


def _lagged(values: Array, size: int) -> Array:
    """Sum of products of values and themselves a lag later, for every lag."""
    spectrum = np.fft.rfft(values, size)
    products: Array = np.fft.irfft(spectrum * spectrum.conj(), size)
    return products


def _stands_out(r: Array, season: int, prominence: float, strength: float) -> bool:
    nearby = max(1, season // 8)
    around = r[max(1, season - nearby) : season + nearby + 1]
    higher = r[season] >= around.max() - EVEN
    above = r[season] - r[1:season].min() >= prominence + 2 / np.sqrt(3 * len(r))
    return bool(higher and above and r[season] > max(strength, np.sqrt(season / (3 * len(r)))))


def _others(r: Array) -> list[int]:
    """The shortest lag that is about as high as any that stands out."""
    lags = range(2, min(3 * len(r) // TIMES, MOST_LAGS))
    peaks = [k for k in lags if r[k - 1] <= r[k] >= r[k + 1] and _stands_out(r, k, CLEAR, CLEAR)]
    if not peaks:
        return []
    highest = max(r[k] for k in peaks)
    return [k for k in peaks if r[k] >= highest - STRENGTH]
