"""The README and the pages beside it are held to what they say: examples run, tables are real."""

from __future__ import annotations

import csv
import itertools
import re
import shlex
from pathlib import Path

import pytest
import yaml
from typer.main import get_command
from typer.testing import CliRunner

from benchmark.cli import app
from benchmark.harness.spec import find_config, load_run, load_suite
from benchmark.reports.gate import Gate, load_gate

ROOT = Path(__file__).parents[1]
NAMES = ["README.md", *(f"docs/{name}.md" for name in ("data", "models", "protocol", "results"))]
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in NAMES}
README = PAGES["README.md"]
FENCED = re.compile(r"```(\w+)\n(.*?)```", flags=re.DOTALL)


def between(page: str, name: str) -> list[str]:
    """The lines of a table that stands between two comments."""
    shown = PAGES[page].split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]
    return [line for line in shown.splitlines() if line.startswith("|")]


def block(page: str, language: str, containing: str) -> str:
    blocks = FENCED.findall(PAGES[page])
    (found,) = [text for kind, text in blocks if kind == language and containing in text]
    return found


def reference(path: str) -> str:
    return (ROOT / "results/reference" / path).read_text(encoding="utf-8")


def first_table(text: str, title: str = "# ") -> list[str]:
    """The lines of the first table below a title."""
    lines = itertools.dropwhile(lambda line: line[:1] != "|", text.split(title, 1)[1].splitlines())
    return list(itertools.takewhile(lambda line: line[:1] == "|", lines))


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("| ").split(" | ")]


@pytest.mark.parametrize("page", ["README.md", "docs/results.md"])
def test_how_many_rows_cannot_be_excluded_is_what_the_leaderboard_says(page):
    written = reference("etth1/leaderboard.md")
    (counts,) = set(re.findall(r"Judged all at once, (\d+) of (\d+) rows, up to", written))
    shown = re.findall(r"(\d+) of the (\d+) cannot be excluded", PAGES[page])
    assert shown == [counts]


def test_a_naive_forecast_and_ridge_stand_in_every_ranking():
    claim = "Naive forecasts and closed-form regression stand in every ranking"
    assert claim in " ".join(README.split())
    rankings = []
    for path in sorted((ROOT / "results/reference").glob("*/leaderboard.md")):
        with (path.parent / "results.csv").open(encoding="utf-8", newline="") as stream:
            models = {row["model"] for row in csv.DictReader(stream)}
        if len(models) > 1:  # or a study of one model
            rankings.append(path.parent.name)
            assert {"seasonal_naive", "ridge"} <= models, path
    assert {"etth1", "cells", "tuned", "best"} <= set(rankings)


def test_the_leaderboard_shown_has_columns_of_the_one_in_the_reference_results():
    written = [cells(line) for line in first_table(reference("etth1/leaderboard.md"))]
    shown = [cells(line) for line in between("README.md", "leaderboard")]
    places = [written[0].index(title) for title in shown[0]]
    assert len(places) >= 8
    assert len(shown) == len(written) >= 20
    assert shown == [[row[place] for place in places] for row in written]
    left_out = len(written[0]) - len(places)
    assert (
        re.search(r"without (\w+) of its columns", README)[1]
        == ("no", "one", "two", "three", "four", "five", "six", "seven")[left_out]
    )


def test_the_table_of_cells_shown_is_the_one_in_the_reference_results():
    shown = between("docs/results.md", "cells")
    assert len(shown) >= 10
    assert shown == first_table(reference("cells/leaderboard.md"))


def test_how_near_published_figures_are_is_what_the_comparison_says():
    written = reference("reproduction/published.md")
    told = re.search(
        r"Within 3% of a published figure: (\d+) of (\d+) pairs .* several: (\d+) of (\d+)\. "
        r".*far off in (\d+) more",
        written,
    )
    near, pairs, every, several, by_seeds = told.groups()
    assert re.findall(r"(\d+)\sof\s(\d+)\spairs", README) == [(near, pairs)]
    assert re.findall(r"of all of them in (\d+)\sof\s+(\d+)", README) == [(every, several)]
    results = " ".join(PAGES["docs/results.md"].split())
    assert f"Of {pairs} pairs of a model's setting and a task (130 " in results
    assert f"{near} come within 3%" in results
    assert f"several, {every} of {several} pairs come within 3%" in results
    unsaid, compared = re.search(r"in (\d+) of (\d+) comparisons", results).groups()
    rows = re.findall(r"^\| .*", written, re.M)
    rows = [row for row in map(cells, rows) if len(row) == 13 and row[10].endswith(("%", "≈"))]
    assert len(rows) == int(compared)
    assert sum(row[5] == "?" for row in rows) == int(unsaid)
    assert between("docs/results.md", "summary") == first_table(written, "the summary")
    assert int(by_seeds) == 9
    assert "and nine more are no further" in results


