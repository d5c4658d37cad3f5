from __future__ import annotations

import base64
import csv
import hashlib
import itertools
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

pytest.importorskip("jinja2")
pytest.importorskip("vl_convert")

import vl_convert

from benchmark.errors import UserError
from benchmark.records.record import column_kinds
from benchmark.records.table import read_results, write_csv
from benchmark.reports import ranking
from benchmark.reports.critical_difference import ranks_spec
from benchmark.reports.html import figures, page
from benchmark.reports.html.embed import pack, rounded, script_json
from benchmark.reports.published import read_published
from benchmark.reports.ranking import leaderboard

PUBLISHED = Path(__file__).parents[2] / "results" / "published.csv"
HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>alert(2)</script>",
    "a&lt;b\"'><svg onload=alert(3)>",
)


class Elements(HTMLParser):
    """Every element of a page with its attributes, and the texts of its scripts."""

    def __init__(self, text):
        super().__init__()
        self.found, self.scripts, self.texts, self._inside = [], [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, text):
        if self._inside == "script":
            self.scripts[-1] += text
        else:
            self.texts.append(text)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """A page without its charting library, which takes a second to put together."""
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda: "window.vegaEmbed = null;")


@pytest.fixture
def published(tmp_path):
    """A table of one published figure, in the columns that the real one has."""
    path = tmp_path / "published.csv"
    header, first, *_ = PUBLISHED.read_text(encoding="utf-8").splitlines()
    figure = dict(zip(header.split(","), next(csv.reader([first])), strict=True))
    figure |= {"dataset": "ETTh1", "model": "GRU", "lookback": "336", "horizon": "96"}
    path.write_text(f"{header}\n" + ",".join(f'"{each}"' for each in figure.values()) + "\n")
    return read_published(path)


@pytest.fixture
def write(tmp_path, published):
    """Write the page of some records; give its text and the data in it."""

    def build(*records, **fields):
        csv = tmp_path / "results.csv"
        write_csv(csv, records)
        origin = fields.pop(
            "origin", lambda folder, model, fitted: (fitted, f"benchmark run {folder.name}")
        )
        source = page.Source(csv, read_results(csv), published, origin, **({"title": "T"} | fields))
        page.write_report(tmp_path / "report.html", source)
        text = (tmp_path / "report.html").read_text(encoding="utf-8")
        return text, json.loads(Elements(text).scripts[0])

    return build


def elements(text):
    return [(tag, attributes.get("id")) for tag, attributes in Elements(text).found]


def cell(data, row, key):
    (place,) = [n for n, column in enumerate(data["columns"]) if column["key"] == key]
    return data["rows"][row]["cells"][place]


@given(st.text(alphabet=st.sampled_from("</>!-&scriptSCRIPT\u2028\"'\\"), max_size=40))
def test_no_text_in_the_json_ends_its_element_or_opens_a_comment(text):
    written = script_json({text: [text]})
    assert not set("<>&") & set(written)
    assert json.loads(written) == {text: [text]}


def unpack(packed):
    numbers = np.frombuffer(base64.b64decode(packed["data"]), dtype="<i2")
    return np.where(numbers == -32768, np.nan, packed["low"] + packed["step"] * numbers)


@given(
    arrays.arrays(
        np.float32, st.integers(1, 30), elements=st.floats(-1e9, 1e9, width=32) | st.just(np.nan)
    )
)
def test_what_is_packed_is_unpacked_to_within_a_step_and_missing_stays_missing(values):
    found = unpack(pack(values))
    np.testing.assert_array_equal(np.isnan(found), np.isnan(values))
    known = values[np.isfinite(values)]
    reach = float(known.max() - known.min()) / 60_000 if len(known) else 0
    np.testing.assert_allclose(found, values, rtol=1e-9, atol=reach, equal_nan=True)


def test_infinite_ends_are_missing():
    assert np.isnan(unpack(pack(np.array([np.inf, -np.inf])))).all()
    assert rounded(np.array([np.nan, 0.123456, np.inf])) == [None, 0.1235, None]


