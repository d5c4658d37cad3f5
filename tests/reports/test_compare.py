from __future__ import annotations

import io
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from benchmark.reports.changes import CATEGORIES, compare, merge
from benchmark.reports.comparison_tables import print_comparison, to_markdown
from benchmark.reports.gate import Gate
from benchmark.reports.judgement import Side, judge


def categories(comparison):
    return dict(
        zip(comparison.rows["model"].tolist(), comparison.rows["category"].tolist(), strict=True)
    )


@pytest.mark.parametrize(
    ("mse", "mae", "category"),
    [
        (0.5, 0.4, "unchanged"),
        (0.504, 0.396001, "unchanged"),
        (0.505, 0.4, "unchanged"),  # exactly the tolerance
        (0.495, 0.404, "unchanged"),
        (0.506, 0.4, "regressed"),
        (0.5, 0.405, "regressed"),
        (0.3, 0.405, "regressed"),  # one better, one worse
        (0.494, 0.4, "improved"),
        (0.5, 0.39, "improved"),
        (0.504, 0.39, "improved"),
    ],
)
def test_a_change_is_judged_by_mse_and_mae(run, table, mse, mae, category):
    comparison = compare(table(run(mse=0.5, mae=0.4)), table(run(mse=mse, mae=mae)))
    assert categories(comparison) == {"gru": category}
    row = comparison.rows.iloc[0]
    assert row["mse_change"] == pytest.approx((mse - 0.5) / 0.5)
    assert row["mae_change"] == pytest.approx((mae - 0.4) / 0.4)
    assert comparison.regressed == (category == "regressed")


@settings(max_examples=30)
@given(
    old=st.floats(1e-3, 1e3),
    tolerance=st.sampled_from([0, 0.01, 0.2]),
    sign=st.sampled_from([1, -1]),
    further=st.sampled_from([1e-6, -1e-6]),
)
def test_the_tolerance_is_relative(old, tolerance, sign, further):
    # The tables are built by hand here: hypothesis asks for many.
    import pandas as pd

    def frame(mse):
        row = {"dataset": "A", "horizon": 1, "model": "m", "lookback": 1, "seed": 0}
        row |= {
            "fingerprint": "f",
            "config": "c",
            "mse": mse,
            "mae": 1.0,
            "status": "done",
            "error": "",
        }
        return pd.DataFrame([row | {"run_id": "r", "fitted": "gradient"}])

    change = sign * (tolerance + further)
    new = old * (1 + change)
    found = compare(frame(old), frame(new), Gate(tolerance=tolerance)).rows["category"].item()
    expected = "regressed" if change > 0 else "improved"
    assert found == (expected if abs(change) > tolerance else "unchanged")


def test_a_run_that_failed_counts_as_a_regression(run, table):
    comparison = compare(table(run()), table(run(error="ValueError: loss is nan")))
    assert categories(comparison) == {"gru": "failed"}
    assert comparison.regressed
    assert "- ETTh1 H=96 gru L=336 seed 0: ValueError: loss is nan" in to_markdown(comparison)


def test_a_run_that_is_done_now_is_fixed(run, table):
    comparison = compare(table(run(error="ValueError: no")), table(run()))
    assert categories(comparison) == {"gru": "fixed"}
    assert not comparison.regressed


def test_a_run_that_failed_twice_is_no_regression(run, table):
    comparison = compare(table(run(error="ValueError: no")), table(run(error="ValueError: yes")))
    assert categories(comparison) == {"gru": "still failed"}
    assert not comparison.regressed


def test_runs_that_came_and_went(run, table):
    comparison = compare(table(run("old"), run("same")), table(run("new"), run("same")))
    assert categories(comparison) == {"old": "vanished", "new": "appeared", "same": "unchanged"}
    assert not comparison.regressed


