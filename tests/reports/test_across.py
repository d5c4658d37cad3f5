from __future__ import annotations

import io
import itertools
import math
import re

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from benchmark.reports.across import across_table, standing
from benchmark.reports.leaderboard import print_table, to_markdown
from benchmark.reports.ranking import leaderboard

MODELS = ("ridge", "gru", "seasonal_naive", "bad")
TASKS = [(name, h) for name in ("ETTh1", "ETTh2", "ILI", "weather") for h in (96, 336)]


def score(model, dataset, horizon):
    """A made-up MSE whose order of models is not the same everywhere."""
    known = np.random.default_rng(len(dataset) * 1000 + horizon + ord(model[0]))
    return round(float(known.uniform(0.2, 1.0)) * (3 if model == "bad" else 1), 4)


@pytest.fixture
def runs(run):
    """A run of every model on every task."""

    def build(models=MODELS, tasks=TASKS, **values):
        return {
            (m, *task): run(m, score(m, *task), dataset=task[0], horizon=task[1], **values)
            for m, task in itertools.product(models, tasks)
        }

    return build


def cells(board):
    table = across_table(board)
    assert table is not None
    return {row[1].text: [cell.text for cell in row] for row in table.rows}


def test_ranks_wins_and_skill_are_those_of_a_plain_loop_with_the_data_set_as_unit(runs, table):
    board = leaderboard(table(*runs().values()))
    names = sorted({name for name, _ in TASKS})
    means = {(m, d): math.sqrt(score(m, d, 96) * score(m, d, 336)) for m in MODELS for d in names}
    ranks = {
        m: np.mean([1 + sum(means[o, d] < means[m, d] for o in MODELS) for d in names])
        for m in MODELS
    }
    assert len(set(ranks.values())) > 2
    skill = {
        m: 1 - math.prod(means[m, d] / means["seasonal_naive", d] for d in names) ** (1 / 4)
        for m in MODELS
    }
    found = cells(board)
    assert list(found) == sorted(MODELS, key=lambda m: (ranks[m], m))
    assert [row[0] for row in found.values()] == ["1", "2", "3", "4"]
    for model, row in found.items():
        assert float(row[2].split()[0]) == pytest.approx(ranks[model], abs=0.005)
        assert float(row[3].split()[0]) == pytest.approx((4 - ranks[model]) / 3, abs=0.0005)
        value, low, high = map(float, re.findall(r"-?[0-9.]+", row[4]))
        assert value == pytest.approx(skill[model], abs=0.0005)
        assert low <= value <= high
    statistic, p_value = stats.friedmanchisquare(*([means[m, d] for d in names] for m in MODELS))
    text = to_markdown(board)
    assert "\n## Over 4 data sets\n" in text
    assert text.index("## Over 4") > text.rindex("## weather")
    assert f"chi-square {statistic:.2f}, p = {p_value:.3f};" in text
    reach = 2.569 * math.sqrt(4 * 5 / (6 * 4))  # Demsar 2006, table 5 (a)
    assert f"by more than {reach:.2f} differ" in text
    best = min(ranks.values())
    for model, row in list(found.items())[1:]:
        assert ("≈" in row[2]) == (ranks[model] - best <= reach)
    assert "≈" not in next(iter(found.values()))[2]
    stream = io.StringIO()
    print_table(board, Console(file=stream, width=100))
    assert "Over 4 data sets" in stream.getvalue()
    assert max(map(len, stream.getvalue().splitlines())) <= 100


def test_a_model_that_differs_from_the_first_by_more_than_chance_is_not_marked(run, table):
    rows = [
        run(name, mse, dataset=f"d{i:02d}")
        for i in range(12)
        for name, mse in (("a", 0.1 if i % 6 else 0.3), ("b", 0.2), ("c", 0.9))
    ]
    board = leaderboard(table(*rows))
    found = cells(board)
    assert [row[2] for row in found.values()] == [
        "1.17",
        "1.83 ≈",
        "3.00",
    ]  # 0.96 is the least that differs
    assert "p &lt; 0.001; some models differ." in to_markdown(board)
    assert "fewer than 10 data sets" not in to_markdown(board)
    assert "fewer than 30 data sets a 95% interval over them holds" in to_markdown(board)


