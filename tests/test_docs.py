"""The pages in docs/ quote the code as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from benchmark.cells import cell_names

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/cells.md").read_text(encoding="utf-8")
SECTIONS = re.findall(r"^## [^\n]*: `(benchmark/\w+/\w+\.py)`\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)


@pytest.mark.parametrize(("file", "text"), SECTIONS, ids=lambda part: part[:30])
def test_the_lines_quoted_are_in_the_file(file, text):
    lines = {line.strip() for line in (ROOT / file).read_text(encoding="utf-8").splitlines()}
    quoted = [
        q for code in re.findall(r"```python\n(.*?)```", text, re.S) for q in code.splitlines()
    ]
    assert [line for line in quoted if line not in lines] == []


def test_every_cell_has_its_section():
    cells = {Path(file).stem for file, _ in SECTIONS if Path(file).parent.name == "cells"}
    assert cells == set(cell_names())


def test_the_figure_is_there():
    for name in re.findall(r"!\[.*?\]\((.*?)\)", PAGE):
        assert (ROOT / "docs" / name).exists()


def test_the_table_of_choices_is_what_the_runs_say():
    """What validation and test prefer is read off the rows; what blocks chose, only its score."""
    runs = pd.read_csv(ROOT / "results/reference/selection/results.csv")
    page = (ROOT / "docs/choosing.md").read_text(encoding="utf-8")
    table = page.split("| best on test |\n")[1].split("\n\n")[0].splitlines()[1:]
    assert {line.split("|")[1].strip() for line in table} == set(runs["dataset"])
    for line in table:
        dataset, *chosen = (cell.strip() for cell in line.strip("|").split("|"))
        own = runs[runs["dataset"] == dataset].set_index("lookback")
        for cell in chosen:
            lookback, mse = cell.split(": ")
            assert f"{own['mse'][int(lookback)]:.4f}" == mse
        assert int(chosen[0].split(":")[0]) == own["val_mse"].idxmin()
        assert int(chosen[-1].split(":")[0]) == own["mse"].idxmin()