@pytest.mark.parametrize("change", [{"lookback": 96}, {"horizon": 24}, {"dataset": "B"}])
def test_only_the_same_run_is_compared(run, table, change):
    comparison = compare(table(run(mse=0.1)), table(run(mse=0.9, **change)))
    assert sorted(comparison.rows["category"]) == ["appeared", "vanished"]


def test_another_protocol_is_not_comparable_and_both_are_named(run, table):
    old = table(run(mse=0.1, fingerprint="a" * 16))
    comparison = compare(old, table(run(mse=0.9, fingerprint="b" * 16)))
    assert categories(comparison) == {"gru": "not comparable"}
    assert comparison.rows["mse_change"].isna().all()
    assert not comparison.regressed
    assert "protocol aaaaaaaa before and bbbbbbbb now" in to_markdown(comparison)


def test_the_same_protocol_is_found_among_several(run, table):
    old = table(run(mse=0.5, fingerprint="a" * 9))
    new = table(run(mse=0.9, fingerprint="a" * 9), run(mse=0.5, fingerprint="b" * 9))
    comparison = compare(old, new)
    assert comparison.rows["category"].tolist() == ["regressed", "appeared"]
    assert comparison.rows["mse_new"].tolist() == [0.9, 0.5]


def test_several_runs_of_a_configuration_are_ambiguous_and_means_are_compared(run, table):
    comparison = compare(table(run(mse=0.4), run(mse=0.6)), table(run(mse=0.5)))
    assert categories(comparison) == {"gru": "unchanged"}
    assert comparison.rows["mse_old"].tolist() == [0.5]
    assert "ambiguous, 2 old and 1 new runs; means compared" in to_markdown(comparison)


def test_other_settings_are_compared_where_each_side_has_but_one_and_it_is_said(run, table):
    old = table(*(run("nlinear", config="575480db51", seed=seed) for seed in (1, 2)))
    new = table(*(run("nlinear", 0.6, config="470638aa00", seed=seed) for seed in (1, 2)))
    comparison = compare(old, new)
    assert comparison.rows["category"].tolist() == ["regressed"] * 2
    text = to_markdown(comparison)
    assert text.count("settings differ: nlinear (config 575480 / 470638)\n") == 1
    assert "settings" not in to_markdown(compare(old, old))


def test_a_configuration_in_both_files_is_compared_with_itself(run, table):
    same, other = {"config": "aaaaaa1111"}, {"config": "bbbbbb2222"}
    comparison = compare(
        table(run(mse=0.5, **same)), table(run(mse=0.5, **same), run(mse=0.9, **other))
    )
    found = dict(zip(comparison.rows["name"], comparison.rows["category"], strict=True))
    assert found == {"gru [aaaaaa]": "unchanged", "gru [bbbbbb]": "appeared"}
    assert comparison.rows["runs_new"].tolist() == [1, 1]
    text = to_markdown(comparison)
    assert "| gru \\[aaaaaa\\] |" in text
    assert "the brackets hold the start of their hash" in text


def test_several_configurations_are_averaged_with_no_other(run, table):
    pair = [run(mse=0.4969, config="aaaaaa"), run(mse=0.4350, config="bbbbbb")]
    comparison = compare(table(run(mse=0.43, config="cccccc")), table(*pair))
    assert sorted(comparison.rows["name"]) == ["gru [aaaaaa]", "gru [bbbbbb]", "gru [cccccc]"]
    assert sorted(comparison.rows["mse_new"].dropna()) == [0.4350, 0.4969]
    assert not comparison.comparable


def test_configurations_meet_their_own_under_another_protocol_too(run, table):
    def under(protocol):
        return [run(config=c * 6, fingerprint=protocol * 9) for c in ("a", "b")]

    rows = compare(table(*under("1")), table(*under("2"))).rows
    assert rows["category"].tolist() == ["not comparable"] * 2
    assert (rows["config_old"] == rows["config_new"]).all()


