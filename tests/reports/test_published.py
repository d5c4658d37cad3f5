from __future__ import annotations

import io
import math
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from scipy.stats import t as student_t

from benchmark.errors import UserError
from benchmark.reports.published import compare_published, read_published
from benchmark.reports.published_tables import print_published, to_markdown

SHIPPED = Path(__file__).parents[2] / "results" / "published.csv"


def test_every_shipped_figure_has_a_source_and_says_how_the_test_set_was_scored():
    figures = read_published(SHIPPED)
    assert len(figures) > 1000
    assert set(figures["dataset"]) == {"ETTh1", "ETTh2", "ETTm1", "exchange_rate", "ILI"}
    vague = re.compile("unverified|memory|unnamed", re.IGNORECASE)
    for name in ("source", "protocol"):
        assert not figures[name].str.contains(vague).any()
    starts = figures["protocol"].str.partition(";")[0]
    assert set(starts) == {"full test set", "shortened test set", "test set not stated"}
    readme = (SHIPPED.parent / "README.md").read_text(encoding="utf-8")
    assert all(f"- `{start}`:" in readme for start in set(starts))
    assert not figures.duplicated(["dataset", "model", "lookback", "horizon", "source"]).any()
    assert figures["mse"].between(0, 10).all()


def test_a_figure_read_from_the_paper_is_there():
    figures = read_published(SHIPPED)
    dlinear = figures.query(
        "dataset == 'ETTh1' and model == 'DLinear' and lookback == '336' and horizon == 336"
    )
    ltsf = dlinear[dlinear["source"].str.contains("2205.13504")]
    assert ltsf[["mse", "mae"]].to_numpy().tolist() == [[0.439, 0.443]]
    assert ltsf["protocol"].tolist() == ["shortened test set; drop_last, batch 32"]


def test_the_same_lookback_gets_a_relative_difference(run, table, published):
    figures = published(
        "ETTh1,D-Linear,336,96,0.4,0.5,,full test set,one,",
        "ETTh1,DLinear,336,96,0.5,,,shortened test set,two,",
        "ETTh1,DLinear,96,96,0.1,0.1,,full test set,three,",
        "ETTh1,DLinear,336,192,0.1,0.1,,full test set,four,",
        "ETTh2,DLinear,336,96,0.1,0.1,,full test set,five,",
        "ETTh1,Linear,336,96,0.1,0.1,,full test set,six,",
    )
    results = table(run("d_linear", 0.3, seed=0), run("d_linear", 0.5, seed=1))
    rows = compare_published(results, figures).matches
    assert rows["source"].tolist() == ["one", "two"]
    assert rows["protocol"].tolist() == ["full test set", "shortened test set"]
    assert rows["mse"].tolist() == [0.4, 0.4]
    missing = float("nan")  # over which windows the second is, nobody knows
    assert rows["mse_difference"].tolist() == pytest.approx([0.0, missing], nan_ok=True)
    assert rows["mae_difference"].tolist() == pytest.approx([-0.2, missing], nan_ok=True)


def test_ours_is_scored_again_on_the_windows_that_a_shortened_test_set_left(run, table, published):
    figures = published(
        "ETTh1,gru,336,96,0.4,0.5,32,shortened test set,one,",
        "ETTh1,gru,336,96,0.5,,512,shortened test set,two,ran it: agrees",
        "ETTh1,gru,336,96,0.6,0.5,,test set not stated,three,",
    )
    results = table(run("gru", seed=0), run("gru", seed=1), run("dlinear"))
    windows = int(results["test_windows"].iloc[0])
    rng = np.random.default_rng(3)
    first, second = results["run_id"][results["model"] == "gru"]
    losses = {
        "mse": {first: rng.random(windows), second: rng.random(windows)},
        "mae": {first: rng.random(windows)},
    }
    comparison = compare_published(results, figures, losses)
    rows = comparison.matches.set_index("source")
    kept = windows // 32 * 32
    assert kept < windows
    expected = (losses["mse"][first][:kept].sum() + losses["mse"][second][:kept].sum()) / kept / 2
    assert rows["own_mse"]["one"] == pytest.approx(expected)
    assert rows["mse_difference"]["one"] == pytest.approx(expected / 0.4 - 1)
    assert math.isnan(rows["own_mae"]["one"])  # one of its runs has no folder any more
    assert rows["windows"]["one"] == f"{kept} of {windows}"
    assert rows["own_mse"]["three"] == rows["mse"]["three"]
    assert rows["windows"]["three"] == "?"
    assert "- source 2: shortened test set; two; ran it: agrees\n" in to_markdown(comparison)


def test_a_batch_that_our_test_windows_do_not_fill_leaves_no_windows_to_score(
    run, table, published
):
    figures = published("ETTh1,gru,336,96,0.4,0.5,4096,shortened test set,one,")
    results = table(run("gru"))
    losses = {name: {results["run_id"][0]: np.full(2785, 0.5)} for name in ("mse", "mae")}
    (row,) = compare_published(results, figures, losses).matches.to_dict("records")
    assert row["windows"] == "fewer"
    assert math.isnan(row["own_mse"])
    assert math.isnan(row["own_mae"])