def test_no_name_becomes_an_element_and_every_name_is_shown_as_it_is(run, leave, write):
    one, two, three = HOSTILE
    text, data = write(
        leave(run(one, dataset=two), channels=HOSTILE),
        run(two, dataset=two, error=three),
        leave(run(three, dataset=three)),
        leave(run("plain", dataset="ETTm1", git_revision=one, device=two)),
        title=one,
        command=two,
        notes=(three,),
        origin=lambda folder, model, fitted: (two, one),
    )
    elements = Elements(text)
    tags = [tag for tag, _ in elements.found]
    assert "img" not in tags
    assert tags.count("script") == 1 + 1 + 3
    assert not any(name.startswith("on") for _, attributes in elements.found for name in attributes)
    assert {cell(data, row, "name")[0] for row in range(3)} == {one, three, "plain"}
    assert data["tasks"][1]["figures"]["channels"] == list(HOSTILE) or data["tasks"][0]["figures"]
    shown = "".join(elements.texts)
    for name in HOSTILE:
        assert name in shown


def test_no_text_of_any_column_becomes_an_element(run, leave, write):
    told = {name for name, kind in column_kinds().items() if kind is str}
    texts = sorted(told - {"run_id", "status", "fitted", "fit_rows", "started"})
    assert {"model", "dataset", "config", "hardware", "fingerprint", "error"} <= set(texts)
    odd = dict(zip(texts, itertools.cycle(HOSTILE), strict=False))
    done = {name: odd[name] for name in texts if name != "error"}
    tags = []
    for records in ((leave(run(**done)), run(**odd)), (leave(run("gru")), run("gru", error="x"))):
        elements = Elements(write(*records)[0])
        tags.append({tag for tag, _ in elements.found})
        assert not any(key.startswith("on") for _, named in elements.found for key in named)
    assert tags[0] == tags[1]


@pytest.mark.parametrize("name", ["errors.npz", "forecasts.npz"])
def test_a_damaged_run_keeps_its_row_and_the_page_its_others(
    run, leave, write, tmp_path, capfd, name
):
    whole, torn = leave(run("gru", mse=0.4)), leave(run("lstm", mse=0.5))
    (tmp_path / "runs" / torn.run_id / name).write_bytes(b"PK\x03\x04 no")
    _, data = write(whole, torn)
    told = capfd.readouterr().err.splitlines()
    assert f"{torn.run_id}/{name}: is damaged" in told[-1]
    assert told[-1].endswith("; until then the page draws nothing of that row")
    assert len(data["rows"]) == 2
    (task,) = data["tasks"]
    assert [each["label"] for each in task["figures"]["models"]] == ["gru"]


def test_the_page_fetches_nothing_and_runs_only_its_own_scripts(run, leave, write):
    text, _ = write(leave(run("gru")))
    elements = Elements(text)
    for tag, attributes in elements.found:
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:")), tag
    policy = next(a["content"] for tag, a in elements.found if "http-equiv" in a)
    assert "default-src 'none'" in policy
    for script in elements.scripts[1:]:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "url(" not in text.split("<style>")[1].split("</style>")[0]
    assert len(text) < 2_000_000


def test_a_row_has_its_mean_spread_rank_ties_costs_and_commands(run, leave, write):
    seeds = [leave(run("gru", mse, seed=seed, horizon=2)) for seed, mse in ((2, 0.52), (1, 0.5))]
    free = {"fitted": "none", "config": "other", "train_seconds": 0.01, "params": 0}
    _, data = write(*seeds, leave(run("last_value", 0.9, horizon=2, **free)))
    assert cell(data, 0, "mse") == [0.51, "0.5100±0.0141", "best"]
    assert cell(data, 1, "mse") == [0.9, "0.9000", "second"]
    assert cell(data, 0, "vs_best")[1] == "best"
    assert cell(data, 1, "vs_best")[0] == pytest.approx(0.39)
    assert cell(data, 0, "seeds")[1] == "2"
    assert cell(data, 1, "params") == [0.0, "0", ""]
    assert cell(data, 0, "params")[0] is None
    assert data["rows"][1]["costs"]["train_seconds"] == [0, "level", None]  # nothing is fitted
    first, second = data["rows"][0]["commands"]
    assert first == f"benchmark run {seeds[1].run_id}"  # seed 1 before seed 2
    assert second == f"benchmark run {seeds[0].run_id}"


