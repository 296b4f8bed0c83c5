"""What payloads read from in any thread: without the connection that they were found through.

A payload's segments never change once they are written, and several threads may call a backend at once. What
ties a payload to its connection's thread is what ZODB loads when it is touched: blobs, and records of
checksums or of rows. Here they are looked up once, in that thread, and copies are kept that load nothing, or
load it without the connection.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from ZODB.blob import Blob
from ZODB.POSException import POSError

from lotdb.errors import DamagedError, UnsupportedValueError
from lotdb.records import Box, Rows
from lotdb.segments.blocks import sums_of
from lotdb.segments.in_records import LoadedRows, bytes_in
from lotdb.segments.layout import Array, Layout, Segment
from lotdb.segments.payload_record import PayloadRecord
from lotdb.segments.reader import Reader, ShortWay

if TYPE_CHECKING:
    from lotdb.interfaces.backend import Backend
    from lotdb.tree.tree import Tree

__all__ = ["Unbound", "UnboundNode"]


class _Source(NamedTuple):
    """Where the rows of a locator are."""

    locator: Any  # that loads nothing
    backend_name: str
    original: Any
    stage: Reader  # which knows the backends, and what was undone
    where: str  # tells its rows from those of all other locators
    held: Array | None = None  # rows that wait to be written

    @property
    def backend(self) -> Backend:
        """The open backend; any thread may open it."""
        return self.stage.backend_for(self.backend_name, self.locator)

    def check(self) -> None:
        """Raise ``StaleNodeError`` if what has written the rows was undone."""
        self.stage.check_not_undone(self.original)


class Unbound:
    """Stands in place of the tree of payloads that any thread may read.

    As long as it lives, and its connection is open, a pack leaves what it reads from.

    Parameters
    ----------
    tree
        The tree of the payloads, whose thread this is.
    """

    def __init__(self, tree: Tree) -> None:
        tree.check()
        self._tree = tree
        self.plugins = tree.plugins
        self.decode_options = tree.decode_options
        self._here = threading.local()
        # By the locator, or the identity of one that is an object.
        self._sources: dict[Any, _Source] = {}
        self._originals: dict[Any, _Source] = {}
        self._waiting: dict[tuple[Any, int], Segment] = {}  # by the locator and the first row
        self._sums: dict[int, tuple[Box, bytes]] = {}
        self._staged: list[tuple[Blob, Blob]] = []  # what is not committed, and its copy
        self._turn = threading.Lock()
        tree.pin(self)

    def __str__(self) -> str:
        return str(self._tree)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise UnsupportedValueError(
            f"what reads from {self} cannot be pickled, because it works in this process only; pickle the "
            "payload or the node, which become references"
        )

    def reference(self, kind: type[Any], keys: tuple[str, ...], payload: Any = None) -> Any:
        """As that of the tree; any thread may call it."""
        return self._tree.reference(kind, keys, payload)

    def check(self) -> None:
        """Raise the right error if the connection is closed; any thread may call it."""
        self._tree.check_open()

    @property
    def stage(self) -> Reader:
        """The calling thread's reader. It remembers what it has checked, and is for one thread at a time."""
        reader: Reader | None = getattr(self._here, "reader", None)
        if reader is None:
            reader = self._here.reader = _ThreadReader(self)
        return reader

    def look_up(self, backend: str, segments: Iterable[tuple[Any, ...]]) -> None:
        """Look up what it takes to read *segments*, in their stored form, so that any thread can free them.

        Call it in the tree's thread.
        """
        for stored in segments:
            # Most small payloads share a pack with one that was looked up already.
            if _name(stored[0]) not in self._originals or (len(stored) > 5 and isinstance(stored[5], Box)):
                self._freed(backend, Segment(*stored))

    def free(self, record: PayloadRecord) -> PayloadRecord:
        """*record* with segments that these readers can read.

        Call it in the tree's thread, or in any if the segments were looked up.
        """
        segments = tuple([self._freed(record.layout.backend, segment) for segment in record.segments])
        return replace(record, segments=segments)

    def source(self, locator: Any) -> _Source:
        """Where the rows of a freed *locator* are."""
        return self._sources[_name(locator)]

    def _freed(self, backend: str, segment: Segment) -> Segment:
        name = _name(segment.locator)
        if (name, segment.first) in self._waiting:
            return self._waiting[name, segment.first]
        sums = segment.sums
        if isinstance(sums, Box):
            if id(sums) not in self._sums:
                self._sums[id(sums)] = (sums, sums_of(segment))
            sums = self._sums[id(sums)][1]
        found = self._originals.get(name)
        if found is None:
            stage = self._tree.stage.keeper_of(segment)
            rows = stage.waiting(segment)
            if rows is not None:
                where = f"waiting-{len(self._sources)}-{_digest(rows.tobytes())}"
                self._sources[where] = _Source(where, backend, segment.locator, stage, where, rows)
                freed = segment._replace(locator=where, first=0, sums=sums)
                self._waiting[name, segment.first] = freed
                return freed
            locator, where = segment.locator, str(segment.locator)
            if isinstance(locator, Blob):
                locator, where = self._copied(locator)
            elif isinstance(locator, Rows):
                locator = self._loaded(locator, stage)
                where = locator.where
            found = _Source(locator, backend, segment.locator, stage, where)
            self._originals[name] = self._sources[_name(locator)] = found
        return segment._replace(locator=found.locator, sums=sums)

    def _copied(self, blob: Blob) -> tuple[Blob, str]:
        blob._p_activate()
        copy = Blob()  # in no database, so it loads nothing
        _put_file(blob, copy)
        if not _is_final(copy):
            self._staged.append((blob, copy))
        return copy, str(copy._p_blob_uncommitted or copy._p_blob_committed)

    def _loaded(self, record: Rows, stage: Reader) -> LoadedRows:
        found = self._tree.loader(record)
        if found is not None:
            load, find = found
            return LoadedRows(load, f"record-{record._p_oid.hex()}", find)
        rows = bytes_in(record)

        def held() -> bytes:
            stage.check_not_undone(record)
            return rows

        return LoadedRows(held, f"waiting-{len(self._sources)}-{_digest(rows)}")

    def follow(self) -> bool:
        """Note where files have moved, as a commit and a savepoint do with new ones; whether there were any.

        The connection calls it after these. Other threads may call it, too, and see what needs no loading.
        """
        moved = False
        with self._turn:
            for blob, copy in list(self._staged):
                if self._tree.is_here() and blob._p_jar is not None:
                    with suppress(POSError):  # it was never stored; who reads it says so
                        blob._p_activate()
                moved |= _put_file(blob, copy)
                if _is_final(copy):
                    self._staged.remove((blob, copy))
        return moved


