"""A read-only storage that sees what another process commits, at the cost of what is new.

The data file only grows, until a pack puts another one in its place. So a reader looks at the file's size,
and takes in the whole transactions behind those that it knows. If there is another file, it opens that one,
with its index. In both cases what connections read at older moments is still there: see
``lotdb.storage.snapshots``.
"""

from __future__ import annotations

import errno
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from ZODB.utils import z64

from lotdb.errors import DamagedError
from lotdb.storage.parts import is_there, open_plain
from lotdb.storage.reading import Descriptor, ReadFile, SteadyReads
from lotdb.storage.recovery import CheckedOpening, Scan
from lotdb.storage.room import begins_room
from lotdb.storage.transactions import DataFile, NotWholeError, Transaction
from lotdb.storage.watermark import End, Watermark

if TYPE_CHECKING:
    from lotdb.storage.snapshots import SnapshotLock

__all__ = ["Following", "identity", "last_acknowledged", "was_packed"]

# For how long the data file may be missing while a pack renames two files.
_RENAME_S = 2.0
_PAUSE_S = 0.002
_BLOCK = 1 << 15  # bytes that are read at once: what is new is mostly little, and room is behind it


class Following(CheckedOpening, SteadyReads):
    """A FileStorage that, opened for reading only, can be brought up to date."""

    _adapter: Any = None
    _checked: set[int]
    _ltid: bytes
    _snapshot_lock: SnapshotLock | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._following = threading.Lock()
        super().__init__(*args, **kwargs)

    def registerDB(self, db: Any) -> None:
        """Remember the database that is told which objects have changed."""
        self._adapter = weakref.ref(db)

    def hold(self, tid: bytes | None) -> None:
        """Keep packs of other processes from dropping what is seen after the transaction *tid*."""
        if self._snapshot_lock is not None:
            self._snapshot_lock.move(tid)

    def follow(self) -> None:
        """See all transactions that are whole by now; for a storage that was opened for reading only.

        Raises
        ------
        DamagedError
            What was committed since is missing or damaged. All stays as it was.
        OSError
            The data file cannot be opened or read.
        """
        with self._following:
            while True:
                there = None
                try:
                    found = os.stat(self._file_name, follow_symlinks=False)
                    there = found.st_dev, found.st_ino
                    known = os.fstat(self._file.fileno())
                    if there != (known.st_dev, known.st_ino):
                        self._take_up_other_file()
                    elif found.st_size > self._pos and not begins_room(
                        self._file.fileno(), self._pos, self._ltid
                    ):
                        self._read_on()
                    return
                except OSError:  # of which DamagedError is one
                    if not was_packed(self._file_name, there):
                        raise

    def _read_on(self) -> None:
        acknowledged = last_acknowledged(self._file_name)
        # After that: a commit between the two may end behind the room that there was.
        new, stopped = self._whole_ones(os.fstat(self._file.fileno()).st_size)
        # What is not whole is being written, unless it was finished before we looked.
        if stopped is not None and self._ltid_after(new) < acknowledged:
            raise DamagedError(f"{self._file_name} is damaged: {stopped}; see what verify() says of it")
        if new:
            self._take_in(new)

    def _ltid_after(self, new: list[Transaction]) -> bytes:
        return new[-1].tid if new else self._ltid

    def _whole_ones(self, size: int) -> tuple[list[Transaction], NotWholeError | None]:
        """The transactions behind those that are known, and why there are no more."""
        new: list[Transaction] = []
        last = self._ltid
        try:
            for transaction in DataFile(self._file.fileno(), size, _BLOCK).transactions(self._pos):
                if transaction.tid <= last:
                    raise NotWholeError(transaction.position, "a transaction is older than the one before it")
                new.append(transaction)
                last = transaction.tid
        except NotWholeError as error:
            return new, error
        return new, None

    def _take_in(self, new: list[Transaction]) -> None:
        with self._files.write_lock():
            self._tell(new)
            with self._lock:  # under which ZODB reads with it
                self._file.seek(0, os.SEEK_END)  # it forgets what it has read ahead, which was room then
            for transaction in new:
                for oid, position, _ in transaction.records:
                    self._index[oid] = position
            end = new[-1].end
            self._end = End(end, new[-1].tid, self._end.transactions + len(new))
            self._pos = end
            self._ltid = new[-1].tid

    def _tell(self, new: list[Transaction]) -> None:
        # Before the last transaction's id changes: a connection that begins in between reads at that moment,
        # and must know what to load anew. SteadyReads lets it wait until the index is right.
        adapter = self._adapter and self._adapter()
        if adapter is not None:
            adapter.invalidate(new[-1].tid, {oid for each in new for oid, _, _ in each.records})

    def _take_up_other_file(self) -> None:
        """Go on with the file that a pack has put in place of ours."""
        watermark = Watermark(self._file_name + ".end", read_only=True)
        watermark.close()
        file = open_plain(self._file_name)
        try:
            scan = Scan(self._file_name, file, watermark.ends, read_only=True)
            known = os.fstat(file.fileno())
            if identity(self._file_name) != (known.st_dev, known.st_ino):
                # The index, which was read last, may belong to the file of yet another pack.
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), self._file_name)
            files = self._files
            descriptor = Descriptor(file.fileno()) if type(files) is ReadFile else None
        except BaseException:
            file.close()
            raise
        with files.write_lock():
            files.empty()
            self._checked.clear()
            self._initIndex(scan.index, self._tindex)
            self._pos, self._end = scan.end.size, scan.end
            self._file.close()
            self._file = file
            if descriptor is not None:
                files.descriptor = descriptor
            adapter = self._adapter and self._adapter()
            if adapter is not None:
                adapter.invalidateCache()
            self._ltid = scan.end.tid


def last_acknowledged(data_file: str) -> bytes:
    """The last transaction that is on record as acknowledged; one before all others if none is."""
    from lotdb.storage.snapshots import FIRST

    watermark = Watermark(data_file + ".end", read_only=True)
    watermark.close()
    return max((end.tid for end in watermark.ends or () if end.tid != z64), default=FIRST)


def identity(data_file: str) -> tuple[int, int] | None:
    """What tells the file at *data_file* from another one at the same path; None if none is there."""
    try:
        found = os.stat(data_file, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def was_packed(data_file: str, before: tuple[int, int] | None) -> bool:
    """Whether a pack has put another file in place of that with the identity *before*.

    A pack renames two files, and between these two steps none is in place. That is waited for.
    """
    until = time.monotonic() + _RENAME_S
    while (now := identity(data_file)) is None:
        if not is_there(data_file + ".old") or time.monotonic() > until:
            return False
        time.sleep(_PAUSE_S)
    return now != before