def test_the_summary_of_published_figures_is_that_of_the_tables_below_it():
    written = reference("reproduction/published.md")
    found: dict[tuple[str, ...], list[str]] = {}
    for dataset, horizon, text in re.findall(
        r"^## (\w+), horizon (\d+): ours and published\n(.*?)(?=^## |\Z)", written, re.M | re.S
    ):
        table = [cells(line) for line in first_table(text, "\n")]
        place = table[0].index("MSE differs")
        for row in table[2:]:
            if row[place] != "-":
                found.setdefault((row[0], row[1], dataset, f"at {horizon}"), []).append(row[place])
    title, _, *rows = map(cells, first_table(written, "the summary"))
    shown = {
        (*row[:3], horizon): text
        for row in rows
        for horizon, text in zip(title[3:], row[3:], strict=False)  # the last may be empty
        if text
    }
    assert len(shown) > 80
    for key, differences in found.items():
        near, *others = sorted(differences, key=lambda text: abs(float(text.split("%")[0])))
        bracket = f" ({others[-1].removesuffix(' ≈')})" if others else ""
        assert shown.pop(key) == f"{near}{bracket}", key
    assert not shown


def test_the_number_of_published_figures_is_that_of_the_table():
    figures = len((ROOT / "results/published.csv").read_text(encoding="utf-8").splitlines()) - 1
    told = re.findall(r"([\d,]+)\spublished\s+figures", README + PAGES["docs/results.md"])
    assert set(told) == {f"{figures:,}"}


def test_every_link_leads_to_a_file():
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md")]
    links = [
        (page, link)
        for page in pages
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if "://" not in link
    ]
    assert len(links) > 40
    assert [(page, link) for page, link in links if not (page.parent / link).exists()] == []


def commands() -> list[str]:
    blocks = [found for page in PAGES.values() for found in FENCED.findall(page)]
    texts = [text.replace("\\\n", "") for kind, text in blocks if kind == "bash"]
    lines = [line for text in texts for line in text.splitlines()]
    lines = [line.split("#")[0].strip() for line in lines]
    return [line for line in lines if line.startswith("benchmark ")]


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_every_command_shown_exists_with_its_options(line):
    words = shlex.split(line)[1:]
    command = get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context(line, words)  # raises on an unknown option or a missing argument


def test_the_gate_shown_lets_noise_pass_and_nothing_else():
    gate = load_gate(ROOT / "results/reference/gate.yaml")
    assert "--gate results/reference/gate.yaml" in README
    assert gate == Gate(significant_only=True)


def test_every_command_is_shown():
    names = {line.split()[1] for line in commands()}
    assert names == set(get_command(app).commands)


