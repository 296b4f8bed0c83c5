"""Reading what can be read of a damaged database: the story."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import Any

from lotdb.backups.appearing import appearing, refuse_existing
from lotdb.database import LOTDB
from lotdb.database.choosing import refuse_url
from lotdb.database.copied import ReportNote
from lotdb.errors import (
    DamagedError,
    DatabaseFormatError,
    DatabaseNotFoundError,
    FileSystemError,
    InvalidOptionError,
    system_errors,
)
from lotdb.interfaces.options import check_progress
from lotdb.registry.registry import Plugins, check_plugins
from lotdb.salvaging.findings import Progress, SalvageReport
from lotdb.salvaging.found_records import FoundRecords
from lotdb.salvaging.rebuilding import Rebuilding
from lotdb.salvaging.workbench import Workbench
from lotdb.storage import DatabaseFolder
from lotdb.storage.folder import check_path, marked_storage
from lotdb.storage.index import read_index
from lotdb.storage.parts import open_part
from lotdb.storage.transactions import time_of
from lotdb.storage.watermark import Watermark

__all__ = ["salvage_to"]

# Of a pack that did not come to its end: what is in there was in the data file, too.
_OTHERS = (".old", ".pack")


def salvage_to(
    folder: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    name: str,
    progress: Progress | None,
    backends: Mapping[str, Mapping[str, Any]] | None,
    plugins: Plugins | None,
) -> SalvageReport:
    """See ``lotdb.salvage``."""
    check_progress(progress)
    source = DatabaseFolder.at(folder, name, option="folder")
    check_path(target, "target", "a folder that does not exist")
    refuse_url(folder, "a salvage")
    refuse_url(target, "a salvage")
    place = os.path.abspath(target)
    refuse_existing(place)
    if os.path.commonpath([os.path.realpath(source.path), os.path.realpath(place)]) == os.path.realpath(
        source.path
    ):
        raise InvalidOptionError(
            f"{place} lies in the folder of the damaged database; name one outside of it"
        )
    with (
        system_errors("the salvage was not begun", source.marker),
        suppress(DatabaseFormatError, DamagedError),
    ):
        if (storage := marked_storage(source.marker)) not in (None, "file"):
            raise InvalidOptionError(
                f"{source.path} is a database in storage {storage!r}, of which salvage cannot read single"
                " records; bring it back with the tools of that storage, or restore a backup"
            )
    known = check_plugins(plugins)
    known.check_settings(backends)
    report = SalvageReport()
    with ExitStack() as stack, system_errors("the salvage was not finished", place):
        found = _records(source, stack)
        if not found.newest:
            if not os.path.isdir(source.path):  # mistyped: nothing is said of damage
                raise DatabaseNotFoundError(f"there is no folder {source.path}")
            raise DatabaseNotFoundError(f"there is no record to be read in {source.data_file}")
        report.unreadable = found.unreadable
        _note_lost_tail(source, found, report)
        building = stack.enter_context(appearing(place, "salvage"))
        bench = os.path.join(os.path.dirname(building), "found")
        shutil.rmtree(bench, ignore_errors=True)
        try:
            with (
                Workbench.opened(source, found, bench, known, dict(backends or {})) as opened,
                LOTDB(building, name=name, new=True, plugins=known) as db,
            ):
                Rebuilding(opened, found, db, report, progress).run()
        finally:
            shutil.rmtree(bench, ignore_errors=True)
    return report


def _records(source: DatabaseFolder, stack: ExitStack) -> FoundRecords:
    found = FoundRecords()
    index: Any = {}
    with suppress(OSError):  # of which DamagedError is one
        if (known := read_index(source.data_file + ".index")) is not None:
            index = known[0]
    for suffix in ("", *_OTHERS):
        path = source.data_file + suffix
        try:
            descriptor = open_part(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            if isinstance(error, FileSystemError):
                raise
            found.unreadable.append(f"{path}: {error}")
            continue
        stack.callback(os.close, descriptor)
        found.add(path, descriptor, index, is_main=not suffix)
    return found


def _note_lost_tail(source: DatabaseFolder, found: FoundRecords, report: SalvageReport) -> None:
    """Say so if there was a commit after all that was found."""
    try:
        mark = Watermark(source.watermark, read_only=True)
    except OSError:
        return
    mark.close()
    last = max((end.tid for end in mark.ends or ()), default=b"")
    if mark.ends and all(found.last < end.tid for end in mark.ends):
        report.lost.append(
            ReportNote(
                "", "", f"what was committed after {time_of(found.last)}, up to {time_of(last)}, is missing"
            )
        )
