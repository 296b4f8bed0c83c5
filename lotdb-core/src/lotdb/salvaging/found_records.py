"""Finding the records in a damaged data file, whatever is left of what leads to them.

A sealed record proves by itself that it is whole, and which object and transaction it belongs to. So where a
transaction is not whole, each byte is tried as the beginning of a record, until the next whole transaction.
A record within a record, as in an attribute that holds a data file, is none: what lies in a record that was
found is skipped, and what was found must name a transaction that begins before it, and fits what is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from ZODB.FileStorage.format import DATA_HDR_LEN, TRANS_HDR_LEN

from lotdb.storage.places import read_at
from lotdb.storage.sealing import belongs, is_intact
from lotdb.storage.transactions import DataFile, NotWholeError, time_of
from lotdb.storage.watermark import EMPTY

__all__ = ["Found", "FoundRecords"]

_BLOCK = 4 << 20
# What stands between the beginning of a transaction and its first record, at most, to be believed.
_HEADER = 4096
_SEAL = b"\0LTX"


class Found(NamedTuple):
    """Where the newest whole revision of an object is."""

    tid: bytes
    file: int
    position: int
    length: int


class FoundRecords:
    """The newest whole revision of each object in several data files.

    Attributes
    ----------
    newest : dict
        By object id, its :class:`Found`.
    stale : dict
        By object id, the transaction of a later revision that cannot be read.
    unreadable : list of str
        The parts of files in which nothing was found.
    last : bytes
        The last transaction of which anything was found.
    """

    def __init__(self) -> None:
        self.newest: dict[bytes, Found] = {}
        self._torn: dict[bytes, bytes] = {}
        self.unreadable: list[str] = []
        self.last = bytes(8)
        self._files: list[DataFile] = []
        self._index: Mapping[bytes, int] = {}
        self._known_end = 0
        self._before = self.last

    @property
    def stale(self) -> dict[bytes, bytes]:
        """By object id, the transaction of a later revision that cannot be read."""
        return {
            oid: tid for oid, tid in self._torn.items() if oid in self.newest and self.newest[oid].tid < tid
        }

    def data(self, found: Found) -> bytes:
        """What the record holds."""
        return self._files[found.file].read(found.position, found.length)

    def add(self, path: str, descriptor: int, index: Mapping[bytes, int], *, is_main: bool) -> None:
        """Look through the data file *path*; only of the main one it is said what cannot be read.

        Where a record is may be told by the *index*, which need not belong to the file.
        """
        self._index = index
        file = DataFile.of_written(descriptor)
        self._files.append(file)
        at = EMPTY.size if file.read(0, 4) == b"FS30" else 0
        if at == 0 and is_main and file.size:
            self.unreadable.append(f"{path}: bytes 0 to 4, where a data file begins")
            at = EMPTY.size
        while at < file.size:
            at = self._whole(path, file, at, is_main)
            if at >= file.size:
                break
            stop = next_whole(file, at)
            count, is_all = self._region(file, at, stop)
            if is_main and not is_all:
                self.unreadable.append(
                    f"{path}: of bytes {at} to {stop}, written after {time_of(self._before)}, all but"
                    f" {count} records"
                )
            at = stop

    def _whole(self, path: str, file: DataFile, start: int, is_main: bool) -> int:
        """Take in whole transactions from *start* on; where they end."""
        try:
            for transaction in file.transactions(start):
                for oid, at, length in transaction.records:
                    if not length:
                        continue
                    data = file.data(at)
                    if is_intact(data) and belongs(data, oid, transaction.tid):
                        self._take(oid, transaction.tid, at + DATA_HDR_LEN, length)
                    else:
                        self._tear(oid, transaction.tid)
                        if is_main:
                            self.unreadable.append(
                                f"{path}: the record at byte {at}, written {time_of(transaction.tid)}"
                            )
                self.last = max(self.last, transaction.tid)
                start = self._known_end = transaction.end
        except NotWholeError:
            return start
        return file.size

    def _take(self, oid: bytes, tid: bytes, position: int, length: int) -> None:
        known = self.newest.get(oid)
        if known is None or known.tid < tid:
            self.newest[oid] = Found(tid, len(self._files) - 1, position, length)

    def _tear(self, oid: bytes, tid: bytes) -> None:
        self._torn[oid] = max(tid, self._torn.get(oid, tid))

    def _region(self, file: DataFile, start: int, stop: int) -> tuple[int, bool]:
        """Take in the records between *start* and *stop*: how many, and whether there was nothing else."""
        self._before = self.last
        whole: list[_Candidate] = []
        torn: list[_Candidate] = []
        end = start
        for at in _candidates(file, start, stop):
            if at < end:
                continue  # within a record that was found
            header = read_at_of(file, at, DATA_HDR_LEN)
            each = _Candidate(
                at, header[:8], header[8:16], *map(_number, (header[16:24], header[24:32], header[34:]))
            )
            if not self._known_end <= each.begins < at or each.tid <= self._before:
                continue
            data = read_at_of(file, each.data, each.length)
            if is_intact(data) and belongs(data, each.oid, each.tid):
                whole.append(each)
                end = each.end
            else:
                torn.append(each)
        proven = {each.transaction for each in whole if _is_of_file(file, each, start, self._index)}
        # In the order of the file, so that what stands right behind a transaction that is known begins one.
        for each, before in zip(whole[1:], whole, strict=False):
            if before.transaction in proven and each.begins == before.end + 8:
                proven.add(each.transaction)
        found = [each for each in whole if each.transaction in proven]
        for each in found:
            self._take(each.oid, each.tid, each.data, each.length)
            self.last = max(self.last, each.tid)
        for each in torn:
            if each.transaction in proven:
                self._tear(each.oid, each.tid)
        self._known_end = stop
        return len(found), _is_all(file, found, start, stop)


class _Candidate(NamedTuple):
    """What looks like the header of a record at position ``at``: what it says of the record."""

    at: int
    oid: bytes
    tid: bytes
    previous: int
    begins: int
    length: int

    @property
    def data(self) -> int:
        """Where its data begin."""
        place: int = self.at + DATA_HDR_LEN
        return place

    @property
    def end(self) -> int:
        """Where its data end."""
        return self.data + self.length

    @property
    def transaction(self) -> tuple[bytes, int]:
        """The id of its transaction, and where that begins."""
        return self.tid, self.begins


def _number(content: bytes) -> int:
    number: int = int.from_bytes(content, "big")
    return number


def _is_of_file(file: DataFile, record: _Candidate, start: int, index: Mapping[bytes, int]) -> bool:
    """Whether a place in *file* is as the header of *record* has it; in a file within a file none is."""
    if record.begins == start or index.get(record.oid) == record.at:
        return True
    if read_at_of(file, record.begins, 8) == record.tid:
        return True
    if record.previous and read_at_of(file, record.previous, 8) == record.oid:
        return True
    distance = record.at - record.begins
    if read_at_of(file, record.at - 8, 4) == _SEAL and TRANS_HDR_LEN < distance <= _HEADER:
        return True
    # The transaction ends in its length.
    at = record.at
    while True:
        header = read_at_of(file, at, DATA_HDR_LEN)
        if (
            len(header) < DATA_HDR_LEN
            or header[8:16] != record.tid
            or _number(header[24:32]) != record.begins
        ):
            return read_at_of(file, at, 8) == (at - record.begins).to_bytes(8, "big")
        at += DATA_HDR_LEN + (_number(header[34:]) or 8)


def _is_all(file: DataFile, found: list[_Candidate], start: int, stop: int) -> bool:
    """Whether there is nothing between *start* and *stop* but these records and what stands around them."""
    end, transaction = start - 8, None
    for each in found:
        if each.transaction == transaction:
            if each.at != end:
                return False
        elif each.begins != end + 8 or read_at_of(file, each.at - 8, 4) != _SEAL:
            return False
        end, transaction = each.end, each.transaction
    return bool(found) and end + 8 == stop


def read_at_of(file: DataFile, position: int, length: int) -> bytes:
    """So many bytes of *file*, without moving the block that it reads in."""
    return read_at(file._descriptor, length, position)


def next_whole(file: DataFile, position: int) -> int:
    """Where the next whole transaction behind *position* begins; the size of the file if none does."""
    for mark in file._find(_SEAL, position):
        header = read_at_of(file, mark + 8, DATA_HDR_LEN)
        if len(header) < DATA_HDR_LEN:
            continue
        start = int.from_bytes(header[24:32], "big")
        if position < start < mark and file._is_whole(start):
            return start
    return file.size


def _candidates(file: DataFile, start: int, stop: int) -> Iterator[int]:
    """Each place between *start* and *stop* at which the header of a sealed record may be."""
    for first in range(start, stop, _BLOCK):
        block = np.frombuffer(read_at_of(file, first, min(_BLOCK, stop - first) + DATA_HDR_LEN), np.uint8)
        count = min(_BLOCK, stop - first, len(block) - DATA_HDR_LEN)
        if count <= 0:
            return
        # No version, and a length of less than 4 GiB that is not zero.
        good = (block[32 : 32 + count] == 0) & (block[33 : 33 + count] == 0)
        for byte in (34, 35, 36, 37):
            good &= block[byte : byte + count] == 0
        for at in np.flatnonzero(good):
            length = int.from_bytes(block[at + 34 : at + 42].tobytes(), "big")
            end = first + int(at) + DATA_HDR_LEN + length
            if length > 12 and end <= stop and read_at_of(file, end - 11, 3) == b".\0M":
                yield first + int(at)