def _put_file(blob: Blob, copy: Blob) -> bool:
    """Give *copy* the file of *blob*, if that is known; whether it had another one."""
    committed, uncommitted = blob._p_blob_committed, blob._p_blob_uncommitted
    if committed and not uncommitted and not committed.endswith(".blob"):
        committed, uncommitted = None, committed  # of a savepoint: for all others it is not committed
    there = copy._p_blob_committed, copy._p_blob_uncommitted
    if (committed, uncommitted) in ((None, None), there):
        return False
    copy._p_blob_committed, copy._p_blob_uncommitted = committed, uncommitted
    return True


def _name(locator: Any) -> Any:
    return locator if isinstance(locator, str) else id(locator)


def _is_final(blob: Blob) -> bool:
    return not blob._p_blob_uncommitted and str(blob._p_blob_committed).endswith(".blob")


class _ThreadReader(Reader):
    """Reads freed segments, for one thread."""

    def __init__(self, unbound: Unbound) -> None:
        super().__init__(unbound._tree.stage.backend_of)
        self._unbound = unbound
        self._keepers: dict[int, Reader] = {}

    def read_into(self, layout: Layout, segments: tuple[Segment, ...], first: int, out: Array) -> None:
        self._unbound.follow()
        try:
            super().read_into(layout, segments, first, out)
        except DamagedError:
            self._check(segments)
            if not self._unbound.follow():  # a commit may have moved a file at this very moment
                raise
            super().read_into(layout, segments, first, out)

    def read_box(
        self, layout: Layout, segments: tuple[Segment, ...], box: tuple[slice, ...], out: Array
    ) -> None:
        try:
            super().read_box(layout, segments, box, out)
        except DamagedError:
            self._check(segments)
            raise

    def _short_way(self, record: PayloadRecord, segment: Segment) -> ShortWay | None:
        source = self._unbound.source(segment.locator)
        # What waits to be written, or to be committed, has no place for good.
        if source.held is not None or (isinstance(source.locator, Blob) and not _is_final(source.locator)):
            return None
        return self._keeper(segment.locator)._short_way(record, segment)

    def _check(self, segments: tuple[Segment, ...]) -> None:
        for segment in segments:
            self._unbound.source(segment.locator).check()

    def _keeper(self, locator: Any) -> Reader:
        source = self._unbound.source(locator)
        stage = source.stage
        keeper = self._keepers.get(id(stage))
        if keeper is None:
            keeper = self._keepers[id(stage)] = Reader(stage.backend_of)
        if source.held is not None:
            source.check()
            keeper.hold(locator, source.held)
        return keeper


class UnboundNode:
    """Stands in place of the node of such payloads: its path, for messages."""

    __slots__ = ("_container", "_key", "_tree", "_where")

    def __init__(self, path: str, unbound: Unbound) -> None:
        self._tree = unbound
        self._container, self._key = object(), ""  # it has no neighbours that could be read ahead
        self._where = path

    def _path(self) -> str:
        return self._where

    def _keys(self) -> tuple[str, ...]:
        return tuple(self._where.split("/")) if self._where else ()

    def _top(self) -> UnboundNode:
        return self

    def _place(self) -> str:
        return f"node {self._where!r}" if self._where else "the root"


def _digest(rows: bytes) -> str:
    from hashlib import blake2b  # which loads OpenSSL

    return blake2b(rows, digest_size=16).hexdigest()
