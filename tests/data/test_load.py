from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmark.data.card import load_card
from benchmark.data.checksum import verify
from benchmark.data.load import describe
from benchmark.data.load import load as load_series
from benchmark.places import DATASETS

NAMES = sorted(path.stem for path in DATASETS.glob("*.yaml"))
PUBLISHED = {  # rows, channels, first and last time, one value: row, channel, value
    "ETTh1": (17420, 7, "2016-07-01T00", "2018-06-26T19", (1, "OT", 27.78700065612793)),
    "ETTh2": (17420, 7, "2016-07-01T00", "2018-06-26T19", (-1, "HUFL", 38.86800003051758)),
    "ETTm1": (69680, 7, "2016-07-01T00", "2018-06-26T19:45", (-1, "OT", 9.777999877929688)),
    "ETTm2": (69680, 7, "2016-07-01T00", "2018-06-26T19:45", (0, "LULL", 1.3109999895095823)),
    "weather": (52696, 21, "2020-01-01T00:10", "2021-01-01", (0, "SWDR (W/m\ufffd)", 0.0)),
    "exchange_rate": (7588, 8, "1990-01-01", "2010-10-10", (-1, "Singapore", 0.690942)),
    "ILI": (966, 7, "2002-01-01", "2020-06-30", (-1, "OT", 1509928.0)),
}


@pytest.mark.usefixtures("folder")
def test_the_embedded_data_set_loads_anywhere():
    series = load_series(load_card("akl_pedestrians"))
    assert series.values.shape == (14592, 7)
    assert series.channels[4] == "45 Queen Street"
    assert series.timestamps[0] == np.datetime64("2022-01-01T00:00:00")
    assert (np.diff(series.timestamps) == np.timedelta64(1, "h")).all()
    at = {str(time): row for time, row in zip(series.timestamps, series.values.sum(1), strict=True)}
    assert at["2023-01-01T00:00:00"] == 5898  # New Year's first hour, not 2022's last morning
    assert at["2022-09-25T02:00:00"] == 0  # the hour that daylight saving time skips


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_published_files_are_read_as_published(name, real_folder, users_cache, monkeypatch):
    monkeypatch.setenv("BENCHMARK_DATA", str(real_folder))
    card = load_card(name)
    rows, channels, first, last, (row, channel, value) = PUBLISHED[name]
    series = load_series(card)
    assert series.values.shape == (rows, channels)
    assert series.timestamps[0] == np.datetime64(first)
    assert series.timestamps[-1] == np.datetime64(last)
    assert series.values[row, series.channels.index(channel)] == value
    assert np.isfinite(series.values).all()
    assert describe(card)["checksum"] == "sha256 ok"


def test_both_published_copies_of_the_exchange_rates_agree(
    real_folder, users_cache, make_card, monkeypatch
):
    monkeypatch.setenv("BENCHMARK_DATA", str(real_folder))
    if not (real_folder / "exchange_rate.csv").is_file():
        pytest.skip("no exchange_rate.csv here")
    csv = make_card(file="exchange_rate.csv", frequency="D", channels=8)
    ours, theirs = load_series(load_card("exchange_rate")), load_series(csv)
    np.testing.assert_array_equal(ours.values[:, [0, 1, 2, 3, 4, 5, 7, 6]], theirs.values)
    np.testing.assert_array_equal(ours.timestamps, theirs.timestamps)  # there as 1990/1/1 0:00


def test_a_series_holds_what_the_file_says(make_card, write, rows):
    write(rows)
    series = load_series(make_card())
    np.testing.assert_array_equal(series.values[:, 0], [1.5, 2.5, 3.5, 4.5, 5.5])
    np.testing.assert_array_equal(series.values[:, 1], [10, 20, 30, 40, 50])
    assert series.values.dtype == np.float64
    assert series.timestamps.dtype == np.dtype("datetime64[s]")
    assert str(series.timestamps[-1]) == "2020-01-01T04:00:00"
    assert (series.name, series.channels) == ("toy", ("load", "heat"))
    for array in (series.values, series.timestamps):
        assert not array.flags.writeable


def test_channels_are_in_the_cards_order_and_a_count_takes_the_headers(make_card, write, rows):
    write(rows)
    assert load_series(make_card(channels=["heat", "load"])).values[0].tolist() == [10, 1.5]
    counted = load_series(make_card(channels=2))
    assert counted.channels == ("load", "heat")
    assert counted.digest == load_series(make_card()).digest


def test_a_file_without_header_and_times_counts_from_its_start(make_card, write):
    write(["1,2", "3,4", "5,6", "7,8"])
    card = make_card(header=False, time_column=None, start="1990-01-01 00:30", frequency="15min")
    series = load_series(card)
    assert series.values[:, 1].tolist() == [2, 4, 6, 8]
    assert [str(time)[11:] for time in series.timestamps] == [
        "00:30:00",
        "00:45:00",
        "01:00:00",
        "01:15:00",
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.removesuffix(b"\n"),
        lambda text: text.replace(b"1.5", b"1.50").replace(b"10", b"1e1").replace(b",20", b',"20"'),
        lambda text: text.replace(b" 00:00:00", b""),
        lambda text: text.replace(b" 0", b"T0"),
        lambda text: text.replace(b"2020-01-01 0", b"2020/1/1 ").replace(b":00:00", b":00"),
    ],
    ids=["crlf", "bom", "no last line end", "spelling", "date alone", "T", "slashes"],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_the_digest_is_of_the_data_not_of_the_bytes(change, zipped, make_card, write, rows):
    text = ("\n".join(rows) + "\n").encode()
    write(text, "as_is.csv")
    expected = load_series(make_card(file="as_is.csv"))
    changed = change(text)
    write(gzip.compress(changed) if zipped else changed, "toy.csv.gz" if zipped else "toy.csv")
    assert load_series(make_card()).digest == expected.digest


@pytest.mark.parametrize(
    "change", [("1.5", "1.5000000000000002"), (",heat", ",heal"), ("2020-01-01", "2020-01-02")]
)
def test_the_digest_notices_any_change_of_the_data(change, make_card, write, rows):
    write(rows)
    before = load_series(make_card(channels=2)).digest
    write([row.replace(*change) for row in rows])
    assert load_series(make_card(channels=2)).digest != before


FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=st.lists(st.tuples(FLOATS, FLOATS), min_size=5, max_size=12))
def test_any_table_is_read_back_exactly(table, make_card, write):
    times = pd.date_range("2020-01-01", periods=len(table), freq="h")
    lines = [f"{time},{a!r},{b!r}" for time, (a, b) in zip(times, table, strict=True)]
    write(["date,load,heat", *lines])
    first, cached = (load_series(make_card()) for _ in range(2))
    for series in (first, cached):
        assert series.values.tobytes() == np.array(table).tobytes()  # the sign of zero as well
    assert first.digest == cached.digest


def test_describe_says_what_a_data_set_holds(make_card, write, rows):
    path = write(rows)
    told = describe(make_card(season=1))
    assert told == {
        "dataset": "toy",
        "file": str(path),
        "checksum": "none in the card",
        "rows": "5",
        "channels": "2",
        "first": "2020-01-01 00:00:00",
        "last": "2020-01-01 04:00:00",
        "frequency": "h",
        "splits": "train 0-2, val 2-3, test 3-4",
        "digest": load_series(make_card(season=1)).digest,
    }
    assert verify(make_card(season=1), path) == "none in the card"
