"""What the tests of the data room share: a private data folder, a card, a CSV."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmark.config import validate
from benchmark.data.card import DatasetCard

CardMaker = Callable[..., DatasetCard]

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def real_folder() -> Path:
    """The folder with the published files, where this machine has one."""
    named = os.environ.get("BENCHMARK_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "datasets"
    if not folder.is_dir():
        pytest.skip(f"no published data files: {folder} does not exist; set BENCHMARK_DATA")
    return folder


@pytest.fixture(scope="session")
def users_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the tests out of the user's own cache folder."""
    folder = tmp_path_factory.mktemp("users-cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture
def folder(tmp_path: Path, users_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder that is in use; the working directory is elsewhere."""
    data = tmp_path / "data"
    data.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setenv("BENCHMARK_DATA", str(data))
    monkeypatch.chdir(elsewhere)
    return data


@pytest.fixture
def make_card() -> CardMaker:
    """Build a valid card of two hourly channels; keywords replace fields, None removes one."""

    def make(**changes: Any) -> DatasetCard:
        fields: dict[str, Any] = {
            "name": "toy",
            "title": "a toy",
            "file": "toy.csv",
            "licence": "none",
            "citation": "none",
            "frequency": "h",
            "time_column": "date",
            "channels": ["load", "heat"],
            "splits": {"train": 2, "val": 1, "test": 1},
            "season": 2,
        } | changes
        fields = {name: value for name, value in fields.items() if value is not None}
        return validate(DatasetCard, fields, "toy.yaml")

    return make


ROWS = [
    "date,load,heat",
    "2020-01-01 00:00:00,1.5,10",
    "2020-01-01 01:00:00,2.5,20",
    "2020-01-01 02:00:00,3.5,30",
    "2020-01-01 03:00:00,4.5,40",
    "2020-01-01 04:00:00,5.5,50",
]


@pytest.fixture
def rows() -> list[str]:
    """The lines of a right file for `make_card()`."""
    return list(ROWS)


@pytest.fixture
def write(folder: Path) -> Callable[..., Path]:
    """Write lines, or bytes as they are, into the data folder."""

    def write(content: list[str] | bytes, name: str = "toy.csv") -> Path:
        data = content if isinstance(content, bytes) else ("\n".join(content) + "\n").encode()
        path = folder / name
        path.write_bytes(data)
        return path

    return write


@pytest.fixture
def user(folder: Path, tmp_path: Path) -> Path:
    """A folder of a user's files, outside the data folder in use."""
    (tmp_path / "user").mkdir()
    return tmp_path / "user"


@pytest.fixture
def write_csv(user: Path) -> Callable[..., Path]:
    def write(content: pd.DataFrame | Sequence[str], name: str = "my.csv") -> Path:
        path = user / name
        if isinstance(content, pd.DataFrame):
            content.to_csv(path, index=False)
        else:
            path.write_text("\n".join(content) + "\n")
        return path

    return write
