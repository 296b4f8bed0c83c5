"""Commits that last, and that leave the data file right when the disk fails in the middle.

FileStorage syncs its data file once a commit, and nothing else; and when a write fails, Python's file objects
keep what they could not write and write it later, into the middle of something else.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any

from ZODB.FileStorage.FileStorage import TempFormatter

from lotdb.errors import ClosedError, CommitInDoubtError
from lotdb.storage.blobs import PlainBlobs
from lotdb.storage.durable import Disk
from lotdb.storage.gathered import Gathered
from lotdb.storage.reading import ReadFile
from lotdb.storage.room import keep_room
from lotdb.storage.watermark import End, Watermark

__all__ = ["DurableCommits"]

_FEW_COMMITS = 8


class DurableCommits(PlainBlobs):
    """A FileStorage whose acknowledged commits survive a power cut, blob files included.

    A transaction that fails before its commit point leaves no trace. One that fails *at* it may be on the
    disk or not: nobody can tell before the file is read again, so the storage then refuses all further work.
    """

    _disk = Disk()
    _end: End
    _failure: str | None = None
    #: How many commits there were since the opening. Who makes a few and closes it needs no room for more.
    _commits = 0
    _file: Any
    _ltid: bytes
    _pos: int
    _tfile: Any
    _tindex: dict[bytes, int]
    _watermark: Watermark | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Folders that got a blob file in this transaction, and those that are known to be on the disk.
        self._blob_folders: set[str] = set()
        self._lasting_folders: set[str] = set()
        super().__init__(*args, **kwargs)
        if self._tfile is not None:
            self._tfile = Gathered(self._tfile, self._file_name + ".tmp")
            self._tfmt = TempFormatter(self._tfile)

    # -- blob files -------------------------------------------------------------------------------

    def _blob_storeblob(self, oid: bytes, serial: bytes, blobfilename: str) -> None:
        super()._blob_storeblob(oid, serial, blobfilename)
        target = self.fshelper.getBlobFilename(oid, serial)
        self._blob_folders.add(os.path.dirname(target))
        self._disk.sync_file(target)

    def _forget_folders(self) -> None:
        super()._forget_folders()
        self._lasting_folders.clear()

    def _sync_blob_folders(self) -> None:
        """Sync the folders of new blob files and, once in the life of the storage, each folder above them.

        Whether a folder was there before says nothing: it may come from an aborted transaction or from a
        process that was killed, and its own entry may never have reached the disk.
        """
        folders: set[str] = set()
        above = self._blob_folders
        while above:
            folders |= above
            known = above & self._lasting_folders
            above = {os.path.dirname(folder) for folder in above - known if folder != self.blob_dir}
        for folder in sorted(folders, key=len, reverse=True):  # from the bottom up
            self._disk.sync_folder(folder)
        self._lasting_folders |= folders - self._blob_folders
        self._blob_folders.clear()

    # -- the two phases ---------------------------------------------------------------------------

    def tpc_begin(self, transaction: Any, tid: bytes | None = None, status: str = " ") -> None:
        """Begin a transaction; refused once the storage is closed or has failed."""
        self._refuse_when_closed()
        super().tpc_begin(transaction, tid, status)

    def is_last(self, start: bytes) -> bool:
        """Whether nothing was committed after a reader began at *start*; asked in a transaction."""
        return self._ltid < start

    def tpc_vote(self, transaction: Any) -> Any:
        """Write the transaction so that finishing it is one byte and one sync."""
        if transaction is not self._transaction:
            return super().tpc_vote(transaction)  # which says so
        try:
            self._sync_blob_folders()
            resolved = super().tpc_vote(transaction)
            # Where ZODB's readers read, what they have read ahead of the last commit would stay.
            if self._disk.is_synced and type(self._files) is ReadFile:
                with self._lock:
                    file = self._file.fileno()
                    keep_room(file, self._tid, self._pos, self._nextpos, make=self._commits >= _FEW_COMMITS)
            return resolved
        except BaseException:
            self._take_back_vote()
            raise

    def _take_back_vote(self) -> None:
        # ZODB truncates through the file object whose write has just failed. That tries to write what is
        # still in its buffer, and fails once more; what is left of the transaction then stays behind the end
        # of a smaller one that follows. Closing the raw file first is the one way to drop the buffer.
        with self._lock:
            try:
                self._file.raw.close()
                self._file = open(self._file_name, "r+b")  # noqa: SIM115 - it lives as long as the storage
                self._file.truncate(self._pos)
            except OSError as error:
                self._condemn(error)
                return
            self._files.flush()
            self._nextpos = 0

    def tpc_finish(self, transaction: Any, f: Callable[[bytes], object] | None = None) -> bytes:
        """Make the transaction count.

        Raises
        ------
        CommitInDoubtError
            The disk failed just there.
        """
        if transaction is not self._transaction:
            super().tpc_finish(transaction, f)  # which says so
        try:
            tid: bytes = super().tpc_finish(transaction, f)
        except BaseException as error:
            # Also when the failure is not the disk's: the voted transaction is in the file, FileStorage has
            # forgotten it, and a shorter one written over it would leave the rest of it behind.
            self._condemn(error)
            if not isinstance(error, Exception):
                raise
            raise CommitInDoubtError.of(
                error,
                f"the commit failed at its last step ({error}), and may or may not be in {self._file_name}:"
                " close the database, open it again and look",
                self._file_name,
            ) from error
        return tid

    def _finish_finish(self, tid: bytes) -> None:
        self._file.flush()
        self._disk.sync(self._file)
        self._pos = self._nextpos
        self._commits += 1
        self._index.update(self._tindex)
        # After the index: one that is saved must have all that there is up to the end that it names.
        self._end = End(self._pos, tid, self._end.transactions + 1)
        if self._watermark is not None:
            with contextlib.suppress(OSError):  # it is behind then, and still true
                self._watermark.write(self._end)
        self._ltid = tid
        self._blob_tpc_finish()

    def _cut_room(self) -> None:
        """Cut off the room behind the last commit, unless another thread is about to write there."""
        with self._lock:
            if self._transaction is None and os.fstat(self._file.fileno()).st_size > self._pos:
                self._file.truncate(self._pos)

    def _abort(self) -> None:
        self._blob_folders.clear()
        try:
            super()._abort()
        except OSError as error:
            self._condemn(error)
        # FileStorage removes blob files after a vote only; a transaction may fail between store and vote.
        while self.dirty_oids:
            with contextlib.suppress(OSError):
                self._blob_tpc_abort()

    def _clear_temp(self) -> None:
        self._tindex.clear()
        self._tfile.start_afresh()

    # -- after a failure --------------------------------------------------------------------------

    def _condemn(self, error: BaseException) -> None:
        """Close all files as they are; from here on everything raises ClosedError."""
        self._failure = str(error) or type(error).__name__
        self._release()

    def _release(self) -> None:
        """Close the files without writing what their buffers hold, and free the locks."""
        file = self.__dict__.get("_file")
        if file is not None:
            file.raw.close()
        for part in map(self.__dict__.get, ("_tfile", "_files", "_watermark", "_lock_file")):
            if part is not None:
                part.close()

    def _refuse_when_closed(self) -> None:
        if self._files.closed:
            raise self._closed_error()

    def _closed_error(self) -> ClosedError:
        if self._failure is None:
            return ClosedError(f"{self._file_name} is closed; open the database again")
        return ClosedError(
            f"{self._file_name} was closed when the disk failed ({self._failure}): close the database and"
            " open it again"
        )
