"""A checksum at the end of every record, so that altered bytes never pass for data.

FileStorage has no checksums: one flipped bit in a number gives another number. A stored record here is ::

    pickle of the class, pickle of the state, b"\\0M",
    CRC-32 of the ids of its object and transaction, CRC-32 of all before (four bytes each, little-endian)

Unpickling a record stops after the second pickle, so nothing has to be cut off: plain ZODB tools, the
packer and conflict resolution read such records as they are. And the CRC-32 of anything that ends in its own
CRC-32 is one constant (the "residue" of ISO-HDLC CRC-32), so checking is one call without a copy. Records of
before end in ``b"\\0L"`` and the CRC-32 of all before it; they are read, and a pack seals them as of now.

A storage that learns the id of a transaction when its records are written already has ``b"\\0O"`` and the
CRC-32 of the object's id in place of the first two.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from typing import Any
from zlib import crc32

from ZODB.FileStorage import FileIterator, FileStorage
from ZODB.FileStorage.format import DATA_HDR, DATA_HDR_LEN, CorruptedDataError, CorruptedError, DataHeader
from ZODB.utils import as_bytes, oid_repr, p64, tid_repr, z64

from lotdb.errors import ClosedError, DamagedError, FileSystemError, LotdbError, is_gone, system_errors
from lotdb.extras import crc32_of
from lotdb.storage.gathered import Gathered
from lotdb.storage.parts import open_part
from lotdb.storage.places import read_at
from lotdb.storage.transactions import (
    BLOCK,
    RECORD_MARK,
    DataFile,
    NotWholeError,
    Transaction,
    is_pickles,
    record_headers,
    seal_room,
    time_of,
    transaction_header,
)

__all__ = [
    "RESIDUE",
    "ChecksummedRecords",
    "belongs",
    "is_intact",
    "seal",
    "seal_as_of",
    "seal_object",
    "unsealed",
]

_MARK = RECORD_MARK[1:]
_OLD_MARK = b".\0L"
_OBJECT_MARK = b".\0O"
#: The CRC-32 of what ends in its own CRC-32.
RESIDUE = 0x2144DF1C
_SMALL = 1 << 13  # bytes that are read at once where one transaction is looked at
_STATUS = 16  # where a transaction's header has its status
_HEADER = struct.Struct(DATA_HDR)
_unpack_header, _pack_header = _HEADER.unpack, _HEADER.pack


def seal(record: bytes, oid: bytes, tid: bytes) -> bytes:
    """The record of the object *oid* that the transaction *tid* stores, with its checksums.

    >>> is_intact(seal(b"data.", bytes(8), bytes(8)))
    True
    >>> is_intact(seal(b"data.", bytes(8), bytes(8)).replace(b"t", b"T"))
    False
    """
    return record + _checksums(record, oid, tid)


def _checksums(record: bytes, oid: bytes, tid: bytes) -> bytes:
    """What :func:`seal` puts behind the *record*."""
    whose = _MARK + crc32(oid + tid).to_bytes(4, "little")
    return whose + crc32(whose, crc32_of(record)).to_bytes(4, "little")


def seal_object(record: bytes, oid: bytes) -> bytes:
    """The record of the object *oid* with its checksums, whatever transaction stores it.

    >>> sealed = seal_object(b"data.", bytes(8))
    >>> is_intact(sealed), belongs(sealed, bytes(8), b"any time"), belongs(sealed, b"another.", bytes(8))
    (True, True, False)
    """
    return _seal_for(record, crc32(oid).to_bytes(4, "little"))


def seal_as_of(record: bytes, sealed: bytes) -> bytes:
    """The *record* with the checksums of the same object as *sealed*, which :func:`seal_object` has made."""
    return _seal_for(record, sealed[-8:-4])


def _seal_for(record: bytes, whose: bytes) -> bytes:
    sealed = b"".join((record, _OBJECT_MARK[1:], whose))
    return sealed + crc32_of(sealed).to_bytes(4, "little")


def is_intact(record: bytes) -> bool:
    """Whether the record is as it was stored.

    A record without a checksum, which another program wrote, is taken as it is. It is nothing but its two
    pickles, so that no altered byte makes one of a record that has a checksum.

    >>> is_intact(b"}.}.")
    True
    """
    if crc32_of(record) == RESIDUE:
        return True
    marked = record[-11:-8] in (RECORD_MARK, _OBJECT_MARK) or record[-7:-4] == _OLD_MARK
    return not marked and is_pickles(record, 2)


def belongs(record: bytes, oid: bytes, tid: bytes) -> bool:
    """Whether an intact *record* is that of the object *oid* in the transaction *tid*; an old one may be."""
    if record[-11:-8] == RECORD_MARK and record[-8:-4] == crc32(oid + tid).to_bytes(4, "little"):
        return True
    if record[-11:-8] == _OBJECT_MARK and record[-7:-4] != _OLD_MARK:
        return record[-8:-4] == crc32(oid).to_bytes(4, "little")
    return record[-11:-8] != RECORD_MARK or record[-7:-4] == _OLD_MARK


def unsealed(record: bytes) -> bytes:
    """An intact *record* without its checksums."""
    if crc32_of(record) != RESIDUE:
        return record
    return record[:-6] if record[-7:-4] == _OLD_MARK else record[:-10]


class _Transactions(FileIterator):
    """ZODB's iterator up to the place *end*; it looks for *start* from where the file ends, which is room."""

    def __init__(self, path: str, start: bytes | None, stop: bytes | None, end: int) -> None:
        super().__init__(path, None, stop)
        self._first = start or z64
        self._end = end

    def __next__(self) -> Any:
        while (found := super().__next__()).tid < self._first:
            pass
        return found

    def _read_txn_header(self, pos: int, tid: bytes | None = None) -> Any:
        if pos >= self._end:
            raise CorruptedDataError(tid, b"", pos)  # as at the end of the file
        return super()._read_txn_header(pos, tid)


