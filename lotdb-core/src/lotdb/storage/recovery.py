"""What an opening finds in the data file: all, one unfinished transaction, or committed work missing.

FileStorage cuts off what it does not understand, or goes on without it. Here the data file is read by
``lotdb.storage.transactions``, from where the index ends, and compared with the watermark beside it. A
transaction behind the watermark that is not whole was never acknowledged: it is kept in a file of its own,
said once, and cut off. Anything else that is not whole, or not there, is damage, and nothing is changed.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable
from io import BytesIO
from typing import Any

from ZODB.FileStorage import FileStorage
from ZODB.FileStorage.format import TRANS_HDR_LEN
from ZODB.fsIndex import fsIndex
from ZODB.utils import z64

from lotdb.errors import DamagedError
from lotdb.storage.compat import FILESTORAGE_MAGIC
from lotdb.storage.durable import Disk
from lotdb.storage.folder import DatabaseFolder
from lotdb.storage.index import read_index, write_index
from lotdb.storage.parts import is_there
from lotdb.storage.sealing import belongs, is_intact
from lotdb.storage.transactions import DataFile, NotWholeError, Transaction, time_of
from lotdb.storage.watermark import EMPTY, End, Watermark, create_watermark

__all__ = ["CheckedOpening", "Scan"]

_log = logging.getLogger(__name__)
_COPIED_BYTES = 1 << 20


class CheckedOpening(FileStorage):
    """A FileStorage that knows at its opening whether something that was committed is missing."""

    _disk = Disk()
    _end: End
    _file: Any
    _index: Any
    _is_read_only: bool
    _pos: int
    #: The data file, where it ends, and whether the index was used.
    _scanned: tuple[Any, int, int]
    _watermark: Watermark | None = None
    #: Says what was odd at the opening for reading, once it is known that no pack was the cause.
    warn: Callable[[], None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._file, self._pos, self._used_index = self._scanned
        if not self._used_index:
            self._save_index()

    @property
    def transactions(self) -> int:
        """How many transactions the data file has."""
        return self._end.transactions

    def _restore_index(self) -> tuple[Any, int, bytes]:
        # FileStorage asks for the index once the data file is open, and then scans it from there on. It is
        # told that nothing is there to be scanned.
        # First, so that a process that writes meanwhile is never behind what it wrote down.
        self._watermark = Watermark(self._file_name + ".end", read_only=self._is_read_only)
        scan = Scan(self._file_name, self._file, self._watermark.ends, read_only=self._is_read_only)
        # The first makes an empty root, and names nothing. A pack may leave one that has all records.
        if scan.end.transactions <= 1 and len(scan.index) <= 1:
            DatabaseFolder(*os.path.split(self._file_name)).refuse_lost_commits()
        if self._is_read_only:
            self._watermark.close()
            self.warn = scan.warn
        else:
            scan.cut_off(self._disk)
            # Behind it may be after a power cut or a kill. Until the next commit, a cut of what stands behind
            # the mark would not be noticed.
            if not scan.is_marked or scan.is_ahead:
                self._watermark.close()
                self._watermark = scan.new_watermark(self._disk)
        self._end = scan.end
        self._scanned = self._file, scan.end.size, int(scan.used_index)
        self._file = _Scanned(self._file)
        return scan.index, EMPTY.size, scan.end.tid

    def _save_index(self) -> None:
        """Write the index beside the data file, for the next opening; without it, that takes longer."""
        if not self._is_read_only:
            with contextlib.suppress(OSError):
                write_index(self._file_name + ".index", self._index, self._end)
            self._saved += 1


class _Scanned(BytesIO):
    """Stands for the data file while FileStorage looks for transactions that were not scanned yet."""

    def __init__(self, file: Any) -> None:
        super().__init__(FILESTORAGE_MAGIC)
        self.raw = file.raw  # what is closed if the opening fails


class Scan:
    """Index and end of a data file, and what is to be done about the rest; looking changes nothing.

    Raises
    ------
    DamagedError
        Something that was committed is missing, or cannot be read.
    """

    def __init__(self, path: str, file: Any, marks: tuple[End, ...] | None, *, read_only: bool) -> None:
        self._path = path
        self._read_only = read_only
        self._warnings: list[str] = []
        self._descriptor = file.fileno()
        self._marks = marks
        cached = read_index(path + ".index")
        self._file = DataFile.of_written(self._descriptor)
        self._start_from(cached)
        fitting = [mark.size for mark in marks or () if mark == self.end or self._file.ends_at(mark)]
        self.is_marked = bool(fitting)
        self._acknowledged = max([self.end.size, *fitting])
        self.rest = self._read_on()
        if self.rest is not None and read_only:
            # A process that writes may have finished that transaction, and begun others, since.
            self._file = DataFile.of_written(self._descriptor)
            self.rest = self._read_on()
        self._refuse_damage()
        self._look_at_watermark()

    @property
    def is_ahead(self) -> bool:
        """Whether the file ends behind all that the watermark says."""
        return all(mark != self.end for mark in self._marks or ())

    def _start_from(self, cached: tuple[Any, End] | None) -> None:
        self.used_index = False
        self.index, self.end = fsIndex(), EMPTY
        if cached is None:
            return
        index, end = cached
        if self._marks == () and self._file.size < end.size:
            # The index, too, says how far the file went. If the watermark is missing, somebody may have
            # removed it, as the error for a lost tail advises; damaged it says nothing, and the index does.
            self._marks = (end,)
            return
        if self._file.ends_at(end) and (z64 in index or end.transactions == 0):
            self.index, self.end, self.used_index = index, end, True
        else:
            self._say(
                f"{self._path}.index does not belong to the data file and was dropped;"
                " the data file is scanned instead"
            )

    def _read_on(self) -> NotWholeError | None:
        """Take in all whole transactions; what is wrong with the first that is not, or None."""
        try:
            for transaction in self._file.transactions(self.end.size):
                self._check(transaction)
                for oid, position, _ in transaction.records:
                    self.index[oid] = position
                self.end = End(transaction.end, transaction.tid, self.end.transactions + 1)
        except NotWholeError as error:
            return error
        return None

    def _check(self, transaction: Transaction) -> None:
        position = transaction.position
        if transaction.tid <= self.end.tid:
            raise NotWholeError(position, "a transaction is older than the one before it")
        previous = zip(transaction.records, transaction.previous, strict=False)
        if any(before and before != self.index.get(oid, 0) for (oid, _, _), before in previous):
            raise NotWholeError(position, "a record does not follow its last revision")
        # Behind the last one may be zeros, or a part of the header of its room, which has its own id.
        is_last = position >= self._acknowledged and self._file.read(transaction.end, 8) <= transaction.tid
        if is_last and self._is_torn(transaction):
            raise NotWholeError(position, "a transaction is torn")

    def _is_torn(self, transaction: Transaction) -> bool:
        """Whether parts of the last transaction never reached the disk, though its headers did.

        Without a watermark it may as well have been damaged since, so there must be zeros in their place.
        """
        for oid, position, length in transaction.records:
            data = self._file.data(position)
            if length and not (is_intact(data) and belongs(data, oid, transaction.tid)):
                return self.is_marked or self._file.has_hole(position, position + length)
        return False

    def _refuse_damage(self) -> None:
        missing = all(self.end.tid < mark.tid for mark in self._marks) if self._marks else False
        if missing or (self.rest is not None and not self._is_unfinished(self.rest)):
            raise DamagedError(self._what_is_missing())

    def _is_unfinished(self, rest: NotWholeError) -> bool:
        """Whether what is not whole was never acknowledged."""
        if rest.position < self._acknowledged or self._file.is_followed(rest.position):
            return False
        if self.is_marked:
            return True
        size = self._file.size
        if rest.cut:
            # The second length says that it is all there: then it is the first that was altered.
            return self._file.last_before(size) != rest.position or self._file.status(rest.position) == b"c"
        return self._file.has_hole(rest.position, size)

    def _what_is_missing(self) -> str:
        name, end = os.path.basename(self._path), self.end
        mark = max(self._marks or (), key=lambda mark: mark.transactions, default=None)
        count, until = "all transactions", ""
        if mark is not None and mark.transactions > end.transactions:
            count = f"{mark.transactions - end.transactions} of {mark.transactions} transactions"
            until = f" up to {time_of(mark.tid)}"
        size = max(self._file.size, mark.size if mark else 0)
        reason = f": {self.rest}" if self.rest else ""
        return (
            f"{self._path} is damaged{reason}. Missing are {count} made after {time_of(end.tid)}{until},"
            f" {size - end.size} bytes from byte {end.size} on. Nothing was changed. Bring {name} back from a"
            f" backup, and remove {name}.end if that is older on purpose. Or go on with what is left: copy"
            f" the folder, cut the file to {end.size} bytes (truncate -s {end.size} {name}), and remove"
            f" {name}.end"
        )

    def _look_at_watermark(self) -> None:
        path = self._path + ".end"
        unknown = "LOTDB cannot tell whether the data file was cut at its end"
        if self._marks is None and self._file.is_sealed_at(self.end):
            self._say(f"{path} is missing: {unknown}")
        elif self._marks == ():
            self._say(f"{path} is damaged: {unknown}")
        elif self._marks and not self.is_marked:
            self._say(f"{path} is of another data file than the one beside it, which is no older")

    def _say(self, warning: str) -> None:
        if self._read_only:
            # A pack may put another file in place meanwhile, which explains it.
            self._warnings.append(warning)
        else:
            _log.warning("%s", warning)

    def warn(self) -> None:
        """Say what was odd and did no harm, once it is known that no pack was the cause."""
        for warning in self._warnings:
            _log.warning("%s", warning)

    # -- what is done, by the one who writes ----------------------------------------------------------

    def cut_off(self, disk: Disk) -> None:
        """Cut off what is behind the last whole transaction; if it is more than a header, a file keeps it.

        A power cut may leave a part of the header of room, or room that does not end where it says.
        """
        if self._file.is_zeros(self.end.size + TRANS_HDR_LEN):
            if os.fstat(self._descriptor).st_size > self.end.size:
                os.truncate(self._path, self.end.size)
            return
        kept = _unused_name(self._path)
        with open(self._path, "r+b") as file:
            with open(kept, "xb") as copy:
                file.seek(self.end.size)
                while block := file.read(_COPIED_BYTES):
                    copy.write(block)
                copy.flush()
                disk.sync(copy)
            disk.sync_folder(os.path.dirname(self._path))
            file.truncate(self.end.size)
        _log.warning(
            "%s ended in a transaction that was never finished (%s); its %d bytes are cut off and kept in %s",
            self._path,
            self.rest,
            self._file.size - self.end.size,
            kept,
        )

    def new_watermark(self, disk: Disk) -> Watermark:
        """A watermark for the data file, in place of one that is missing, behind, or does not fit."""
        path = self._path + ".end"
        disk.sync_file(self._path)  # what it says must not be on the disk before the data are
        create_watermark(path, disk, self.end)
        disk.sync_folder(os.path.dirname(path))
        return Watermark(path, read_only=False)


def _unused_name(path: str) -> str:
    number = 0
    while is_there(f"{path}.tr{number}"):
        number += 1
    return f"{path}.tr{number}"
