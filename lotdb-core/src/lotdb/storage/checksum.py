"""A checksum at the end of every record, so that altered bytes never pass for data.

FileStorage has no checksums: one flipped bit in a number gives another number. A stored record here is ::

    pickle of the class, pickle of the state, b"\\x00L", CRC-32 of all before (four bytes, little-endian)

Whoever unpickles a record stops after the second pickle, so nothing has to be cut off: plain ZODB tools, the
packer and conflict resolution read such records as they are. And the CRC-32 of anything that ends in its own
CRC-32 is one constant (the "residue" of ISO-HDLC CRC-32), so checking is one call without a copy.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any
from zlib import crc32

from ZODB.FileStorage import FileStorage
from ZODB.FileStorage.format import CorruptedError
from ZODB.utils import oid_repr, tid_repr

from lotdb.errors import ClosedError, DamagedError, FileSystemError, LotdbError, is_gone

__all__ = ["ChecksummedRecords", "is_intact", "seal"]

_MARK = b"\0L"
_RESIDUE = 0x2144DF1C
_STOP = b"."  # the last byte of every pickle


def seal(record: bytes) -> bytes:
    """The record with its checksum.

    >>> is_intact(seal(b"data."))
    True
    >>> is_intact(seal(b"data.").replace(b"t", b"T"))
    False
    """
    return b"".join((record, _MARK, crc32(_MARK, crc32(record)).to_bytes(4, "little")))


def is_intact(record: bytes) -> bool:
    """Whether the record is as it was stored.

    A record without a checksum, which another program wrote, is taken as it is.

    >>> is_intact(b"no checksum.")
    True
    """
    return crc32(record) == _RESIDUE or (record.endswith(_STOP) and record[-6:-4] != _MARK)


class ChecksummedRecords(FileStorage):
    """A FileStorage that seals each record it stores, and checks each one it loads.

    An error that comes of damaged or closed files leaves as LOTDB's own.
    """

    def store(self, oid: bytes, oldserial: bytes, data: bytes, version: str, transaction: Any) -> None:
        """Store one record, sealed."""
        super().store(oid, oldserial, seal(data), version, transaction)

    def restore(
        self,
        oid: bytes,
        serial: bytes,
        data: bytes | None,
        version: str,
        prev_txn: bytes | None,
        transaction: Any,
    ) -> None:
        """Store a record of another storage, sealed unless it is so already."""
        if data is not None and crc32(data) != _RESIDUE:
            data = seal(data)
        super().restore(oid, serial, data, version, prev_txn, transaction)

    def tryToResolveConflict(self, *args: Any, **kwargs: Any) -> bytes:
        """The merged record, sealed: FileStorage writes it without another call of ``store``."""
        return seal(super().tryToResolveConflict(*args, **kwargs))

    def load(self, oid: bytes, version: str = "") -> tuple[bytes, bytes]:
        """The current record of *oid*, and the id of its transaction."""
        try:
            data, tid = super().load(oid, version)
        except (CorruptedError, OSError, ValueError, struct.error) as error:
            raise self._read_error(oid, error) from error
        self._check(data, oid, tid)
        return data, tid

    # Every object that a connection loads comes through here: hence the check is written out.
    def loadBefore(self, oid: bytes, tid: bytes) -> tuple[bytes, bytes, bytes | None] | None:
        """The record of *oid* before *tid*, and the ids of its transaction and of the next."""
        try:
            found: tuple[bytes, bytes, bytes | None] | None = super().loadBefore(oid, tid)
        except (CorruptedError, OSError, ValueError, struct.error) as error:
            raise self._read_error(oid, error) from error
        if found is not None and crc32(found[0]) != _RESIDUE:
            self._check(found[0], oid, found[1])
        return found

    def loadSerial(self, oid: bytes, serial: bytes) -> bytes:
        """The record of *oid* that the transaction *serial* stored."""
        try:
            data: bytes = super().loadSerial(oid, serial)
        except (CorruptedError, OSError, ValueError, struct.error) as error:
            raise self._read_error(oid, error) from error
        self._check(data, oid, serial)
        return data

    def checked_records(self) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Object id, transaction id and bytes of every record of every revision, each checked."""
        # A transaction that is being committed stands behind the last one, and is not there yet.
        transactions = self.iterator(None, self.lastTransaction())
        try:
            for transaction in transactions:
                for record in transaction:
                    if record.data is not None:  # None: the creation of the object was undone
                        self._check(record.data, record.oid, record.tid)
                        yield record.oid, record.tid, record.data
        except LotdbError:
            raise
        except OSError as error:
            raise FileSystemError.of(error, "the data file cannot be read", self._file_name) from error
        except (CorruptedError, ValueError, struct.error) as error:
            raise DamagedError(f"{self._file_name}: {error}") from error
        finally:
            transactions.close()

    def _check(self, data: bytes, oid: bytes, tid: bytes) -> None:
        if not is_intact(data):
            raise DamagedError(
                f"{self._file_name}: object {oid_repr(oid)}, stored by transaction {tid_repr(tid)}: its bytes"
                " are not the ones that were stored"
            )

    def _read_error(self, oid: bytes, error: Exception) -> LotdbError:
        if isinstance(error, LotdbError):
            return error
        if self._files.closed:
            return self._closed_error()
        if isinstance(error, OSError) and not is_gone(error):
            return FileSystemError.of(error, "the data file cannot be read", self._file_name)
        return DamagedError(f"{self._file_name}: object {oid_repr(oid)} cannot be read: {error}")

    def _closed_error(self) -> ClosedError:
        return ClosedError(f"{self._file_name} is closed; open the database again")
