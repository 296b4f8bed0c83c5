"""Reading the data file transaction by transaction, and telling whole ones from all others.

FileStorage has no checksums: an altered length makes all transactions behind it vanish, an altered object id
brings an old revision back. So each transaction has a checksum over its header and those of its records. It
stands at the end of the transaction's extension, a field that ZODB hands through: ::

    the extension, or the pickle of an empty mapping, b"\\0LTX", CRC-32 (four bytes, little-endian)

Unpickling an extension stops at its end, and does not see it. The CRC-32 (ISO 3309) is that of each
record's header, with the position that stands in place of data if there are none, and then of all of the
transaction's header before it. What the records hold has other checksums: see ``lotdb.storage.sealing``.

Transactions without this seal are of before, or of another program. Their structure is checked, and that
nothing of a seal is to be seen: an altered byte does not make an unsealed transaction of a sealed one.
"""

# Annotations are no texts here: NamedTuple would compile each of them, which takes as long as ten modules.
import struct
from collections.abc import Iterator
from typing import NamedTuple, Self
from zlib import crc32

from persistent.TimeStamp import TimeStamp
from ZODB.FileStorage.format import DATA_HDR, DATA_HDR_LEN, TRANS_HDR, TRANS_HDR_LEN

from lotdb.storage.places import read_at
from lotdb.storage.room import end_before_room
from lotdb.storage.watermark import EMPTY, End

__all__ = [
    "BLOCK",
    "RECORD_MARK",
    "DataFile",
    "NotWholeError",
    "Transaction",
    "is_pickles",
    "record_headers",
    "seal_room",
    "time_of",
    "transaction_header",
]

_MARK = b"\0LTX"
_EMPTY_EXTENSION = b"}."
#: What a sealed record ends in, but for the last eight bytes: the end of its pickle, and a mark.
RECORD_MARK = b".\0M"

_TRANSACTION = struct.Struct(TRANS_HDR)
_RECORD = struct.Struct(DATA_HDR)
#: Bytes that are read at once by who reads all of a file.
BLOCK = 1 << 18
_SECTOR = 512
_MOST_TEXT = 3 * 0xFFFF  # of a transaction's header: user, description, extension


class NotWholeError(Exception):
    """A transaction that is not as it was written; *cut* if it may be one that was never finished."""

    def __init__(self, position: int, reason: str, *, cut: bool = False) -> None:
        super().__init__(f"{reason} at byte {position}")
        self.position = position
        self.cut = cut


class Transaction(NamedTuple):
    """A whole transaction: where it begins and ends, and of each record its object, position and data length.

    ``previous`` are the positions of the revisions before; of sealed transactions they are not kept.
    """

    position: int
    end: int
    tid: bytes
    sealed: bool
    records: list[tuple[bytes, int, int]]
    previous: list[int]


def seal_room(extension: bytes) -> bytes:
    """The *extension* with room for a checksum at its end, in place of one that is there already."""
    if _has_seal(extension):
        extension = extension[:-8]
    return (extension or _EMPTY_EXTENSION) + _MARK + bytes(4)


def _has_seal(extension: bytes) -> bool:
    """Whether the *extension* ends in the checksum of its transaction."""
    return extension[-8:-4] == _MARK


def transaction_header(
    tid: bytes, length: int, status: bytes, texts: tuple[bytes, bytes, bytes], so_far: int
) -> bytes:
    """The header of a transaction, sealed.

    Parameters
    ----------
    tid, length, status
        As ZODB writes them; *status* is that of the finished transaction.
    texts : tuple of bytes
        User, description, and extension with room for a checksum.
    so_far : int
        The CRC-32 of the headers of its records.
    """
    user, description, extension = texts
    start = _TRANSACTION.pack(tid, length, status, len(user), len(description), len(extension))
    header = b"".join((start, user, description, extension[:-4]))
    return header + crc32(header, so_far).to_bytes(4, "little")


def is_pickles(content: bytes, number: int) -> bool:
    """Whether *content* is that many pickles and not a byte more. Nothing is unpickled.

    >>> is_pickles(b"}.", 1), is_pickles(b"}.}.", 2), is_pickles(b"}..", 1)
    (True, True, False)
    """
    from pickletools import genops  # only repairs need it

    at = 0
    try:
        for _ in range(number):
            at += [position or 0 for _, _, position in genops(content[at:])][-1] + 1
    except Exception:  # pickletools raises what it stumbles over
        return False
    return at == len(content)


