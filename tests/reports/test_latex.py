from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from benchmark.reports.latex import escape_latex, to_latex
from benchmark.reports.leaderboard import tables_of
from benchmark.reports.ranking import leaderboard
from benchmark.reports.tables import Cell, Column, Table


@given(st.text(alphabet=st.sampled_from("\\~^<>&%$#_{}±≈ab "), max_size=30))
def test_nothing_special_is_left_outside_of_an_escape(text):
    left = re.sub(r"\\(text\w+\{\}|[&%$#_{}])|\$\\(pm|approx)\$", "", escape_latex(text))
    assert set(left) <= set("ab ")
    assert escape_latex(text).count(r"\textbackslash{}") == text.count("\\")


def test_a_leaderboard_is_a_booktabs_table_with_the_marks_of_markdown(run, table):
    rows = table(run("gru_plain", 0.5), run("50% {x}", 0.4, config="c1"))
    written = to_latex(tables_of(leaderboard(rows)))
    head, body = written.split(r"\midrule")
    assert head.count(r"\toprule") == 1
    first, second = body.split(r"\bottomrule")[0].strip().splitlines()
    assert first.startswith(r"1 & 50\% \{x\} & \textbf{0.4000} &")
    assert second.startswith(r"2 & gru\_plain & \underline{0.5000} &")
    columns = re.search(r"begin\{tabular\}\{(\w+)\}", written)[1]
    for line in (first, second, head.split(r"\toprule")[1].strip()):
        assert line.endswith(r" \\")
        assert line.count(" & ") == len(columns) - 1
    assert columns.startswith("rlr")
    assert len(columns) <= 10  # as many as a page has room for
    assert r"7 channels, lookback 336, device cpu" in written.split(r"\bottomrule")[1]


def test_a_bracket_after_a_line_is_not_taken_for_its_length():
    rows = ((Cell("[a]"), Cell("1")), (Cell("b"), Cell("2")))
    written = to_latex([Table("t", (Column("m", False), Column("n")), rows, notes=("50%",))])
    assert "\n{}[a] & 1" in written
    assert r"{\footnotesize 50\%\par}" in written
