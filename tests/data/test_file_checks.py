"""Each fault that a data file may have is an error that names its line."""

from __future__ import annotations

import gzip

import pytest
from users_table import written_anew

from benchmark.data.load import load as load_series
from benchmark.errors import UserError

NAN_CELL = "column 'heat': 'NaN' is not a number"
FAULTS = {
    # name: (line to change, its new text, message)
    "empty cell": (3, "2020-01-01 01:00:00,,20", "line 3, column 'load': is empty"),
    "blank cell": (3, "2020-01-01 01:00:00,2, ", "line 3, column 'heat': is empty"),
    "nan": (4, "2020-01-01 02:00:00,3,NaN", f"line 4, {NAN_CELL}"),
    "word": (6, "2020-01-01 04:00:00,5,n/a?", "line 6, column 'heat': 'n/a.' is not a number"),
    "missing marker": (6, "2020-01-01 04:00:00,5,NA", "line 6, column 'heat': 'NA' is not a num"),
    "hex": (6, "2020-01-01 04:00:00,5,0x10", "'0x10' is not a number"),
    "digit groups": (6, "2020-01-01 04:00:00,5,1_000", "'1_000' is not a number"),
    "infinity": (2, "2020-01-01 00:00:00,-inf,1", "line 2, column 'load': '-inf' is infinite"),
    "overflow": (2, "2020-01-01 00:00:00,1e999,1", "line 2, column 'load': '1e999' is infinite"),
    "short line": (4, "2020-01-01 02:00:00,3", "line 4: has 2 cells, the file has 3 columns; mend"),
    "cut last line": (6, "2020-01", "line 6: has 1 cell, .*the file was cut short; delete it and"),
    "long line": (4, "2020-01-01 02:00:00,3,4,5", "line 4: has 4 cells, the file has 3 columns"),
    "long first line": (2, "2020-01-01 00:00:00,3,4,5", "line 2: has 4 cells, the file has 3 col"),
    "blank line": (4, "", "line 4: is blank; delete the line"),
    "open quote": (4, '2020-01-01 02:00:00,"3,4', "line 6: is not CSV"),
    "no time": (4, ",3,4", "line 4, column 'date': is empty; write e.g. 2016-07-01"),
    "odd time": (4, "noon,3,4", "line 4, column 'date': 'noon' is no time to the second"),
    "impossible": (4, "2020-02-30 02:00:00,3,4", "line 4, column 'date': '2020-02-30 02:00:00' is"),
    "milliseconds": (4, "2020-01-01 02:00:00.5,3,4", "line 4, .* is no time to the second"),
    "time zone": (4, "2020-01-01 02:00:00+13:00,3,4", "line 4, .*13:00' has a time zone"),
    "twice": (4, "2020-01-01 01:00:00,3,4", "line 4, .*01:00:00 stands there twice; mend the file"),
    "backward": (
        5,
        "2020-01-01 01:30:00,3,4",
        "line 5, .*01:30:00 stands after .*02:00:00.*; sort",
    ),
    "uneven": (4, "2020-01-01 02:30:00,3,4", "line 4, .*02:30:00 is 1:30:00 after .*, not h; mend"),
    "bad byte": (5, "2020-01-01 03:00:00,\xff,4", r"line 5: is not utf-8 text \(byte 0xff\)"),
    "first time": (2, "01/02/2020 00:00,1,2", "line 2, column 'date': '01/02/2020 00:00' is no"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_its_line(fault, make_card, write, rows):
    line, text, message = FAULTS[fault]
    rows[line - 1] = text
    path = write(("\n".join(rows) + "\n").encode("latin-1"))
    with pytest.raises(UserError, match=message) as caught:
        load_series(make_card())
    assert str(caught.value).startswith(f"{path}: line ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("fault", ["empty cell", "short line", "bad byte", "cut last line"])
def test_lines_are_counted_from_one_where_there_is_no_header(fault, make_card, write, rows):
    line, text, _ = FAULTS[fault]
    rows[line - 1] = text
    lines = [row.partition(",")[2] if "," in row else "5" for row in rows[1:]]
    write(("\n".join(lines) + "\n").encode("latin-1"))
    with pytest.raises(UserError, match=f"line {line - 1}[:,]"):
        load_series(make_card(header=False, time_column=None, start="2020-01-01"))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            "day,load,heat",
            "line 1: time column 'date' is missing .did you mean 'day'.*; correct the header",
        ),
        ("x,load,heat", "time column 'date' is missing .known: x.; correct the header"),
        ("load,heat", "time column 'date' is missing; correct the header, or time_column in the"),
        ("date,laod,heat", "channel 'load' is missing; did you mean 'laod'"),
        ("date,load", "line 1: channel 'heat' is missing"),
        ("date,load,heat,rain", "line 1: column 'rain' is not in the card; add it to channels or"),
        ("date,load,load", "line 1: names column 'load' twice"),
        (
            "date;load;heat",
            "line 1: has no comma: 'date;load;heat'; mend it: benchmark",
        ),
        ("", "line 1: is empty; delete it and fetch it again, or write it anew"),
        ("<!DOCTYPE html>", "line 1: is a web page, not a CSV file"),
        ("\x1f\x8b\x08,a", "line 1: is binary data, not text"),
        ("d\0te,load,heat", "line 1: is binary data, not text"),
        (
            "date,lo\xe4d,heat",
            "line 1: is not utf-8 text .byte 0xe4.; write it as utf-8, or state its",
        ),
        ('date,"load,heat', "line 1: is not CSV"),
    ],
)
def test_a_header_that_is_not_the_cards_is_named(header, message, make_card, write, rows):
    rows[0] = header
    write(("\n".join(rows) + "\n").encode("latin-1"))
    with pytest.raises(UserError, match=message):
        load_series(make_card())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1: is empty"),
        (b"date,load,heat\n", "holds no rows"),
        (b"date,load,heat", "holds no rows"),
        (bytes(range(256)) * 20, "line 1: is binary data"),
        (b"PK\3\4" + bytes(99), "is a zip archive or a workbook; unpack it, or save its sheet as"),
        (b"\xd0\xcf\x11\xe0" + bytes(99), "line 1: is a workbook of Excel; save its sheet as CSV"),
        (b'{"date": {"0": 1}}', "line 1: is JSON, not a CSV file; write it as CSV, a row for"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "line 1: is not utf-8 text"),
        (b"a" * 2_000_000, "line 1: "),
    ],
)
def test_a_file_that_is_no_csv_is_named(content, message, make_card, write):
    write(content)
    with pytest.raises(UserError, match=message):
        load_series(make_card())


