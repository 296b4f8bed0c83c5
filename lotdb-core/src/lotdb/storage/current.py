"""Reading the current record of an object in one step.

Nearly all that a connection reads are current records, in a file that nobody replaces. The way through
FileStorage and what is put before it is a dozen calls, most for cases that seldom come, and took a third of
the time of a search. Here the same checks are made one after the other. Whatever is out of the ordinary is
left to that way, which waits, goes back to earlier records, and knows the right error.
"""

from __future__ import annotations

import os
import struct
import weakref
from typing import Any
from zlib import crc32

from ZODB.FileStorage import FileStorage
from ZODB.FileStorage.format import DATA_HDR, DATA_HDR_LEN
from ZODB.utils import maxtid

from lotdb.extras import crc32_of
from lotdb.storage.reading import AHEAD, Descriptor, ReadFile
from lotdb.storage.sealing import RESIDUE

__all__ = ["CurrentRecords", "RecordPlace"]

_header = struct.Struct(DATA_HDR).unpack_from


class RecordPlace:
    """Where an intact record is in the data file, so that a part of it is read without the rest.

    It keeps no file open: after a pack it reads nothing.
    """

    __slots__ = ("_descriptor", "_files", "_position")

    def __init__(self, files: ReadFile, descriptor: Descriptor, position: int) -> None:
        self._files = files
        self._descriptor = weakref.ref(descriptor)
        self._position = position

    def at(self, start: int) -> RecordPlace:
        """The place of what begins at byte *start* of the record."""
        place = object.__new__(RecordPlace)
        place._files, place._descriptor = self._files, self._descriptor
        place._position = self._position + start
        return place

    def read_into(self, out: Any, start: int) -> bool:
        """Fill *out*, a buffer, with what begins at byte *start* of it; whether that was possible."""
        descriptor = self._descriptor()
        if descriptor is None or self._files.descriptor is not descriptor:
            return False
        return bool(os.preadv(descriptor.number, (out,), self._position + start) == out.nbytes)


class CurrentRecords(FileStorage):
    """A FileStorage whose current records can be read in one step."""

    _pos: int

    def place_of(self, oid: bytes) -> tuple[bytes, RecordPlace] | None:
        """The current record of *oid*, and its place; None if it cannot be read from there just now."""
        files, position = self._files, self._index.get(oid)
        descriptor = files.descriptor if type(files) is ReadFile else None
        found = self._current(oid, maxtid) if descriptor is not None and hasattr(os, "preadv") else None
        if found is None or files.descriptor is not descriptor or self._index.get(oid) != position:
            return None
        return found[0], RecordPlace(files, descriptor, position + DATA_HDR_LEN)

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
        if crc32_of(data) != RESIDUE or data[-8:-4] != crc32(oid + serial).to_bytes(4, "little"):
            return None
        # A pack may have put another file in place meanwhile.
        return (data, serial, None) if files.descriptor is descriptor else None
