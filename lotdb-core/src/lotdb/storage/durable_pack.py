"""Packing that a crash cannot turn into a loss.

FileStorage writes ``lotdb.fs.pack``, renames the data file to ``lotdb.fs.old`` and the new file into its
place, then removes the blob files that are no longer named, and syncs none of it. Here each step is on the
disk before the next one makes it impossible to go back, and what a killed pack left is finished at the next
opening.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from persistent.TimeStamp import TimeStamp
from ZODB.FileStorage.format import CorruptedError
from ZODB.POSException import POSKeyError
from ZODB.utils import oid_repr

from lotdb.errors import DamagedError, ReadOnlyError
from lotdb.storage.blobs import PlainBlobs
from lotdb.storage.durable import Disk
from lotdb.storage.parts import check_file, check_tree, is_there
from lotdb.storage.sealing import is_intact
from lotdb.storage.watermark import End, Watermark

__all__ = ["DurablePack"]

References = Callable[[bytes], list[bytes]]


class DurablePack(PlainBlobs):
    """A FileStorage that can be packed while the power fails."""

    _disk = Disk()
    _checked: set[int]
    _end: End
    _has_unsealed = False
    _pack_until: bytes | None = None
    _packed: End | None = None
    _watermark: Watermark | None

    def pack_before(self, oldest_tid: bytes | None, references: References) -> None:
        """Drop the revisions and objects that nobody can see any more.

        Parameters
        ----------
        oldest_tid : bytes or None
            The last transaction that the oldest open snapshot of this process sees; None if only what is
            current is to be kept. What readers in other processes see is kept in any case; the last
            transaction must have been looked up before this call.
        references : callable
            Gives the object ids that a record refers to; ``ZODB.DB.references``.

        Raises
        ------
        DatabaseBusyError
            The database is open for reading only somewhere, on a system without locks on parts of files.
        DamagedError
            A record cannot be read. Nothing was changed.
        """
        from lotdb.storage.snapshots import oldest_snapshot

        # A second ahead of both clocks: when the clock was once set ahead, transactions are dated in its
        # future, and packing at the time of day would keep them all.
        ahead = max(time.time(), TimeStamp(self.lastTransaction()).timeTime()) + 1
        until = _tid_at(ahead)
        readers_tid = oldest_snapshot(self._file_name + ".readers")
        self._pack_until = min([until, *filter(None, (oldest_tid, readers_tid))])
        try:
            self.pack(ahead, references)
        finally:
            self._pack_until = None
        self.remove_orphaned_blobs()

    def remove_orphaned_blobs(self) -> None:
        """Remove the blob files that no record names.

        A process that was killed inside a commit, after its blobs got their places, leaves such files; ZODB
        looks only for those of records that it drops.
        """
        with self._commit_lock:  # no commit is under way, so each file has its record or is an orphan
            for oid, serial, path in self.blob_files():
                if not self._is_recorded(oid, serial):
                    os.remove(path)

    def _is_recorded(self, oid: bytes, serial: bytes) -> bool:
        try:
            self.loadSerial(oid, serial)
        except POSKeyError:
            return False
        return True

    def pack(self, t: float, referencesf: References, gc: bool | None = None) -> None:
        """Pack as of the time *t*, as ZODB does it."""

        def checked_references(record: bytes) -> list[bytes]:
            if not is_intact(record):
                raise DamagedError(f"{self._file_name} was not packed, because a record in it is damaged")
            return referencesf(record)

        self._refuse_when_closed()
        if self._is_read_only:
            raise ReadOnlyError(f"{self._file_name} was opened with read_only=True; it was not packed")
        try:
            self._check_plain()
            self._has_unsealed = self.check_headers()
            with _damage_as_error(self._file_name):
                super().pack(t, checked_references, gc)
        except BaseException as error:
            # Between the two renames: opening it again brings the old file back. Or right behind them, when
            # the new file could not be opened.
            if self._file.closed or self._files.closed:
                self._condemn(error)
            raise

    def _check_plain(self) -> None:
        """Raise ``DamagedError`` if a pack would write to, or remove, what is not the database's own."""
        for suffix in (".pack", ".old", ".index", ".index.index_tmp"):
            check_file(self._file_name + suffix)
        check_tree(self.blob_dir)

    @staticmethod
    def packer(
        storage: DurablePack, referencesf: References, stop: bytes, gc: bool
    ) -> tuple[int, Any] | None:
        """Write the packed file; called by FileStorage, which then renames it.

        *stop* was made from a number of seconds. That is too coarse to stand for a transaction: those made
        while the clock stood still or went back are 14 ns apart.
        """
        storage._remove_unfinished()  # of a killed pack, which would take the room that this one needs
        packed = None
        try:
            packed = storage._write_packed(referencesf, storage._pack_until or stop, gc)
        finally:
            if packed is None:
                with contextlib.suppress(OSError):  # the next pack, or the next opening, does it
                    storage._remove_unfinished()
        return packed

    def _write_packed(self, referencesf: References, until: bytes, gc: bool) -> tuple[int, Any] | None:
        from lotdb.storage.packer import SealingPacker  # which only packs need

        packer = SealingPacker(self, referencesf, until, gc, anew=self._has_unsealed)
        try:
            position = packer.pack()
        finally:
            packer.close()
        if position is None:
            return None
        try:
            self._sync_packed(packer.end)
        except BaseException:
            self._commit_lock.release()  # FileStorage releases it only once it got an answer
            raise
        return position, packer.index

    def _remove_unfinished(self) -> None:
        """Remove what a pack wrote that did not come to its renames.

        The list of blob files goes first, and for good: without ``.pack`` it would be carried out.
        """
        listed, written = os.path.join(self.blob_dir, ".removed"), self._file_name + ".pack"
        if is_there(listed):
            os.remove(listed)
            self._disk.sync_folder(self.blob_dir)
        if is_there(written):
            os.remove(written)

    def _sync_packed(self, packed: End) -> None:
        self._disk.sync_file(self._file_name + ".pack")
        self._disk.sync_file(os.path.join(self.blob_dir, ".removed"))
        self._disk.sync_folder(self.blob_dir)
        self._clear_index()  # its positions are those of the file that is about to be replaced
        if self._watermark is not None:
            self._watermark.write(self._end, packed)  # whichever of the two a crash leaves in its place
            self._disk.sync_file(self._file_name + ".end")
        self._disk.sync_folder(os.path.dirname(self._file_name))
        self._packed = packed

    def _initIndex(self, index: Any, tindex: Any) -> None:
        # At its end a pack exchanges the index here, right after its renames and with all locks held.
        super()._initIndex(index, tindex)
        if self._packed is not None:
            self._end, self._packed = self._packed, None
            self._checked.clear()

    def _remove_blob_files_tagged_for_removal_during_pack(self) -> None:
        # The first thing that FileStorage does after its renames, and the first that cannot be undone.
        self._disk.sync_folder(os.path.dirname(self._file_name))
        with self._lock:
            if self._watermark is not None:
                self._watermark.write(self._end)
        super()._remove_blob_files_tagged_for_removal_during_pack()
        self._forget_folders()  # empty ones are gone

    def finish_killed_pack(self) -> None:
        """Remove what a killed pack left, and finish one that was killed after its renames.

        ``.old`` next to a whole data file means that: a pack removes it at its beginning and at its end. As
        long as ``.pack`` is there too, the list of blob files to remove belongs to a file that did not get
        its place.
        """
        old = self._file_name + ".old"
        if is_there(old):
            listed = is_there(os.path.join(self.blob_dir, ".removed"))
            if listed and not is_there(self._file_name + ".pack"):
                check_tree(self.blob_dir)
                self._remove_blob_files_tagged_for_removal_during_pack()
            os.remove(old)
        # A pack opens its list before it writes. Without one, ``.pack`` is a file of the user's.
        if is_there(os.path.join(self.blob_dir, ".removed")):
            self._remove_unfinished()


@contextlib.contextmanager
def _damage_as_error(path: str) -> Iterator[None]:
    try:
        yield
    except CorruptedError as error:
        raise DamagedError(f"{path} was not packed: {error}") from error
    except KeyError as error:
        missing = oid_repr(error.args[0])
        raise DamagedError(
            f"{path} was not packed: a record refers to object {missing}, which is missing"
        ) from error


def _tid_at(seconds: float) -> bytes:
    raw: bytes = TimeStamp(*time.gmtime(seconds)[:5], seconds % 60).raw()
    return raw
