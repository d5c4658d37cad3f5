"""The published leaderboards are those that this version makes of the rows beside them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmark.records.table import read_results
from benchmark.reports import ranking
from benchmark.reports.leaderboard import to_csv, to_markdown
from benchmark.reports.ties import TIES

FOLDERS = sorted((Path(__file__).parents[2] / "results/reference").glob("*/leaderboard.md"))


@pytest.mark.parametrize("page", FOLDERS, ids=lambda page: page.parent.name)
def test_a_published_leaderboard_is_that_of_its_rows(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for what the errors of each window told, which lie in the runs' folders: that is taken
    from the CSV beside it.
    """
    text = page.read_text(encoding="utf-8")
    lines = page.with_suffix(".csv").read_text(encoding="utf-8")
    kinds = {"fingerprint": str, "config": str}
    written = pd.read_csv(page.with_suffix(".csv"), dtype=kinds)
    told = written[written["metric"] == "mse"].set_index(ranking.ROW)[list(TIES)]

    def as_told(rows: pd.DataFrame, *_: Any) -> pd.DataFrame:
        keys = pd.MultiIndex.from_frame(rows[ranking.ROW])
        known: Mapping[str, Any] = told.reindex(keys).set_axis(rows.index)
        return rows.assign(**{name: known[name] for name in TIES})

    monkeypatch.setattr(ranking, "with_ties", as_told)
    board = ranking.leaderboard(read_results(page.parent / "results.csv"))
    command = re.search(r"^benchmark suite \w+$", text, re.MULTILINE)
    assert command is not None
    assert to_markdown(board, command[0]) == text
    assert to_csv(board) == lines