def test_what_the_seeds_of_ours_reach_is_marked(run, table, published):
    """Of three seeds with standard deviation 0.01: a fourth lies within t(2) 0.01 sqrt(4 / 3)."""
    reach = student_t.ppf(0.975, df=2) * 0.01 * math.sqrt(4 / 3)
    figures = published(
        f"ETTh1,gru,336,96,{0.4 + reach * 0.99},0.41,,full test set,near,",
        f"ETTh1,gru,336,96,{0.4 + reach * 1.01},,,full test set,far,",
        "ETTh1,lstm,336,96,0.5,0.5,,full test set,one seed,",
        "ETTh1,rnn,96,96,0.5,0.5,,full test set,another lookback,",
    )
    results = table(
        *(run("gru", 0.4 + step, seed=n) for n, step in enumerate((-0.01, 0.0, 0.01))),
        run("lstm", 0.5),
        *(run("rnn", 0.5 + step, seed=n) for n, step in enumerate((-0.1, 0.1))),
    )
    comparison = compare_published(results, figures)
    within = comparison.matches.set_index("source")["mse_within"]
    assert within.to_dict() == {
        "near": True,
        "far": False,
        "one seed": False,
        "another lookback": False,
    }
    text = to_markdown(comparison)
    assert "| 0.4000±0.0100 |" in text
    assert "| -11.0% ≈ |" in text
    assert "| -11.1% | - |" in text


def test_another_lookback_is_shown_as_such_and_not_compared(run, table, published):
    figures = published(
        "etth1,gru,720,96,0.4,0.5,,full test set,one,",
        "etth1,gru,best of 96/336,96,0.3,0.5,,full test set,two,",
    )
    comparison = compare_published(table(run("GRU", 0.5)), figures)
    rows = comparison.matches
    assert rows["published_lookback"].tolist() == ["best of 96/336", "720"]
    assert rows["mse_difference"].isna().all()
    text = to_markdown(comparison)
    assert (
        "| GRU | 336 | 0.5000 | 0.4000 | best of 96/336 | all | 0.5000 | 0.4000 | 0.300 | 0.500 |"
        in text
    )
    assert "- source 1: full test set; two" in text


def test_several_configurations_of_a_name_carry_its_hash(run, table, published):
    figures = published("etth1,gru,336,96,0.4,0.5,,full test set,one,")
    pair = table(run("gru", 0.5, config="aaaaaa1111"), run("gru", 0.6, config="bbbbbb2222"))
    text = to_markdown(compare_published(pair, figures))
    assert r"| gru \[aaaaaa\] | 336 | 0.5000 |" in text
    assert r"| gru \[bbbbbb\] | 336 | 0.6000 |" in text


def test_a_model_that_nobody_published_is_named(run, table, published):
    figures = published("ETTh1,gru,336,96,0.4,0.5,,full test set,one,")
    comparison = compare_published(table(run("mine", 0.5), run("gru", 0.4)), figures)
    assert comparison.matches["published_mse"].isna().tolist() == [False, True]
    assert "- nobody published under the name: mine" in to_markdown(comparison)


def test_the_context_is_the_best_figure_of_each_of_the_best_models(run, table, published):
    figures = published(
        "ETTh1,a,96,96,0.5,0.5,,full test set,one,",
        "ETTh1,a,336,96,0.2,0.5,,shortened test set,two,",
        "ETTh1,b,96,96,0.3,0.5,,full test set,three,",
        "ETTh1,c,96,96,0.4,0.5,,full test set,four,",
        "ETTh1,d,96,192,0.1,0.5,,full test set,five,",
    )
    context = compare_published(table(run("mine")), figures, best=2).context
    assert context["source"].tolist() == ["two", "three"]
    assert context["lookback"].tolist() == ["336", "96"]
    text = to_markdown(compare_published(table(run("mine")), figures))
    assert "| a | 336 | 0.200 | 0.500 | 1 |" in text
    assert "- source 1: shortened test set; two" in text


def test_protocols_of_ours_are_kept_apart(run, table, published):
    figures = published("ETTh1,gru,336,96,0.4,0.5,,full test set,one,")
    results = table(run(mse=0.4, fingerprint="a" * 9), run(mse=0.8, fingerprint="b" * 9))
    comparison = compare_published(results, figures)
    assert comparison.matches["mse_difference"].tolist() == pytest.approx([0.0, 1.0])
    assert "gru (protocol aaaaaaaa)" in to_markdown(comparison)


def test_results_without_any_score_match_nothing(run, table, published):
    figures = published("ETTh1,gru,336,96,0.4,0.5,,full test set,one,")
    comparison = compare_published(table(run(error="ValueError: no")), figures)
    assert comparison.matches.empty
    assert to_markdown(comparison) == ""


def test_the_terminal_table_fits_a_hundred_columns(run, table):
    stream = io.StringIO()
    comparison = compare_published(table(run("itransformer", horizon=336)), read_published(SHIPPED))
    print_published(comparison, Console(file=stream, width=100))
    assert max(map(len, stream.getvalue().splitlines())) <= 100
    assert re.search(r"itransformer +336 +0\.5000 +best", stream.getvalue())


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("ETTh1,gru,336,96,x,0.5,,p,s,", "line 2, column mse: must be a finite number, got 'x'"),
        ("ETTh1,gru,336,9.5,0.4,0.5,,p,s,", "line 2, column horizon: must be a whole number"),
        ("ETTh1,gru,336,96,0.4,0.5,,p,,", "line 2, column source: must be a text, it is empty"),
        ("ETTh1,gru,336,96,0.4", "line 2: has 5 cells, the header has 10"),
    ],
)
def test_a_faulty_table_is_refused_with_its_line(published, row, what):
    with pytest.raises(UserError, match=re.escape(what)):
        published(row)
