from __future__ import annotations

import numpy as np
import pytest

from benchmark.errors import UserError
from benchmark.reports.changes import compare
from benchmark.reports.comparison_tables import to_markdown
from benchmark.reports.gate import Gate, Override, load_gate
from benchmark.reports.judgement import Side, judge


@pytest.fixture
def gate(tmp_path):
    """Read a gate from the text of its YAML."""

    def read(text):
        path = tmp_path / "gate.yaml"
        path.write_text(text, encoding="utf-8")
        return load_gate(path)

    return read


def outcome(comparison):
    (row,) = comparison.rows.to_dict("records")
    return row["category"], row["worse"], row["better"]


def test_the_later_of_several_tolerances_wins(gate):
    found = gate(
        """
        tolerance: 0.1
        metrics: {mae: 0.2, train_seconds: 0.5}
        overrides:
          - {model: "gru*", metrics: {mae: null, params: 0}}
          - {dataset: ETT*, tolerance: 0.3}
          - {model: gru_small, dataset: ETTh1, metrics: {train_seconds: null}}
        """
    )
    assert found.held("lstm", "weather") == {"mse": 0.1, "mae": 0.2, "train_seconds": 0.5}
    assert found.held("gru", "weather") == {"mse": 0.1, "train_seconds": 0.5, "params": 0}
    assert found.held("lstm", "ETTm2") == {"mse": 0.3, "mae": 0.3, "train_seconds": 0.5}
    assert found.held("gru_small", "ETTh1") == {"mse": 0.3, "mae": 0.3, "params": 0}
    assert found.held("a_gru", "etth1") == {"mse": 0.1, "mae": 0.2, "train_seconds": 0.5}
    said = "tolerance 10%, mae 20%, train_seconds 50%, 3 overrides"
    assert found.describe([("gru", "weather"), ("gru_small", "ETTh1")]) == said
    assert found.describe([("gru", "ETTh1"), ("gru_small", "weather")]) == (
        f"{said}, no row fits the override of model gru_small and dataset ETTh1"
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("tolerence: 0.1", "gate.yaml: tolerence: unknown key; did you mean 'tolerance'?"),
        ("metrics: {msee: 1}", "metrics: unknown metric 'msee'; did you mean 'mse'?"),
        ("metrics: {r2: 1}", "gate.yaml: metrics: unknown metric 'r2'; "),
        ("tolerance: -0.1", "gate.yaml: tolerance: input should be greater than or equal to 0"),
        ("tolerance: 1%", "gate.yaml: tolerance: input should be a valid number, got '1%'"),
        ("overrides: [{modle: a}]", "overrides.0.modle: unknown key; did you mean 'model'?"),
        ("allow_missing: no", "gate.yaml: allow_missing: input should be a valid boolean"),
    ],
)
def test_a_mistake_in_the_yaml_is_told_with_its_place(gate, text, fault):
    with pytest.raises(UserError) as error:
        gate(text)
    assert fault in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("metric", "old", "new", "category"),
    [
        ("train_seconds", 10.0, 15.0, "unchanged"),  # exactly the tolerance
        ("train_seconds", 10.0, 15.1, "regressed"),
        ("train_seconds", 10.0, 4.9, "improved"),
        ("throughput", 10.0, 4.9, "regressed"),
        ("throughput", 10.0, 15.1, "improved"),
        ("params", 10, 16, "regressed"),
        ("params", 0, 0, "unchanged"),
        ("params", 0, 1, "regressed"),
    ],
)
def test_a_cost_is_held_where_the_gate_says_so(run, table, metric, old, new, category):
    before, after = table(run(**{metric: old})), table(run(**{metric: new}))
    comparison = compare(before, after, Gate(metrics={metric: 0.5}))
    assert outcome(comparison)[0] == category
    assert outcome(compare(before, after)) == ("unchanged", (), ())
    text = to_markdown(comparison)
    assert (f"{metric} " in text.split("|", 1)[1]) == (category != "unchanged")


def test_what_worsened_is_named_with_its_change(run, table):
    old, new = table(run(train_seconds=10.0)), table(run(mse=0.4, train_seconds=20.0))
    comparison = compare(old, new, Gate(metrics={"train_seconds": 0.5}))
    assert outcome(comparison) == ("regressed", ("train_seconds",), ("mse",))
    assert "| train_seconds +100.0% |" in to_markdown(comparison)


