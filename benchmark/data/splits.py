"""Where train, validation and test begin and end."""

from __future__ import annotations

from math import isclose
from typing import Literal

from pydantic import model_validator

from benchmark.config import Strict

SplitName = Literal["train", "val", "test"]


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
            if sum(parts) == 100:
                raise ValueError("counts of rows add up to 100, as percents do: write 0.7 for 70%")
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
            raise ValueError(f"the splits need {test_stop} rows, but there are {rows}")
        for name, part in borders.items():
            if not part:
                raise ValueError(f"the {name} split is empty: of {rows} rows none is left for it")
        return borders
