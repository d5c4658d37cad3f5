"""A file of other bytes than UTF-8 and commas is told the line that writes it anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from users_table import table, written_anew

from benchmark.data.adoption.adopt import card_text, propose
from benchmark.errors import UserError
from benchmark.plain_yaml import parse_yaml

FRAME = table(480).rename(columns={"date": "when"})


@pytest.mark.parametrize("line", [1, 5])
@pytest.mark.parametrize(("encoding", "name"), [("cp1252", "Wärme [€]"), ("latin-1", "W\x81rme")])
def test_a_file_in_another_encoding_is_told_the_line_that_writes_it_anew(
    encoding: str, name: str, line: int, write_csv: Callable[..., Path]
) -> None:
    frame = FRAME.rename(columns={"heat": name}) if line == 1 else FRAME.assign(note="gut")
    frame.loc[3, "note"] = name
    path = write_csv(frame)
    path.write_bytes(path.read_bytes().decode().encode(encoding))
    with pytest.raises(
        UserError, match=f"line {line}: is not utf-8 text .*; write it as"
    ) as caught:
        propose(path)
    assert "card" not in caught.value.cure
    proposal = propose(written_anew(caught.value.cure))
    assert proposal.found.table.channels == ("load", name if line == 1 else "heat")
    assert parse_yaml(card_text(proposal.card), "card")["channels"][0] == "load"


@pytest.mark.parametrize("mark", [",", "\t"])
def test_a_file_in_utf_16_is_told_the_line_that_writes_it_anew(
    mark: str, write_csv: Callable[..., Path]
) -> None:
    path = write_csv(FRAME.rename(columns={"heat": "Wärme"}))
    path.write_text(path.read_text("utf-8").replace(",", mark), encoding="utf-16")
    with pytest.raises(UserError, match="line 1: is UTF-16 text; write it as utf-8") as caught:
        propose(path)
    assert propose(written_anew(caught.value.cure)).found.table.channels == ("load", "Wärme")


@pytest.mark.parametrize(("mark", "point"), [(",", "."), (";", ",")])
def test_a_line_that_tells_excel_of_the_separator_is_skipped(
    mark: str, point: str, write_csv: Callable[..., Path]
) -> None:
    path = write_csv(FRAME)
    path.write_text(f"sep={mark}\n" + FRAME.to_csv(index=False, sep=mark, decimal=point))
    with pytest.raises(UserError, match=f"line 1: is a word to Excel: 'sep={mark}'") as caught:
        propose(path)
    table = propose(written_anew(caught.value.cure)).found.table
    np.testing.assert_array_equal(table.values, FRAME[["load", "heat"]])


def test_a_line_break_in_a_columns_name_is_told_the_line_that_takes_it_out(
    write_csv: Callable[..., Path],
) -> None:
    path = write_csv(FRAME.rename(columns={"heat": "heat\n[kW]"}))
    with pytest.raises(UserError, match="line 1: ends inside a column's name") as caught:
        propose(path)
    assert propose(written_anew(caught.value.cure)).found.table.channels == ("load", "heat [kW]")
