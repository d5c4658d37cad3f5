from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jinja2")
pytest.importorskip("vl_convert")

import vl_convert
from tiny import LINEAR, SUITE

from benchmark.reports.html import page

Command = Callable[..., Any]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda: "window.vegaEmbed = null;")


@pytest.fixture
def made(toy: Path, write_yaml: Callable[[str, Any], str]) -> Path:
    write_yaml("linear.yaml", LINEAR | {"training": {"epochs": 2}})
    write_yaml("tiny.yaml", SUITE)
    return toy


def data_of(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_a_suite_leaves_a_report_of_its_own_rows(made: Path, command: Command) -> None:
    command("run", "linear.yaml", "--seed", 9)  # is none of the suite's
    answer = command("suite", "tiny.yaml", "--set", "training.epochs=1")
    assert (answer.code, answer.err) == (0, "")
    path = made / "results" / "tiny" / "report.html"
    assert f"Report: {path}" in answer.out
    rows = data_of(path)["rows"]
    assert sorted(row["label"] for row in rows) == ["linear", "seasonal_naive"]
    linear = next(row for row in rows if row["label"] == "linear")
    assert linear["family"] == "linear"
    assert "made by <code>benchmark suite tiny.yaml --set training.epochs=1</code>" in (
        path.read_text(encoding="utf-8")
    )
    windows = data_of(path)["tasks"][0]["figures"]["models"][0]["extremes"]
    assert windows["kind"] == ["best", "median", "worst"]


def test_the_command_of_a_row_makes_that_run(made: Path, command: Command) -> None:
    command("run", "linear.yaml", "--set", "training.learning_rate=0.5", "--seed", 3)
    answer = command("report", "--output", "page.html")
    assert (answer.code, answer.err, answer.out) == (0, "", "Report: page.html\n")
    (row,) = data_of(made / "page.html")["rows"]
    (line,) = row["commands"]
    again = command(*line.split()[1:])
    assert "This run is done already" in again.out
    assert row["runs"][0] in again.out


def test_without_its_packages_a_suite_says_so_and_goes_on_and_report_ends(
    made: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "PACKAGES", ("jinja2", "no_such_package"))
    answer = command("suite", "tiny.yaml")
    assert (answer.code, answer.err) == (0, "")
    assert "No report.html: it needs pip install 'ts-benchmark[report]'." in answer.out
    assert not (made / "results" / "tiny" / "report.html").exists()
    answer = command("report")
    assert answer.code == 2
    assert answer.err == (
        "error: report: no_such_package not installed; pip install 'ts-benchmark[report]'\n"
    )


def test_figures_and_tables_for_a_paper_are_written(made: Path, command: Command) -> None:
    command("suite", "tiny.yaml")
    for words in (("steps",), ("training", "linear"), ("forecasts", "--channel", "heat")):
        answer = command("plot", *words, "--output", f"new/{words[0]}.svg")
        assert (answer.code, answer.err) == (0, "")
        assert (made / f"new/{words[0]}.svg").read_text().startswith("<svg")
    answer = command("leaderboard", "--latex", "tables.tex")
    assert answer.code == 0
    assert r"seasonal\_naive" in (made / "tables.tex").read_text()


@pytest.mark.parametrize("words", ["plot costs", "plot steps", "leaderboard --plot x.svg"])
def test_without_vl_convert_a_figure_names_the_extra(
    made: Path, command: Command, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    command("run", "linear.yaml")
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    answer = command(*words.split())
    cure = "vl-convert is not installed; pip install 'ts-benchmark[report]'"
    assert answer.err == f"error: {words.replace('leaderboard ', '').split(' x')[0]}: {cure}\n"


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("steps", "liner"), "plot: model 'liner': is not in that task; did you mean 'linear'?"),
        (("steps", "--horizon", "7"), "plot: 0 tasks fit; there are: toy 12"),
        (("forecasts", "--channel", "het"), "--channel het: is not among those kept; did you mean"),
        (("training", "seasonal_naive"), "plot training: seasonal_naive: not trained by gradient"),
        (("steps", "--dataset", "foo"), "no results for data set 'foo'; there are: toy"),
        (("ranks",), "plot ranks figure.svg: data sets with"),
        (("costs", "--output", "figure.xyz"), "--output figure.xyz: does not end in .svg or"),
    ],
)
def test_a_mistake_in_a_figure_is_one_line(
    made: Path, command: Command, words: tuple[str, ...], fault: str
) -> None:
    command("suite", "tiny.yaml")
    answer = command("plot", words[0], "--output", "figure.svg", *words[1:])
    assert answer.code == 2
    assert fault in answer.err
    assert answer.err.count("\n") == 1
