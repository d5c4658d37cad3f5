"""A table of semicolons or tabs is told with one line of pandas, and that line mends it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from users_table import written_anew

from benchmark.data.adoption.adopt import propose
from benchmark.data.load import load as load_series
from benchmark.errors import UserError

TIMES = pd.date_range("2024-01-01", periods=24 * 20, freq="h")
VALUES = 1500 + 1000 * np.sin(np.arange(len(TIMES)) / 4).round(3)


def plain(value: float) -> str:
    return f"{value:.3f}"


def comma(value: float) -> str:
    return plain(value).replace(".", ",")


def grouped(value: float) -> str:
    return f"{value:,.3f}".translate({ord(","): ".", ord("."): ","})


def text_of(head: str, time: str, number: Callable[[float], str], mark: str = ";") -> str:
    lines = [f"{when:{time}};{number(value)}" for when, value in zip(TIMES, VALUES, strict=True)]
    return "\n".join([head, *lines]).replace(";", mark) + "\n"


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (text_of("Zeit;kW", "%Y-%m-%d %H:%M", plain), "sep=';'"),
        (text_of("Zeit;kW", "%Y-%m-%d %H:%M", comma), "sep=';', decimal=','"),
        (
            text_of("Zeit;kW", "%d.%m.%Y %H:%M", comma),
            "sep=';', decimal=',', parse_dates=[0], dayfirst=True",
        ),
        (
            text_of("Zeit;Wärme", "%d.%m.%Y %H:%M", grouped),
            "sep=';', encoding='cp1252', decimal=',', thousands='.', parse_dates=[0], "
            "dayfirst=True",
        ),
        (text_of("Zeit;kW", "%d/%m/%Y %H:%M", plain, "\t"), r"sep='\t', parse_dates=[0], dayfirst"),
        (text_of("Time;kW", "%m/%d/%Y %H:%M", plain), "sep=';', parse_dates=[0], index_col"),
        (
            text_of("id;Zeit;kW", "7;%d.%m.%Y %H:%M:%S", comma) + "\n\n",
            "sep=';', decimal=',', parse_dates=[1], dayfirst=True",
        ),
    ],
)
def test_one_line_of_pandas_makes_the_file_readable(
    folder: Path, tmp_path: Path, text: str, options: str
) -> None:
    path = tmp_path / "strom.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError) as caught:
        propose(path)
    error = caught.value
    assert error.where == f"{path}: line 1"
    assert error.what == f"has no comma: {text.splitlines()[0]!r}"
    told = f"mend it: benchmark datasets mend {path}; or with pandas: "
    assert error.cure.startswith(f"{told}pd.read_csv('{path}', {options}")
    table = propose(written_anew(error.cure)).found.table
    assert path.read_bytes() == text.encode("latin-1")
    np.testing.assert_array_equal(table.timestamps, TIMES.to_numpy())
    np.testing.assert_array_equal(table.values[:, -1], VALUES.round(3))


@pytest.mark.parametrize("content", [b"a;b\n", b"a;b", b"a;b\n" + b"1" * 200_000 + b";\n"])
def test_whatever_follows_the_first_line_it_is_told_by_its_separator(make_card, write, content):
    path = write(content)
    with pytest.raises(UserError) as caught:
        load_series(make_card())
    assert str(caught.value) == (
        f"{path}: line 1: has no comma: 'a;b'; mend it: benchmark datasets mend {path}; "
        f"or with pandas: pd.read_csv('{path}', sep=';', index_col=False, low_memory=False)"
        f".to_csv('{path.with_name('toy_clean.csv')}', index=False)"
    )


@pytest.mark.parametrize(("mark", "number"), [(";", comma), ("\t", comma), (";", plain)])
def test_utf_16_and_what_else_is_unlike_a_csv_is_mended_by_one_line(
    folder: Path, tmp_path: Path, mark: str, number: Callable[[float], str]
) -> None:
    """Read with commas, decimal commas make cells without a name, which pandas drops."""
    path = tmp_path / "strom.csv"
    path.write_text(text_of("Zeit;Wärme", "%d.%m.%Y %H:%M", number, mark), encoding="utf-16")
    with pytest.raises(UserError, match="line 1: is UTF-16 text; write it as utf-8") as caught:
        propose(path)
    table = propose(written_anew(caught.value.cure)).found.table
    assert table.channels == ("Wärme",)
    np.testing.assert_array_equal(table.timestamps, TIMES.to_numpy())
    np.testing.assert_array_equal(table.values[:, -1], VALUES.round(3))


@pytest.mark.parametrize("above", ["sep=,", "sales of our shops"])
def test_thousands_in_a_table_of_commas_are_not_taken_for_decimals(
    folder: Path, tmp_path: Path, above: str
) -> None:
    rows = [f'{when:%Y-%m-%d %H:%M},"{1000 + i % 24:,}"' for i, when in enumerate(TIMES)]
    path = tmp_path / "sales.csv"
    path.write_text("\n".join([above, "time,sales", *rows]) + "\n")
    with pytest.raises(UserError, match="line 1: ") as caught:
        propose(path)
    clean = written_anew(caught.value.cure)
    with pytest.raises(UserError, match="a comma between its thousands, or a decimal") as caught:
        propose(clean)
    values = propose(written_anew(caught.value.cure)).found.table.values
    np.testing.assert_array_equal(values[:, 0], 1000 + np.arange(len(TIMES)) % 24)


def test_commas_beside_decimal_points_are_those_of_thousands(folder: Path, tmp_path: Path) -> None:
    rows = [
        f"{when:%Y-%m-%d %H:%M}\t{1000 + i % 24:,}\t{i / 4:.2f}" for i, when in enumerate(TIMES)
    ]
    path = tmp_path / "sales.tsv"
    path.write_text("\n".join(["time\tsales\tprice", *rows]) + "\n")
    with pytest.raises(UserError, match=r"sep='\\t', thousands=',', index_col=False") as caught:
        propose(path)
    values = propose(written_anew(caught.value.cure)).found.table.values
    np.testing.assert_array_equal(values[:, 0], 1000 + np.arange(len(TIMES)) % 24)


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf", b"\xff\xfe", b"\xff\xfe\n", b"\xfe\xff\0"])
def test_a_mark_of_byte_order_alone_is_no_table(content, make_card, write):
    write(content)
    with pytest.raises(UserError, match="line 1: "):
        load_series(make_card())
