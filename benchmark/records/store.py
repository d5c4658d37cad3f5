"""The store: one folder a run, complete or absent, and results.csv rebuilt from the folders.

A run is written aside and renamed into place, so no reader and no crash ever sees half of one. Its
checksums go with it: what the disk has made of it since is found, set aside, and made again.
Because results.csv is derived, it can lose no row to a race. Any number of processes, on any number
of hosts that share the folder, may use one store at once.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path

from benchmark.errors import UserError
from benchmark.files import (
    FULL,
    StorageFault,
    private_name,
    remove,
    storage_fault,
    storage_faults,
    sweep,
    sync,
    sync_tree,
    write_atomically,
)
from benchmark.records import layout
from benchmark.records.checksums import SUMS_FILE, check_folder, write_sums
from benchmark.records.folder import load_record
from benchmark.records.index import INDEX_FILE, current_rows, keep_index, order_of, read_index
from benchmark.records.listing import list_runs
from benchmark.records.record import RunRecord, check_run_id
from benchmark.records.table import write_rows

PUT_ATTEMPTS = 20


def write_record(folder: Path, record: RunRecord) -> None:
    """Write a run's row into the folder that `Store.writing` gave.

    Raises:
        UserError: the disk is full or refuses.
    """
    text = json.dumps(record.model_dump(), indent=2, allow_nan=False, ensure_ascii=False)
    write_atomically(folder / layout.RECORD, text + "\n")


def read_record(folder: Path) -> RunRecord:
    """Read the row that a run's folder holds.

    Raises:
        UserError: there is no such folder, or it is no undamaged run.
    """
    folder = folder.absolute()
    try:
        record = load_record(folder, folder.name)
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        raise UserError(str(folder), what, "name a run's folder") from None
    if record is None:
        raise UserError(str(folder), "no such folder", "name a run's folder")
    return record


def to_stderr(message: str) -> None:
    """Warn of what one run lost, where the others can be gone on with."""
    sys.stderr.write(f"warning: {message}\n")


class Store:
    """The runs in one results folder.

    Args:
        folder: the results folder; made at the first write.
        warn: told, in one line, of each damaged run that was set aside.
    """

    def __init__(self, folder: Path, warn: Callable[[str], None] = to_stderr) -> None:
        self.folder = folder
        self.runs = folder / layout.RUNS
        self._warn = warn

    @contextmanager
    def writing(self, run_id: str, force: bool = False) -> Iterator[Path]:
        """Give a folder to fill; it becomes the run when the block ends, or vanishes if it fails.

        The block must call `write_record`. An earlier run of the same id is replaced, but one that
        is done stays where this one failed or, unless `force` is set, lacks the weights that it
        has. Checksums are added, unless the files were written elsewhere and theirs came with them.

        Raises:
            UserError: the folder cannot be written or the disk is full, also inside the block.
            ValueError: `run_id` is no safe folder name; the block wrote no record, or another's.
        """
        check_run_id(run_id)
        with storage_faults(self.folder):
            self.runs.mkdir(parents=True, exist_ok=True)
            sweep(self.folder)
            sweep(self.runs)
            temporary = self.runs / private_name("writing", run_id)
            temporary.mkdir()
        try:
            yield temporary
            record = _written(temporary, run_id)
            with storage_faults(self.folder):
                if not (temporary / SUMS_FILE).exists():
                    write_sums(temporary)
                sync_tree(temporary)
                self._put_in_place(temporary, record, force)
        except OSError as error:
            remove(temporary)
            if error.errno in FULL:
                raise storage_fault(self.folder, error) from error
            raise
        except BaseException:
            remove(temporary)
            raise

    def is_done(self, run_id: str) -> bool:
        """Say whether a run is there, all of it, and done; one that is damaged is set aside."""
        try:
            record = self._whole(run_id)
        except OSError:
            return False  # it cannot be read, and so runs again
        return record is not None and record.status == "done"

    def records(self) -> list[RunRecord]:
        """Read every run's row, in the order of results.csv; its other files are not looked at.

        A folder that is no run (cut short, foreign, edited) is renamed to ``.damaged-<name>``; one
        that cannot be read at the moment is left as it is. The store's `warn` is told of both.

        Raises:
            UserError: the folder of runs cannot be read.
        """
        return self._read(list_runs(self.runs))

    def rebuild_csv(self) -> Path:
        """Write results.csv from the folders, atomically, in an order that does not vary.

        Raises:
            UserError: the folder cannot be read or written.
        """
        path = self.folder / layout.RESULTS
        known = read_index(self.folder / INDEX_FILE)
        while True:
            listing = list_runs(self.runs)
            files = {name: (self.runs / name / layout.RECORD, listing[name]) for name in listing}
            rows = current_rows(known, files, lambda name: self._read([name]))
            if rows.keys() != listing.keys() and list_runs(self.runs) != listing:
                continue  # a run was replaced or set aside before it could be read
            write_rows(path, (row.text for row in sorted(rows.values(), key=attrgetter("order"))))
            if rows != known:
                keep_index(self.folder / INDEX_FILE, rows)
                known = rows
            # A run that another process finished meanwhile may have been in its results.csv and is
            # not in ours, which just replaced it: look again.
            if list_runs(self.runs) == listing:
                return path

    def csv_of_runs(self) -> Path:
        """Rebuild results.csv to be read only; one that lies there without runs is as it is.

        Raises:
            UserError: there are neither, or the folder cannot be read or written.
        """
        csv = self.folder / layout.RESULTS
        if not list_runs(self.runs):
            if csv.is_file():  # copied or committed by itself
                return csv
            what = "holds no runs" if self.folder.is_dir() else "no such folder"
            cure = "name another, or run a benchmark first"
            if self.folder.name == layout.RUNS and any(self.folder.glob(f"*/{layout.CONFIG}")):
                what, cure = "holds runs itself", f"name the folder above, {self.folder.parent}"
            raise UserError(str(self.folder), what, cure)
        try:
            return self.rebuild_csv()
        except StorageFault as fault:
            if not csv.is_file():
                raise
            what = f"{fault.what}, and is older than the runs"
            raise UserError(str(csv), what, "to read it as it is, name the file itself") from fault

    def _read(self, names: Iterable[str]) -> list[RunRecord]:
        found = []
        for name in names:
            try:
                record = load_record(self.runs / name, name)
            except (UserError, NotADirectoryError) as error:
                self._set_aside(name, str(error))
                continue
            except OSError as error:  # a server's hiccup, too many open files: the run is whole
                self._warn(f"{self.runs / name}: left out, it cannot be read ({error.strerror})")
                continue
            if record is not None:
                found.append(record)
        return sorted(found, key=order_of)

    def _put_in_place(self, temporary: Path, record: RunRecord, force: bool) -> None:
        target = self.runs / record.run_id
        earlier: list[Path] = []
        try:
            for attempts_left in reversed(range(PUT_ATTEMPTS)):
                found = self._earlier(record.run_id)
                lacks = (target / layout.WEIGHTS).exists() > (temporary / layout.WEIGHTS).exists()
                worse = record.status == "failed" or (lacks and not force)
                if found and found.status == "done" and worse:
                    remove(temporary)
                    break
                if found:
                    earlier += self._clear(record.run_id)
                try:
                    temporary.rename(target)
                    break
                except OSError:
                    # Another process put the same run there since: look at that one too.
                    if not attempts_left or not target.exists():
                        raise
            sync(self.runs)
        finally:
            for aside in earlier:  # only now: it tells others that the run is being replaced
                remove(aside)

    def _earlier(self, run_id: str) -> RunRecord | None:
        """Read an earlier run that would be replaced; what is no whole run is kept aside."""
        try:
            return self._whole(run_id)
        except OSError as error:
            self._set_aside(run_id, str(error))
            return None

    def _whole(self, run_id: str) -> RunRecord | None:
        """Read a run and check all of it; None where there is none, a damaged one is set aside.

        Raises:
            OSError: it cannot be read.
        """
        try:
            record = load_record(self.runs / run_id, run_id)
            check_folder(self.runs / run_id)
        except FileNotFoundError:
            return None  # also: another process took it away first
        except UserError as error:
            self._set_aside(run_id, str(error))
            return None
        return record

    def _clear(self, run_id: str) -> list[Path]:
        """Take an earlier run out of the way; return where it is now, if this process did."""
        aside = self.runs / private_name("replaced", run_id)
        try:
            (self.runs / run_id).rename(aside)
        except FileNotFoundError:
            return []  # another process took it away first
        return [aside]

    def _set_aside(self, name: str, why: str) -> None:
        source, aside = self.runs / name, self.runs / f".damaged-{name}"
        if os.path.lexists(aside):
            aside = self.runs / f".damaged-{name}-{secrets.token_hex(4)}"
        try:
            source.rename(aside)
        except FileNotFoundError:
            return  # another process did it first, and said so
        except OSError as error:
            self._warn(f"{source}: no run and left out ({why}); not moved: {error.strerror}")
            return
        self._warn(f"{source}: no run any more, set aside as {aside.name} ({why})")


def _written(folder: Path, run_id: str) -> RunRecord:
    try:
        record = load_record(folder, run_id)
    except UserError as fault:  # the caller's mistake, not the user's
        raise ValueError(f"the record of run {run_id} was not written: {fault}") from None
    assert record is not None
    return record