def test_small_errors_have_the_digits_that_tell_them_apart(run, write):
    _, data = write(run("a", 0.023911), run("b", 0.023942, seed=1))
    assert [row["cells"][4][1] for row in data["rows"]] == ["0.02391", "0.02394"]


def test_a_row_alone_is_the_best_of_nothing(run, write):
    _, data = write(run("gru"), run("gru", dataset="ETTh2"), run("lstm", 0.6, dataset="ETTh2"))
    assert [cell(data, row, "mse")[2] for row in range(3)] == ["", "best", "second"]


def test_a_task_without_figures_says_why_and_what_to_do(run, leave, write, monkeypatch):
    records = leave(run("gru")), leave(run("gru", dataset="ETTh2")), run("gru", dataset="ETTm1")
    _, data = write(*records)
    assert [task["figures"] is None for task in data["tasks"]] == [False, False, True]
    assert "not beside the results CSV. Copy them there" in data["tasks"][2]["no_figures"]
    monkeypatch.setattr(figures, "choose_limits", lambda groups: (figures.LADDER[-1], 1))
    _, data = write(*records)
    assert [task["figures"] is None for task in data["tasks"]] == [False, True, True]
    assert "the page is full, it holds those of 1 task" in data["tasks"][1]["no_figures"]


def test_names_of_points_have_places_where_they_cover_nothing_or_none(run, write):
    crowd = [
        run(f"a_model_{n}", 0.5 + n % 2 / 100, config=f"c{n}", train_seconds=1.1**n, macs=7)
        for n in range(60)
    ]
    _, data = write(*crowd)
    by_time, by_macs = (
        [row["costs"][key][2] for row in data["rows"]] for key in ("train_seconds", "macs")
    )
    named = [sum(place is not None for place in places) for places in (by_time, by_macs)]
    assert 5 < named[1] < named[0] - 10  # all in two spots
    x, y, far = next(filter(None, by_time))
    assert max(abs(x), abs(y)) >= 7
    assert far == (np.hypot(x, y) > 12)


def test_published_figures_stand_with_their_task(run, leave, write):
    _, data = write(leave(run("gru")), run("gru", dataset="ETTh2"))
    ours, nobodys = (task["published"] for task in data["tasks"])
    assert ours[0]["rows"][0][0] == "gru"
    assert nobodys == []


def test_figures_hold_what_the_runs_left(run, leave, write):
    records = [leave(run("gru", seed=seed, epochs=3, best_epoch=2)) for seed in (0, 1)]
    _, data = write(*records)
    drawn = data["tasks"][0]["figures"]
    (model,) = drawn["models"]
    folder = [records[0].run_id, records[1].run_id]
    assert drawn["steps"] == list(range(1, 97))
    assert drawn["common"]["first_row"] == [100, 200, 300, 400, 500]
    assert model["extremes"]["kind"] == ["best", "median", "worst"]
    assert model["extremes"]["time"][0] == "2020-01-06T00:00:00"
    (curve,) = model["curves"]
    assert curve["epochs"] == [[1, 1.0, 2.0], [2, 0.5, 1.0], [3, 0.3333, 0.6667]]
    assert (curve["label"], curve["best_epoch"]) == ("gru", 2)
    assert len(folder) == len(data["rows"][0]["runs"])
    truth = unpack(drawn["common"]["target"][1]).reshape(5, 96)
    np.testing.assert_allclose(truth[3], np.sin(np.arange(96) / 4), atol=1e-4)
    forecast, low = (unpack(model[key][0]).reshape(8, 96) for key in ("forecast", "low"))
    np.testing.assert_allclose(forecast - low, 1, atol=1e-3)
    error = (forecast[2] - truth[2]) / 2  # the scale of the made-up channels
    assert model["mse"][2][0] == pytest.approx(np.square(error).mean(), rel=1e-2)


