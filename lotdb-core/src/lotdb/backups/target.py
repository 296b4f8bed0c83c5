"""The folder that a backup is written to: what is in it, and how its data file becomes a later one.

Beside the parts of a database there is a file ``lotdb.fs.backup``, in JSON: the id of the database, and where
the data file of the copy may end, before and after the backup that wrote it. It is written before the data
file is changed. So a data file that ends elsewhere was changed by somebody else, and is left alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from typing import Protocol

from zc.lockfile import LockError, LockFile

from lotdb.backups.new_files import copy_bytes
from lotdb.errors import DamagedError, DatabaseExistsError, FileSystemError, system_error
from lotdb.storage.committed import Committed
from lotdb.storage.durable import Disk, make_folders
from lotdb.storage.folder import LAYOUT, MARKER, DatabaseFolder
from lotdb.storage.index import index_end
from lotdb.storage.lock import check_lock, is_held, writer_busy
from lotdb.storage.parts import check_folder, is_there, open_part, open_plain, read_part
from lotdb.storage.places import read_at
from lotdb.storage.signals import uninterrupted
from lotdb.storage.transactions import DataFile, NotWholeError, time_of
from lotdb.storage.watermark import EMPTY, End, Watermark, create_watermark

__all__ = ["Target"]


class Source(Protocol):
    """What becomes the data file of the copy, or its end."""

    @property
    def descriptor(self) -> int:
        """A file with what stands in the data file from position :attr:`base` on."""

    @property
    def base(self) -> int:
        """Where in the data file that begins."""

    @property
    def end(self) -> End:
        """Where the data file then ends."""


#: Called with the number of bytes that were copied, after each block.
Copied = Callable[[int], object]

# So many places of two data files are compared, and so many bytes at each.
_SAMPLES, _SAMPLED_BYTES = 64, 4096


class Target:
    """The folder of a backup, locked against other writers; ``Target.locked`` makes one.

    Attributes
    ----------
    end : End or None
        The last whole transaction of the copy; None if there is no copy yet.
    """

    def __init__(self, folder: DatabaseFolder, disk: Disk, database_id: str) -> None:
        self.folder = folder
        self._disk = disk
        self._id = database_id
        self._note = folder.data_file + ".backup"
        #: Where what is to become the data file, or its end, is written.
        self.new_data_file = folder.data_file + ".copy"
        self.scratch = os.path.join(folder.blobs, "tmp")
        self._noted = self._read_note()
        self.end = self._find_end()

    @classmethod
    @contextlib.contextmanager
    def locked(cls, folder: DatabaseFolder, disk: Disk, database_id: str) -> Iterator[Target]:
        """The backup in *folder*, which is made if it is missing.

        Raises
        ------
        DatabaseBusyError
            Another backup, or a program, writes to it.
        DatabaseExistsError
            It is another database, or something else.
        DamagedError
            The copy in it is damaged, or it has a link in place of a file.
        """
        folder.check_plain()
        _refuse_others(folder, database_id)
        make_folders(folder.path, disk)
        with _lock(folder):
            target = cls(folder, disk, database_id)
            try:
                target._clear()
                yield target
            finally:
                with contextlib.suppress(OSError):
                    target._clear()

    def _clear(self) -> None:
        """Remove what an interrupted backup has left, and make the folder for what is not whole."""
        for suffix in ("", ".new", ".whole"):
            path = self.new_data_file + suffix
            if is_there(path):
                os.remove(path)
        if check_folder(self.scratch):
            if os.listdir(self.scratch):
                shutil.rmtree(self.scratch)
                os.mkdir(self.scratch)
        elif check_folder(self.folder.blobs):
            os.mkdir(self.scratch)

    # -- what is there -------------------------------------------------------------------------------

    def _read_note(self) -> tuple[End, ...]:
        """Where the copy may end."""
        try:
            note = json.loads(read_part(self._note))
            return tuple(End(size, bytes.fromhex(tid), count) for size, tid, count in note["ends"])
        except FileNotFoundError:
            return ()
        except (ValueError, TypeError, KeyError):  # it is replaced in one step, so somebody altered it
            return ()

    def _find_end(self) -> End | None:
        try:
            descriptor = open_part(self.folder.data_file)
        except FileNotFoundError:
            return None
        mark = Watermark(self.folder.watermark, read_only=True)
        mark.close()
        try:
            file = DataFile(descriptor, os.fstat(descriptor).st_size)
            fitting = [end for end in (*self._noted, *(mark.ends or ())) if file.ends_at(end)]
            start = max(fitting, key=lambda end: end.size, default=EMPTY)
            end, stopped = _last_whole(file, start)
            lost = mark.ends and all(end.size < acknowledged.size for acknowledged in mark.ends)
            if lost or end == EMPTY or (stopped is not None and file.is_followed(stopped.position)):
                raise DamagedError(
                    f"{self.folder.data_file}, the copy of an earlier backup, is damaged, and was left alone"
                    f"{f' ({stopped})' if stopped else ''}: move it away, or name another folder"
                )
            return end
        finally:
            os.close(descriptor)

    def is_beginning_of(self, source: Committed) -> bool:
        """Whether the copy is the first part of *source*, so that the rest can be appended.

        A pack moves what stands behind the first thing that it drops, and writes anew what stands before
        that. So two files that are alike in their last common transaction, at the same place, differ in
        nothing that matters before it; some more places are compared as well.
        """
        end = self.end
        if end is None or end.size > source.end.size or not source.file.ends_at(end):
            return False
        start = source.file.last_before(end.size)
        descriptor = open_part(self.folder.data_file)
        try:
            places = [(start, end.size - start)]
            step = max(end.size // _SAMPLES, 1)
            places += [(at, min(_SAMPLED_BYTES, end.size - at)) for at in range(0, end.size, step)]
            return all(
                read_at(descriptor, size, at) == read_at(source.descriptor, size, at)
                for place, length in places
                for at, size in _blocks(place, length)
            )
        finally:
            os.close(descriptor)

    def check_is_ours(self, last: bytes) -> None:
        """Raise unless the copy is as a backup left it, and has no commit after *last*, the database's last.

        Raises
        ------
        DatabaseExistsError
            It has commits that no backup wrote, or that are later than all of the database.
        """
        end, path = self.end, self.folder.path
        if end is None:
            return
        if end.tid > last:
            raise DatabaseExistsError(
                f"the backup in {path} has commits up to {time_of(end.tid)}, and the database only up to"
                f" {time_of(last)}; nothing was changed: if the database has lost them, restore the"
                " backup, and otherwise name another folder"
            )
        # It ends in between if the backup was interrupted in its last step.
        noted = [each.tid for each in self._noted]
        if not (noted and min(noted) <= end.tid <= max(noted)):
            raise DatabaseExistsError(
                f"{path} holds a copy of this database that no backup wrote, or that was changed since;"
                " nothing was changed: name another folder"
            )

    def refuse_lost(self, *, is_known: bool, packed: bytes) -> None:
        """Raise if the database has lost the commit that the copy ends in.

        Parameters
        ----------
        is_known
            Whether the database has that commit.
        packed
            The last commit that a pack has gone through. What a pack has dropped was made before that.

        Raises
        ------
        DatabaseExistsError
            It has lost it.
        """
        if self.end is not None and not is_known and packed <= self.end.tid:
            raise DatabaseExistsError(
                f"the backup in {self.folder.path} has a commit made at {time_of(self.end.tid)} that the"
                " database lacks; nothing was changed: look at the backup, which may have what the database"
                " has lost, and name another folder"
            )

    # -- what is written -----------------------------------------------------------------------------

    def prepare(self, end: End | None) -> None:
        """Make what a database consists of, but for the data file, which is to end at *end* if that is known.

        From here on, as long as there is no data file, an opening says what is missing in place of creating a
        new database.
        """
        folder, disk = self.folder, self._disk
        if self.end is None:
            self.note(end)
        if not is_there(folder.marker):
            disk.write_file(folder.marker, MARKER)
            disk.sync_folder(folder.path)
        make_folders(self.scratch, disk)
        if not is_there(folder.layout_file):
            disk.write_file(folder.layout_file, LAYOUT.encode())
            disk.sync_folder(folder.blobs)
        if not is_there(folder.readers_file):
            with open_plain(folder.readers_file, "ab") as file:
                disk.sync(file)

    def note(self, end: End | None) -> None:
        """Write down that the copy ends where it does now, or at *end*; to be done before it is changed."""
        self._noted = tuple(each for each in (self.end, end) if each is not None)
        ends = [[each.size, each.tid.hex(), each.transactions] for each in self._noted]
        note = {"product": "lotdb", "database": self._id, "ends": ends}
        self._disk.write_file(self._note, json.dumps(note).encode() + b"\n")
        self._disk.sync_folder(self.folder.path)

    def append(self, source: Source, copied: Copied) -> None:
        """Add to the copy, which is the beginning of *source*, what follows in that."""
        assert self.end is not None
        with open_plain(self.folder.data_file, "r+b") as file:
            # What stands behind the last whole transaction is of a backup that was interrupted.
            os.ftruncate(file.fileno(), self.end.size)
            start, length = self.end.size - source.base, source.end.size - self.end.size
            copy_bytes(source.descriptor, file.fileno(), start, self.end.size, length, copied)
            self._disk.sync(file)
        self._say_end(source.end)

    def replace(self, source: Source, copied: Copied) -> None:
        """Put a copy of all of *source* in place of the data file that is there, if one is."""
        folder, disk = self.folder, self._disk
        whole = self.new_data_file + ".new"
        with open_plain(whole, "wb") as file:
            copy_bytes(source.descriptor, file.fileno(), 0, 0, source.end.size, copied)
            disk.sync(file)
        with uninterrupted():
            for index in (folder.data_file + ".index", folder.data_file + ".index.index_tmp"):
                if is_there(index):  # its positions are those of the file that is about to be replaced
                    os.remove(index)
            self._say_end(self.end or source.end, source.end)
            disk.sync_folder(folder.path)
            os.replace(whole, folder.data_file)
            disk.sync_folder(folder.path)
            self._say_end(source.end)

    def _say_end(self, end: End, packed: End | None = None) -> None:
        path = self.folder.watermark
        mark = Watermark(path, read_only=False)
        try:
            if not mark.ends:
                create_watermark(path, self._disk, end)
                self._disk.sync_folder(self.folder.path)
                return
            mark.write(end, packed)
        finally:
            mark.close()
        if packed is not None:  # else it may be behind
            self._disk.sync_file(path)

    def take_index(self, source: str, end: End) -> None:
        """Copy the index of the database, if that spares the next opening a scan that takes longer.

        An index that does not fit the copy is dropped at the opening, so it need not be synced.
        """
        ours, theirs = index_end(self.folder.data_file + ".index"), index_end(source)
        with contextlib.suppress(OSError):  # it is a cache
            if theirs is None or theirs.size > end.size:
                return
            gained = theirs.size - (ours.size if ours is not None else 0)
            if gained > os.path.getsize(source):
                content, unfinished = read_part(source), self.folder.data_file + ".index.index_tmp"
                with open_plain(unfinished, "wb") as file:
                    file.write(content)
                # A pack may have replaced the database's data file and index since it was copied.
                if self._ends_at(index_end(unfinished)):
                    os.replace(unfinished, self.folder.data_file + ".index")
                else:
                    os.remove(unfinished)

    def _ends_at(self, end: End | None) -> bool:
        """Whether a transaction of the copy ends there."""
        with open(self.folder.data_file, "rb", opener=open_part) as file:
            descriptor = file.fileno()
            return end is not None and DataFile(descriptor, os.fstat(descriptor).st_size).ends_at(end)


def _last_whole(file: DataFile, start: End) -> tuple[End, NotWholeError | None]:
    end = start
    try:
        for transaction in file.transactions(start.size):
            end = End(transaction.end, transaction.tid, end.transactions + 1)
    except NotWholeError as error:
        return end, error
    return end, None


def _blocks(start: int, length: int) -> Iterator[tuple[int, int]]:
    """Position and size of the pieces, of 1 MiB at most, of so many bytes."""
    for at in range(start, start + length, 1 << 20):
        yield at, min(1 << 20, start + length - at)


def _refuse_others(folder: DatabaseFolder, database_id: str) -> None:
    """Raise ``DatabaseExistsError`` if there is something that is no copy of the database."""
    note = folder.data_file + ".backup"
    if is_there(note):
        try:
            found = json.loads(read_part(note))
            if found["product"] == "lotdb" and found["database"] == database_id:
                return
        except (ValueError, TypeError, KeyError):
            pass
        raise DatabaseExistsError(
            f"{folder.path} has a backup of another database; nothing was changed: name another folder"
        )
    parts = [folder.data_file, folder.marker, folder.blobs, *folder.backend_folders()]
    if not any(map(is_there, parts)):
        return
    if not is_there(folder.data_file):
        raise DatabaseExistsError(
            f"{folder.path} has parts of a database that are none of a backup; nothing was changed: name"
            " another folder"
        )
    _refuse_other_database(folder, database_id)


def _refuse_other_database(folder: DatabaseFolder, database_id: str) -> None:
    # A copy of the folder has the id in one of its first records, as plain text.
    folder.check_readable()
    head = read_part(folder.data_file, 1 << 20)
    if database_id.encode() not in head:
        raise DatabaseExistsError(
            f"{folder.path} has another database; nothing was changed: name another folder"
        )


@contextlib.contextmanager
def _lock(folder: DatabaseFolder) -> Iterator[None]:
    """While this process has the lock of a writer."""
    try:
        lock = LockFile(folder.data_file + ".lock")
    except LockError as error:
        if is_held(error):
            raise writer_busy(folder.data_file) from None
        cause = system_error(error.__context__) or OSError(str(error))
        raise FileSystemError.of(cause, "the lock cannot be taken", folder.data_file + ".lock") from error
    try:
        check_lock(lock, folder.data_file)
        yield
    finally:
        lock.close()
