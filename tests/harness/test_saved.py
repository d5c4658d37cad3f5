"""A finished run is found, loaded and used to forecast."""

from __future__ import annotations

import pickle
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from forecasts import CHANNELS, Run, forecast, units
from numpy.typing import NDArray

from benchmark.forecasters.contract import LEVELS
from benchmark.records.checksums import write_sums

ENDS = [LEVELS.index(0.1), LEVELS.index(0.9)]


def ends(table: pd.DataFrame) -> list[NDArray[np.float64]]:
    return [table[[f"{name}_{end}80" for name in CHANNELS]].to_numpy() for end in ("lo", "hi")]


def test_the_scaler_kept_is_that_of_the_train_rows(kept: Run, values: NDArray[np.float64]) -> None:
    mean, scale = units(kept("LastValue"))
    assert mean == pytest.approx(values[:400].mean(axis=0), rel=1e-12)
    assert scale == pytest.approx(values[:400].std(axis=0), rel=1e-12)


@pytest.mark.parametrize(
    ("last", "then"),
    [
        ("2023-12-31 18:00:00", "2023-12-31 19:00:00 2024-01-01 06:00:00"),
        ("2024-02-28 20:00:00", "2024-02-28 21:00:00 2024-02-29 08:00:00"),
        ("2024-03-31 00:00:00", "2024-03-31 01:00:00 2024-03-31 12:00:00"),  # no clock is moved
    ],
)
def test_the_last_value_is_forecast_with_calibrated_ends_at_the_next_times(
    kept: Run, command: Any, new_rows: Any, last: str, then: str
) -> None:
    folder, rows = kept("LastValue"), new_rows(last)
    table = forecast(command, "lastvalue-toy")
    assert list(table) == [
        "date",
        *(f"{c}{end}" for c in CHANNELS for end in ("", "_lo80", "_hi80")),
    ]
    assert f"{table['date'].iloc[0]} {table['date'].iloc[-1]}" == then
    assert (pd.to_datetime(table["date"]).diff().dropna() == pd.Timedelta("1h")).all()
    _, scale = units(folder)
    unit = 1e-6 * scale
    assert (abs(table[list(CHANNELS)].to_numpy() - rows[-1]) < unit).all()
    offsets = np.load(folder / "quantiles.npz")["offsets"][ENDS] * scale
    for end, offset in zip(ends(table), offsets, strict=True):
        assert (abs(end - rows[-1] - offset) < 2 * unit).all()
        assert np.ptp(offset, axis=0).min() > 0  # each step has its own


def test_ridge_forecasts_as_its_equation_says(kept: Run, command: Any, new_rows: Any) -> None:
    folder, rows = kept("Ridge"), new_rows()
    mean, scale = units(folder)
    weight = torch.load(folder / "checkpoint.pt")["weight"].double().numpy()
    z = (rows[-24:] - mean) / scale
    centre = z.mean(axis=0)
    expected = (weight @ (z - centre) + centre) * scale + mean
    table = forecast(command, folder)
    assert (abs(table[list(CHANNELS)].to_numpy() - expected) < 1e-5 * scale).all()


def test_quantile_heads_give_the_ends_in_order(kept: Run, command: Any, new_rows: Any) -> None:
    folder = kept("Linear", training={"epochs": 1, "batch_size": 128, "loss": "quantile"})
    rows = new_rows()
    mean, scale = units(folder)
    weights = torch.load(folder / "checkpoint.pt")
    w, b = (weights[f"wide.map.{name}"][0].double().numpy() for name in ("weight", "bias"))
    heads = (w @ ((rows[-24:] - mean) / scale) + b[:, None]).reshape(len(LEVELS), 12, 3)
    ordered = np.sort(heads + np.load(folder / "quantiles.npz")["offsets"], axis=0)
    table = forecast(command, "linear")
    middle = (table[list(CHANNELS)].to_numpy() - mean) / scale
    assert middle == pytest.approx(heads[LEVELS.index(0.5)], abs=1e-5)
    for end, level in zip(ends(table), ENDS, strict=True):
        assert (end - mean) / scale == pytest.approx(ordered[level], abs=1e-5)


def test_neither_the_data_set_nor_its_card_is_needed(
    kept: Run, command: Any, new_rows: Any, toy: Path
) -> None:
    kept("SeasonalNaive")
    new_rows()
    shutil.rmtree(toy / "datasets")
    assert len(forecast(command, "seasonal")) == 12


