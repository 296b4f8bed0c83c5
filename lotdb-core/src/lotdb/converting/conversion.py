"""Copying a database commit by commit, and comparing the copy."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ZODB.Connection import TransactionMetaData
from ZODB.utils import p64, u64, z64

from lotdb.backups.appearing import appearing, refuse_existing
from lotdb.converting.convert_report import ConvertReport, Progress
from lotdb.converting.moved_arrays import Arrays
from lotdb.converting.source_commits import Commit, all_commits, newest
from lotdb.database import LOTDB
from lotdb.database.choosing import Where, choose, mark, where_is
from lotdb.database.moments import open_moment
from lotdb.errors import DamagedError, DatabaseExistsError, not_left_out, system_errors
from lotdb.interfaces.storage import Storage
from lotdb.node_api.nodes import BaseNode
from lotdb.queries.diff import diff
from lotdb.segments.backends import Backends
from lotdb.storage.snapshots import FIRST
from lotdb.storage.syncing import sync_folder, sync_path

__all__ = ["Copy", "copy_to"]


class _Everything:
    """Stands for a connection that sees the first commit, so that no pack drops what is being copied."""

    tree: Any = None  # which nobody asks for of one that is not open
    is_open = False
    is_closed = False
    oldest: bytes = p64(u64(FIRST) + 1)
    held = oldest


class _Copy(LOTDB):
    """The copy, which may not be marked as whole yet."""

    _building = True


@dataclass(frozen=True)
class Copy:
    """Where the copy is, as ``LOTDB`` takes it."""

    path: Any
    name: str
    storage: str | None
    payloads: Any
    backends: Mapping[str, Mapping[str, Any]] | None


def copy_to(
    source: LOTDB, copy: Copy, *, history: bool, verify: bool, progress: Progress | None
) -> ConvertReport:
    """See ``lotdb.convert``."""
    told = progress or _nothing
    source.plugins.check_settings(copy.backends)
    where = where_is(copy.path, copy.name, copy.payloads, option="target")
    if where.url:
        return _build(source, copy, history, verify, told)
    path = where.absolute
    refuse_existing(path)
    with system_errors("the copy cannot be written", path), appearing(path, "convert") as folder:
        report = _build(source, replace(copy, path=folder), history, verify, told)
        _sync_all(folder)
    return report


def _sync_all(folder: str) -> None:
    """Put all that is in *folder* on the disk."""
    for path, _, names in os.walk(folder, topdown=False, onerror=not_left_out):
        for name in names:
            sync_path(os.path.join(path, name))
        sync_folder(path)


def _build(source: LOTDB, copy: Copy, history: bool, verify: bool, told: Progress) -> ConvertReport:
    with _kept(source) as last:

        def check() -> None:
            if not verify:
                return
            session = open_moment(source, last.hex())
            try:
                _compare(source, session.root, copy, told)
            finally:
                session.close()

        with _filling(source, copy) as (kind, where):
            report = _fill(source, copy, kind, where, last, history, told)
            mark(kind)
            if where.url:
                check()  # what is not the same is never opened as a database
            kind.created()
        if not where.url:
            check()
    return report


@contextlib.contextmanager
def _kept(source: LOTDB) -> Iterator[bytes]:
    """The last commit of *source*; no pack drops anything meanwhile."""
    everything = _Everything()
    source._register(everything)
    source._hold_snapshots()
    try:
        source._follow()
        yield source._storage.last_commit()
    finally:
        source._forget(everything)
        source._hold_snapshots()


# -- filling --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _filling(source: LOTDB, copy: Copy) -> Iterator[tuple[Storage, Where]]:
    """The storage of the copy, which is opened, and has nothing in it; and where it is."""
    where = where_is(copy.path, copy.name, copy.payloads, option="target")
    kind = choose(
        source.plugins,
        where,
        copy.storage,
        new=True,
        read_only=False,
        durability="full" if where.url else "process",  # a folder is put on the disk at the end
        timeout=None,
        building=True,
    )
    target = kind.begin()
    try:
        if kind.last_commit() != z64:
            raise DatabaseExistsError(
                f"{where.shown} has commits already, such as those of a conversion that was interrupted; "
                "remove what is there first"
            )
        yield kind, where
    except BaseException:
        kind.abandon()
        raise
    target.close()
    kind.abandon()  # closes what a storage has opened beside that, too


def _fill(
    source: LOTDB, copy: Copy, kind: Storage, where: Where, last: bytes, history: bool, told: Progress
) -> ConvertReport:
    backends = Backends(
        source.plugins,
        os.path.join(where.absolute, where.name),
        read_only=False,
        durable=bool(where.url),
        database_id=source.id,
        configs=copy.backends or {},
        formats={},
        storage=kind.name,
        store=where.store,
        many_writers=kind.many_writers,
        has_blobs=kind.has_blobs,
    )
    try:
        arrays = Arrays(source, backends, has_blobs=kind.has_blobs, payloads=where.noted)
        report = ConvertReport(history=history and hasattr(kind.opened, "restore"))
        _put_all(source, kind, arrays, last, report, told)
        copied = arrays.copy_folders()
        report.arrays = arrays.write(told)
        if where.url:
            for folder in copied:
                _sync_all(folder)
    finally:
        backends.close()
    return report


def _put_all(
    source: LOTDB, kind: Storage, arrays: Arrays, last: bytes, report: ConvertReport, told: Progress
) -> None:
    storage = source._zodb.storage
    total = getattr(storage, "transactions", 0) if report.history else 2
    commits = all_commits(storage, last) if report.history else newest(storage, last)
    with tempfile.TemporaryDirectory(prefix=".lotdb-convert-", dir=_room_for(kind)) as room:
        for commit in commits:
            report.records += _put(kind, commit, arrays, os.path.join(room, "blob"))
            report.commits += 1
            told(report.commits, max(total, report.commits), f"commit {commit.tid.hex()}")


def _room_for(kind: Storage) -> str | None:
    """A folder on the disk of the copy: blobs are renamed into their places."""
    return os.fspath(kind.context.folder) if kind.has_blobs else None


def _put(kind: Storage, commit: Commit, arrays: Arrays, spare: str) -> int:
    target = kind.opened
    made = TransactionMetaData(commit.user, commit.description, b"")
    keeps_ids = hasattr(target, "restore")
    target.tpc_begin(made, commit.tid, commit.status) if keeps_ids else target.tpc_begin(made)
    number = 0
    try:
        for oid, tid, data in commit.records:
            number += 1
            path = None
            if arrays.is_blob(data):
                arrays.note_blob(oid, tid)
                if not kind.has_blobs:
                    continue  # its rows become an array with a name
                path = arrays.blob_file(oid, tid)
            elif data is not None:
                data = arrays.carried(oid, data)
            if path is not None:
                shutil.copyfile(path, spare)
                path = spare
            _store(target, oid, commit.tid, data, path, made, keeps_ids)
        target.tpc_vote(made)
    except BaseException:
        target.tpc_abort(made)
        raise
    target.tpc_finish(made)
    return number


def _store(
    target: Any, oid: bytes, tid: bytes, data: bytes | None, path: str | None, made: Any, keeps_ids: bool
) -> None:
    if keeps_ids:
        if path is None:
            target.restore(oid, tid, data, "", None, made)
        else:
            target.restoreBlob(oid, tid, data, path, None, made)
    elif data is not None:
        if path is None:
            target.store(oid, z64, data, "", made)
        else:
            target.storeBlob(oid, z64, data, path, "", made)


# -- comparing ------------------------------------------------------------------------------------


def _compare(source: LOTDB, root: BaseNode, copy: Copy, told: Progress) -> None:
    """Raise ``DamagedError`` unless the copy can be read, and is the same as *source*."""
    with _Copy(
        copy.path,
        name=copy.name,
        read_only=True,
        payloads=copy.payloads,
        backends=copy.backends,
        plugins=source.plugins,
    ) as made:
        if damage := made.verify():
            raise DamagedError(f"the copy is not whole: {damage[0].path or '.'}: {damage[0].reason}")
        told(1, 2, "what was read")
        with made.connection() as copied:
            for each in diff(root, copied):
                raise DamagedError(f"the copy is not the same: {each}")
        if made.id != source.id:
            raise DamagedError(f"the copy has the id {made.id}, and not {source.id}")
        told(2, 2, "what was compared")


def _nothing(done: int, total: int, last: str) -> None:
    """What is told to nobody."""