def test_a_metric_may_be_let_go(run, table):
    old, new = table(run()), table(run(mae=0.9))
    assert compare(old, new).regressed
    assert not compare(old, new, Gate(metrics={"mae": None})).regressed
    mistyped = compare(old, new, Gate(overrides=(Override(model="lstm", tolerance=9.0),)))
    assert mistyped.regressed
    assert mistyped.summary().endswith("1 override, no row fits the override of model lstm)")
    assert not compare(old, new, Gate(overrides=(Override(model="g*", tolerance=9.0),))).regressed


def test_a_metric_that_one_side_lacks_is_no_regression_but_said(run, table):
    old, new = table(run(), run("b")), table(run(params=10), run("b"))
    comparison = compare(old, new, Gate(metrics={"params": 0.1}))
    assert not comparison.regressed
    assert "params could not be compared in 2 rows: one side has none" in to_markdown(comparison)
    assert "could not be compared" not in to_markdown(compare(old, new))


def test_missing_and_failed_runs_are_for_the_gate_to_allow(run, table):
    old, same = table(run("a"), run("b")), run("a")
    for new in (table(same), table(same, run("b", fingerprint="b" * 9))):
        assert not compare(old, new).regressed
        assert compare(old, new, Gate(allow_missing=False)).regressed
    failing = table(same, run("b", error="X: no"))
    assert compare(old, failing).regressed
    assert not compare(old, failing, Gate(allow_failed=True)).regressed


@pytest.fixture
def judged(run, table):
    """Compare a run with one whose loss on every window is a tenth higher, give or take `noise`."""

    def build(gate, noise, horizon=2, known=True, **costs):
        rng = np.random.default_rng(1)
        loss = {"old": rng.gamma(2, 0.1, 400)}
        loss["new"] = loss["old"] * 1.1 + noise * rng.normal(size=400)
        runs = {
            side: table(run(mse=mse, rmse=mse**0.5, horizon=horizon, run_id=side, **costs[side]))
            for side, mse in ((side, float(own.mean())) for side, own in loss.items())
        }
        sides = [
            Side(runs[side], {"mse": {side: own}} if known else {}) for side, own in loss.items()
        ]
        return judge(compare(runs["old"], runs["new"], gate), *sides)

    return build


def test_what_is_within_noise_is_no_regression_where_the_gate_says_so(judged):
    strict, lenient = Gate(), Gate(significant_only=True)
    costs = {"old": {}, "new": {}}
    plain = judged(lenient, 0.001, **costs)
    assert plain.rows["verdict"].tolist() == ["beyond windows"]
    assert outcome(plain) == ("regressed", ("mse",), ())
    assert outcome(judged(strict, 0.5, **costs))[0] == "regressed"
    noisy = judged(lenient, 0.5, **costs)
    assert outcome(noisy) == ("within noise", (), ())
    assert not noisy.regressed
    assert noisy.comparable
    assert "<summary>1 within noise</summary>" in to_markdown(noisy)


def test_noise_in_the_mse_is_noise_in_its_root(judged):
    gate = Gate(significant_only=True, metrics={"rmse": 0.01})
    costs = {"old": {}, "new": {}}
    assert outcome(judged(gate, 0.5, **costs)) == ("within noise", (), ())
    assert outcome(judged(gate, 0.001, **costs)) == ("regressed", ("mse", "rmse"), ())


def test_noise_is_no_excuse_for_a_cost(judged):
    gate = Gate(significant_only=True, metrics={"train_seconds": 0.1})
    costs = {"old": {"train_seconds": 10.0}, "new": {"train_seconds": 20.0}}
    assert outcome(judged(gate, 0.5, **costs)) == ("regressed", ("train_seconds",), ())


def test_without_a_verdict_the_tolerance_decides_and_that_is_said(judged):
    gate = Gate(significant_only=True)
    blind = judged(gate, 0.5, known=False, old={}, new={})
    assert blind.regressed
    assert "no verdict for 1 of the changes" in to_markdown(blind)
    assert "no verdict for" not in to_markdown(judged(gate, 0.5, old={}, new={}))