def test_few_validation_windows_give_no_interval_and_other_columns_are_left_out(
    kept: Run, command: Any, new_rows: Any, toy: Path, write_dataset: Any
) -> None:
    write_dataset(splits={"train": 400, "val": 19, "test": 150})  # eight windows
    kept("LastValue")
    new_rows()
    frame = pd.read_csv("new.csv")
    frame.insert(1, "note", "dry")
    frame.iloc[:, ::-1].to_csv("new.csv", index=False)
    answer = command("forecast", "lastvalue", "--input", "new.csv", "--output", "out.csv")
    assert answer.code == 0, answer.err
    assert "Note: not read, note\n" in answer.out
    none = "Note: no 80% interval: "
    assert f"{none}the validation windows are too few for 80%, it takes 9 or more\n" in answer.out
    assert list(pd.read_csv("out.csv")) == ["date", *CHANNELS]
    write_dataset(splits={"train": 400, "val": 20, "test": 150})  # nine
    folder = kept("LastValue", name="nine")
    assert len(ends(forecast(command, "nine"))) == 2
    (folder / "quantiles.npz").unlink()
    write_sums(folder)
    answer = command("forecast", "nine", "--input", "new.csv", "--output", "out.csv")
    assert f"{none}the run was kept without quantiles.npz; run it again\n" in answer.out


def test_the_figure_is_drawn(kept: Run, command: Any, new_rows: Any, toy: Path) -> None:
    pytest.importorskip("vl_convert")
    kept("LastValue")
    new_rows()
    forecast(command, "lastvalue", "--plot", "forecast.png")
    assert (toy / "forecast.png").read_bytes().startswith(b"\x89PNG")


def test_a_file_that_does_not_suit_is_one_line(kept: Run, command: Any, new_rows: Any) -> None:
    kept("LastValue")
    words = ("forecast", "lastvalue", "--input", "new.csv", "--output", "out.csv")
    new_rows(step="2h")
    answer = command(*words)
    assert answer.code == 2
    assert answer.err.startswith(
        "error: new.csv: line 19, column 'date': 2023-12-29 22:00:00 is 2:00:00 after "
        "2023-12-29 20:00:00, not h; the model reads rows in time order, frequency h: "
    )
    assert answer.err.count("\n") == 1
    new_rows(rows=23)
    assert command(*words).err == (
        "error: new.csv: holds 23 rows up to its last value, 24 are needed; add earlier rows\n"
    )
    answer = command(*words[:3], "newer.csv", *words[4:])
    assert answer.err.startswith("error: newer.csv: no such file; name a CSV or Parquet file")


def test_a_forecast_that_overflows_is_an_error(kept: Run, command: Any, new_rows: Any) -> None:
    kept("LastValue")
    new_rows()
    text = Path("new.csv").read_text().splitlines()
    text[-1] = "2023-12-31 18:00:00,1e300,0,0"
    Path("new.csv").write_text("\n".join(text))
    answer = command("forecast", "lastvalue", "--input", "new.csv", "--output", "out.csv")
    assert answer.err == (
        "error: new.csv: the forecast is not finite; look for values far from all others\n"
    )
    assert not Path("out.csv").exists()


def test_the_cure_for_a_run_without_weights_is_a_command_that_works(
    kept: Run, command: Any, new_rows: Any
) -> None:
    folder = kept("LastValue", keep=False)
    new_rows()
    answer = command("forecast", "lastvalue", "--input", "new.csv", "--output", "out.csv")
    assert answer.code == 2
    start = f"error: {folder}: was kept without checkpoint.pt; "
    assert answer.err.startswith(start)
    cure = shlex.split(answer.err.removeprefix(start))
    assert cure[:2] == ["benchmark", "run"]
    assert command(*cure[1:]).code == 0
    assert len(forecast(command, "lastvalue")) == 12


def test_a_run_is_named_by_any_beginning_that_only_it_has(
    kept: Run, command: Any, new_rows: Any
) -> None:
    first, second = kept("LastValue", "--seed", "1"), kept("LastValue", "--seed", "2")
    new_rows()
    words = ("--input", "new.csv", "--output", "out.csv")
    answer = command("forecast", "last", *words)
    assert answer.err == (
        f"error: run last: 2 runs begin so; name one: {first.name}, {second.name}\n"
    )
    assert command("forecast", first.name, *words).code == 0
    answer = command("backtest", "lastvlaue-toy")
    assert answer.code == 2
    assert answer.err.startswith("error: run lastvlaue-toy: no such run in ")
    assert "did you mean 'lastvalue-toy" in answer.err


def test_a_run_that_has_lost_its_settings_is_not_said_to_be_made_elsewhere(
    kept: Run, command: Any
) -> None:
    folder = kept("LastValue")
    (folder / "run.yaml").unlink()
    for words in (("backtest",), ("reproduce",), ("export", "--output", "exported")):
        answer = command(words[0], "lastvalue", *words[1:])
        assert answer.err == (
            f"error: {folder}: has lost its run.yaml; give the command that made that run again, "
            "with --force\n"
        )
    assert kept("LastValue", "--force") == folder
    assert command("backtest", "lastvalue").code == 0


class Harm:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("harmed"),)