def test_the_model_shown_passes_the_contract_and_trains(tmp_path, monkeypatch):
    (tmp_path / "my_module.py").write_text(
        block("README.md", "python", "class Smoothing"), encoding="utf-8"
    )
    shown = yaml.safe_load(block("README.md", "yaml", "my_module.Smoothing"))
    shown |= {"dataset": "akl_pedestrians", "horizon": 24}
    shown["training"] |= {"epochs": 1, "batch_size": 512}
    (tmp_path / "smoothing.yaml").write_text(yaml.safe_dump(shown), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    checked = CliRunner().invoke(app, ["check", "my_module.Smoothing"])
    assert checked.exit_code == 0, checked.output
    ran = CliRunner().invoke(app, ["run", "smoothing.yaml", "--results", str(tmp_path / "results")])
    assert ran.exit_code == 0, ran.output
    assert "smoothing" in ran.output


def test_the_closed_form_shown_passes_the_contract_and_is_kept(tmp_path, monkeypatch):
    (tmp_path / "my_ridge.py").write_text(
        block("docs/models.md", "python", "class SkRidge"), encoding="utf-8"
    )
    spec = {"name": "skridge", "model": {"class": "my_ridge.SkRidge"}}
    spec |= {"dataset": "akl_pedestrians", "lookback": 96, "horizon": 24}
    (tmp_path / "skridge.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    results = ["--checkpoint", "--results", str(tmp_path / "results")]
    for words in ["check", "skridge.yaml"], ["run", "skridge.yaml", *results]:
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output


def test_the_cell_shown_is_one_for_the_gru_to_be_measured_by(tmp_path, monkeypatch):
    (tmp_path / "my_cells.py").write_text(
        block("docs/models.md", "python", "class Leaky"), encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    checked = CliRunner().invoke(app, ["check", "gru", "--set", "cell=my_cells.Leaky"])
    assert checked.exit_code == 0, checked.output
    shown = CliRunner().invoke(app, ["gradients", "gru", "my_cells.Leaky", "--length", "13"])
    assert shown.exit_code == 0, shown.output
    assert [line.split()[0] for line in shown.output.splitlines()[1:-1]] == [
        "gru",
        "my_cells.Leaky",
    ]
    short = ["--set", "model.hidden_size=4", "--set", "training.epochs=1", "--set", "horizon=24"]
    own = ["--set", "model.cell=my_cells.Leaky", "--set", "name=leaky", "--set", "lookback=48"]
    own += ["--set", "dataset=akl_pedestrians", "--set", "training.batch_size=512"]
    run = CliRunner().invoke(app, ["run", "gru", *own, *short, "--results", str(tmp_path / "r")])
    assert run.exit_code == 0, run.output


def test_the_suite_shown_ranks_a_cell_beside_ours(tmp_path, monkeypatch):
    (tmp_path / "my_cells.py").write_text(block("docs/models.md", "python", "class Leaky"), "utf-8")
    (tmp_path / "my_suite.yaml").write_text(block("docs/models.md", "yaml", "my_suite"), "utf-8")
    ours = find_config("models", "cells/gru").read_text("utf-8")
    own = ours.replace("name: cell_gru", "name: leaky").replace("cell: gru", "cell: my_cells.Leaky")
    (tmp_path / "leaky.yaml").write_text(own, "utf-8")
    monkeypatch.chdir(tmp_path)
    suite = load_suite(find_config("suites", "my_suite.yaml"))
    runs = [load_run(find_config("models", str(model))) for model in suite.models]
    cells = [run.model.get("cell") for run in runs]
    assert cells == ["elman", "gru", "lstm", "my_cells.Leaky", None, None]


def test_the_exercises_have_the_answers_that_stand_beside_them(tmp_path, monkeypatch):
    leaky = block("docs/models.md", "python", "class Leaky")
    open_lstm = block("docs/models.md", "python", "class Open")
    variants = {
        "half": leaky,
        "kept": leaky.replace("torch.zeros(hidden_size)", "torch.full((hidden_size,), 3.0)"),
        "one": open_lstm,
        "three": open_lstm.replace("opening: float = 1.0", "opening: float = 3.0"),
    }
    for name, text in variants.items():
        (tmp_path / f"{name}_cells.py").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names = ["half_cells.Leaky", "kept_cells.Leaky", "lstm", "one_cells.Open", "three_cells.Open"]
    shown = CliRunner().invoke(app, ["gradients", *names])
    assert shown.exit_code == 0, shown.output
    head, *rows, _ = (line.split() for line in shown.output.splitlines())
    at_48 = [row[head.index("48") - 1] for row in rows]  # "steps back" is two words
    exercises = PAGES["docs/models.md"].split("Three exercises")[1].split("```")[0]
    assert re.findall(r"\de-\d\d", exercises) == at_48


def test_the_data_set_shown_loads(tmp_path, monkeypatch):
    (tmp_path / "datasets").mkdir()
    card = block("docs/data.md", "yaml", "my_series.csv")
    (tmp_path / "datasets" / "my_series.yaml").write_text(card, encoding="utf-8")
    rows = [f"2024-01-01 {i // 4:02d}:{15 * (i % 4):02d}:00,{i},{i * i}" for i in range(96)]
    rows += [row.replace("01-01", "01-02") for row in rows]
    text = "date,power,temperature\n" + "\n".join(rows) + "\n"
    (tmp_path / "datasets" / "my_series.csv").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCHMARK_DATA", str(tmp_path / "datasets"))
    checked = CliRunner().invoke(app, ["datasets", "check", "my_series"])
    assert checked.exit_code == 0, checked.output
    assert "192" in checked.output
