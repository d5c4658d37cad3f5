from __future__ import annotations

import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from benchmark.reports import tables, terminal
from benchmark.reports.tables import Cell, Column, Table


def test_best_is_bold_and_second_underlined_in_markdown():
    table = Table(
        title="T",
        columns=(Column("model", number=False), Column("MSE")),
        rows=(
            (Cell("a"), Cell("0.1", "best")),
            (Cell("b"), Cell("0.2", "second")),
            (Cell("c"), Cell("0.3")),
        ),
        intro=("Before.",),
        notes=("After.",),
    )
    assert tables.markdown(table) == (
        "## T\n\nBefore.\n\n"
        "| model | MSE |\n| --- | ---: |\n| a | **0.1** |\n| b | <u>0.2</u> |\n| c | 0.3 |\n\n"
        "- After.\n"
    )


@pytest.mark.parametrize(
    ("value", "expected"), [(-1e-9, "0.000"), (-0.0, "0.000"), (-0.0006, "-0.001"), (1.5, "1.500")]
)
def test_what_is_written_as_zero_has_no_sign(value, expected):
    assert tables.number(value, 3) == expected


@given(
    values=st.lists(st.sampled_from([0.1, 0.10001, 0.2, 0.3, -0.5, math.nan]), max_size=8),
    lower=st.booleans(),
)
def test_marks_name_the_best_and_second_of_what_is_shown(values, lower):
    found = tables.marks(values, decimals=3, lower_is_better=lower)
    shown = {f"{value:.3f}" for value in values if not math.isnan(value)}
    ordered = sorted(shown, key=float, reverse=not lower)
    for value, mark in zip(values, found, strict=True):
        place = ordered.index(f"{value:.3f}") if not math.isnan(value) else 99
        assert mark == {0: "best", 1: "second"}.get(place, "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a|b", r"a\|b"),
        ("two\nlines\r\n| x", r"two lines \| x"),
        ("<img src=x>", "&lt;img src=x&gt;"),
        ("[a](javascript:b)", r"\[a\](javascript:b)"),
        ("*a* `b` \\", r"\*a\* \`b\` \\"),
        ("seasonal_naive", "seasonal_naive"),
        ("_a_", r"\_a\_"),
        ("$a$ and $b$", r"\$a\$ and \$b\$"),
        ("&lt;", "&amp;lt;"),
        ("a\u202eb\x1b[31m", r"a?b?\[31m"),
    ],
)
def test_markdown_takes_no_instruction_from_a_text(text, expected):
    assert tables.escape_markdown(text) == expected


def test_the_terminal_takes_no_instruction_from_a_text():
    table = Table("[red]t", (Column("m", number=False),), ((Cell("[bold]x\x1b[31m\n2"),),))
    stream = io.StringIO()
    terminal.print_tables([table], Console(file=stream, width=60, force_terminal=True))
    shown = stream.getvalue()
    assert "[red]t" in shown
    assert "[bold]x?[31m 2" in shown
    assert "\x1b[31m" not in shown


@pytest.mark.parametrize(
    ("text", "safe"),
    [("=cmd", "'=cmd"), ("@x", "'@x"), ("-1", "'-1"), ("+1", "'+1"), ("a=b", "a=b"), ("", "")],
)
def test_a_spreadsheet_runs_no_text(text, safe):
    assert tables.escape_formula(text) == safe


def test_numbers_are_written_alike_everywhere():
    assert tables.number(0.42608) == "0.4261"
    assert tables.number(math.nan) == tables.number(math.inf) == "-"
    assert tables.number(123456789.0) == "1.235e+08"
    assert tables.mean_and_std(0.5, 0.00123) == "0.5000±0.0012"
    assert tables.mean_and_std(0.5, math.nan) == "0.5000"
    assert tables.amount(0.012345) == "0.0123"
    assert tables.amount(12345.6) == "12,346"
    assert tables.percent(0.0123) == "+1.2%"
    assert tables.percent(math.inf) == "+inf%"
    assert tables.percent(math.nan) == "-"


def test_a_column_of_tiny_errors_has_exponents_that_tell_them_apart():
    values = [2.5e-7, 2.4e-7, 2.4e-7, 0.9, 0.0]
    places = tables.decimals_for(values)
    assert [tables.number(value, places) for value in values] == [
        "2.500e-07", "2.400e-07", "2.400e-07", "9.000e-01", "0.000e+00",
    ]  # fmt: skip
    assert tables.mean_and_std(2.5e-7, 1e-9, places) == "2.500e-07±1.000e-09"
    assert tables.signed(-1e-8, places) == "-1.000e-08"
    assert tables.marks(values[:4], places) == ["second", "best", "best", ""]
    assert tables.signed(-1e-6) == "-0.0000"
    assert tables.signed(math.nan) == "-"


@given(st.integers(0, 10**12))
def test_a_count_is_short_and_near(value):
    text = tables.count(value)
    scale = {"k": 1e3, "M": 1e6, "G": 1e9}.get(text[-1], 1)
    assert len(text) <= 8
    assert float(text.rstrip("kMG")) * scale == pytest.approx(value, rel=0.006)


def test_short_fingerprints_still_differ():
    same, other, odd = "abcdefgh1x", "abcdefgh2x", "z"
    assert tables.short_fingerprints([same, other, odd, odd]) == {
        same: "abcdefgh1",
        other: "abcdefgh2",
        odd: "z",
    }
    assert tables.short_fingerprints(["a" * 16]) == {"a" * 16: "a" * 8}
    assert tables.short_fingerprints(["a", "ab"]) == {"a": "a", "ab": "ab"}
    assert tables.short_fingerprints([]) == {}