def test_weights_are_numbers_and_never_code(kept: Run, command: Any, toy: Path) -> None:
    folder = kept("LastValue")
    weights = folder / "checkpoint.pt"
    weights.write_bytes(pickle.dumps(Harm(), protocol=2))
    write_sums(folder)
    answer = command("backtest", "lastvalue")
    assert answer.code == 2
    assert answer.err.startswith(f"error: {weights}: holds no weights of the model that run.yaml ")
    assert answer.err.count("\n") == 1
    assert not (toy / "harmed").exists()


def test_weights_of_another_model_and_damaged_files_are_one_line(kept: Run, command: Any) -> None:
    folder = kept("Ridge")
    (folder / "SHA256SUMS").unlink()  # as of an earlier version
    weights = folder / "checkpoint.pt"
    whole = weights.read_bytes()
    for content in (whole[:100], b"", b"no weights", b"\x80\x02h\x07."):
        weights.write_bytes(content)
        answer = command("backtest", "ridge")
        assert answer.err.startswith(f"error: {weights}: holds no weights"), answer.err
    torch.save({"weight": torch.zeros(2, 2), "penalty": torch.zeros(())}, weights)
    answer = command("backtest", "ridge")
    assert "size mismatch for weight" in answer.err
    assert answer.err.count("\n") == 1
    weights.write_bytes(whole)
    (folder / "quantiles.npz").write_bytes(b"PK")
    assert f"error: {folder / 'quantiles.npz'}: is damaged" in command("backtest", "ridge").err
    (folder / "data.json").write_text("[" * 100_000)
    assert f"error: {folder / 'data.json'}: is not JSON; " in command("backtest", "ridge").err
    (folder / "data.json").write_text("{}")
    answer = command("backtest", "ridge")
    assert f"error: {folder / 'data.json'}: card: is missing; add it\n" in answer.err


def test_gaps_are_read_as_in_training_where_the_data_set_masks_them(
    kept: Run, command: Any, new_rows: Any, write_dataset: Any, values: NDArray[np.float64]
) -> None:
    """Blank cells and an absent row: the last value before, held from before the lookback too."""
    gaps = values.copy()
    gaps[100:103, 1] = np.nan
    write_dataset(values=gaps, missing="mask")
    folder = kept("Ridge")
    rows = new_rows()
    frame = pd.read_csv("new.csv")
    frame.loc[12:18, "load"] = np.nan  # the lookback begins at row 16
    frame.loc[39, "heat"] = np.nan
    frame["wind"] = np.nan  # without a value at all: the mean of the train rows
    frame.drop(index=[30]).to_csv("new.csv", index=False)
    mean, scale = units(folder)
    rows[12:19, 0], rows[39, 1], rows[30], rows[:, 2] = rows[11, 0], rows[38, 1], rows[29], mean[2]
    weight = torch.load(folder / "checkpoint.pt")["weight"].double().numpy()
    z = (rows[-24:] - mean) / scale
    centre = z.mean(axis=0)
    expected = (weight @ (z - centre) + centre) * scale + mean
    answer = command("forecast", folder, "--input", "new.csv", "--output", "out.csv")
    notes = [line for line in answer.out.splitlines() if "has no value" in line]
    what = "has no value in the last 24 rows; the mean of its train rows is read instead"
    assert notes == [f"Note: wind {what}"]  # the others have some
    table = pd.read_csv("out.csv")
    assert table["date"].iloc[0] == "2023-12-31 19:00:00"
    assert (abs(table[list(CHANNELS)].to_numpy() - expected) < 1e-5 * scale).all()
    whole = pd.read_csv("new.csv").assign(wind=1.0)
    whole.loc[whole.index[16:], "wind"] = np.nan
    whole.to_csv("new.csv", index=False)
    answer = command("forecast", folder, "--input", "new.csv", "--output", "out.csv")
    held = f"its last one, of {whole['date'][15]}, is held"
    assert f"wind has no value in the last 24 rows; {held}" in answer.out


def test_gaps_are_filled_where_the_data_set_fills_them(
    kept: Run, command: Any, new_rows: Any, write_dataset: Any
) -> None:
    write_dataset(missing="interpolate", interpolate_limit=2)
    kept("Ridge")
    rows = new_rows()
    whole = pd.read_csv("new.csv")
    whole.drop(index=[30, 31]).to_csv("new.csv", index=False)
    filled = forecast(command, "ridge")
    for row, share in ((30, 1 / 3), (31, 2 / 3)):
        whole.loc[row, list(CHANNELS)] = rows[29] + share * (rows[32] - rows[29])
    whole.to_csv("new.csv", index=False)
    pd.testing.assert_frame_equal(filled, forecast(command, "ridge"))
    whole.drop(index=[30, 31, 32]).to_csv("new.csv", index=False)
    answer = command("forecast", "ridge", "--input", "new.csv", "--output", "out.csv")
    assert answer.err == (
        "error: new.csv: line 32, column 'load': 3 values in a row are missing from "
        "2023-12-31 09:00:00 on; fill them in the file, or leave out all rows up to there\n"
    )
