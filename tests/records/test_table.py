from __future__ import annotations

import csv
import math
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmark.errors import UserError
from benchmark.records.record import COLUMNS, column_kinds
from benchmark.records.table import REQUIRED, holds_results, read_results, read_table, write_csv

numbers = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
names = st.text(
    st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=20
).filter(lambda name: name[0] not in "=+-@")
errors = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)


def test_a_row_whose_mse_and_rmse_are_of_different_runs_is_refused(tmp_path, record):
    path = tmp_path / "results.csv"
    write_csv(path, [record("a", mse=0.25, mae=0.4, rmse=0.5)])
    assert read_results(path)["mse"].tolist() == [0.25]
    path.write_text(path.read_text().replace("0.25,0.4,0.5", "0.251,0.4,0.5005"))  # rounded
    assert read_results(path)["mse"].tolist() == [0.251]
    path.write_text(path.read_text().replace("0.251,0.4", "0.4,0.251"))  # two columns swapped
    with pytest.raises(UserError, match=r"line 2, column rmse: is not the root of the row's mse"):
        read_results(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    scores=st.lists(st.tuples(numbers, numbers, st.booleans()), min_size=1, max_size=5),
    model=names,
    params=st.none() | st.integers(0, 10**15),
    error=errors,
)
def test_what_is_written_is_read_bit_for_bit(tmp_path, record, scores, model, params, error):
    records = [
        record(
            f"run{n}",
            model=model,
            mse=mse,
            mae=mae,
            rmse=mse**0.5 if rooted else None,
            params=params,
        )
        for n, (mse, mae, rooted) in enumerate(scores)
    ]
    records.append(record("failed", model=model, error=error))
    path = tmp_path / "results.csv"
    write_csv(path, records)
    frame = read_results(path)
    assert list(frame.columns) == list(COLUMNS)
    for name, kind in column_kinds().items():
        for read, wrote in zip(
            frame[name].tolist(), (getattr(r, name) for r in records), strict=True
        ):
            if wrote is None:
                assert read == "" if kind is str else pd.isna(read)
            else:
                assert read == wrote
                assert kind is not float or math.copysign(1, read) == math.copysign(1, wrote)


def test_what_pandas_has_read_and_written_is_read_alike(tmp_path, record):
    path, again = tmp_path / "results.csv", tmp_path / "again.csv"
    rows = [record("trained", epochs=3, best_epoch=2), record("solved", epochs=None)]
    write_csv(path, rows)
    pd.read_csv(path).to_csv(again, index=False)
    assert ",3.0," in again.read_text(encoding="utf-8")
    pd.testing.assert_frame_equal(read_results(again), read_results(path))


@pytest.mark.parametrize("name", ["NA", "007", "nan", "null", "True", "1e5", "None", "#N/A"])
def test_a_text_stays_that_text(tmp_path, record, name):
    path = tmp_path / "results.csv"
    write_csv(path, [record(model=name, dataset=name)])
    frame = read_results(path)
    assert frame["model"].tolist() == frame["dataset"].tolist() == [name]


def minimal(**values):
    row = dict.fromkeys(REQUIRED, "")
    row |= {"run_id": "a", "status": "done", "dataset": "ETTh1", "lookback": "96", "horizon": "24"}
    return (
        row | {"model": "m", "seed": "0", "mse": "0.5", "mae": "0.4", "fingerprint": "f"} | values
    )


