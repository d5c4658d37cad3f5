"""Months, quarters and weeks in a file of a user: told the line that writes their first days."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from users_table import table, written_anew

from benchmark.data.adoption.adopt import propose
from benchmark.errors import UserError


def quarters(form: str) -> Callable[[pd.Timestamp], str]:
    return lambda day: form.format(year=day.year, quarter=day.quarter)


SPELLINGS: dict[str, tuple[str, str | Callable[[pd.Timestamp], str]]] = {
    "2001/01": ("MS", "%Y/%m"),
    "01/2001": ("MS", "%m/%Y"),
    "200101": ("MS", "%Y%m"),
    "2001M01": ("MS", "%YM%m"),
    "2001M1": ("MS", lambda day: f"{day.year}M{day.month}"),
    "Jan 2001": ("MS", "%b %Y"),
    "JAN 2001": ("MS", lambda day: f"{day:%b %Y}".upper()),
    "Jan-2001": ("MS", "%b-%Y"),
    "2001 Jan": ("MS", "%Y %b"),
    "Jan-01": ("MS", "%b-%y"),
    "January 2001": ("MS", "%B %Y"),
    "2001-Q1": ("3MS", quarters("{year}-Q{quarter}")),
    "2001Q1": ("3MS", quarters("{year}Q{quarter}")),
    "2001 Q1": ("3MS", quarters("{year} Q{quarter}")),
    "Q1 2001": ("3MS", quarters("Q{quarter} {year}")),
    "Q1-2001": ("3MS", quarters("Q{quarter}-{year}")),
    "2001-W01": ("W", "%G-W%V"),
    "2001W01": ("W", "%GW%V"),
    "2001 W01": ("W", "%G W%V"),
}


def spelt(spelling: str) -> tuple[pd.DataFrame, pd.Series[Any]]:
    frequency, form = SPELLINGS[spelling]
    frame = table(200, "W-MON" if frequency == "W" else frequency, "2001-01-01")
    days = frame["date"]
    texts = days.dt.strftime(form) if isinstance(form, str) else days.map(form)
    return frame.assign(date=texts), days


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("name", ["date", "month"])
def test_months_quarters_and_weeks_are_told_the_line_that_writes_their_first_days(
    name: str, named: bool, spelling: str, write_csv: Callable[..., Path]
) -> None:
    frame, days = spelt(spelling)
    path = write_csv(frame.rename(columns={"date": name}))
    period = {"MS": "month", "3MS": "quarter", "W": "week"}[SPELLINGS[spelling][0]]
    with pytest.raises(UserError) as caught:
        propose(path, time_column=name if named else None)
    told = f"{path}: line 2, column '{name}': '{spelling}' is a {period}; let the first day of each"
    assert str(caught.value).startswith(told)
    assert ("20.." in caught.value.cure) == (spelling == "Jan-01")
    proposal = propose(written_anew(caught.value.cure))
    assert proposal.card.frequency == SPELLINGS[spelling][0]
    np.testing.assert_array_equal(proposal.found.table.timestamps, days.to_numpy())
    np.testing.assert_array_equal(proposal.found.table.values, frame[["load", "heat"]])


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("name", ["month", "cohort"])
def test_a_column_of_months_beside_the_times_is_no_fault(
    name: str, spelling: str, write_csv: Callable[..., Path]
) -> None:
    frame, days = spelt(spelling)
    frame = frame.rename(columns={"date": name})
    when = days.dt.tz_localize("Europe/Berlin")
    path = write_csv(frame.assign(when=days.dt.strftime("%Y-%m-%d 06:00")))
    assert propose(path).card.time_column == "when"
    later = (days + pd.Timedelta("14D")).dt.strftime("%d.%m.%Y")
    for column, told in ((when, "has a time zone"), (later, "begins with")):
        path = write_csv(frame.assign(when=column)[["when", name, "load", "heat"]])
        with pytest.raises(UserError, match=f"column 'when': .* {told}"):
            propose(path)


def test_numbers_that_may_be_months_are_such_only_in_a_column_called_like_a_time(
    write_csv: Callable[..., Path],
) -> None:
    frame = spelt("200101")[0].rename(columns={"date": "sales"})
    with pytest.raises(UserError, match="names no column whose cells are times"):
        propose(write_csv(frame))
