"""Lines, rows and columns around a table are told; the line given leaves them out of a copy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from users_table import lines_of, table, written_anew

from benchmark.data.adoption.adopt import propose
from benchmark.errors import UserError

FRAME = table()
HEADER, *ROWS = lines_of(FRAME)
SEMICOLONS = FRAME.to_csv(index=False, sep=";", decimal=",").splitlines()
ABOVE = "line 1: stands above the columns' names, which are in line "
COMMAS = "line 1: names 3 columns, and lines have more commas than that, with nothing behind them; "

MARGINS: dict[str, tuple[list[str], str]] = {
    "comments": (
        ["# made by me", "# of a, and b, and c", "#", HEADER, *ROWS],
        f"{ABOVE}4: '# made by me'; mend it:",
    ),
    "a title": (["Report of site 3,,", ",,", HEADER, *ROWS], f"{ABOVE}3: 'Report of site 3,,'"),
    "a title and a blank line": (["Report of site 3", "", HEADER, *ROWS], f"{ABOVE}3: 'Report"),
    "a title in quotes": (['"Site 3, north",x', HEADER, *ROWS], f"{ABOVE}2: "),
    "a title above semicolons": (["Report of site 3;;", "", *SEMICOLONS], f"{ABOVE}3: "),
    "commas behind all lines": (
        [f"{line},,," for line in (HEADER, *ROWS)],
        f"{COMMAS}leave them out:",
    ),
    "a comma behind all rows": ([HEADER, *(f"{row}," for row in ROWS)], COMMAS),
    "commas behind some rows": ([HEADER, *ROWS[:99], *(f"{row},," for row in ROWS[99:])], COMMAS),
    "units": (
        [HEADER, ",kW,m3/h", *ROWS],
        "line 2: holds no number, but 'kW, m3/h', as units are told; leave it out:",
    ),
    "units and kinds": ([HEADER, "TS,kW,°C", ",Avg,Avg", *ROWS], "but 'TS, kW, °C', as units are"),
    "rows of commas": (
        [HEADER, *ROWS[:7], ",,", *ROWS[7:], ",,", ",,"],
        "line 9: holds commas alone, as 3 of 203 rows do; leave them out:",
    ),
}


@pytest.mark.parametrize("kind", MARGINS)
def test_what_stands_around_a_table_is_left_out_by_the_line_given(
    kind: str, write_csv: Callable[..., Path]
) -> None:
    lines, told = MARGINS[kind]
    path = write_csv(lines)
    with pytest.raises(UserError) as caught:
        propose(path)
    assert told in str(caught.value)
    found = propose(written_anew(caught.value.cure)).found.table
    np.testing.assert_array_equal(found.timestamps, FRAME["date"].to_numpy())
    np.testing.assert_array_equal(found.values, FRAME[["load", "heat"]])


@pytest.mark.parametrize(
    "header", ["#date,load,heat", "date,2 m,10 m", ",load,heat", "date,load,", "date,#load,#heat"]
)
def test_a_first_line_that_names_the_columns_is_no_margin(
    header: str, write_csv: Callable[..., Path]
) -> None:
    rows = [f"{row.rpartition(',')[0]}," for row in ROWS] if header.endswith(",") else ROWS
    gaps = [f"{row.partition(',')[0]},NA,NA" for row in rows[:1]]
    time_column = header.partition(",")[0]
    found = propose(write_csv([header, *gaps, *rows[1:]]), time_column=time_column).found
    assert len(found.table.values) == len(ROWS)


def test_a_value_without_a_name_is_not_left_out(write_csv: Callable[..., Path]) -> None:
    lines = [f"{HEADER},,", *(f"{row},,1" for row in ROWS)]
    with pytest.raises(UserError, match="line 1: names column '' twice; rename one of them"):
        propose(write_csv(lines))
    with pytest.raises(UserError, match="line 9: has 4 cells, the file has 3 columns"):
        propose(write_csv([HEADER, *ROWS[:7], f"{ROWS[7]},1", *ROWS[8:]]))
