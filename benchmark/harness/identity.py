"""What decides the numbers of a run or of a search, as the hash that names its folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from benchmark import __version__
from benchmark.data.task import Task
from benchmark.errors import UserError


def identify(where: str, task: Task, more: Mapping[str, Any]) -> str:
    """Hash the data, its splits, the package's version and what else decides the numbers.

    Args:
        where: the file that all of it came from, for errors.
        task: whose data and splits count.
        more: all else that counts, the model's options and its `source_digest` among it.

    Raises:
        UserError: an option is nothing that could be told apart from another.
    """
    identity = {
        "benchmark": __version__,
        **task.series.identity,
        "splits": {name: [rows.start, rows.stop] for name, rows in task.borders.items()},
        **more,
    }
    try:
        text = json.dumps(identity, sort_keys=True, allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        what = f"has an option that cannot be written down ({error})"
        cure = "take a finite number, a text, a path, a list or a pydantic model for it"
        raise UserError(f"{where}: model", what, cure) from None
    return hashlib.sha256(text.encode()).hexdigest()[:10]


@cache
def code_digest() -> str:
    """Hash of the package's own modules and kernels as they are, whatever version and revision."""
    package = Path(__file__).parents[1]
    files = sorted(source_files(package))
    text = b"".join(f"{file.relative_to(package)}\n".encode() + file.read_bytes() for file in files)
    return hashlib.sha256(text).hexdigest()[:16]


def source_files(folder: Path) -> Iterator[Path]:
    """Find the modules and kernels in a folder of the package and below."""
    for path in folder.rglob("*"):
        # an editor may have a link of its own beside a file, which leads nowhere
        if path.suffix in (".py", ".cpp", ".h") and path.is_file():
            yield path


def _plain(value: Any) -> Any:
    """Put an option of a type that JSON has not into one that it has, the same in every process."""
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, set | frozenset):  # its order is another in each process
        return sorted(to_jsonable_python(value), key=repr)
    return to_jsonable_python(value)