def test_each_member_of_an_ensemble_has_a_curve_of_its_own(run, leave, write, tmp_path):
    record = leave(run("mean", epochs=2, best_epoch=2))
    path = tmp_path / "runs" / record.run_id / "training.json"
    path.write_text(json.dumps(2 * json.loads(path.read_text())))
    _, data = write(record)
    (model,) = data["tasks"][0]["figures"]["models"]
    assert model["curves"] == [
        {"label": f"mean, member {n}", "best_epoch": 0, "epochs": [[1, 1.0, 2.0], [2, 0.5, 1.0]]}
        for n in (1, 2)
    ]


def test_a_run_of_an_earlier_version_has_common_windows_without_band(run, leave, write):
    target = np.zeros((5, 96, 2))
    gone = dict.fromkeys(("kind", "time", "channel", "history", "low", "high"), ())
    old = leave(
        run("gru"), first_row=np.arange(100, 501, 100), target=target, forecast=target, **gone
    )
    _, data = write(old, leave(run("lstm", 0.6, config="other")))
    old_model, new_model = data["tasks"][0]["figures"]["models"]
    assert old_model["low"] is None
    assert old_model["extremes"]["kind"] == []
    assert old_model["shared"] is True
    assert new_model["low"] is not None


def test_missing_targets_are_missing_in_figures_not_an_error(run, leave, write):
    target = np.ones((8, 96, 2))
    target[:, 3] = np.nan
    _, data = write(leave(run("gru"), target=target))
    drawn = data["tasks"][0]["figures"]
    assert np.isnan(unpack(drawn["common"]["target"][0])[3])
    assert drawn["models"][0]["mse"][0][0] is None


def test_rows_whose_folders_are_elsewhere_have_no_figures(run, leave, write):
    _, data = write(run("gru"))
    assert data["tasks"][0]["figures"] is None
    assert len(data["rows"]) == 1


def test_runs_that_do_not_tell_the_number_of_channels_have_their_figures(run, leave, write):
    text, data = write(leave(run("gru", channels=None, test_windows=None)))
    assert data["tasks"][0]["figures"]["channels"] == ["HUFL", "OT"]
    assert '<td class="number">-</td><td class="number">-</td><td><code>' in text


def test_a_column_that_noise_leaves_without_a_best_is_told(run, write):
    spread = {"gru": (0.5, 0.52, 0.54), "lstm": (0.51, 0.52, 0.54)}
    records = [
        run(name, mse, seed=seed, mae=0.4 + seed / 10)
        for name, scores in spread.items()
        for seed, mse in enumerate(scores)
    ]
    text, data = write(*records)
    assert "neither is marked where" in text
    assert any("no bold: the best row and lstm" in note for note in data["tasks"][0]["notes"])


def test_a_page_of_failures_alone_is_written_and_names_them(run, write):
    text, data = write(run("gru", error="ValueError: no"))
    assert data["tasks"][0]["failures"] == [
        "failed, unranked: gru (lookback 336, seed 0): ValueError: no"
    ]
    assert "1 run (1 failed)" in text
    text, _ = write(run("gru"), run("lstm", error="ValueError: no"))
    assert "2 runs (1 failed)" in text


def test_what_is_cut_is_the_worst_rows_and_is_said(run, leave, write, monkeypatch):
    monkeypatch.setattr(ranking, "MOST_ROWS", 4)
    records = [
        leave(run(f"m{number}", 0.4 + number / 10, dataset=name, config=f"c{number}", horizon=2))
        for name in ("ETTh1", "ETTh2")
        for number in range(3)
    ]
    text, data = write(*records)
    names = [cell(data, row, "name")[1] for row in range(len(data["rows"]))]
    assert names == ["m0", "m1", "m0", "m1"]
    kept = [records[place].run_id for place in (0, 1, 3, 4)]
    assert [row["runs"] for row in data["rows"]] == [[run_id] for run_id in kept]
    assert cell(data, 1, "vs_best")[0] == pytest.approx(0.1)  # the losses are of the same rows
    assert "The table holds the best 2 rows of each task" in text