def test_a_file_without_configurations_is_compared_by_names(run, table):
    pair = table(run(mse=0.4, config="aaaaaa"), run(mse=0.6, config="bbbbbb"))
    comparison = compare(pair, table(run(mse=0.5)).assign(config=""))
    assert comparison.rows["category"].tolist() == ["unchanged"]
    assert comparison.rows["name"].tolist() == ["gru"]
    assert "ambiguous, 2 old and 1 new runs" in to_markdown(comparison)
    assert "settings" not in to_markdown(comparison)


@pytest.mark.parametrize(("side", "category"), [("old", "vanished"), ("new", "appeared")])
def test_the_rows_of_a_file_that_one_side_lacks_vanished_or_appeared(run, table, side, category):
    there = table(run(mse=0.4, config="aaaaaa"), run(mse=0.6, config="bbbbbb"))
    sides = {"old": there.iloc[:0], "new": there.iloc[:0]} | {side: there}
    comparison = compare(sides["old"], sides["new"])
    assert comparison.rows["category"].tolist() == [category] * 2
    assert comparison.rows["name"].tolist() == ["gru [aaaaaa]", "gru [bbbbbb]"]
    assert comparison.rows[f"runs_{side}"].tolist() == [1, 1]
    assert not comparison.comparable
    assert f"2 {category}:\n\n- ETTh1 H=96 gru" in to_markdown(comparison)


def test_a_failure_hides_behind_no_second_run_of_its_name(run, table):
    comparison = compare(table(run()), table(run(), run(error="ValueError: no")))
    assert categories(comparison) == {"gru": "failed"}
    assert comparison.rows["mse_new"].isna().all()
    assert "ValueError: no" in to_markdown(comparison)


def test_an_old_score_of_zero_divides_nothing(run, table):
    old = table(run("a", 0.0, mae=0.0), run("b", 0.0))
    comparison = compare(old, table(run("a", 0.0, mae=0.0), run("b", 0.1)))
    assert categories(comparison) == {"a": "unchanged", "b": "regressed"}
    assert comparison.rows["mse_change"].tolist() == [math.inf, 0.0]


@pytest.fixture
def one_of_each(run, table):
    """A comparison that has a row of every category but the gate's own."""
    old = table(
        run("a"), run("b"), run("c"), run("d"), run("e", error="X: no"), run("f"), run("g"),
        run("h", error="X: no"),
    )  # fmt: skip
    new = table(
        run("a", 0.6), run("b", 0.4), run("c"), run("d", error="X: no"), run("e"), run("i"),
        run("g", fingerprint="b" * 9), run("h", error="X: still"),
    )  # fmt: skip
    return compare(old, new, Gate(tolerance=0.05))


def test_the_summary_counts_every_category_worst_first(one_of_each):
    found = [name for name in CATEGORIES if name != "within noise"]
    assert list(one_of_each.counts) == found
    assert set(one_of_each.counts.values()) == {1}
    assert one_of_each.rows["category"].tolist() == found
    assert one_of_each.summary() == (
        "REGRESSED: 1 failed, 1 regressed, 1 not comparable, 1 vanished, 1 still failed, 1 fixed, "
        "1 improved, 1 appeared, 1 unchanged (tolerance 5%)"
    )


def test_a_comment_says_the_outcome_then_what_changed_then_the_rest(one_of_each):
    text = to_markdown(one_of_each, "main and *this*")
    assert text.startswith(f"**{one_of_each.summary()}**\n\nmain and \\*this\\*\n\n| outcome |")
    row = "| regressed | ETTh1 | 96 | a | 336 | 0 | 0.5000 → 0.6000 | +20.0% | 0.4000 → 0.4000 |"
    order = [
        "| failed | ETTh1 | 96 | d |",
        row,
        "| fixed | ETTh1 | 96 | e |",
        "| improved | ETTh1 | 96 | b |",
        "1 vanished:\n\n- ETTh1 H=96 f L=336 seed 0",
        "<details><summary>1 unchanged</summary>\n\n| outcome |",
        "| unchanged | ETTh1 | 96 | c |",
        "\n\n</details>",
        "1 appeared:\n\n- ETTh1 H=96 i L=336 seed 0",
        "1 still failed:\n\n- ETTh1 H=96 h L=336 seed 0: X: still",
        "1 not comparable:\n\n- ETTh1 H=96 g L=336 seed 0: not comparable, protocol",
        "- ETTh1 H=96 d L=336 seed 0: X: no",
    ]
    places = [text.find(part) for part in order]
    assert -1 not in places
    assert places == sorted(places)
    assert all(text.count(f" {name} |") == 1 for name in "abcde")