class ChecksummedRecords(FileStorage):
    """A FileStorage that seals each record it stores, and checks each one it loads.

    An error that comes of damaged or closed files leaves as LOTDB's own.
    """

    _pos: int
    _tfile: Gathered
    _ude: tuple[bytes, bytes, bytes]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # The positions of records whose headers were found to be as they were written.
        self._checked: set[int] = set()
        super().__init__(*args, **kwargs)

    def store(self, oid: bytes, oldserial: bytes, data: bytes, version: str, transaction: Any) -> None:
        """Store one record, sealed.

        It is done as FileStorage does it, but for one short read in place of several calls. That of a
        conflict, and of all that is wrong, is left to FileStorage.
        """
        checksums = _checksums(data, oid, self._tid)
        before = self._index.get(oid, 0)
        with self._lock:
            if transaction is not self._transaction or (
                before and read_at(self._file.fileno(), 16, before) != oid + oldserial
            ):
                super().store(oid, oldserial, data + checksums, version, transaction)
                return
            if oid > self._oid:
                self.set_max_oid(oid)
            self._tindex[oid] = self._pos + self._thl + self._tfile.tell()
            length = len(data) + len(checksums)
            header = _pack_header(oid, self._tid, before, self._pos, 0, length)
            self._tfile.write(b"".join((header, data, checksums)))

    def restore(
        self,
        oid: bytes,
        serial: bytes,
        data: bytes | None,
        version: str,
        prev_txn: bytes | None,
        transaction: Any,
    ) -> None:
        """Store a record of another storage, sealed for this place.

        Raises
        ------
        DamagedError
            It is not as it was stored there.
        """
        if data is not None:
            if not is_intact(data):
                raise self._altered_error(oid, serial)
            data = seal(unsealed(data), oid, serial)
        super().restore(oid, serial, data, version, prev_txn, transaction)

    def tryToResolveConflict(self, *args: Any, **kwargs: Any) -> bytes:
        """The merged record, sealed: FileStorage writes it without another call of ``store``."""
        oid = kwargs["oid"] if "oid" in kwargs else args[0]
        return seal(super().tryToResolveConflict(*args, **kwargs), oid, self._tid)

    # -- the headers of a transaction -------------------------------------------------------------

    def _begin(self, tid: bytes, user: bytes, description: bytes, extension: bytes) -> None:
        extension = seal_room(extension)
        self._ude = as_bytes(user), as_bytes(description), extension
        super()._begin(tid, user, description, extension)

    def tpc_vote(self, transaction: Any) -> Any:
        """Write the transaction, with a checksum of its headers."""
        with self._lock:
            if transaction is not self._transaction:
                return super().tpc_vote(transaction)  # which says so
            # What FileStorage does, but for the checksum.
            records = self._tfile.records()
            length = records.size
            header = transaction_header(
                self._tid, self._thl + length, self._tstatus.encode(), self._ude, record_headers(records)
            )
            self._file.seek(self._pos)
            self._file.write(header[:_STATUS] + b"c" + header[_STATUS + 1 :])
            for block in records.blocks():
                self._file.write(block)
            self._file.write(p64(self._thl + length))
            self._file.flush()
            self._nextpos = self._pos + self._thl + length + 8
            return self._resolved

    def _read_data_header(self, pos: int, oid: bytes | None = None, _file: Any = None) -> Any:
        # What leads to a revision before leads back: else an altered position makes an endless ring. And what
        # is longer than the file must not be read: memory is taken for it first.
        file = _file or self._file
        file.seek(pos)
        content = file.read(DATA_HDR_LEN)
        if len(content) != DATA_HDR_LEN:
            raise CorruptedDataError(oid, content, pos)
        header = DataHeader(*_unpack_header(content))
        if not header.plen:
            header.back = int.from_bytes(file.read(8), "big")
        is_right = header.oid == oid or oid is None
        if not is_right or header.prev >= pos or header.back >= pos or pos + header.plen > self._pos:
            raise CorruptedDataError(oid, content, pos)
        return header

    def load(self, oid: bytes, version: str = "") -> tuple[bytes, bytes]:
        """The current record of *oid*, and the id of its transaction."""
        try:
            data, tid = super().load(oid, version)
            self._check(data, oid, tid)
        except LotdbError:
            raise
        except (CorruptedError, OSError, ValueError, struct.error) as error:
            raise self._read_error(oid, error) from error
        return data, tid

    # Every object that a connection loads comes through here: hence the check is written out.
    def loadBefore(self, oid: bytes, tid: bytes) -> tuple[bytes, bytes, bytes | None] | None:
        """The record of *oid* before *tid*, and the ids of its transaction and of the next."""
        try:
            found: tuple[bytes, bytes, bytes | None] | None = super().loadBefore(oid, tid)
            if found is None:
                self._check_way(oid, tid)
                return None
            data, serial, following = found
            if following is not None:
                self._check_way(oid, tid)
            if crc32_of(data) != RESIDUE or data[-8:-4] != crc32(oid + serial).to_bytes(4, "little"):
                self._check(data, oid, serial)
        except LotdbError:
            raise
        except (CorruptedError, OSError, ValueError, struct.error) as error:
            raise self._read_error(oid, error) from error
        return found

    def loadSerial(self, oid: bytes, serial: bytes) -> bytes:
        """The record of *oid* that the transaction *serial* stored."""
        try:
            data: bytes = super().loadSerial(oid, serial)
            self._check(data, oid, serial)
        except LotdbError:
            raise
        except (CorruptedError, OSError, ValueError, struct.error) as error:
            raise self._read_error(oid, error) from error
        return data

    def checked_records(self) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Object id, transaction id and bytes of every record of every revision, each checked."""
        with self._reopened() as file:
            for transaction in self._whole_transactions(file):
                for oid, at, length in transaction.records:
                    if not length and not (at := file.origin(at)):
                        continue  # the creation of the object was undone
                    data = file.data(at)
                    if not is_intact(data) or (length and not belongs(data, oid, transaction.tid)):
                        raise self._altered_error(oid, transaction.tid)
                    yield oid, transaction.tid, data

    def check_headers(self) -> bool:
        """Whether any transaction has no checksum of its headers yet.

        Raises
        ------
        DamagedError
            A transaction, or the header of a record, is not as it was written.
        """
        with self._reopened() as file:
            are_sealed = [each.sealed for each in self._whole_transactions(file)]
        return not all(are_sealed)

    def iterator(self, start: bytes | None = None, stop: bytes | None = None) -> Any:
        """The transactions from *start* to *stop*, as ZODB gives them, once all headers are checked."""
        end = self._pos
        self.check_headers()  # the iterator of ZODB ends where it does not understand something
        return _Transactions(self._file_name, start, stop, end)

    @contextlib.contextmanager
    def _reopened(self, block: int = BLOCK) -> Iterator[DataFile]:
        """The data file up to the last commit, in a descriptor that nobody else uses."""
        with self._lock:
            if self._files.closed:
                raise self._closed_error()
            with system_errors("the data file cannot be read", self._file_name):
                # Where it can be had, the file that is read from: at its path may be the next one by now.
                known = getattr(self._files, "descriptor", None)
                descriptor = open_part(self._file_name) if known is None else os.dup(known.number)
            size = self._pos  # what is being committed stands behind it
        try:
            yield DataFile(descriptor, size, block)
        finally:
            os.close(descriptor)

    def _whole_transactions(self, file: DataFile) -> Iterator[Transaction]:
        last = bytes(8)
        try:
            for transaction in file.transactions():
                if transaction.tid <= last:
                    raise NotWholeError(transaction.position, "a transaction is older than the one before it")
                last = transaction.tid
                yield transaction
        except NotWholeError as error:
            raise DamagedError(f"{self._file_name}: {error}; it comes after {time_of(last)}") from error
        except OSError as error:
            raise FileSystemError.of(error, "the data file cannot be read", self._file_name) from error

    def _check(self, data: bytes, oid: bytes, tid: bytes) -> None:
        if not is_intact(data) or not (belongs(data, oid, tid) or self._belongs_to_origin(data, oid, tid)):
            raise self._altered_error(oid, tid)

    def _belongs_to_origin(self, data: bytes, oid: bytes, tid: bytes) -> bool:
        """Whether *tid* undid something, and the record *data* is the one that it brought back."""
        with self._files.get() as file:
            for position, header in self._revisions(oid, file):
                if header.tid == tid and not header.plen:
                    self._check_header(position, header, file)
                    origin = DataFile(file.fileno(), self._pos).origin(position)
                    return belongs(data, oid, self._read_data_header(origin, oid, file).tid)
        return False

    def _check_way(self, oid: bytes, tid: bytes) -> None:
        """Check the headers that lead from the current record of *oid* to the one before *tid*."""
        with self._files.get() as file:
            for position, header in self._revisions(oid, file):
                self._check_header(position, header, file)
                if header.tid < tid:
                    return

    def _revisions(self, oid: bytes, file: Any) -> Iterator[tuple[int, Any]]:
        position = self._index.get(oid, 0)
        while position:
            header = self._read_data_header(position, oid, file)
            yield position, header
            position = header.prev

    def _check_header(self, position: int, header: Any, file: Any) -> None:
        self._check_place(position, header.tloc, file.fileno())

    def _check_place(self, position: int, start: int, descriptor: int) -> None:
        """Check the header of the record at *position*, and all others of its transaction, at *start*."""
        if position in self._checked:
            return
        try:
            transaction = DataFile(descriptor, self._pos, _SMALL).transaction(start)
        except NotWholeError as error:
            raise DamagedError(f"{self._file_name}: {error}") from error
        self._checked.update(at for _, at, _ in transaction.records)
        if position not in self._checked:
            raise DamagedError(f"{self._file_name}: the record at byte {position} belongs to no transaction")

    def _altered_error(self, oid: bytes, tid: bytes) -> DamagedError:
        return DamagedError(
            f"{self._file_name}: object {oid_repr(oid)}, stored by transaction {tid_repr(tid)}: its bytes"
            " are not the ones that were stored"
        )

    def _read_error(self, oid: bytes, error: Exception) -> LotdbError:
        if self._files.closed:
            return self._closed_error()
        if isinstance(error, OSError) and not is_gone(error):
            return FileSystemError.of(error, "the data file cannot be read", self._file_name)
        return DamagedError(f"{self._file_name}: object {oid_repr(oid)} cannot be read: {error}")

    def _closed_error(self) -> ClosedError:
        return ClosedError(f"{self._file_name} is closed; open the database again")