class DataFile:
    """The first *size* bytes of a data file, read in blocks.

    Parameters
    ----------
    descriptor : int
        Of the file, open for reading. Where it stands does not matter, and is not changed.
    size : int
        In bytes.
    block : int
        Bytes that are read at once; a large block is for who reads all, a small one for who jumps.
    """

    def __init__(self, descriptor: int, size: int, block: int = BLOCK) -> None:
        self._descriptor = descriptor
        self.size = size
        self._block_size = block
        self._block = b""
        self._start = 0

    @classmethod
    def of(cls, content: bytes) -> Self:
        """A file that is in memory."""
        file = cls(-1, len(content))
        file._block = content
        return file

    @classmethod
    def of_written(cls, descriptor: int) -> Self:
        """All of the file that was written, without the room behind that."""
        return cls(descriptor, end_before_room(descriptor))

    def read(self, position: int, length: int) -> bytes:
        """The *length* bytes from *position* on, or those that there are."""
        if not 0 <= position < self.size:
            return b""
        at = position - self._start
        if at < 0 or at + length > len(self._block):
            self._block = read_at(
                self._descriptor, max(length, min(self._block_size, self.size - position)), position
            )
            self._start = position
            at = 0
        return self._block[at : at + length]

    def blocks(self) -> Iterator[bytes]:
        """All of the file, piece by piece."""
        for position in range(0, self.size, self._block_size):
            yield self.read(position, min(self._block_size, self.size - position))

    def transactions(self, start: int = EMPTY.size) -> Iterator[Transaction]:
        """All transactions from *start* on, up to the end or to the first that is not whole.

        Raises
        ------
        NotWholeError
            Instead of that one.
        """
        while start < self.size:
            found = self.transaction(start)
            yield found
            start = found.end

    def transaction(self, position: int) -> Transaction:
        """The transaction at *position*.

        Raises
        ------
        NotWholeError
            There is none that is whole.
        """
        header = self.read(position, TRANS_HDR_LEN)
        if len(header) < TRANS_HDR_LEN or position + TRANS_HDR_LEN > self.size:
            raise NotWholeError(position, "a transaction is cut", cut=True)
        tid, length, status, *texts = _TRANSACTION.unpack(header)
        text = self.read(position + TRANS_HDR_LEN, sum(texts))
        start, end = position + TRANS_HDR_LEN + len(text), position + length
        if end + 8 > self.size:
            raise NotWholeError(position, "a transaction is cut", cut=True)
        if start > end or len(text) != sum(texts):
            raise NotWholeError(position, "lengths in the header of a transaction do not add up")
        if status not in b" p":
            raise NotWholeError(position, "a transaction is not finished", cut=status == b"c")
        sealed = _has_seal(text[sum(texts[:2]) :])
        records, previous, total = self._records(position, tid, start, end, sealed)
        if self.read(end, 8) != header[8:16]:
            raise NotWholeError(position, "the two lengths of a transaction differ")
        if not sealed:
            self._check_unsealed(position, records, text[sum(texts[:2]) :])
        elif crc32(text[:-4], crc32(header, total)).to_bytes(4, "little") != text[-4:]:
            raise NotWholeError(position, "the checksum of a transaction's headers does not fit them")
        return Transaction(position, end + 8, tid, sealed, records, previous)

    # A database that is opened without its index reads each header here: hence a block is used in place.
    def _records(
        self, position: int, tid: bytes, at: int, end: int, sealed: bool
    ) -> tuple[list[tuple[bytes, int, int]], list[int], int]:
        records: list[tuple[bytes, int, int]] = []
        previous: list[int] = []
        total = 0
        unpack, block, first = _RECORD.unpack_from, self._block, self._start
        while at < end:
            inside = at - first
            if inside < 0 or inside + DATA_HDR_LEN + 8 > len(block):
                self.read(at, DATA_HDR_LEN + 8)
                block, first, inside = self._block, self._start, 0
                if len(block) < DATA_HDR_LEN + 8:
                    raise NotWholeError(position, "a record is cut")
            oid, serial, before, transaction, version, length = unpack(block, inside)
            header_length = DATA_HDR_LEN if length else DATA_HDR_LEN + 8
            if transaction != position or serial != tid or version or before >= position:
                raise NotWholeError(position, "the header of a record does not fit its transaction")
            total = crc32(block[inside : inside + header_length], total)
            records.append((oid, at, length))
            if not sealed:
                previous.append(before)
            at += header_length + length
        if at != end:
            raise NotWholeError(position, "the lengths of records do not add up")
        return records, previous, total

    def _check_unsealed(self, position: int, records: list[tuple[bytes, int, int]], extension: bytes) -> None:
        if extension and not is_pickles(extension, 1):
            raise NotWholeError(position, "the extension of a transaction is not one pickle")
        for _, at, length in records:
            mark = at + DATA_HDR_LEN + length - 11
            if length > 11 and self.read(mark, len(RECORD_MARK)) == RECORD_MARK:
                raise NotWholeError(position, "a transaction of sealed records has no seal")

    def data(self, at: int) -> bytes:
        """What the record holds whose header is at position *at*."""
        length = _RECORD.unpack(self.read(at, DATA_HDR_LEN))[5]
        return self.read(at + DATA_HDR_LEN, min(length, self.size - at))

    def origin(self, at: int) -> int:
        """Where the record is that has the data for the one at position *at*, or 0 if there are none."""
        while at:
            header = self.read(at, DATA_HDR_LEN + 8)
            if len(header) < DATA_HDR_LEN + 8:
                return 0
            if _RECORD.unpack_from(header)[5]:
                return at
            back = int.from_bytes(header[DATA_HDR_LEN:], "big")
            at = back if back < at else 0  # it leads back, or was altered
        return at

    def texts(self, position: int) -> tuple[bytes, bytes]:
        """User and description of the transaction at *position*, which is whole."""
        *_, user, description, _ = _TRANSACTION.unpack(self.read(position, TRANS_HDR_LEN))
        text = self.read(position + TRANS_HDR_LEN, user + description)
        return text[:user], text[user:]

    def last_until(self, tid: bytes) -> Transaction | None:
        """The last transaction whose id is not greater than *tid*; None if there is none.

        The place is found by halving: wherever one looks, the next record says where its transaction begins.
        So it takes as long in a large file as in a small one. What is found is checked, and the transaction
        after it if *tid* lies between the two. Where records have no checksums, and so no marks to find them
        by, transactions are gone through from the end.

        Raises
        ------
        NotWholeError
            One that was looked at is not as it was written.
        """
        low, high = EMPTY.size, self.size
        if high <= low or self._id(low) > tid:
            return None
        start = self._ending_at(high)
        if self._id(start) <= tid:
            low = start
        while (end := self._end(low)) < high:
            start = self._around((end + high) // 2)
            if not end <= start < high:
                start = self._ending_at(high)
                if start < end:
                    raise NotWholeError(start, "the length of a transaction makes no sense")
            if self._id(start) <= tid:
                low = start
            else:
                high = start
        found = self.transaction(low)
        if found.tid > tid or (found.tid != tid and high < self.size and self.transaction(high).tid <= tid):
            raise NotWholeError(low, "transactions are not in the order of their ids")
        return found

    def _id(self, position: int) -> bytes:
        return self.read(position, 8)

    def _end(self, position: int) -> int:
        """Where the transaction at *position* says that it ends."""
        length = int.from_bytes(self.read(position + 8, 8), "big")
        if length < TRANS_HDR_LEN:
            raise NotWholeError(position, "the length of a transaction makes no sense")
        return position + length + 8

    def _ending_at(self, position: int) -> int:
        """Where the transaction begins that ends at *position*."""
        start = self.last_before(position)
        if start < 0:
            raise NotWholeError(position, "the length of a transaction makes no sense")
        return start

    def _around(self, position: int) -> int:
        """Where the transaction begins that the next record behind *position* ends in; 0 if none is found."""
        for mark in self._find(RECORD_MARK, position):
            end = mark + 11  # of a record: the mark is followed by two checksums
            header = self.read(end, DATA_HDR_LEN)
            if len(header) == DATA_HDR_LEN:
                start: int = _RECORD.unpack(header)[3]
                length = int.from_bytes(self.read(start + 8, 8), "big") if start < mark else 0
                if end < start + length and self.read(start, 8) == header[8:16]:
                    return start
            start = end - int.from_bytes(header[:8], "big")  # the last one; its transaction's length follows
            if EMPTY.size <= start < mark and self.read(start + 8, 8) == header[:8]:
                return start
        return 0

    def status(self, position: int) -> bytes:
        """The status of the transaction at *position*."""
        return self.read(position + 16, 1)

    def last_before(self, position: int) -> int:
        """Where the transaction begins that seems to end at *position*; -1 if there can be none."""
        length = int.from_bytes(read_at(self._descriptor, 8, max(position - 8, 0)), "big")
        return position - 8 - length if TRANS_HDR_LEN <= length <= position - 8 - EMPTY.size else -1

    def ends_at(self, end: End) -> bool:
        """Whether a transaction of the file ends where *end* says, and is that one."""
        if end.size == EMPTY.size:
            return end == EMPTY
        if not EMPTY.size < end.size <= self.size or (start := self.last_before(end.size)) < 0:
            return False
        header = read_at(self._descriptor, 16, start)
        return header[:8] == end.tid and int.from_bytes(header[8:], "big") == end.size - start - 8

    def is_sealed_at(self, end: End) -> bool:
        """Whether the last transaction before *end* has a checksum."""
        start = self.last_before(end.size)
        if start < 0:
            return False
        *_, user, description, extension = _TRANSACTION.unpack(
            read_at(self._descriptor, TRANS_HDR_LEN, start)
        )
        where = start + TRANS_HDR_LEN + user + description
        return _has_seal(read_at(self._descriptor, extension, where))

    def is_followed(self, position: int) -> bool:
        """Whether a whole transaction begins anywhere behind *position*.

        What was begun after it proves that the transaction at *position* had been finished.
        """
        tried = {self.last_before(self.size)}
        if any(self._is_whole(start) for start in tried if start > position):
            return True
        for mark in self._find(_MARK, position):
            header = self.read(mark + 8, DATA_HDR_LEN)
            # Where the first record says that its transaction begins; one without records has no texts but
            # the extension, or is not found.
            starts = {mark - TRANS_HDR_LEN - len(_EMPTY_EXTENSION)}
            if len(header) == DATA_HDR_LEN:
                starts.add(_RECORD.unpack(header)[3])
            for start in starts - tried:
                if max(position, mark - _MOST_TEXT - TRANS_HDR_LEN) < start < mark and self._is_whole(start):
                    return True
            tried |= starts
        return False

    def _is_whole(self, start: int) -> bool:
        try:
            self.transaction(start)
        except NotWholeError:
            return False
        return True

    def _find(self, what: bytes, position: int) -> Iterator[int]:
        while position < self.size:
            block = read_at(self._descriptor, self._block_size, position)
            if len(block) < len(what):
                return
            found = block.find(what)
            while found >= 0:
                yield position + found
                found = block.find(what, found + 1)
            position += len(block) - len(what) + 1

    def is_zeros(self, position: int) -> bool:
        """Whether from *position* on there is nothing but zeros."""
        while position < self.size:
            block = self.read(position, min(self._block_size, self.size - position))
            if any(block):
                return False
            position += len(block)
        return True

    def has_hole(self, start: int, end: int) -> bool:
        """Whether a sector between *start* and *end* is all zeros, as one is that was never written."""
        while start < end:
            stop = min(end, start // _SECTOR * _SECTOR + _SECTOR)
            if stop - start >= 16 and not any(self.read(start, stop - start)):
                return True
            start = stop
        return False


def time_of(tid: bytes) -> str:
    """When the transaction *tid* was made, for a message."""
    return f"{TimeStamp(tid)} UTC" if any(tid) else "its beginning"


def record_headers(file: DataFile) -> int:
    """The CRC-32 of the headers of the records that *file* is made of, without any transaction."""
    total = at = 0
    while at < file.size:
        header = file.read(at, DATA_HDR_LEN + 8)
        size = _RECORD.unpack_from(header)[5]
        total = crc32(header if not size else header[:DATA_HDR_LEN], total)
        at += DATA_HDR_LEN + (size or 8)
    return total
