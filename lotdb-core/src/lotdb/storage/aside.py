"""Where a transaction keeps what it has changed so far, but for what is in memory: a file without a name.

ZODB writes it at a savepoint. Its own lies in the folder for temporary files, which is often kept in memory.
This one lies beside the database if that has a folder, so that a large transaction needs no memory for it. It
has no name, so nothing is left of it once the process has ended, also if that was killed.

A child process that was forked meanwhile has the file open, too, and moves the place that both share when it
ends. So each record is read and written at a place of its own. What was read is committed as it is, and each
record has a checksum that says whether it is what was written.
"""

from __future__ import annotations

import contextlib
import tempfile
from typing import Any

from ZODB.Connection import TmpStore
from ZODB.POSException import Unsupported
from ZODB.utils import oid_repr, p64, u64

from lotdb.errors import DamagedError
from lotdb.extras import crc32_of
from lotdb.storage.places import read_at, write_at

__all__ = ["Aside"]

# Before a record there are its serial, its size and its checksum.
_HEAD_BYTES = 24
# So many bytes are read at first; most records are shorter.
_READ_BYTES = 8192


class Aside(TmpStore):
    """ZODB's temporary storage of one transaction, which counts what it is given."""

    index: dict[bytes, int]
    position: int
    _file: Any

    def __init__(self, storage: Any) -> None:
        super().__init__(storage)
        self._file.close()
        folder = None
        # Without a folder for blobs, as on a server, each storage fails in its own way.
        with contextlib.suppress(AttributeError, TypeError, Unsupported):
            folder = storage.temporaryDirectory()
        self._file = tempfile.TemporaryFile(dir=folder, prefix="aside", buffering=0)  # noqa: SIM115 - close()
        # Whether each record was there before; a program may make many savepoints before anybody asks.
        self._stored: dict[bytes, bool] = {}

    def store(self, oid: bytes, serial: bytes | None, data: bytes, version: str, transaction: Any) -> bytes:
        """Keep a record of this transaction."""
        serial = serial or bytes(8)
        record = serial + p64(len(data)) + p64(crc32_of(data)) + data
        written = 0
        while written < len(record):
            rest = record[written:] if written else record
            written += write_at(self._file.fileno(), rest, self.position + written)
        self._stored.setdefault(oid, oid in self.index)
        self.index[oid] = self.position
        self.position += len(record)
        return serial

    def load(self, oid: bytes, version: str = "") -> tuple[bytes, bytes]:
        """A record and its serial, as this transaction has left it.

        Raises
        ------
        DamagedError
            It is not what was written.
        """
        place = self.index.get(oid)
        if place is None:
            found: tuple[bytes, bytes] = self._storage.load(oid)
            return found
        record = self._read(place, _READ_BYTES)
        size = u64(record[8:16]) if len(record) >= _HEAD_BYTES else 0
        record += self._read(place + len(record), _HEAD_BYTES + size - len(record))
        data = record[_HEAD_BYTES : _HEAD_BYTES + size]
        if len(record) < _HEAD_BYTES + size or crc32_of(data) != u64(record[16:24]):
            raise DamagedError(
                f"{self._storage.getName()}: object {oid_repr(oid)}, which this transaction has changed, is "
                "damaged in its temporary file"
            )
        return data, record[:8]

    def _read(self, place: int, size: int) -> bytes:
        """*size* bytes from *place* on; fewer where the file ends."""
        parts = []
        while size > 0 and (part := read_at(self._file.fileno(), size, place)):
            parts.append(part)
            place += len(part)
            size -= len(part)
        return b"".join(parts)

    def take_stored(self) -> tuple[list[bytes], int]:
        """The ids of the records that were stored since this was asked last; how many were there before."""
        stored, self._stored = self._stored, {}
        return list(stored), sum(stored.values())
