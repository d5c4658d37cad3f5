"""How far apart a data set's rows are: a fixed time, or one that the calendar decides.

    s, min, h, D, W   seconds, minutes, hours, days, weeks
    MS, ME            months, by the time since a month's start, or on its last day
    B                 working days, Monday to Friday: a holiday is an absent time

A number may stand before each: 15min, 3MS (a quarter), 12ME (a year). Cards are read while the
command line starts, so numpy is imported when it is needed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from benchmark.data.times import Times

    Whole = NDArray[np.int64]

SECONDS = {"s": 1, "min": 60, "h": 3600, "D": 86400, "W": 604800}
CALENDAR = {"MS": "month", "ME": "month", "B": "working day"}

INSTEAD = {
    "M": "MS or ME", "Q": "3MS or 3ME", "QS": "3MS", "QE": "3ME", "Y": "12MS or 12ME",
    "A": "12MS or 12ME", "YS": "12MS", "YE": "12ME", "AS": "12MS", "H": "h", "T": "min", "S": "s",
}  # fmt: skip
"""What pandas calls some steps, or did, and what to write here instead."""

DAY = SECONDS["D"]
SHORTEST_MONTH = 28 * DAY  # what all months have

_EPOCH = "1970-01-01"  # a Thursday


@dataclass(frozen=True)
class Frequency:
    """A time step.

    Attributes:
        count: how many units.
        unit: as a pandas offset alias.
    """

    count: int
    unit: str

    @classmethod
    def parse(cls, text: str) -> Frequency:
        """Read a step such as ``h``, ``15min`` or ``MS``.

        Raises:
            ValueError: it is none.
        """
        found = re.fullmatch(r"([1-9]\d{0,5})?(s|min|h|D|W|MS|ME|B)", text)
        if not found:
            name = re.sub(r"^\d+|-[A-Z]{3}$", "", text)
            cure = "W" if text.startswith("W-") else INSTEAD.get(name, "e.g. 15min")
            raise ValueError(f"is no step in s, min, h, D, W, MS, ME or B; write {cure}")
        return cls(int(found[1] or 1), found[2])

    def __str__(self) -> str:
        return f"{self.count if self.count > 1 else ''}{self.unit}"

    @property
    def words(self) -> str:
        """What a person calls it.

        >>> [Frequency.parse(text).words for text in ("15min", "MS", "3ME")]
        ['15min', 'a month', '3 months']
        """
        if self.unit in SECONDS:
            return str(self)
        name = CALENDAR[self.unit]
        return f"a {name}" if self.count == 1 else f"{self.count} {name}s"

    def between(self, times: Times) -> Whole:
        """Return how many steps lie from each of ``(T,)`` times to the next: ``(T - 1,)``.

        It is 0 where that is no whole number, as it is where a time is repeated.
        """
        import numpy as np

        cell, rest = self._place(times.astype("datetime64[s]"))
        apart = np.diff(cell)
        whole = (np.diff(rest) == 0) & (rest[1:] >= 0) & (apart % self.count == 0)
        return np.where(whole, apart // self.count, 0)

    def after(self, time: np.datetime64, steps: Whole) -> Times:
        """Return the times that lie some numbers of steps after one: ``(T,)`` datetime64[s].

        Raises:
            ValueError: no step begins at that time, a Sunday where the step is a working day.
        """
        import numpy as np

        cell, rest = self._place(np.array([time], dtype="datetime64[s]"))
        if rest[0] < 0:
            raise ValueError(self.misfit(time))
        return self._time(cell[0] + self.count * steps, rest[0])

    def misfit(self, time: np.datetime64 | datetime) -> str:
        """Say why no step begins at a time; empty where one does.

        >>> Frequency.parse("B").misfit(datetime(2020, 1, 4))
        'is a Saturday, and the step is a working day (B)'
        """
        import numpy as np

        at = np.array([time], dtype="datetime64[s]")
        if self._place(at)[1][0] >= 0:
            return ""
        if self.unit == "B":
            why = f"is a {at[0].item():%A}"
        else:
            why = f"is {'after the 28th' if self.unit == 'MS' else 'not the last day'} of its month"
        return f"{why}, and the step is {self.words} ({self})"

    def _place(self, times: Times) -> tuple[Whole, Whole]:
        """The unit's cell that holds a time, and the seconds from its start, or until its end.

        They are -1 where no step begins or ends that far into the cell.
        """
        import numpy as np

        if self.unit == "B":
            days = times.astype("datetime64[D]")
            rest = (times - days).astype(np.int64)
            return np.busday_count(_EPOCH, days), np.where(np.is_busday(days), rest, -1)
        if self.unit in ("MS", "ME"):
            months = times.astype("datetime64[M]")
            rest = times - months if self.unit == "MS" else months + 1 - times
            seconds = rest.astype("timedelta64[s]").astype(np.int64)
            longest = SHORTEST_MONTH - 1 if self.unit == "MS" else DAY
            return months.astype(np.int64), np.where(seconds <= longest, seconds, -1)
        return np.divmod(times.astype(np.int64), SECONDS[self.unit])

    def _time(self, cell: Whole, rest: np.int64) -> Times:
        """The reverse of `_place`."""
        import numpy as np

        if self.unit == "B":
            edge = np.busday_offset(np.datetime64(_EPOCH), cell, "raise")
        elif self.unit == "MS":
            edge = cell.astype("datetime64[M]")
        elif self.unit == "ME":
            edge, rest = (cell + 1).astype("datetime64[M]"), -rest
        else:
            edge = (cell * SECONDS[self.unit]).astype("datetime64[s]")
        seconds: Whole = edge.astype("datetime64[s]").astype(np.int64) + rest
        return seconds.astype("datetime64[s]")
