"""Dataset cards: one YAML file says everything that is particular about one data set.

Where the file comes from, what it must look like, how it is split. No other module holds a fact
about a data set, so a new one is a new card and no code. Nothing heavy is imported here: the
command line lists cards while it starts.
"""

from __future__ import annotations

import codecs
import os
import re
from collections import Counter
from datetime import datetime
from math import isclose
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, field_validator, model_validator

from benchmark.config import Positive, Strict, load_yaml, nearest, validate
from benchmark.errors import UserError
from benchmark.places import DATASETS, own_data_folder

SplitName = Literal["train", "val", "test"]

DATA_VARIABLE = "BENCHMARK_DATA"
"""The environment variable that names another folder for data files."""

_UNIT_SECONDS = {"s": 1, "min": 60, "h": 3600, "D": 86400, "W": 604800}


def _plain_name(name: str) -> str:
    """Refuse a name that could leave the folder it is looked up in, or be hidden there."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}", name):
        raise ValueError("is not a plain name of letters, digits, '_', '-' and '.'")
    return name


FileName = Annotated[str, AfterValidator(_plain_name)]

ChannelNames = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]


class Source(Strict):
    """Where a data file comes from, and the checksum of its content.

    Attributes:
        url: address of the file; none where it ships with the project or is the user's own.
        sha256: SHA-256 of the content, in hexadecimal.
        git_blob: git's blob id of the content, where only that was published.
    """

    url: Annotated[str, Field(pattern=r"^https?://\S+$")] | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    git_blob: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None

    @model_validator(mode="after")
    def _one_checksum(self) -> Source:
        if self.sha256 and self.git_blob:
            raise ValueError("give sha256 or git_blob, not both; sha256 is the stronger one")
        return self


class Splits(Strict):
    """Borders of train, validation and test, in time order.

    Either three row counts, used from row 0 on (later rows are unused), or three fractions of all
    rows: then train is ``int(train * rows)``, test the last ``int(test * rows)`` and validation
    what lies between, which is how the field cuts its 70/10/20 data sets (Autoformer's loader).
    """

    train: int | float
    val: int | float
    test: int | float

    @model_validator(mode="after")
    def _all_counts_or_all_fractions(self) -> Splits:
        parts = (self.train, self.val, self.test)
        if all(isinstance(part, int) for part in parts):
            if min(parts) < 1:
                raise ValueError("a row count is 1 or more")
            return self
        if any(isinstance(part, int) for part in parts):
            raise ValueError("mixes row counts and fractions; give three of one kind")
        if min(parts) <= 0 or not isclose(sum(parts), 1.0, abs_tol=1e-9):
            raise ValueError(
                f"fractions are positive and add up to 1, these add up to {sum(parts):g}"
            )
        return self

    def borders(self, rows: int) -> dict[SplitName, range]:
        """Return the rows of each split of a series of `rows` rows.

        Raises:
            ValueError: the series is too short for these splits.

        Example:
            >>> Splits(train=0.7, val=0.1, test=0.2).borders(966)
            {'train': range(0, 676), 'val': range(676, 773), 'test': range(773, 966)}
        """
        if isinstance(self.train, int):
            train_stop, val_stop = self.train, self.train + int(self.val)
            test_stop = val_stop + int(self.test)
        else:
            train_stop, test_stop = int(self.train * rows), rows
            val_stop = rows - int(self.test * rows)
        borders: dict[SplitName, range] = {
            "train": range(0, train_stop),
            "val": range(train_stop, val_stop),
            "test": range(val_stop, test_stop),
        }
        if test_stop > rows:
            raise ValueError(f"the splits need {test_stop} rows, however: rows={rows}")
        for name, part in borders.items():
            if not part:
                raise ValueError(f"the {name} split is empty, however: rows={rows}")
        return borders


class DatasetCard(Strict):
    """One data set.

    Attributes:
        name: how runs and tables call it; also the card's file name.
        title: one line on what was measured.
        file: name of the data file, a CSV or a gzip of one. A copy with ``.gz`` added to the name
            is found as well, and then it is the content that the checksum is about.
        source: address and checksum.
        licence: of the data, or that none is stated.
        citation: what to cite.
        homepage: where the data are described.
        frequency: fixed time step as a pandas offset alias in s, min, h, D or W, e.g. ``15min``.
        irregular_steps: how many steps from one row to the next the published file has that are
            not one `frequency` (a gap, a repeated time). The number must be exact, so a file with
            any other gap is refused still.
        time_column: header of the time column; none where the file has no times.
        start: time of the first row, where the file has no times.
        header: whether the first line names the columns.
        encoding: of the text; one in which ASCII is ASCII.
        channels: their names, in the order of the series; or how many there are, for a wide file
            whose header names them.
        left_out: columns of the file that are no channels; what stands in them is not looked at.
        missing: what an empty cell or an absent time means, see `benchmark.data.missing`.
        interpolate_limit: most values missing in a row that ``missing: interpolate`` fills.
        splits: train, validation and test.
        season: steps in the shortest season, the seasonal naive's and MASE's period.
    """

    name: FileName
    title: str
    file: FileName
    source: Source = Source()
    licence: str
    citation: str
    homepage: str | None = None
    frequency: str
    irregular_steps: Annotated[int, Field(ge=0)] = 0
    time_column: str | None = None
    start: datetime | None = None
    header: bool = True
    encoding: str = "utf-8"
    channels: Annotated[
        Annotated[ChannelNames, Tag("names")] | Annotated[Positive, Tag("count")],
        Discriminator(lambda value: "names" if isinstance(value, list | tuple) else "count"),
    ]
    left_out: tuple[str, ...] = ()
    missing: Literal["error", "interpolate", "mask"] = "error"
    interpolate_limit: Positive | None = None
    splits: Splits
    season: Positive

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str) -> str:
        try:
            keeps_ascii = codecs.encode("a,1\n", encoding) == b"a,1\n"
        except (LookupError, TypeError, ValueError):
            raise ValueError("is no text encoding that Python knows; write utf-8") from None
        if not keeps_ascii:
            raise ValueError("is not a superset of ASCII; convert the file to utf-8")
        return codecs.lookup(encoding).name

    @field_validator("frequency")
    @classmethod
    def _fixed_step(cls, frequency: str) -> str:
        if not re.fullmatch(r"([1-9]\d{0,5})?(s|min|h|D|W)", frequency):
            raise ValueError("is not a fixed step in s, min, h, D or W; write e.g. 15min")
        return frequency

    @field_validator("start", mode="before")
    @classmethod
    def _start_is_a_wall_clock_time(cls, start: str | None) -> datetime | None:
        if start is None:
            return None
        try:
            time = datetime.fromisoformat(start)
        except (TypeError, ValueError):
            raise ValueError("is not a time; write e.g. 1990-01-01 00:00:00") from None
        if time.tzinfo is not None:
            raise ValueError("has a time zone; write the time as the clock showed it")
        return time

    @model_validator(mode="after")
    def _missing_values_have_one_rule(self) -> DatasetCard:
        if (self.missing == "interpolate") != (self.interpolate_limit is not None):
            raise ValueError("missing: interpolate and interpolate_limit go together")
        if self.missing != "error" and self.irregular_steps:
            raise ValueError("irregular_steps needs missing: error; else gaps become missing rows")
        return self

    @model_validator(mode="after")
    def _columns_agree(self) -> DatasetCard:
        if (self.time_column is None) == (self.start is None):
            raise ValueError("give time_column, or start where the file has no times; exactly one")
        if isinstance(self.channels, int):
            if not self.header:
                raise ValueError("a file without a header needs its channels named in the card")
            return self
        times = Counter((*self.channels, *self.left_out))
        repeated = {name for name, count in times.items() if count > 1}
        if repeated:
            raise ValueError(f"channels are named twice: {', '.join(sorted(repeated))}")
        if self.time_column in self.channels:
            raise ValueError(f"'{self.time_column}' is both the time column and a channel")
        if self.time_column is not None and not self.header:
            raise ValueError("a time_column needs a header that names it")
        return self

    @property
    def step_seconds(self) -> int:
        """The time step in seconds."""
        unit = self.frequency.lstrip("0123456789")
        return int(self.frequency.removesuffix(unit) or 1) * _UNIT_SECONDS[unit]

    def reading(self) -> dict[str, Any]:
        """Return the fields that decide what is read from the file, as plain JSON values."""
        fields = {"frequency", "irregular_steps", "time_column", "start", "header", "encoding"}
        return self.model_dump(mode="json", include=fields | {"channels", "left_out", "missing"})


def data_folder() -> Path:
    """Return the folder of the data files: ``$BENCHMARK_DATA``, or the default one.

    Raises:
        UserError: the variable names something that is not a folder.
    """
    named = os.environ.get(DATA_VARIABLE)
    if not named:
        return own_data_folder()
    folder = Path(named).expanduser()
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "no such folder"
        raise UserError(f"{DATA_VARIABLE}={named}", what, "create it or unset the variable")
    return folder


def data_folders() -> list[Path]:
    """Folders in which a card is looked up by name, and its data; the first that has it wins."""
    named, here = os.environ.get(DATA_VARIABLE), Path("datasets")
    return [data_folder(), here, DATASETS] if named else [here, data_folder(), DATASETS]


def list_cards() -> dict[str, Path]:
    """Return the cards that can be named, by name, in alphabetical order."""
    cards: dict[str, Path] = {}
    for folder in reversed(data_folders()):
        cards |= {path.stem: path for path in folder.glob("*.yaml")}
    return dict(sorted(cards.items(), key=lambda item: item[0].lower()))


def find_card(name_or_path: str) -> Path:
    """Return the card's file, given its name (``ETTh1``) or a path that ends in ``.yaml``.

    Raises:
        UserError: there is no such card; names the nearest one.
    """
    if name_or_path.endswith((".yaml", ".yml")):
        return Path(name_or_path)
    cards = list_cards()
    if name_or_path not in cards:
        same = [name for name in cards if name.lower() == name_or_path.lower()]
        hint = f"did you mean '{same[0]}'?" if same else nearest(name_or_path, cards)
        raise UserError(f"dataset '{name_or_path}'", "no such card", hint)
    return cards[name_or_path]


def load_card(name_or_path: str | Path) -> DatasetCard:
    """Read and check one card.

    Raises:
        UserError: there is no such card, or it has a fault; every fault is named.
    """
    path = find_card(str(name_or_path))
    card = validate(DatasetCard, load_yaml(path), str(path))
    if card.name != path.stem:
        what = f"is '{card.name}', the file is called '{path.name}'"
        raise UserError(f"{path}: name", what, "a card is found by its file name: make them equal")
    return card
