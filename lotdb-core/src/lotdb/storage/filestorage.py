"""The storage below every LOTDB database on disk."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

from zc.lockfile import LockFile
from ZODB.blob import FilesystemHelper

from lotdb.errors import ReadOnlyError, WrongThreadError
from lotdb.storage.blobs import PlainBlobs, leave_files_to_parent
from lotdb.storage.commit import DurableCommits
from lotdb.storage.compat import check_release
from lotdb.storage.current import CurrentRecords
from lotdb.storage.durable import Disk
from lotdb.storage.durable_pack import DurablePack
from lotdb.storage.earlier import EarlierRecords
from lotdb.storage.folder import LAYOUT
from lotdb.storage.following import Following, last_acknowledged
from lotdb.storage.history import History
from lotdb.storage.lock import check_lock
from lotdb.storage.restricted import RestrictedLoading
from lotdb.storage.sealing import ChecksummedRecords
from lotdb.storage.waiting import LimitedLock

__all__ = ["SafeFileStorage"]


class SafeFileStorage(
    DurablePack,
    DurableCommits,
    CurrentRecords,
    EarlierRecords,
    History,
    ChecksummedRecords,
    Following,
    RestrictedLoading,
    PlainBlobs,
):
    """ZODB's FileStorage with a blob folder, made to survive what disks, processes and strangers do to it.

    Each base class answers one of these questions; this one opens and closes. ``open_storage`` makes one, and
    is the only way that also looks after the folder.

    Parameters
    ----------
    data_file, blob_dir : str
        Absolute paths.
    disk : Disk
        What is synced.
    read_only : bool
        True for a look at the last commit, and with ``follow`` at later ones, beside a process that writes.
    prepare : callable
        Called with the writer's lock held and no other file open, to create or to mend the database.

    Raises
    ------
    zc.lockfile.LockError
        Another storage has the file open for writing.
    """

    def __init__(
        self, data_file: str, blob_dir: str, disk: Disk, *, read_only: bool, prepare: Callable[[], None]
    ) -> None:
        check_release()
        self._disk = disk
        self._prepare = prepare
        self._process = os.getpid()
        if read_only:
            from lotdb.storage.snapshots import SnapshotLock  # which who writes needs only for packs

            self._snapshot_lock = SnapshotLock(data_file + ".readers")
        _open_storages[id(self)] = self
        try:
            if read_only:
                self.hold(last_acknowledged(data_file))  # what is seen is not older
            super().__init__(data_file, read_only=read_only, blob_dir=blob_dir, pack_keep_old=False)
            self.read_steadily()
            self._limit_waiting()
            if not read_only:
                self.finish_killed_pack()
        except BaseException as error:
            self._release()
            if isinstance(error, OSError):
                _close_unwritten_lock(error)
            raise

    def _limit_waiting(self) -> None:
        lock = LimitedLock(f"another thread to finish its commit, or its pack, of {self._file_name}")
        self._commit_lock = lock
        self._commit_lock_acquire, self._commit_lock_release = lock.acquire, lock.release

    def _newIndexes(self) -> tuple[Any, Any]:
        # FileStorage asks for them once: after it took its lock, and before it opens the data file.
        if not self._is_read_only:
            check_lock(self._lock_file, self._file_name)
        self._prepare()
        indexes: tuple[Any, Any] = super()._newIndexes()
        return indexes

    def _blob_init(self, blob_dir: str, layout: str = LAYOUT) -> None:
        self.fshelper = FilesystemHelper(blob_dir, LAYOUT)
        self.dirty_oids: list[tuple[bytes, bytes]] = []  # the folder is there: it was prepared

    def tpc_begin(self, transaction: Any, tid: bytes | None = None, status: str = " ") -> None:
        """Begin a transaction, in the process that opened the storage.

        Raises
        ------
        ReadOnlyError
            It was opened with ``read_only=True``.
        WrongThreadError
            This is a forked child: both processes would write at the same place of the file.
        """
        if self._is_read_only:
            raise ReadOnlyError(f"{self._file_name} was opened with read_only=True; nothing was changed")
        if self._process != os.getpid():
            raise WrongThreadError(
                f"{self._file_name} was opened by process {self._process}, and this is its child"
                f" {os.getpid()}: open the database in one of them only"
            )
        super().tpc_begin(transaction, tid, status)

    def close(self) -> None:
        """Save the index, close the files and free the locks; more than once does no harm."""
        if self._files.closed:
            return
        if self._process == os.getpid():
            # FileStorage would save it once the lock is free, over that of the next writer. It is a cache.
            with contextlib.suppress(OSError):
                self._save_index()
            if not self._is_read_only:
                with contextlib.suppress(OSError):
                    self._cut_room()
        self._release()

    def abandon(self) -> None:
        """Close the files as they are and free the locks; for a storage that nobody can use any more."""
        self._release()

    def _release(self) -> None:
        if self._process != os.getpid() and "_lock_file" in self.__dict__:
            # Unlocking would unlock the parent's file too: it is the same one. Closing a copy does not.
            if self._lock_file._fp is not None:  # as it is once the parent has closed the storage
                self._lock_file._fp.close()
            del self._lock_file
        super()._release()
        if self._snapshot_lock is not None:
            self._snapshot_lock.close()


# A file that is open shares its place with the copy of a forked child. When the child ends, Python would put
# that place back to where the copy has read to, or write what the copy still holds; and the parent would go
# on there, in the middle of the data file. So a child closes its copies before it does anything else.
_open_storages: WeakValueDictionary[int, SafeFileStorage] = WeakValueDictionary()


def _let_go_in_child() -> None:
    for reference in _open_storages.valuerefs():
        if (storage := reference()) is not None:
            with contextlib.suppress(Exception):  # one that another thread was opening; the others come next
                storage.abandon()
    leave_files_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_in_child)


def _close_unwritten_lock(error: BaseException) -> None:
    """Close the lock's file if *error* came up while the process id was written to it.

    It is locked by then, and nobody has it: it would stay so as long as somebody keeps the error.
    """
    trace = error.__traceback__
    while trace is not None:
        lock = trace.tb_frame.f_locals.get("self")
        if isinstance(lock, LockFile):
            with contextlib.suppress(OSError):
                lock.close()
            return
        trace = trace.tb_next
