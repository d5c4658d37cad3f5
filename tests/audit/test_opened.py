"""Which files of a data set are opened while somebody watches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmark.audit.opened import watch_opened


def test_files_are_noticed_by_name_wherever_they_lie_and_only_while_watched(tmp_path: Path) -> None:
    (tmp_path / "series.csv").write_text("1")
    np.arange(3.0).tofile(tmp_path / "series.csv-cache.f8")
    (tmp_path / "other.csv").write_text("1")
    with watch_opened("series.csv") as seen:
        (tmp_path / "other.csv").read_text()
        assert seen == []
        (tmp_path / "series.csv").read_bytes()
        np.memmap(tmp_path / "series.csv-cache.f8", mode="r")
        with pytest.raises(FileNotFoundError):
            (tmp_path / "series.csv-nowhere").read_bytes()
    (tmp_path / "series.csv").read_text()
    assert [Path(path).name for path in seen] == [
        "series.csv", "series.csv-cache.f8", "series.csv-nowhere",
    ]  # fmt: skip