def test_a_gzip_that_breaks_off_is_named(make_card, write, rows):
    whole = gzip.compress(("\n".join(rows) + "\n").encode())
    for length in (5, 20, len(whole) - 6):
        write(whole[:length], "toy.csv.gz")
        with pytest.raises(UserError, match="is not a whole gzip file"):
            load_series(make_card())


def test_a_column_of_true_and_false_is_no_number_but_zeros_and_ones_are(make_card, write, rows):
    write([rows[0], *(f"{row.rpartition(',')[0]},True" for row in rows[1:])])
    with pytest.raises(UserError, match="line 2, column 'heat': 'True' is not a number"):
        load_series(make_card())
    write([rows[0], *(f"{row.rpartition(',')[0]},{i % 2}" for i, row in enumerate(rows[1:]))])
    assert load_series(make_card()).values[:, 1].tolist() == [0, 1, 0, 1, 0]


def test_a_wrong_number_of_channels_is_named(make_card, write, rows):
    write(rows)
    with pytest.raises(UserError, match="line 1: names 2 channels, the card says 3"):
        load_series(make_card(channels=3))
    with pytest.raises(UserError, match="line 1: has 3 columns, the card names 2 channels"):
        load_series(make_card(header=False, time_column=None, start="2020-01-01"))


def test_a_declared_encoding_is_used(make_card, write, rows):
    write("\n".join(rows).replace("heat", "w\xe4rme").encode("latin-1"))
    assert load_series(make_card(channels=["load", "wärme"], encoding="latin-1")).values.size == 10


def test_a_byte_order_mark_is_no_part_of_the_first_cell_where_there_is_no_header(
    make_card, write, rows
):
    lines = [f"{i % 2}.0,{row.partition(',')[2]}" for i, row in enumerate(rows[1:])]
    text = "\n".join(lines) + "\n"
    write(b"\xef\xbb\xbf" + text.encode())
    fields = {"header": False, "time_column": None, "start": "2020-01-01"}
    card = make_card(channels=["on", "load", "heat"], **fields)
    assert load_series(card).values[:, 0].tolist() == [0, 1, 0, 1, 0]
    write(text.replace("1.0,2.5", "\ufeff1.0,2.5").encode())  # anywhere else it is a fault
    with pytest.raises(UserError, match=r"line 2, column 'on': .* is not a number"):
        load_series(card)


def test_declared_irregular_steps_must_be_exact(make_card, write, rows):
    rows[3] = rows[3].replace("02:00", "01:00")  # stands twice, and two hours follow
    write(rows)
    assert len(load_series(make_card(irregular_steps=2)).values) == 5
    for declared in (1, 3):
        with pytest.raises(UserError, match="has 2 steps that are not h; its card declares"):
            load_series(make_card(irregular_steps=declared))
    rows[4] = rows[4].replace("03:00", "00:30")  # but never back in time
    write(rows)
    with pytest.raises(UserError, match="not in time order"):
        load_series(make_card(irregular_steps=3))


def test_a_file_too_short_for_its_splits_is_named_every_time(make_card, write, rows):
    write(rows)
    card = make_card(splits={"train": 4, "val": 1, "test": 1})
    for _ in range(2):  # the second time from the cache
        with pytest.raises(UserError, match=r"toy\.csv: is too short: the splits need 6 rows"):
            load_series(card)


@pytest.mark.parametrize("zone", ["Z", "+00:00", " +0000", "-00", ".000Z"])
def test_times_that_are_all_in_utc_are_read_as_utc(zone, make_card, write, rows):
    write(rows)
    plain = load_series(make_card())
    write([rows[0], *(row.replace(",", f"{zone},", 1) for row in rows[1:])])
    assert load_series(make_card()).digest == plain.digest
    zones = [zone, zone, "", zone, zone]
    write([rows[0], *(r.replace(",", f"{z},", 1) for r, z in zip(rows[1:], zones, strict=True))])
    with pytest.raises(UserError, match=r"line 2, column 'date': .* has a time zone"):
        load_series(make_card())


def test_the_cure_for_a_time_zone_mends_the_night_a_clock_is_put_back(make_card, write):
    hours = ["02:00:00+02:00", "02:00:00+01:00", "03:00:00+01:00", "04:00+01:00", "05:00+01"]
    lines = [f"2024-10-27 {hour},{n},{n}" for n, hour in enumerate(hours)]
    write(["date,load,heat", *lines])
    with pytest.raises(UserError, match=r"line 2, column 'date': .*\+02:00' has a") as caught:
        load_series(make_card())
    assert caught.value.cure.startswith("write all times in UTC: benchmark datasets mend ")
    times = load_series(make_card(file=written_anew(caught.value.cure).name)).timestamps
    assert [str(time)[11:13] for time in times] == ["00", "01", "02", "03", "04"]
