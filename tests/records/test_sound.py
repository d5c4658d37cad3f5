"""The fast way to read results and the exact one: never two answers."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.errors import UserError
from benchmark.records import table
from benchmark.records.csv_rows import parse_csv_rows
from benchmark.records.table import REQUIRED

HEADER = (*REQUIRED, "rmse", "params", "note")
SOUND = ("a", "done", "ETTh1", "96", "24", "gru", "0", "0.5", "0.4", "f", "", "0.7", "", "")
cells = st.sampled_from(
    [
        *SOUND, "", '""', '"a"', '"a""b"', '"a,b"', '"a\nb"', 'a"b', '"a"b', '"', " 1", "1 ", "-1",
        "+1", "1.", ".5", "1e5", "1e-400", "1e999", "nan", "inf", "True", "NA", "007", "1_0", "0x1",
        "9" * 18, "9" * 19, "-" + "9" * 18, "0." + "3" * 60, "1.7976931348623157e308", "ä", "\0",
        "5e-324", "2.2250738585072011e-308", "a\r", "\u2028", "1,2", "9007199254740993",
    ]
)  # fmt: skip
ends = st.sampled_from(["\n", "\n", "\n", "\r\n", "\n\n", "\n \n", ""])


def exact(text: str) -> pd.DataFrame | str:
    try:
        return table._results(parse_csv_rows(Path("some.csv"), io.StringIO(text, newline="")))
    except UserError as error:
        return str(error)


@given(
    st.lists(st.dictionaries(st.integers(0, len(HEADER) - 1), cells, max_size=2), max_size=3),
    ends,
    st.permutations(HEADER),
)
def test_what_is_read_at_once_is_what_is_read_cell_by_cell(changes, end, header):
    rows = [
        [changed.get(HEADER.index(name), f"{SOUND[HEADER.index(name)]}") for name in header]
        for changed in changes
    ]
    for number, row in enumerate(rows):
        row[header.index("run_id")] += str(number)
    text = end.join([",".join(header), *map(",".join, rows)]) + end
    found = table._sound(text)
    if found is not None:
        pd.testing.assert_frame_equal(found, exact(text), check_exact=True)


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_file_as_it_is_written_is_read_at_once(record, tmp_path, end):
    path = tmp_path / "results.csv"
    records = [
        record("a", mse=0.1 + 0.2, params=10**17, tuned=3, git_revision="0e1"),
        record("b", error='ValueError: "no", said the cell', model="007"),
    ]
    table.write_csv(path, records)
    text = path.read_text(encoding="utf-8").rstrip("\n") + end
    found = table._sound(text)
    pd.testing.assert_frame_equal(found, exact(text), check_exact=True)
    assert found is not None
    assert found["params"].tolist()[0] == 10**17
    assert table._sound(text.replace("0.30000000000000004", "1e999")) is None