def test_figures_know_the_naive_model_though_the_table_lacks_its_row(
    run, leave, write, monkeypatch
):
    monkeypatch.setattr(ranking, "MOST_ROWS", 2)
    _, data = write(
        leave(run("gru", 0.4)),
        leave(run("lstm", 0.5, config="other")),
        leave(run("seasonal_naive", 0.9, fitted="none", config="n")),
    )
    assert [cell(data, row, "name")[1] for row in range(len(data["rows"]))] == ["gru", "lstm"]
    models = data["tasks"][0]["figures"]["models"]
    assert [(model["label"], model["naive"]) for model in models] == [
        ("gru", False),
        ("lstm", False),
        ("seasonal_naive", True),
    ]


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 720), st.integers(1, 900)), max_size=60)
)
def test_limits_keep_to_the_budget_or_to_fewer_tasks(sizes):
    class Task:
        def __init__(self, rows, horizon, channels):
            self.rows, self.horizon, self.channels = range(rows), horizon, str(channels)

    groups = [Task(*size) for size in sizes]
    limits, detailed = figures.choose_limits(groups)
    assert sum(map(limits.size, groups[:detailed])) <= figures.BUDGET
    wider = figures.LADDER[max(0, figures.LADDER.index(limits) - 1)]
    if wider is not limits:
        assert sum(map(wider.size, groups)) > figures.BUDGET
    assert detailed == len(groups) or limits is figures.LADDER[-1]


def test_the_estimate_of_a_tasks_size_is_no_less_than_what_is_written(run, leave, write, table):
    records = [
        leave(run(f"m{n}", 0.4 + n / 10, config=f"c{n}", epochs=9, horizon=192, channels=2))
        for n in range(14)
    ]
    _, data = write(*records)
    written = len(json.dumps(data["tasks"][0]["figures"], separators=(",", ":")))
    (group,) = leaderboard(table(*records)).groups
    estimate = figures.LADDER[0].size(group)
    assert estimate / 3 < written <= estimate
    assert len(data["tasks"][0]["figures"]["models"]) == 12


def test_figures_keep_the_best_naive_row_among_the_best(run, table):
    rows = [run(f"m{n}", 0.4 + n / 100, config=f"c{n}") for n in range(9)]
    naive = run("seasonal_naive", 0.9, fitted="none", config="n")
    (group,) = leaderboard(table(*rows, naive)).groups
    assert figures.chosen_rows(group, figures.Limits(4, 1, 1)) == [0, 1, 2, 9]
    assert figures.chosen_rows(group, figures.Limits(20, 1, 1)) == list(range(10))


def test_the_diagram_of_ranks_takes_three_data_sets_and_is_that_of_a_file(run, write, table):
    def records(names):
        return [
            run(model, mse + index / 100, dataset=name)
            for name in names
            for index, (model, mse) in enumerate((("a", 0.3), ("<b>", 0.4), ("c", 0.5)))
        ]

    text, data = write(*records(["ETTh1", "ETTh2"]))
    assert data["ranks"] is None
    assert ("div", "ranks") not in elements(text)
    three = records(["ETTh1", "ETTh2", "ETTm1"])
    text, data = write(*three)
    assert data["ranks"] == json.loads(json.dumps(ranks_spec(leaderboard(table(*three)))))
    assert ("div", "ranks") in elements(text)


def test_without_the_extra_one_line_names_it(run, write, monkeypatch):
    monkeypatch.setattr(page, "PACKAGES", ("jinja2", "no_such_package"))
    with pytest.raises(
        UserError, match=r"no_such_package not installed; pip install 'ts-benchmark"
    ):
        write(run("gru"))