def test_models_not_done_everywhere_are_left_out_and_named_with_what_they_lack(run, runs, table):
    every = runs()
    for key in (("gru", "ETTh1", 96), ("gru", "ILI", 336)):
        del every[key]
    failed = run("bad", dataset="ILI", horizon=96, error="ValueError: no", seed=1)
    lost = run("lost", dataset="ILI", horizon=96, error="ValueError: no")
    more = runs(models=["third"])
    board = leaderboard(table(*every.values(), *more.values(), failed, lost))
    assert set(cells(board)) == {"ridge", "seasonal_naive", "third"}
    (note,) = [n for n in standing(board).notes if "every seed" in n]
    assert "all 8 tasks" in note
    assert note.endswith(": bad (1), gru (2), lost (8).")


def test_a_task_that_few_models_did_does_not_empty_the_table(runs, table):
    more = runs(models=["ridge", "gru"], tasks=[("traffic", 96)])
    board = leaderboard(table(*runs().values(), *more.values()))
    assert set(cells(board)) == set(MODELS)
    assert "Left out, done for fewer than 3 models: traffic (96)." in standing(board).notes
    assert "traffic" not in standing(board).scores.index


def test_a_task_under_two_protocols_is_left_out(run, runs, table):
    other = run("ridge", 0.1, dataset="ILI", horizon=96, fingerprint="b" * 16)
    board = leaderboard(table(*runs().values(), other))
    assert "Left out, run under more than one protocol: ILI (96)." in standing(board).notes
    assert standing(board).horizons["ILI"] == [336]
    alone = standing(board).scores.loc["ILI", "ridge"]
    assert alone == pytest.approx(score("ridge", "ILI", 336))


def test_of_several_lookbacks_the_one_validation_chose_counts_on_each_task(run, runs, table):
    every = runs(models=MODELS[1:])
    ridges = [
        run("ridge", mse, dataset=d, horizon=h, lookback=lookback, val_mse=val)
        for d, h in TASKS
        for lookback, mse, val in ((96, 0.9, 0.1), (512, 0.2, 0.3))
    ]
    found = standing(leaderboard(table(*every.values(), *ridges)))
    assert found.scores["ridge"].tolist() == pytest.approx([0.9] * 4)
    (note,) = found.notes
    assert note.endswith("on each task by itself: ridge.")


@pytest.mark.parametrize("left", ["two data sets", "two models", "no protocol in common"])
def test_there_is_no_table_without_three_data_sets_and_three_models(left, runs, table):
    if left == "two data sets":
        records = runs(tasks=TASKS[:4]).values()
    elif left == "two models":
        records = runs(models=MODELS[:2]).values()
    else:
        records = [*runs().values(), *runs(fingerprint="b" * 16).values()]
    board = leaderboard(table(*records))
    assert across_table(board) is None
    assert "Over " not in to_markdown(board)


def test_without_the_baseline_or_with_an_error_of_zero_there_is_no_skill(run, runs, table):
    without = across_table(leaderboard(table(*runs(models=["a", "b", "c"]).values())))
    assert without is not None
    assert [column.title for column in without.columns] == ["#", "model", "rank", "wins"]
    every = runs()
    every["ridge", "ILI", 96] = run("ridge", 0.0, dataset="ILI", horizon=96)
    zero = leaderboard(table(*every.values()))
    assert len(next(iter(cells(zero).values()))) == 4
    assert standing(zero).scores.loc["ILI", "ridge"] == 0


def test_models_that_never_differ_share_their_rank(run, table):
    rows = [run(name, 0.5, dataset=data) for name in "abc" for data in ("x", "y", "z")]
    board = leaderboard(table(*rows))
    assert [row[2] for row in cells(board).values()] == ["2.00", "2.00 ≈", "2.00 ≈"]
    assert "no difference between models is shown" in to_markdown(board)
    assert "p-value is rough" in to_markdown(board)
