"""Reading a record as it was before a transaction, however often it was stored since.

Each record's header names the place of the revision before. FileStorage goes from one to the next with a
dozen calls for each; here they are read in blocks, and a step takes less than a microsecond.

What an altered header on the way does is noticed without checking the whole way. The record that is found
has a checksum over its bytes and over the ids of its object and transaction. The header of the next one after
it, which names its place, is checked with its transaction. So the two are neighbours, and the moment lies
between them, by whatever way they were reached. What is out of the ordinary is left to the usual way.
"""

from __future__ import annotations

import os
import struct
from typing import Any
from zlib import crc32

from ZODB.FileStorage.format import DATA_HDR, DATA_HDR_LEN

from lotdb.errors import DamagedError
from lotdb.extras import crc32_of
from lotdb.storage.reading import Descriptor, ReadFile
from lotdb.storage.sealing import RESIDUE, ChecksummedRecords
from lotdb.storage.transactions import DataFile, NotWholeError
from lotdb.storage.watermark import EMPTY

__all__ = ["EarlierRecords"]

_header = struct.Struct(DATA_HDR).unpack_from
_beginning = struct.Struct(">8s8sQ").unpack_from  # object, transaction, and place of the revision before

# Revisions that lie this near to each other are read together, so many bytes at once at most.
_NEAR = 1 << 14
_LEAST, _MOST = 1 << 12, 1 << 17

# After so many steps back, this many transactions before the moment are looked at, of this many bytes at
# most.
_STEPS = 1000
_TRANSACTIONS, _BYTES = 64, 1 << 18

_Found = tuple[bytes, bytes, bytes | None]


class EarlierRecords(ChecksummedRecords):
    """A FileStorage that goes back to earlier revisions quickly."""

    _pos: int
    #: Where the last transaction before another begins, of the one that was asked for last.
    _last_before: tuple[Descriptor | None, bytes, int] = (None, b"", 0)

    def loadBefore(self, oid: bytes, tid: bytes) -> _Found | None:
        """The record of *oid* before *tid*, and the ids of its transaction and of one not after the next."""
        return self._earlier(oid, tid) or super().loadBefore(oid, tid)

    def _earlier(self, oid: bytes, tid: bytes) -> _Found | None:
        """The same if there is one, it can be read just now, and is as it was written; else None."""
        files = self._files
        if type(files) is not ReadFile or files.closed or (files.writing and tid > self._tid):
            return None
        descriptor = files.descriptor
        position = self._index.get(oid)
        if descriptor is None or position is None:
            return None
        number = descriptor.number
        following = None
        later = first = steps = 0
        ahead, block = DATA_HDR_LEN, b""
        try:
            while True:
                at = position - first
                if at < 0 or at + DATA_HDR_LEN > len(block):
                    end = position + DATA_HDR_LEN
                    first = max(end - ahead, 0)
                    block = os.pread(number, end - first, first)
                    at = position - first
                    if len(block) < end - first:
                        return None
                found, serial, before = _beginning(block, at)
                if found != oid or before >= position:
                    return None
                if serial < tid:
                    break
                if not before:
                    return None
                if at < position - before:  # the next one is in another block
                    is_near = position - before <= _NEAR
                    ahead = min(max(ahead * 4, _LEAST), _MOST) if is_near else DATA_HDR_LEN
                following, later, position = serial, position, before
                steps += 1
                if steps == _STEPS and (near := self._near(oid, tid, descriptor)):
                    position, later, following = near, 0, tid
            *_, version, length = _header(block, at)
            if version:
                return None
            if not length or position + DATA_HDR_LEN + length > self._pos:
                return None
            data = os.pread(number, length, position + DATA_HDR_LEN)
            if later:
                start = _header(os.pread(number, DATA_HDR_LEN, later))[3]
                self._check_place(later, start, number)
        except (OSError, struct.error, DamagedError, NotWholeError):
            return None
        if crc32_of(data) != RESIDUE or data[-8:-4] != crc32(oid + serial).to_bytes(4, "little"):
            return None
        # A pack may have put another file in place meanwhile.
        return (data, serial, following) if files.descriptor is descriptor else None

    def _initIndex(self, index: Any, tindex: Any) -> None:
        super()._initIndex(index, tindex)
        self._last_before = (None, b"", 0)  # a pack has put another file in place

    def _near(self, oid: bytes, tid: bytes, descriptor: Descriptor) -> int:
        """Where the record of *oid* before *tid* is, if it was stored shortly before; else 0."""
        file = DataFile(descriptor.number, self._pos, _LEAST)
        known, before, last = self._last_before
        if known is not descriptor or before != tid:
            found = file.last_until((int.from_bytes(tid, "big") - 1).to_bytes(8, "big"))
            last = 0 if found is None else found.position
            self._last_before = descriptor, tid, last
        start = last
        for _ in range(_TRANSACTIONS):
            if start < EMPTY.size or last - start > _BYTES:
                break
            for each, position, _ in file.transaction(start).records:
                if each == oid:
                    return position
            start = file.last_before(start)
        return 0