@pytest.fixture
def write(tmp_path):
    def build(*rows, columns=None):
        path = tmp_path / "some.csv"
        with open(path, "w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, columns or list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return path

    return build


def test_required_columns_are_enough_and_unknown_ones_stay(write):
    frame = read_results(write(minimal(note="007")))
    assert frame["note"].tolist() == ["007"]
    assert frame["params"].isna().all()
    assert frame["rmse"].isna().all()
    assert frame["device"].tolist() == [""]


def test_a_byte_order_mark_and_empty_lines_are_no_fault(write):
    path = write(minimal())
    path.write_text("\ufeff" + path.read_text(encoding="utf-8") + "\n\n", encoding="utf-8")
    assert read_results(path)["mse"].tolist() == [0.5]


@pytest.mark.parametrize(
    ("values", "column", "what"),
    [
        ({"mse": "abc"}, "mse", "must be a finite number, got 'abc'"),
        ({"mse": "nan"}, "mse", "must be a finite number, got 'nan'"),
        ({"mae": "1e999"}, "mae", "must be a finite number"),
        ({"mse": "1_0"}, "mse", "must be a finite number"),
        ({"mse": "0,5"}, "mse", "must be a finite number"),
        ({"mse": ""}, "mse", "is empty in a done run"),
        ({"mse": "-1"}, "mse", "is below 0"),
        ({"seed": "1.5"}, "seed", "must be a whole number, got '1.5'"),
        ({"seed": ""}, "seed", "must be a whole number, it is empty"),
        ({"lookback": "0"}, "lookback", "is below 1"),
        ({"coverage_80": "80.1"}, "coverage_80", "is above 1, got '80.1'; mend the cell"),
        ({"params": "-5"}, "params", "is below 0"),
        ({"model": ""}, "model", "must be a text, it is empty"),
        ({"fingerprint": ""}, "fingerprint", "must be a text, it is empty"),
        ({"status": "ok"}, "status", "is neither 'done' nor 'failed', got 'ok'"),
        ({"status": "failed", "mae": ""}, "mse", "is a score of a failed run"),
        ({"status": "failed", "mse": "0.0", "mae": ""}, "mse", "is a score of a failed run"),
        ({"run_id": "a"}, "run_id", "is there twice"),
    ],
)
def test_a_cell_that_does_not_fit_is_named_with_its_line(write, values, column, what):
    # The first row's error has a line break, so that the second begins at line 4.
    first = minimal(error="two\nlines", status="failed", mse="", mae="")
    columns = [*REQUIRED, *(column for column in values if column not in REQUIRED)]
    path = write(first, minimal(**({"run_id": "b"} | values)), columns=columns)
    with pytest.raises(UserError) as caught:
        read_results(path)
    assert f"{path}: line 4, column {column}: {what}" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_files_put_one_after_the_other_are_told_by_the_header_between(tmp_path, record):
    path = tmp_path / "results.csv"
    write_csv(path, [record("a"), record("b")])
    path.write_text(2 * path.read_text())
    with pytest.raises(UserError) as caught:
        read_results(path)
    assert str(caught.value) == f"{path}: line 4: repeats the header; remove the line"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_every_machine_ran_alike_is_one_run(tmp_path, record, end):
    path = tmp_path / "results.csv"
    here = record("naive", hardware="one", latency_ms=0.1, started="2026-01-31T12:00:00+00:00")
    there = record("naive", hardware="two", latency_ms=0.2, started="2026-02-01T12:00:00+00:00")
    write_csv(path, [record("a"), here, there, record("b")])
    path.write_bytes(path.read_bytes().replace(b"\n", end.encode()))
    frame = read_results(path)
    assert frame["run_id"].tolist() == ["a", "naive", "b"]
    assert frame["hardware"].tolist()[1] == "one"
    assert frame.index.tolist() == [0, 1, 2]


def test_another_score_of_one_run_is_told_with_its_own_line(tmp_path, record):
    path = tmp_path / "results.csv"
    write_csv(path, [record("a"), record("a", hardware="two"), record("a", mse=0.6)])
    with pytest.raises(UserError, match="line 4, column run_id: is there twice, got 'a'"):
        read_results(path)


def test_faults_of_several_columns_are_all_told(write):
    with pytest.raises(UserError) as caught:
        read_results(write(minimal(mse="x", seed="y")))
    assert len(str(caught.value).splitlines()) == 2


def test_a_leaderboard_is_told_from_the_results_beside_it():
    reference = Path(__file__).parents[2] / "results" / "reference" / "etth1"
    with pytest.raises(UserError) as caught:
        read_results(reference / "leaderboard.csv")
    assert str(caught.value) == (
        f"{reference}/leaderboard.csv: is a leaderboard and has no runs; "
        f"name {reference}/results.csv"
    )


@pytest.mark.parametrize("column", REQUIRED)
def test_a_missing_column_is_named(write, column):
    row = minimal()
    del row[column]
    cure = f"'{column}': name the file that a run wrote"  # no other column stands in for it
    with pytest.raises(UserError, match=f"line 1: has no column {column}; {cure}"):
        read_results(write(row))
    near = f"{column}s"
    with pytest.raises(UserError, match=f"'{column}': did you mean '{near}'?"):
        read_results(write(row | {near: "1"}))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "is not UTF-8 text"),
        (b"\x00\x01\x02", "is no results CSV: it has none of the columns"),
        (",".join(REQUIRED).encode(), "has a header but no rows"),
        (b"a,b,a\n1,2,3\n", "has column 'a' twice"),
        (b"a,b\n1,2\n1,2,3\n", "line 3: has 3 cells, the header has 2"),
        (b"a;b\n1;0,2\n", "line 1: has semicolons between its columns; write it with commas: pd."),
        (b"a\tb\n1\t2\n", "line 1: has tabs between its columns; write it with commas: pd.read"),
        (b'a,b\n1,"2\n', "is no CSV"),
        (b"ab\n" + b"x" * 200_000 + b"\n", "is no CSV"),
    ],
)
def test_a_file_that_is_no_results_table_is_refused(tmp_path, content, what):
    path = tmp_path / "odd.csv"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_results(path)
    assert str(path) in str(caught.value)
    assert what in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_results(tmp_path / "none.csv")
    with pytest.raises(UserError, match="is a folder"):
        read_results(tmp_path)


def test_any_table_of_known_columns_is_read_as_strictly(write):
    kinds = {"name": str, "size": int, "score": float}
    frame = read_table(write({"name": "NA", "size": "3", "score": ""}), kinds, ["score"])
    assert frame["name"].tolist() == ["NA"]
    assert frame["size"].tolist() == [3]
    assert frame["score"].isna().tolist() == [True]
    with pytest.raises(UserError, match=r"column score: must be a finite number, it is empty"):
        read_table(write({"name": "NA", "size": "3", "score": ""}), kinds)


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "marked"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL], ids=["bare", "quoted"])
def test_a_table_is_known_however_a_spreadsheet_wrote_it(
    tmp_path: Path, mark: str, quoting: int
) -> None:
    path = tmp_path / "results.csv"
    pd.DataFrame(columns=["notes", *REQUIRED]).to_csv(path, index=False, quoting=quoting)
    path.write_text(mark + path.read_text())
    assert holds_results(path)
    path.write_text(mark + "date,mse,mae\n")
    assert not holds_results(path)
