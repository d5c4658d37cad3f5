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
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, field_validator, model_validator

from benchmark.config import Positive, Strict, nearest, validate
from benchmark.data.frequency import Frequency
from benchmark.data.splits import Splits
from benchmark.errors import UserError, retelling
from benchmark.places import DATASETS, own_data_folder
from benchmark.plain_yaml import load_yaml

PARQUET = (".parquet", ".pq")
DATA_ENDINGS = (".csv", ".csv.gz", *PARQUET)

DATA_VARIABLE = "BENCHMARK_DATA"
"""The environment variable that names another folder for data files."""


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
        frequency: time step, e.g. ``15min`` or ``MS``; see `benchmark.data.frequency`.
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
        Discriminator(lambda value: "names" if isinstance(value, list | tuple | str) else "count"),
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
    def _known_step(cls, frequency: str) -> str:
        return str(Frequency.parse(frequency))

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
    def _a_step_begins_at_the_start(self) -> DatasetCard:
        misfit = "" if self.start is None else self.step.misfit(self.start)
        if misfit:
            raise ValueError(f"start {misfit}")
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
    def step(self) -> Frequency:
        """The time step."""
        return Frequency.parse(self.frequency)

    @property
    def codec(self) -> str:
        """What to decode the text with: UTF-8 may begin with a byte-order mark."""
        return "utf-8-sig" if self.encoding == "utf-8" else self.encoding

    def reading(self) -> dict[str, Any]:
        """Return the fields that decide what is read from the file, as plain JSON values."""
        fields = {"frequency", "irregular_steps", "time_column", "start", "header", "encoding"}
        return self.model_dump(mode="json", include=fields | {"channels", "left_out", "missing"})


def data_folder() -> Path:
    """Return the folder of the data files: ``$BENCHMARK_DATA``, or the default one.

    Raises:
        UserError: the variable names something that is not a folder, or may not be read.
    """
    named = os.environ.get(DATA_VARIABLE)
    if not named:
        return own_data_folder()
    folder = Path(named).expanduser()
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "no such folder"
        raise UserError(f"{DATA_VARIABLE}={named}", what, "create it or unset the variable")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise UserError(f"{DATA_VARIABLE}={named}", "may not be read", "change its permissions")
    return folder


def data_folders() -> list[Path]:
    """Folders in which a card is looked up by name, and its data; the first that has it wins."""
    named, here = os.environ.get(DATA_VARIABLE), Path("datasets")
    return [data_folder(), here, DATASETS] if named else [here, data_folder(), DATASETS]


def places_of(file: str) -> Iterator[Path]:
    """Where a data set's file may lie, plain or gzipped; the first that is there counts."""
    for folder in data_folders():
        yield folder / file
        yield folder / f"{file}.gz"


def card_of(fields: Mapping[str, Any], option: str) -> DatasetCard:
    """Check the fields of a card, of which an option gave one.

    Raises:
        UserError: as `validate`; a fault of that one is told as the option's.
    """

    def tell(fault: UserError) -> UserError:
        where = option if fault.where == option.removeprefix("--") else fault.where
        return UserError(where, fault.what, fault.cure)

    with retelling(tell):
        return validate(DatasetCard, fields, "")


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
        if name_or_path.endswith(DATA_ENDINGS):
            cure = f"make a data set of it: benchmark datasets add {name_or_path}"
            raise UserError(f"dataset '{name_or_path}'", "is a file, not a data set's name", cure)
        hint = nearest(name_or_path, cards)
        for folder in data_folders():
            if (folder / f"{name_or_path}.yml").is_file():
                hint = f"rename {folder / name_or_path}.yml: a card's name ends in .yaml"
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
