"""Verdicts where both kinds of chance act at once, and on each metric for itself."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from benchmark.reports.changes import compare, merge
from benchmark.reports.comparison_tables import print_comparison, to_markdown
from benchmark.reports.gate import Gate
from benchmark.reports.judgement import Side, judge

MODELS, WINDOWS, HORIZON = 400, 600, 24


def overlapping(count, seed):
    """Losses of overlapping windows whose means have a standard deviation of about 1 ``(k, n)``."""
    sums = np.cumsum(
        np.random.default_rng(seed).standard_normal((count, WINDOWS + HORIZON)), axis=1
    )
    return (sums[:, HORIZON:] - sums[:, :-HORIZON]) * np.sqrt(WINDOWS) / HORIZON


@pytest.mark.parametrize("ratio", [0.0, 1.0, 2.0])
def test_equal_models_are_called_different_one_time_in_twenty_whatever_seeds_do(run, table, ratio):
    """Two runs of each of many models: windows make a spread of 1 between them, seeds of ratio."""
    rng = np.random.default_rng(2)
    seeds = 100 + ratio / np.sqrt(2) * rng.standard_normal((2, MODELS))
    losses = [
        seeds[0, :, None] + np.zeros((1, WINDOWS)),
        seeds[1, :, None] + overlapping(MODELS, 3),
    ]
    spread = 100 + ratio / np.sqrt(2) * rng.standard_normal(60)
    floor = [run("many", float(s), seed=n, horizon=HORIZON) for n, s in enumerate(spread)]
    sides, tables = [], []
    for own in losses:
        runs = [run(f"m{n}", float(each.mean()), horizon=HORIZON) for n, each in enumerate(own)]
        known = {record.run_id: each for record, each in zip(runs, own, strict=True)}
        tables.append(table(*runs, *(floor if not sides else [])))
        sides.append(Side(tables[-1], {"mse": known}))
    judged = judge(compare(*tables), *sides).rows
    called = (judged.loc[judged["model"] != "many", "verdict"] == "significant").mean()
    assert 0.015 < called < 0.08  # 0.10 at a ratio of 1, if each chance were asked alone


def test_a_solved_model_beside_a_trained_one_has_half_their_noise(run, table):
    seeds = [run("gru", 0.5 + s / 100, seed=s) for s in range(3)]
    old = table(*seeds, run("ridge", 0.5, fitted="closed_form"))
    new = table(run("ridge", 0.53, fitted="gradient"))
    judged = judge(compare(old, new), Side(old, {}), Side(new, {})).rows
    # t(2) = 4.30 times 0.01 from one seed, and not from two
    assert judged.set_index("model")["verdict"]["ridge"] == "within noise"
    new = table(run("ridge", 0.55, fitted="gradient"))
    judged = judge(compare(old, new), Side(old, {}), Side(new, {})).rows
    assert judged.set_index("model")["verdict"]["ridge"] == "beyond seeds"


def test_an_unchanged_mse_hides_no_other_score(run, table):
    """Of a model without seeds: MAE and CRPS a tenth up, MSE and RMSE as they were."""
    rng = np.random.default_rng(0)
    absolute = rng.gamma(2, 0.2, 400)
    scores = {"horizon": 2, "fitted": "closed_form", "run_id": "a"}
    old = table(run("ridge", 0.5, mae=float(absolute.mean()), crps=1.0, **scores))
    new = table(run("ridge", 0.5, mae=float(1.1 * absolute.mean()), crps=1.1, **scores))
    mse = {"a": 0.5 + absolute - absolute.mean()}
    sides = (
        Side(old, {"mse": mse, "mae": {"a": absolute}}),
        Side(new, {"mse": mse, "mae": {"a": 1.1 * absolute}}),
    )
    gate = Gate(significant_only=True, metrics={"crps": 0.01})
    judged = judge(compare(old, new, gate), *sides)
    assert judged.rows["verdict"].tolist() == ["within noise"]
    assert judged.rows["worse"].tolist() == [("mae", "crps")]
    assert judged.regressed
    noise = absolute + 5 * rng.normal(size=400)
    noise += 1.1 * absolute.mean() - noise.mean()
    noisy = Side(new, {"mse": mse, "mae": {"a": noise}})
    assert judge(compare(old, new, gate), sides[0], noisy).rows["worse"].tolist() == [("crps",)]
    mae_alone = Gate(significant_only=True)
    silent = judge(compare(old, new, mae_alone), sides[0], noisy)
    assert silent.rows["category"].tolist() == ["within noise"]
    assert not silent.regressed


def test_a_change_of_the_mean_over_seeds_is_found_where_no_seed_alone_shows_it(run, table):
    old = table(
        *(run("gru", 0.50 + s / 100, seed=s) for s in range(3)),
        run("ridge", 0.5, fitted="closed_form"),
    )
    new = table(
        *(run("gru", 0.47 + s / 100, seed=s) for s in range(3)),
        run("ridge", 0.5, fitted="closed_form"),
    )
    judged = judge(compare(old, new), Side(old, {}), Side(new, {}))
    # t(4) = 2.78, times 0.01 sqrt(2) is 0.039 for a seed, times 0.01 sqrt(2 / 3) 0.023 for three
    own = judged.rows[judged.rows["model"] == "gru"]
    assert own["verdict"].tolist() == ["within noise"] * 3
    assert judged.means is not None
    (mean,) = judged.means.to_dict("records")
    assert (mean["name"], mean["seeds"], mean["verdict"]) == ("gru", 3, "beyond seeds")
    assert (mean["mse_old"], mean["mse_new"]) == pytest.approx((0.51, 0.48))
    assert "<summary>means over seeds (1)</summary>" in to_markdown(judged)
    row = "| ETTh1 | 96 | gru | 336 | 3 | 0.5100 | 0.4800 | -5.9% | beyond seeds |"
    assert row in to_markdown(judged)
    stream = io.StringIO()
    print_comparison(judged, Console(file=stream, width=80))
    assert stream.getvalue().index("Means over seeds") < stream.getvalue().index("no regression")
    both = merge({"results/a/results.csv": judged, "results/b/results.csv": judged})
    assert both.means is not None
    assert both.means["file"].tolist() == ["a", "b"]


def test_a_mean_that_got_worse_beyond_chance_regresses_though_none_of_its_seeds_does(run, table):
    """Of three seeds 0.01 apart: 0.039 is the noise of one, 0.023 that of their mean."""

    def shifted(mse, mae, seeds=(0, 1, 2)):
        scores = ((seed, 0.5 + n / 100, 0.4 + n / 100) for n, seed in enumerate(seeds))
        return table(*(run("gru", s + mse, seed=n, mae=a + mae) for n, s, a in scores))

    def judged(new, **gate):
        compared = compare(shifted(0, 0), new, Gate(significant_only=True, **gate))
        return judge(compared, Side(shifted(0, 0), {}), Side(new, {}))

    worse = judged(shifted(0.03, 0))
    assert worse.rows["category"].value_counts().to_dict() == {"within noise": 3}
    assert worse.means is not None
    assert worse.means["worse"].tolist() == [("mse",)]
    assert worse.regressed
    assert worse.summary().startswith("REGRESSED: 1 mean over seeds regressed, 3 within noise")
    open_part, _, folded = to_markdown(worse).partition("<details>")
    assert "means over seeds, 1 regressed:\n\n| outcome |" in open_part
    assert "| regressed | ETTh1 | 96 | gru |" in open_part
    assert "means over seeds" not in folded
    # As is said of the same runs where no seed is on both sides.
    assert judged(shifted(0.03, 0, seeds=(11, 12, 13))).rows["category"].tolist() == ["regressed"]

    absolute = judged(shifted(0, 0.03))
    assert absolute.means is not None
    assert absolute.means["worse"].tolist() == [("mae",)]
    assert "within noise; MAE beyond seeds" in to_markdown(absolute)
    for passed in (judged(shifted(0.02, 0)), judged(shifted(-0.03, 0)), judged(shifted(0, 0))):
        assert not passed.regressed
        assert passed.summary().startswith("no regression: 3")
    assert not judged(shifted(0.03, 0), tolerance=0.1).regressed
    assert not judged(shifted(0, 0.03), metrics={"mae": None}).regressed


def test_means_take_the_losses_of_all_their_seeds(run, table):
    """Eight seeds, alike but for the windows' chance: an eighth of a single one's variance."""
    means = {"old": 100.0, "new": 101.8}
    sides, tables = [], []
    for place, mean in enumerate(means.values()):
        losses = overlapping(8, 7 + place)
        losses += mean - losses.mean(axis=1, keepdims=True)
        runs = [
            run("x", mean, seed=n, fitted="none", horizon=HORIZON, run_id=f"{place}{n}")
            for n in range(8)
        ]
        tables.append(table(*runs))
        known = {record.run_id: own for record, own in zip(runs, losses, strict=True)}
        sides.append(Side(tables[-1], {"mse": known}))
    judged = judge(compare(*tables), *sides)
    assert judged.means is not None
    assert judged.means["verdict"].tolist() == ["significant"]
    assert set(judged.rows["verdict"]) == {"within noise"}
    sides[1] = Side(tables[1], {})
    unknown = judge(compare(*tables), *sides).means
    assert unknown is not None
    assert unknown["seeds"].tolist() == [8]


def test_there_are_no_means_of_a_single_seed_nor_of_what_has_no_other_side(run, table):
    old, new = table(run("gru", seed=1), run("rnn", seed=1)), table(run("gru", seed=1))
    judged = judge(compare(old, new), Side(old, {}), Side(new, {}))
    assert judged.means is not None
    assert judged.means.empty
    assert "over seeds (" not in to_markdown(judged)


def seeds(run):
    """Runs of three seeds that differ by 0.01: two single ones by 4.30 sqrt(2) 0.01, or 0.061."""
    return [run("gru", 0.5 + s / 100, seed=s) for s in range(3)]


def verdict(old, new, model):
    judged = judge(compare(old, new), Side(old, {}), Side(new, {})).rows
    return judged.set_index("model")["verdict"][model]


def test_losses_of_other_numbers_of_windows_are_not_paired(run, table):
    losses = np.random.default_rng(0).gamma(2, 0.2, (2, 400))
    values = {"horizon": 2, "fitted": "closed_form"}
    old = table(run("ridge", float(losses[0].mean()), run_id="a", **values))
    new = table(run("ridge", float(losses[1].mean()), run_id="b", **values))
    before = Side(old, {"mse": {"a": losses[0]}})
    for kept, verdicts in ((400, ["within noise"]), (399, [""])):
        after = Side(new, {"mse": {"b": losses[1, :kept]}})
        assert judge(compare(old, new), before, after).rows["verdict"].tolist() == verdicts


@pytest.mark.parametrize("windows", [1, 7, 15])
def test_fewer_windows_than_two_blocks_judge_nothing(run, table, windows):
    old = table(run("x", 0.5, fitted="none", horizon=8, run_id="a"))
    new = table(run("x", 0.9, fitted="none", horizon=8, run_id="b"))
    losses = np.linspace(0.2, 0.8, windows)
    sides = Side(old, {"mse": {"a": losses}}), Side(new, {"mse": {"b": losses + 0.4}})
    assert judge(compare(old, new), *sides).rows["verdict"].tolist() == [""]


def test_a_run_that_is_in_both_files_is_one_seed(run, table):
    """Were it two, t(4) = 2.78 would take the place of t(2), and 0.039 that of 0.061."""
    both = seeds(run)
    old = table(*both, run("rnn", 0.5))
    assert verdict(old, table(*both, run("rnn", 0.55)), "rnn") == "within noise"
    assert verdict(old, table(*both, run("rnn", 0.57)), "rnn") == "beyond seeds"
    assert verdict(table(*both, *both, run("rnn", 0.5)), table(run("rnn", 0.55)), "rnn") == (
        "within noise"
    )


@pytest.mark.parametrize(("digits", "expected"), [(1e-8, "within noise"), (1e-3, "beyond seeds")])
def test_a_run_made_again_on_another_machine_is_one_seed_as_well(run, table, digits, expected):
    before = [run("gru", 0.5 + s / 100, seed=s, run_id=f"gru{s}") for s in range(3)]
    after = [run("gru", own.mse + digits, seed=own.seed, run_id=own.run_id) for own in before]
    old, new = table(*before, run("rnn", 0.5)), table(*after, run("rnn", 0.55))
    assert verdict(old, new, "rnn") == expected


def test_other_last_digits_are_no_significant_change(run, table):
    losses = np.random.default_rng(0).gamma(2, 0.2, 400)
    for change, expected in ((1e-7, "within noise"), (1e-3, "significant")):
        sides = []
        for own in (losses, losses * (1 + change)):
            results = table(run("ridge", float(own.mean()), run_id="a", fitted="closed_form"))
            sides.append((results, Side(results, {"mse": {"a": own}})))
        (old, before), (new, after) = sides
        assert judge(compare(old, new), before, after).rows["verdict"].tolist() == [expected]


@pytest.mark.parametrize("twice", ["old", "new"])
def test_two_runs_of_a_key_have_less_noise_than_one(run, table, twice):
    """0.053 in place of 0.061: a half, and not a whole, of the variance on that side."""
    noise = seeds(run)
    runs = {"old": [run("rnn", 0.5)], "new": [run("rnn", 0.556)]}
    assert verdict(*(table(*noise, *own) for own in runs.values()), "rnn") == "within noise"
    runs[twice] += [run("rnn", runs[twice][0].mse)]
    assert verdict(*(table(*noise, *own) for own in runs.values()), "rnn") == "beyond seeds"


def test_a_key_of_which_one_run_was_solved_is_not_judged_by_seeds(run, table):
    old = table(*seeds(run), run("mixed", 0.5), run("mixed", 0.5, fitted="closed_form"))
    for fitted, expected in (("closed_form", ""), ("gradient", "within noise")):
        new = table(run("mixed", 0.51, fitted=fitted))
        assert verdict(old, new, "mixed") == expected


def test_the_mae_is_judged_by_its_own_spread_over_seeds(run, table):
    """Three seeds by which the MSE hardly differs, and the MAE by 0.01: so 0.061 is its noise."""
    noise = [run("gru", 0.5 + s / 1e6, seed=s, mae=0.4 + s / 100) for s in range(3)]
    old = table(*noise, run("rnn", 0.5, mae=0.4))
    for mae, expected in ((0.44, "within noise"), (0.47, "beyond seeds")):
        new = table(*noise, run("rnn", 0.6, mae=mae))
        compared = compare(old, new, Gate(significant_only=True))
        rows = judge(compared, Side(old, {}), Side(new, {})).rows.set_index("model")
        assert rows.loc["rnn", "verdict"] == "beyond seeds"
        assert rows.loc["rnn", "verdict_mae"] == expected


def test_two_seeds_that_happen_to_be_alike_do_not_tell_a_models_own_spread(run, table):
    """Judged by all models' seeds, 0.037 is noise; by those two alone it would be 0.001."""
    others = [run("gru", 0.5 + s / 100, seed=s) for s in range(3)]
    old = table(*others, run("lstm", 0.6, seed=0), run("lstm", 0.6001, seed=1))
    new = table(run("lstm", 0.61, seed=0))
    judged = judge(compare(old, new), Side(old, {}), Side(new, {})).rows
    both = judged[(judged["model"] == "lstm") & (judged["seed"] == 0)]
    assert both["verdict"].tolist() == ["within noise"]


def test_of_several_means_those_that_regressed_alone_are_called_so(run, table):
    def seeds(gru, lstm):
        scores = {"gru": gru, "lstm": lstm}
        return table(
            *(run(name, scores[name] + s / 100, seed=s) for name in scores for s in range(3))
        )

    old, new = seeds(0.5, 0.5), seeds(0.53, 0.5)
    compared = compare(old, new, Gate(significant_only=True))
    judged = judge(compared, Side(old, {}), Side(new, {}))
    stream = io.StringIO()
    print_comparison(judged, Console(file=stream, width=120))
    means = stream.getvalue().partition("Means over seeds")[2].splitlines()
    told = {name: [line for line in means if f" {name} " in line] for name in ("gru", "lstm")}
    assert [("regressed" in line) for lines in told.values() for line in lines] == [True, False]
