"""``LOTDB.backup``: a consistent copy of a database while it is written."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lotdb.backups.named import Named
from lotdb.backups.payload_files import Payloads
from lotdb.backups.recorded import Recorded, recorded
from lotdb.backups.target import Target
from lotdb.database import LOTDB
from lotdb.database.choosing import refuse_url, without_password
from lotdb.database.copied import BackupReport, Progress
from lotdb.database.opened import Opened
from lotdb.errors import DamagedError, InvalidOptionError, system_errors
from lotdb.segments.backends import Backends
from lotdb.storage import SafeFileStorage
from lotdb.storage.committed import Committed, committed, records_from
from lotdb.storage.durable import Disk, disk_for
from lotdb.storage.folder import DatabaseFolder
from lotdb.storage.snapshots import FIRST

__all__ = ["backup", "check_copy", "check_outside"]

# A pack that was under way when a backup began may take away what that was about to copy. There is only one.
_ATTEMPTS = 5
_NAMED_MISSING = 3


def backup(
    database: LOTDB,
    target: str | os.PathLike[str],
    *,
    verify: bool,
    progress: Progress | None,
    backends: Mapping[str, Mapping[str, Any]] | None,
) -> BackupReport:
    """See ``LOTDB.backup``."""
    refuse_url(target, "a backup")
    place = DatabaseFolder.at(target, database.name, option="target", takes_name=False)
    database.plugins.check_settings(backends)
    configs = dict(backends or {})
    disk = disk_for(database._durability)
    with system_errors("the backup was not finished", place.path):
        check_outside(database, place.path)
        with _held(database), Target.locked(place, disk, database.id) as there:
            report = _copy(database, there, disk, configs, progress)
    _warn(report, place)
    if verify:
        check_copy(database, place.path, configs)
    return report


def check_outside(database: Opened, path: str) -> None:
    """Raise ``InvalidOptionError`` if a copy at *path* would lie in the folder of *database*."""
    if database._where.url:  # it has no folder but that of its payloads, if they are in one
        return
    own = os.path.realpath(database._where.absolute)
    if os.path.commonpath([own, os.path.realpath(path)]) == own:
        raise InvalidOptionError(f"{path} lies in the database's own folder; name one outside of it")


class _Hold:
    """Stands among the connections as one that sees all that was ever committed: so no pack drops any."""

    tree = None
    is_open = False
    oldest = held = (int.from_bytes(FIRST, "big") + 1).to_bytes(8, "big")

    def __init__(self) -> None:
        self.is_closed = False


@contextmanager
def _held(database: Opened) -> Iterator[None]:
    """While packs, of this process or of others, drop nothing."""
    hold: Any = _Hold()
    database._register(hold)
    try:
        database._hold_snapshots()
        yield
    finally:
        hold.is_closed = True
        database._forget(hold)
        database._hold_snapshots()


def _copy(
    database: LOTDB, target: Target, disk: Disk, configs: Mapping[str, Any], progress: Progress | None
) -> BackupReport:
    storage = database._storage.opened
    if not isinstance(storage, SafeFileStorage):
        target.prepare(None)
        with recorded(database, target, _place_in_copy(database, configs)) as found:
            report = _write(database, found, found, target, disk, configs, progress, is_last=True)
        assert report is not None
        return report
    for attempt in range(1, _ATTEMPTS + 1):
        database._follow()
        with committed(storage) as source:
            new = _News(database, source, target)
            is_last = attempt == _ATTEMPTS
            report = _write(database, source, new, target, disk, configs, progress, is_last=is_last)
        if report is not None:
            target.take_index(database._data_file + ".index", source.end)
            return report
    raise AssertionError("unreachable")


def _place_in_copy(database: Opened, configs: Mapping[str, Any]) -> str:
    """What the copy notes of the place for payloads: the store, if arrays stay there; else they are in it."""
    store = database._where.store
    stays = store and any(backend.name not in configs for backend in database._backends.in_use())
    return without_password(store, user=False) if stays else ""


def _write(
    database: LOTDB,
    source: Committed | Recorded,
    new: _News | Recorded,
    target: Target,
    disk: Disk,
    configs: Mapping[str, Any],
    progress: Progress | None,
    *,
    is_last: bool,
) -> BackupReport | None:
    """Copy what is *new* in *source*; None if a pack has taken something away meanwhile."""
    commit = source.end.tid.hex()
    if new.nothing:
        return BackupReport(commit)
    target.prepare(source.end)
    targets = Backends(
        database.plugins,
        target.folder.data_file,
        read_only=False,
        durable=database._durability == "full",
        database_id=database.id,
        configs=configs,
        formats=database._backends.formats,
    )
    try:
        payloads = Payloads(database, target.folder, target.scratch, disk, targets, configs, progress)
        payloads.copy(new.named, new.tree_bytes)
    finally:
        targets.close()
    if payloads.missing and source.is_replaced and not is_last:
        return None
    target.note(source.end)
    write = target.replace if new.replaces else target.append
    write(source, lambda count: payloads.tell(count, target.folder.data_file))
    return BackupReport(
        commit,
        commits=new.commits,
        tree_bytes=new.tree_bytes,
        payload_files=payloads.files,
        payload_bytes=payloads.bytes,
        anew=new.anew,
        left_out=tuple(sorted(payloads.left_out)),
        missing=tuple(payloads.missing),
    )


class _News:
    """What *source* has that *target* does not have, all of it checked.

    Attributes
    ----------
    anew : bool
        Whether all records have to be copied.
    named : Named
        The payloads that the new records name.
    commits, tree_bytes : int
        How many commits are new, and how many bytes of the data file are to be copied.
    """

    def __init__(self, database: Opened, source: Committed, target: Target) -> None:
        self._path = database._data_file
        self._source, self._target = source, target
        self.anew = not (target.is_beginning_of(source) and self._read_rest())
        if self.anew:
            target.check_is_ours(source.end.tid)
            self._read_all()

    @property
    def replaces(self) -> bool:
        """Whether the data file of the copy has to be replaced."""
        return self.anew

    @property
    def nothing(self) -> bool:
        """Whether the copy has all."""
        return not self.anew and self.tree_bytes == 0

    def _read_rest(self) -> bool:
        """Read what follows the copy; False if it does not fit behind that after all."""
        end = self._target.end
        assert end is not None
        self.named, self.commits = Named(), 0
        self.tree_bytes = self._source.end.size - end.size
        for _, is_packed, records in records_from(self._path, self._source.file, end.size):
            if is_packed:  # then the states in between are not whole, and a copy may be interrupted there
                return False
            self.commits += 1
            for record in records:
                self.named.add(record)
        return self._source.end.transactions == end.transactions + self.commits

    def _read_all(self) -> None:
        end = self._target.end
        self.named, self.commits = Named(), 0
        self.tree_bytes = self._source.end.size
        is_known, packed = False, bytes(8)
        for tid, is_packed, records in records_from(self._path, self._source.file, 4):
            is_known = is_known or (end is not None and tid == end.tid)
            self.commits += end is None or tid > end.tid
            packed = tid if is_packed else packed
            for record in records:
                self.named.add(record)
        self._target.refuse_lost(is_known=is_known, packed=packed)


def _warn(report: BackupReport, place: DatabaseFolder) -> None:
    for name in report.left_out:
        _say(
            f"arrays of backend {name!r} lie in a store outside of the database's folder, and were not copied"
            f" to {place.path}; name a store of the copy, as in backends={{{name!r}: {{...}}}}. Until then,"
            " the copy reads them from there, as long as no pack of the database removes them"
        )
    if report.missing:
        some = ", ".join(report.missing[:_NAMED_MISSING])
        others = len(report.missing) - _NAMED_MISSING
        _say(
            f"the database names files that are not there, so they were not copied to {place.path}: {some}"
            f"{f' and {others} more' if others > 0 else ''}; verify() says which nodes they belong to"
        )


def _say(warning: str) -> None:
    warnings.warn(warning, RuntimeWarning, stacklevel=6)


def check_copy(database: LOTDB, folder: str, backends: Mapping[str, Mapping[str, Any]] | None = None) -> None:
    """Raise ``DamagedError`` unless all of the copy of *database* in *folder* can be read."""
    with LOTDB(
        folder, name=database.name, read_only=True, plugins=database.plugins, backends=backends
    ) as copy:
        found = copy.verify(history=True)
    if found:
        first = found[0]
        what = f"payload or attribute {first.name!r} of " if first.name else ""
        raise DamagedError(
            f"the copy in {folder} has {len(found)} damages, first of {what}{first.path or 'the root'!r}:"
            f" {first.reason}; verify() says whether they are those of what was copied"
        )