def test_what_is_long_is_folded_and_cut(run, table):
    old, new = (
        table(*(run(f"{kind}{n}") for n in range(count)))
        for kind, count in (("old", 21), ("new", 120))
    )
    text = to_markdown(compare(old, new))
    assert "<details><summary>21 vanished</summary>\n\n- ETTh1 H=96 old0 " in text
    assert "- and 20 more" in text
    assert text.count(" new") == 100


def test_a_file_is_named_only_beside_others(run, table):
    worse, same = (compare(table(run()), table(run(mse=mse))) for mse in (0.6, 0.5))
    assert "| file |" not in to_markdown(merge({"results/a/results.csv": worse}))
    both = merge({"results/a/results.csv": same, "results/b/results.csv": worse})
    assert both.regressed
    assert both.summary().startswith("REGRESSED: 1 regressed, 1 unchanged")
    text = to_markdown(both)
    assert "| regressed | b | ETTh1 |" in text
    assert "| unchanged | a | ETTh1 |" in text


def test_many_unchanged_rows_are_counted_and_not_listed_on_the_terminal(run, table):
    def shown(old, new):
        stream = io.StringIO()
        print_comparison(compare(old, new), Console(file=stream, width=120))
        return stream.getvalue()

    records = [run("same", seed=seed) for seed in range(21)]
    text = shown(table(*records), table(*records, run("new")))
    assert "21 unchanged rows are not listed" in text
    assert " new " in text
    assert " same " not in text
    assert shown(table(*records[:20]), table(*records[:20])).count(" same ") == 20


def test_means_of_unchanged_rows_that_are_not_listed_are_not_either(run, table):
    def shown(old, new):
        sides = (Side(each, {"mse": {}}) for each in (old, new))
        stream = io.StringIO()
        print_comparison(judge(compare(old, new), *sides), Console(file=stream, width=120))
        return stream.getvalue()

    same = [run("same", seed=seed, mse=0.4 + seed / 100) for seed in range(21)]
    old, new = (
        [run("gru", seed=seed, mse=mse + seed / 100) for seed in range(3)] for mse in (1, 2)
    )
    text = shown(table(*same, *old), table(*same, *new))
    means = text.split("Means over seeds")[1]
    assert " gru " in means
    assert " same " not in text
    assert "Means over seeds" not in shown(table(*same), table(*same))
    assert " same " in shown(table(*same[:3]), table(*same[:3])).split("Means over seeds")[1]


def test_the_terminal_shows_the_verdict_last(run, table):
    stream = io.StringIO()
    comparison = compare(table(run(mse=0.5)), table(run(mse=0.6)))
    print_comparison(comparison, Console(file=stream, width=100))
    assert stream.getvalue().splitlines()[-1].strip() == comparison.summary()
    assert "+20.0%" in stream.getvalue()


def test_nothing_is_comparable_without_a_run_on_both_sides_under_one_protocol(run, table):
    old = table(run("a"), run("b"))
    new = table(run("a", fingerprint="b" * 9), run("c"))
    assert not compare(old, new).comparable
    assert compare(old, new).summary().startswith("NOT COMPARABLE: 1 not comparable, 1 vanished")
    assert compare(old, table(run("a", error="X: no"))).comparable
