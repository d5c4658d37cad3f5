"""The pages in docs/ quote the code as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmark.cells import cell_names

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/cells.md").read_text(encoding="utf-8")
SECTIONS = re.findall(
    r"^## [^\n]*: `(benchmark/cells/\w+\.py)`\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S
)


@pytest.mark.parametrize(("file", "text"), SECTIONS, ids=lambda part: part[:30])
def test_the_lines_quoted_are_in_the_file(file, text):
    lines = {line.strip() for line in (ROOT / file).read_text(encoding="utf-8").splitlines()}
    quoted = [
        q for code in re.findall(r"```python\n(.*?)```", text, re.S) for q in code.splitlines()
    ]
    assert [line for line in quoted if line not in lines] == []


def test_every_cell_has_its_section():
    assert {Path(file).stem for file, _ in SECTIONS} == set(cell_names())


def test_the_figure_is_there():
    for name in re.findall(r"!\[.*?\]\((.*?)\)", PAGE):
        assert (ROOT / "docs" / name).exists()
