"""Building the new database under another name, and giving it its own when it is whole."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator

from lotdb.database import LOTDB
from lotdb.errors import DatabaseBusyError, DatabaseExistsError, system_errors
from lotdb.upgrading.carrying import Progress, copy_all, survey
from lotdb.upgrading.old import OldDatabase, data_file_of
from lotdb.upgrading.report import UpgradeReport

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be removed
    fcntl = None  # type: ignore[assignment]

__all__ = ["build"]

# This file in a folder says that it is ours to remove.
_MARK = "upgrade-under-way"


def build(
    old: str | os.PathLike[str],
    new: str | os.PathLike[str] | None,
    *,
    name: str | None,
    progress: Progress | None,
) -> UpgradeReport:
    """See ``lotdb.upgrade``."""
    data_file = data_file_of(old, name)
    if new is not None:
        _refuse_existing(os.path.abspath(new))
    report = UpgradeReport()
    with OldDatabase(data_file) as source:
        total = survey(source)
        if new is None:
            with tempfile.TemporaryDirectory(prefix="lotdb-upgrade-") as folder:
                _fill(folder, source, total, report, progress)
            return report
        target = os.path.abspath(new)
        with system_errors("the new database cannot be written", target), _place_for(target) as building:
            _fill(building, source, total, report, progress)
            source.check_unchanged()
            _refuse_existing(target)
            os.remove(os.path.join(building, _MARK))
            os.rename(building, target)
            _sync(os.path.dirname(target))
    return report


def _fill(
    folder: str, source: OldDatabase, total: int, report: UpgradeReport, progress: Progress | None
) -> None:
    with LOTDB(folder, new=True) as db:
        copy_all(source, db, total, report, progress)


def _refuse_existing(target: str) -> None:
    if os.path.lexists(target):
        raise DatabaseExistsError(f"{target} exists; name a folder that does not, for the new database")


@contextlib.contextmanager
def _place_for(target: str) -> Iterator[str]:
    """A folder beside *target*, empty but for the mark; what is left there at the end is removed."""
    above, last = os.path.split(target)
    os.makedirs(above, exist_ok=True)
    folder = os.path.join(above, f".{last}.upgrading")
    if os.path.lexists(folder):  # of an upgrade that was killed, or that is under way
        if not os.path.isfile(os.path.join(folder, _MARK)) and os.listdir(folder):
            raise DatabaseExistsError(
                f"{folder} is in the way, and is none that an upgrade left; move it away"
            )
        with _held(folder):
            shutil.rmtree(folder)
    os.mkdir(folder)
    try:
        with _held(folder):
            yield folder
    finally:
        if os.path.isfile(os.path.join(folder, _MARK)):
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _held(folder: str) -> Iterator[None]:
    """While the mark in *folder* is locked by this process."""
    with open(os.path.join(folder, _MARK), "ab") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DatabaseBusyError(
                    f"another upgrade writes to {folder}; wait until it is done"
                ) from None
        yield


def _sync(folder: str) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
