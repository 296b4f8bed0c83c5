"""Reading the current record of an object in one step, for what looks at very many of them.

The way by which a connection loads a record goes through a dozen calls of Python, each for a case that seldom
comes. That takes longer than unpickling the record. Here the same checks are made one after the other, and
whatever is out of the ordinary is left to that way, which also knows the right error.
"""

from __future__ import annotations

import os
import struct
from zlib import crc32

from ZODB.FileStorage import FileStorage
from ZODB.FileStorage.format import DATA_HDR, DATA_HDR_LEN

from lotdb.storage.reading import AHEAD, ReadFile
from lotdb.storage.sealing import RESIDUE

__all__ = ["PeekedRecords"]

_header = struct.Struct(DATA_HDR).unpack_from


class PeekedRecords(FileStorage):
    """A FileStorage whose current records can be read in one step."""

    _pos: int

    def peek(self, oid: bytes, tid: bytes) -> bytes | None:
        """The record of *oid* as it was before *tid*, as ``loadBefore`` gives it.

        Returns
        -------
        bytes or None
            None if it is not the current record, if it cannot be read just now, or if anything is wrong with
            it; ``loadBefore`` then waits, goes back, or says what is wrong.
        """
        files = self._files
        position = self._index.get(oid)
        if position is None or type(files) is not ReadFile or files.writing or files.closed:
            return None
        descriptor = files.descriptor
        if descriptor is None:
            return None
        ahead = os.pread(descriptor.number, AHEAD, position)
        if len(ahead) < DATA_HDR_LEN:
            return None
        found, serial, before, _, version, length = _header(ahead)
        start = position + DATA_HDR_LEN
        # What is longer than the file must not be read: memory is taken for it first.
        if found != oid or serial >= tid or before >= position or version or start + length > self._pos:
            return None
        data = ahead[DATA_HDR_LEN : DATA_HDR_LEN + length]
        if len(data) < length:
            data = os.pread(descriptor.number, length, start)
        if crc32(data) != RESIDUE or data[-8:-4] != crc32(oid + serial).to_bytes(4, "little"):
            return None
        # A pack may have put another file in place meanwhile.
        return data if files.descriptor is descriptor else None
