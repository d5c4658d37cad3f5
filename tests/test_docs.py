"""The pages in docs/ quote the code as it is."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from benchmark.abilities.tasks import TASKS
from benchmark.cells import cell_names

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/cells.md").read_text(encoding="utf-8")
SECTIONS = re.findall(r"^## [^\n]*: `(benchmark/\w+/\w+\.py)`\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
STEPPED = [(file, text) for file, text in SECTIONS if "/cells/" in file and "_t = " in text]


def quoted_in(text):
    """The lines of code of a section."""
    return [q for code in re.findall(r"```python\n(.*?)```", text, re.S) for q in code.splitlines()]


def left_sides_in(text):
    """What code calls each thing that an equation defines: log_f for log f, no prime, no [e,n]."""
    sides = [s for left in re.findall(r"^    (\w.*?) +=", text, re.M) for s in left.split(", ")]
    return [re.sub(r"[~']?(_t)?(\[.*\])?$", "", side).replace(" ", "_") for side in sides]


def names_in(tree, context):
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return {node.id for node in nodes if isinstance(node.ctx, context)}


def source_of(file):
    return (ROOT / file).read_text(encoding="utf-8")


def step_of(file):
    """Names assigned in a cell's `step` and in the methods it calls, by line.

    Left out are lines that take the state apart, or take over what such a method returns.
    """
    lines, nodes = source_of(file).splitlines(), list(ast.walk(ast.parse(source_of(file))))
    methods = {node.name: node for node in nodes if isinstance(node, ast.FunctionDef)}
    called = {node.attr for node in ast.walk(methods["step"]) if isinstance(node, ast.Attribute)}
    own = {"state", *(f"self.{name}" for name in methods)}
    return {
        lines[node.lineno - 1].strip(): names_in(node, ast.Store)
        for name in {"step", *called} & set(methods)
        for node in ast.walk(methods[name])
        if isinstance(node, ast.Assign) and ast.unparse(node.value).split("(")[0] not in own
    }


@pytest.mark.parametrize(("file", "text"), SECTIONS, ids=lambda part: part[:30])
def test_the_lines_quoted_are_in_the_file(file, text):
    lines = {line.strip() for line in source_of(file).splitlines()}
    assert quoted_in(text)
    assert [line for line in quoted_in(text) if line not in lines] == []


@pytest.mark.parametrize(("file", "text"), STEPPED, ids=lambda part: part[:30])
def test_equations_and_the_lines_quoted_beside_them_are_of_the_same_things(file, text):
    quoted, step = quoted_in(text), step_of(file)
    defined = Counter(left_sides_in(text))
    computed = Counter(name for q in quoted for name in names_in(ast.parse(q), ast.Store))
    symbols = {*defined, *left_sides_in(source_of(file).split('"""')[1])}
    assert {name: computed[name] for name in symbols if computed[name]} == defined
    defining = {line for line, names in step.items() if names & {*defined}}
    assert defining - {*quoted} == set()
    read = {name for q in quoted for name in names_in(ast.parse(q), ast.Load)}
    equations = " ".join(re.findall(r"^    \w.*=.*", text, re.M)).replace("_", " ")
    not_computed_here = read & set().union(*step.values()) - {*computed}
    assert not_computed_here <= set(re.findall(r"[A-Za-z]+", equations)), "quote its line as well"


def test_every_cell_has_its_section():
    cells = {Path(file).stem for file, _ in SECTIONS if Path(file).parent.name == "cells"}
    assert cells == set(cell_names())


def test_the_figure_is_there():
    figures = re.findall(r"!\[.*?\]\((.*?)\)", PAGE)
    assert figures
    assert [name for name in figures if not (ROOT / "docs" / name).exists()] == []


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


def test_the_table_of_abilities_is_the_one_in_the_reference_results():
    shown, written = (
        [line for line in text.splitlines() if line.startswith("|")]
        for text in (
            PAGE.split("<!-- abilities -->")[1].split("<!-- /abilities -->")[0],
            (ROOT / "results/reference/abilities.md").read_text(encoding="utf-8"),
        )
    )
    assert shown == written
    assert len(shown) == len(cell_names()) + 3


def test_the_table_of_abilities_says_what_the_tasks_ask():
    notes = (ROOT / "results/reference/abilities.md").read_text(encoding="utf-8").splitlines()
    asked = [f"- {task.name}: {task.meaning} {task.steps:,} steps of training." for task in TASKS]
    assert [line for line in asked if line not in notes] == []
