"""The report in a real browser: what a reader clicks and types, at a desk and on a phone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("jinja2")
pytest.importorskip("vl_convert")
pytest.importorskip("playwright")

from playwright.sync_api import sync_playwright

from benchmark.records.table import read_results, write_csv
from benchmark.reports import ranking
from benchmark.reports.html import page as html
from benchmark.reports.published import read_published

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), "")
OPTIONS = (
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PUBLISHED = Path(__file__).parents[2] / "results" / "published.csv"
HOSTILE = "<img src=x onerror=alert(1)>"
MODELS = (
    ("ridge", 0.41, "closed_form"),
    ("gru", 0.43, "gradient"),
    ("seasonal_naive", 0.65, "none"),
    (HOSTILE, 0.6, "gradient"),
)

CHANGED = "before => document.getElementById('{}').innerHTML !== before"
MADE: list[str] = []

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no chromium is installed")


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(OPTIONS))
        yield browser
        browser.close()


@pytest.fixture
def report(run, leave, tmp_path):
    """A report of four models on two data sets; it is made once."""
    path = tmp_path / "report.html"
    if not MADE:
        write(path, run, leave)
        MADE.append(path.read_text(encoding="utf-8"))
    path.write_text(MADE[0], encoding="utf-8")
    return path


def write(path, run, leave):
    records = [
        leave(
            run(
                model, mse + number / 10, dataset=dataset, fitted=fitted, config=f"{model}{number}",
                epochs=3 if fitted == "gradient" else None, best_epoch=2, params=10_000 * place,
                train_seconds=1.0 + place, macs=1000 * place,
            )
        )
        for number, dataset in enumerate(("ETTh1", "ETTh2"))
        for place, (model, mse, fitted) in enumerate(MODELS)
    ]  # fmt: skip
    save(path, records)


def save(path, records):
    csv = path.parent / "results.csv"
    write_csv(csv, records)

    def origin(folder, model, fitted):
        return {"none": "naive", "gradient": "recurrent"}.get(fitted, fitted), "benchmark run gru"

    published = read_published(PUBLISHED)
    html.write_report(path, html.Source(csv, read_results(csv), published, origin, "Results"))


@pytest.fixture
def opened(browser, report):
    """Open the report; afterwards nothing may have been said on the console or fetched."""
    contexts, said = [], []

    def open_page(width=1280, scheme="light", path=report):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: said.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector("#training svg")
        return page

    yield open_page
    for context in contexts:
        context.close()
    fetched = [each for each in said if not each.startswith(("data:", report.parent.as_uri()))]
    assert fetched == []


def column(page, key):
    """The texts of one column of the leaderboard."""
    return page.evaluate(
        """key => {
            const heads = [...document.querySelectorAll("#table th")];
            const place = heads.findIndex((head) => head.dataset.key === key);
            const rows = document.querySelectorAll("#table tbody tr");
            return [...rows].map((row) => row.cells[place].textContent);
        }""",
        key,
    )


def drawn(page, figure):
    return page.inner_html(f"#{figure}")


def test_headers_sort_by_click_and_by_key_and_say_so(opened):
    page = opened()
    head = page.locator("#table th[data-key=mse]")
    assert head.get_attribute("aria-sort") == "none"
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    numbers = [float(text) for text in column(page, "mse")]
    assert numbers == sorted(numbers)
    page.keyboard.press("Enter")  # the header keeps the focus
    assert head.get_attribute("aria-sort") == "descending"
    assert [float(text) for text in column(page, "mse")] == numbers[::-1]
    page.locator("#table th[data-key=name] button").press("Space")
    assert column(page, "name") == sorted(column(page, "name"))


def test_filters_and_the_search_leave_what_fits_and_figures_follow(opened):
    page = opened()
    assert len(column(page, "name")) == 8
    page.select_option("#filter-dataset", "ETTh2")
    assert len(column(page, "name")) == 4
    assert page.locator("#table th[data-key=dataset]").count() == 0  # one data set is no column
    assert page.locator("#task option:checked").inner_text() == "ETTh2, horizon 96"
    page.select_option("#filter-family", "recurrent")
    assert column(page, "name") == ["gru", HOSTILE]
    page.fill("#search", "GR")
    assert column(page, "name") == ["gru"]
    assert page.inner_text("#count") == "1 of 8 rows"
    page.fill("#search", "no such model")
    assert column(page, "name") == []


def test_a_row_opens_to_the_command_that_repeats_it(opened):
    page = opened()
    button = page.locator("#table td.model button").nth(1)
    button.press("Enter")
    assert button.get_attribute("aria-expanded") == "true"
    assert page.inner_text("tr.more pre") == "benchmark run gru"
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("tr.more button")
    page.wait_for_selector("tr.more button:has-text('Copied')")
    assert page.evaluate("navigator.clipboard.readText()") == "benchmark run gru"
    button.click()
    assert page.locator("tr.more").count() == 0


def test_an_opened_row_tells_the_interval_that_else_takes_a_pointer(run, leave, opened, tmp_path):
    pair = (("gru", 0.5), ("lstm", 0.9))
    records = [leave(run(name, mse, horizon=2, epochs=3, best_epoch=2)) for name, mse in pair]
    save(tmp_path / "two.html", records)
    page = opened(path=tmp_path / "two.html")
    cell = page.locator("#table td[title^='95% interval']")
    page.locator("#table td.model button").nth(1).press("Enter")
    told = page.locator("tr.more p").first.inner_text()
    assert told == f"MSE less the best one's: {cell.inner_text()}, {cell.get_attribute('title')}"


def test_notes_of_several_tasks_stand_under_the_names_of_their_tasks(opened):
    page = opened()
    page.click("#notes-count")
    heads = [text.split("\n")[0] for text in page.locator("#table-notes > li").all_inner_texts()]
    assert heads == ["ETTh1, horizon 96", "ETTh2, horizon 96"]
    assert page.locator("#table-notes li li").count() > 0
    page.select_option("#filter-dataset", "ETTh2")
    own = page.evaluate("report.tasks[1].notes")
    assert page.locator("#table-notes li").all_inner_texts() == own
    assert page.inner_text("#notes-count") == f"Notes on these rows ({len(own)})"


def test_a_rule_stands_where_the_ranks_of_another_task_begin(opened):
    page = opened()
    starts = "[...document.querySelectorAll('#table tbody tr')].map((row) => row.className)"
    assert page.evaluate(starts) == ["", "", "", "", "starts", "", "", ""]
    heights = page.evaluate(
        "[...document.querySelectorAll('#table tbody tr')].map((row) => row.offsetHeight)"
    )
    exact = page.evaluate("document.querySelector('#table tbody').getBoundingClientRect().height")
    assert sum(heights) == exact  # whole pixels: the column that stays has its rules in line
    page.click("#table th[data-key=mse] button")  # tasks are mixed
    assert set(page.evaluate(starts)) == {""}


def test_a_printed_page_has_every_row_and_column_and_nothing_to_click(opened):
    page = opened(width=1030)  # of a landscape sheet of A4 between its margins
    page.emulate_media(media="print")
    seen, whole = page.evaluate(
        """() => {
            const box = document.getElementById("table-box");
            return [[box.clientWidth, box.clientHeight], [box.scrollWidth, box.scrollHeight]];
        }"""
    )
    assert seen == whole
    for each in ("#search", "#theme", "nav", ".save", "#next", "#models [aria-pressed=false]"):
        assert not page.locator(each).first.is_visible(), each
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.is_visible("#table-notes")


def test_windows_are_stepped_through_by_button_and_by_key(opened):
    page = opened()
    titles = [page.inner_text("#window")]
    for _ in range(8):
        before = drawn(page, "forecasts")
        page.click("#next")
        titles.append(page.inner_text("#window"))
        page.wait_for_function(
            "b => document.querySelector('#forecasts').innerHTML !== b", arg=before
        )
    kinds = [title.split(" · ")[0] for title in titles]
    assert kinds[:5] == [f"Common window {number} of 5" for number in range(1, 6)]
    assert kinds[5:8] == [f"{kind} window of ridge" for kind in ("Best", "Median", "Worst")]
    assert titles[8] == titles[0]
    page.focus("#card-forecasts")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#window") == titles[7]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#window") == titles[1]
    page.select_option("#focus", HOSTILE)
    page.select_option("#channel", label="OT")
    page.wait_for_function("document.querySelector('#forecasts').textContent.includes('OT')")


def test_models_are_taken_out_and_put_in(opened):
    page = opened()
    chips = page.locator("#models button")
    assert chips.all_inner_texts() == ["ridge", "gru", HOSTILE, "seasonal_naive"]
    assert "gru" in page.inner_text("#steps")
    chips.nth(1).click()
    assert chips.nth(1).get_attribute("aria-pressed") == "false"
    page.wait_for_function("!document.querySelector('#steps').textContent.includes('gru')")
    page.keyboard.press("Space")  # the chip keeps the focus
    page.wait_for_function("document.querySelector('#steps').textContent.includes('gru')")
    page.select_option("#metric", "mae")
    page.wait_for_function("document.querySelector('#channels').textContent.includes('MAE')")
    page.select_option("#cost", "macs")
    page.wait_for_function("document.querySelector('#costs').textContent.includes('multiply')")
    assert f"Not shown, worse: {HOSTILE}" in page.inner_text("#costs-caption")


def test_what_a_free_model_beats_is_not_on_the_front(run, leave, opened, tmp_path):
    trained = (("cheap", 0.5, 1.0), ("dearer", 0.45, 2.0), ("gru", 0.4, 3.0))
    records = [
        run(name, mse, train_seconds=seconds, epochs=3, best_epoch=2)
        for name, mse, seconds in trained
    ]
    naive = run("last_value", 0.42, fitted="none")
    save(tmp_path / "free.html", [*map(leave, records), leave(naive)])
    page = opened(path=tmp_path / "free.html")
    page.wait_for_selector("#costs svg")
    rows = page.evaluate("figures.views.costs.view.data('rows')")
    assert [row["model"] for row in rows if row["role"] == "front"] == ["gru"]
    told = "The dotted line is the best of what is free: last_value 0.4200."
    assert page.inner_text("#costs-caption") == told
    assert page.locator("#costs svg .mark-rule line[stroke-dasharray='2,3']").count() == 1


def test_a_long_spread_stays_inside_its_cell(run, leave, opened, tmp_path):
    records = [
        run(name, mse * (1 + seed / 9), seed=seed, epochs=3, best_epoch=2)
        for name, mse in (("gru", 2.5e-7), ("lstm", 0.5))
        for seed in range(3)
    ]
    save(tmp_path / "tiny.html", list(map(leave, records)))
    page = opened(path=tmp_path / "tiny.html")
    for media in ("screen", "print"):
        page.emulate_media(media=media)
        over = page.evaluate(
            """[...document.querySelectorAll("#table td .spread")]
                .filter((each) => each.textContent)
                .map((each) => each.scrollWidth - each.clientWidth)"""
        )
        assert over, media
        assert max(over) == 0, media
        head = page.locator("#table th .spread").first
        assert head.evaluate("each => each.style.width") == f"{len('±1.234e-07')}ch"


def test_costs_are_drawn_where_the_folders_of_runs_are_not_there(run, leave, opened, tmp_path):
    here = leave(run(dataset="ETTh1", epochs=3, best_epoch=2))
    copied = [run(name, dataset="ETTh2", train_seconds=9.0) for name in ("gru", "lstm")]
    save(tmp_path / "copied.html", [here, *copied])
    page = opened(path=tmp_path / "copied.html")
    assert page.is_hidden("#no-figures")
    page.select_option("#task", label="ETTh2, horizon 96")
    page.wait_for_selector("#costs svg")
    seen = {kind: page.is_visible(f"#card-{kind}") for kind in ("costs", "steps", "training")}
    assert seen == {"costs": True, "steps": False, "training": False}
    assert page.is_hidden("#models")
    assert page.inner_text("#no-figures").startswith("No figures of errors and forecasts: the fol")
    page.select_option("#task", label="ETTh1, horizon 96")
    page.wait_for_selector("#steps svg")
    assert page.is_visible("#card-training")
    assert page.is_hidden("#no-figures")


def test_every_chart_tells_who_hears_it_what_it_shows(opened):
    page = opened()
    told = {
        kind: page.get_attribute(f"#{kind} [role=graphics-document]", "aria-label")
        for kind in ("steps", "channels", "forecasts", "costs", "training")
    }
    task = "ETTh1, horizon 96"
    assert told["steps"] == (
        f"Error by step, {task}, MSE, scaled series, lowest: ridge, 0.410 on average"
    )
    assert told["channels"].startswith(
        f"Error by channel, {task}, MSE, scaled series, lowest: ridge"
    )
    assert told["forecasts"].startswith(f"Forecast and truth, {task}, HUFL, Common window 1 of 5")
    assert (
        told["costs"]
        == f"Error against cost, {task}, MSE by seconds of fitting, lowest: ridge, 0.410"
    )
    assert told["training"].startswith(f"Training, {task}, validation MSE, lowest: gru, 0.333")


def test_looks_stay_with_a_model_and_the_band_is_named(opened):
    page = opened()
    dashes = """[...document.querySelectorAll("#steps svg .mark-line path")].map(
        (line) => line.getAttribute("stroke-dasharray"))"""
    before = page.evaluate(dashes)
    assert len(set(before)) == 4
    page.locator("#models button").nth(1).click()
    page.wait_for_function("!document.querySelector('#steps').textContent.includes('gru')")
    assert page.evaluate(dashes) == [before[0], *before[2:]]
    assert "80% interval of ridge" in page.inner_text("#forecasts")
    assert page.locator("#channels svg .mark-symbol.role-mark path").count() == 6


def test_ranks_over_data_sets_are_drawn_in_the_colours_of_the_theme(run, leave, opened, tmp_path):
    records = [
        leave(run(model, mse, dataset=name, epochs=3, best_epoch=2))
        for name in ("ETTh1", "ETTh2", "ETTm1")
        for model, mse in (("a", 0.3), (HOSTILE, 0.4), ("c", 0.5))
    ]
    save(tmp_path / "ranks.html", records)
    page = opened(path=tmp_path / "ranks.html")
    page.wait_for_selector("#ranks svg")
    texts = page.locator("#ranks svg text").all_text_contents()
    assert {"a\u00a0\u00a01.00", f"{HOSTILE}\u00a0\u00a02.00", "3.00\u00a0\u00a0c"} < set(texts)
    before = drawn(page, "ranks")
    page.click("#theme")
    page.wait_for_function(CHANGED.format("ranks"), arg=before)


def test_each_member_of_an_ensemble_is_a_curve_in_its_colour(run, leave, opened, tmp_path):
    record, other = (leave(run(name, epochs=3, best_epoch=2)) for name in ("mean", "other"))
    training = tmp_path / "runs" / record.run_id / "training.json"
    training.write_text(json.dumps(2 * json.loads(training.read_text())))
    save(tmp_path / "members.html", [record, other])
    page = opened(path=tmp_path / "members.html")
    assert "mean, member 1mean, member 2other" in page.locator("#training svg").text_content()
    lines = page.locator("#training svg .mark-line path")
    one, two, others = (lines.nth(place).get_attribute("stroke") for place in range(3))
    assert one == two != others


def test_a_table_that_lacks_the_row_of_a_naive_model_is_there_beside_its_figures(
    run, leave, opened, tmp_path, monkeypatch
):
    monkeypatch.setattr(ranking, "MOST_ROWS", 4)
    write(tmp_path / "few.html", run, leave)
    page = opened(path=tmp_path / "few.html")
    assert column(page, "name") == ["ridge", "gru"] * 2
    assert "seasonal_naive" in page.inner_text("#steps")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_follows_the_system_until_it_is_switched(opened, scheme):
    page = opened(scheme=scheme)

    def is_dark():
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, colour[4:-1].split(","))) < 3 * 128

    assert is_dark() == (scheme == "dark")
    before = drawn(page, "steps")
    page.click("#theme")
    assert is_dark() != (scheme == "dark")
    page.wait_for_function(CHANGED.format("steps"), arg=before)


def test_a_phone_scrolls_the_table_in_its_box_and_the_page_only_down(opened):
    page = opened(width=375)
    wide, seen = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide <= seen == 375
    table, box = (page.locator(each).bounding_box() for each in ("#table", "#table-box"))
    assert table["width"] > box["width"]
    page.locator("#table td.model button").first.click()
    page.select_option("#focus", HOSTILE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


def test_a_chart_in_a_page_made_narrower_keeps_its_shape_until_it_is_drawn_again(opened):
    page = opened()
    width, height, drawn_width, drawn_height = page.evaluate(
        """() => {
            const svg = document.querySelector("#steps svg");
            document.getElementById("steps").style.width = "240px";
            const { width, height } = svg.getBoundingClientRect();
            return [width, height, ...["width", "height"].map((name) => svg.getAttribute(name))];
        }"""
    )
    assert width == 240
    assert height == pytest.approx(240 * float(drawn_height) / float(drawn_width), abs=1)


def test_published_figures_wait_for_a_run_that_is_done(run, leave, opened, tmp_path):
    done = leave(run(dataset="ETTh1", epochs=3, best_epoch=2))
    unknown, failed = leave(run(dataset="mine")), run(dataset="ETTh2", error="ValueError: no")
    save(tmp_path / "failed.html", [done, unknown, failed])
    page = opened(path=tmp_path / "failed.html")
    told = {}
    for task in page.locator("#task option").all_inner_texts():
        page.select_option("#task", label=task)
        told[task] = page.inner_text("#published-task")
    assert told == {
        "ETTh1, horizon 96": "ETTh1, horizon 96",
        "ETTh2, horizon 96": "No run of ETTh2, horizon 96 is done.",
        "mine, horizon 96": (
            "Nobody's figures for mine, horizon 96 are in the table of published ones."
        ),
    }


def test_the_headings_of_published_tables_stand_apart_from_the_notes_above(opened):
    page = opened()
    notes = page.locator("#published-tables .notes").first.bounding_box()
    heading = page.locator("#published-tables h3").nth(1).bounding_box()
    assert heading["y"] - notes["y"] - notes["height"] >= 20
