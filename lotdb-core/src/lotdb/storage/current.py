"""Reading the current record of an object in one step.

Nearly all that a connection reads are current records, in a file that nobody replaces. The way through
FileStorage and what is put before it is a dozen calls, most for cases that seldom come, and took a third of
the time of a search. Here the same checks are made one after the other. Whatever is out of the ordinary is
left to that way, which waits, goes back to earlier records, and knows the right error.
"""

from __future__ import annotations

import os
import struct
from zlib import crc32

from ZODB.FileStorage import FileStorage
from ZODB.FileStorage.format import DATA_HDR, DATA_HDR_LEN

from lotdb.storage.reading import AHEAD, ReadFile
from lotdb.storage.sealing import RESIDUE

__all__ = ["CurrentRecords"]

_header = struct.Struct(DATA_HDR).unpack_from


class CurrentRecords(FileStorage):
    """A FileStorage whose current records can be read in one step."""

    _pos: int

    def loadBefore(self, oid: bytes, tid: bytes) -> tuple[bytes, bytes, bytes | None] | None:
        """The record of *oid* before *tid*, and the ids of its transaction and of the next."""
        return self._current(oid, tid) or super().loadBefore(oid, tid)

    def _current(self, oid: bytes, tid: bytes) -> tuple[bytes, bytes, None] | None:
        """The same if it is the current record, can be read just now, and is as it was written; else None."""
        files = self._files
        if type(files) is not ReadFile or files.writing or files.closed:
            return None
        descriptor = files.descriptor
        position = self._index.get(oid)
        if descriptor is None or position is None:
            return None
        try:
            ahead = os.pread(descriptor.number, AHEAD, position)
            if len(ahead) < DATA_HDR_LEN:
                return None
            found, serial, before, _, version, length = _header(ahead)
            end = position + DATA_HDR_LEN + length
            # What is longer than the file must not be read: memory is taken for it first.
            if found != oid or serial >= tid or before >= position or version or end > self._pos:
                return None
            data = ahead[DATA_HDR_LEN : DATA_HDR_LEN + length]
            if len(data) < length:
                data += os.pread(descriptor.number, length - len(data), position + len(ahead))
        except OSError:
            return None
        if crc32(data) != RESIDUE or data[-8:-4] != crc32(oid + serial).to_bytes(4, "little"):
            return None
        # A pack may have put another file in place meanwhile.
        return (data, serial, None) if files.descriptor is descriptor else None
