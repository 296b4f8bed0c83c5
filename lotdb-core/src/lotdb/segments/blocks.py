"""Checksums of blocks of rows, so that a window is checked as well, and not only what is read whole.

A segment has, beside the CRC-32 of all its bytes, a sum of each block of about 32 KiB. A window reads the
blocks that it touches whole, the first time, and checks them. A segment never changes, so a block that was
right once is not looked at again by the same connection.

The sum of a block is the multilinear hash of its bytes as 64-bit words, little-endian and filled up with
zeros, modulo 2**64: each word times an odd number of its own, added up. It notices any change of one word,
and one of several but for one in 2**64; a CRC-32 takes three to five times as long, which a window of a few
kilobytes would feel. The numbers are those of SplitMix64, started at 0, each made odd.

Source: D. Lemire, O. Kaser, Strongly universal string hashing is fast, https://arxiv.org/abs/1202.4961;
https://prng.di.unimi.it/splitmix64.c
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import numpy as np
from ZODB.POSException import POSError

from lotdb.errors import DamagedError
from lotdb.interfaces.checksums import as_bytes, checksum
from lotdb.records import Box
from lotdb.segments.layout import Array, Segment

__all__ = [
    "BLOCK_BYTES",
    "SUM_BYTES",
    "BlockSums",
    "Blocks",
    "OneBlock",
    "block_rows",
    "block_sums",
    "blocks_of",
    "sums_of",
]

# A block of more than one row has at most so many bytes. It is small enough to be read beside a window of a
# few rows, and large enough that the sums are few: a four-thousandth of the data.
BLOCK_BYTES = 32 << 10
# Blocks are made larger, up to a size, rather than more than so many: their sums are read at once.
MOST_BLOCKS = 1 << 17
LARGEST_BYTES = 64 << 20
SUM_BYTES = 8

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Words = np.ndarray[Any, np.dtype[np.uint64]]

_WORDS = BLOCK_BYTES // 8
_WORD = np.dtype("<u8")
_MASK = (1 << 64) - 1
# Rows of more bytes than a block has, and blocks of larger segments, are summed in parts.
_NEXT_PART = 0x9E3779B97F4A7C15


@lru_cache
def block_rows(row_bytes: int, rows: int) -> int:
    """How many rows a block has in a segment of *rows* rows."""
    fitting = max(1, BLOCK_BYTES // row_bytes)
    whole_words = 8 // math.gcd(8, row_bytes)
    if fitting > whole_words:
        fitting -= fitting % whole_words  # so that blocks begin where the memory is aligned
    return max(fitting, min(-(-rows // MOST_BLOCKS), LARGEST_BYTES // row_bytes))


def block_sums(array: Array, step: int) -> bytes:
    """The sums of the blocks of *step* rows of a C-contiguous *array*, 8 bytes each, little-endian."""
    data = as_bytes(array)
    return _sums(data, len(data) // len(array) * step).tobytes()


class BlockSums:
    """Sums up the blocks of rows that come one after another.

    Parameters
    ----------
    row_bytes
        Bytes a row.
    step
        Rows of a block.
    """

    def __init__(self, row_bytes: int, step: int) -> None:
        self.step = step
        self._bytes = self.step * row_bytes
        self._sums = bytearray()
        self._rest = bytearray()  # of a block that is not complete

    def add(self, array: Array) -> None:
        """Take the rows of a C-contiguous *array*."""
        data = as_bytes(array)
        if self._rest:
            taken = min(len(data), self._bytes - len(self._rest))
            self._rest += data[:taken].data
            data = data[taken:]
            if len(self._rest) < self._bytes:
                return
            self._put_rest()
        whole = len(data) - len(data) % self._bytes
        self._sums += _sums(data[:whole], self._bytes).tobytes()
        self._rest += data[whole:].data

    def finish(self) -> bytes:
        """The sums of all blocks, 8 bytes each, little-endian."""
        if self._rest:
            self._put_rest()
        return bytes(self._sums)

    def _put_rest(self) -> None:
        self._sums += _sums(np.frombuffer(bytes(self._rest), np.uint8), self._bytes).tobytes()
        self._rest.clear()


class Blocks:
    """The sums of a segment's blocks, and which of them were found right."""

    __slots__ = ("_bytes", "_seen", "_sums", "step", "unseen")

    def __init__(self, step: int, row_bytes: int, sums: bytes) -> None:
        self.step = step
        self._bytes = step * row_bytes
        self._sums = np.frombuffer(sums, _WORD)
        self._seen = bytearray(len(self._sums))
        #: Whether some were not looked at yet.
        self.unseen = bool(self._seen)

    @property
    def count(self) -> int:
        """How many they are."""
        return len(self._seen)

    @property
    def find_unseen(self) -> Callable[[int, int, int], int]:
        """``find(0, first, last)``: the first of these blocks that was not looked at yet, or -1."""
        return self._seen.find

    def has_unseen(self, first: int, rows: int) -> bool:
        """Whether *rows* rows from *first* on touch a block that was not looked at yet."""
        return self._seen.find(0, first // self.step, (first + rows - 1) // self.step + 1) >= 0

    def check(self, first: int, data: Bytes) -> bool:
        """Whether *data*, the bytes of whole blocks from row *first* on, are those that were written."""
        begin, seen, size = first // self.step, self._seen, self._bytes
        end = begin - (-len(data) // size)
        if seen.find(1, begin, end) >= 0:
            # Those at the edges are known already, as of windows that follow each other.
            low, high = seen.find(0, begin, end), seen.rfind(0, begin, end) + 1
            if not high:
                return True
            data = data[(low - begin) * size : (high - begin) * size]
            begin, end = low, high
        if end == begin + 1:  # as of most windows
            if _sum(data) != self._sums.item(begin):
                return False
            seen[begin] = 1
        else:
            if _sums(data, size).tobytes() != self._sums[begin:end].tobytes():
                return False
            seen[begin:end] = b"\1" * (end - begin)
        self.unseen = seen.find(0) >= 0
        return True


class OneBlock(Blocks):
    """A segment that is no larger than a block: its own checksum is that of the block."""

    __slots__ = ("_segment",)

    def __init__(self, segment: Segment, row_bytes: int) -> None:
        super().__init__(segment.rows, row_bytes, bytes(SUM_BYTES))
        self._segment = segment

    def check(self, first: int, data: Bytes) -> bool:
        is_right = checksum(data) == self._segment.checksum
        self._seen[0] = is_right
        self.unseen = not is_right
        return is_right


def blocks_of(segment: Segment, row_bytes: int) -> Blocks:
    """The blocks of *segment*; none to look at if it is of an earlier format, and larger than one.

    Raises
    ------
    DamagedError
        If its sums make no sense, or cannot be read.
    """
    if segment.rows * row_bytes <= BLOCK_BYTES:
        return OneBlock(segment, row_bytes)
    if segment.sums is None:
        return Blocks(max(segment.rows, 1), row_bytes, b"")
    sums = sums_of(segment)
    count = -(-segment.rows // segment.step)
    is_known = segment.step == 1 or segment.step * row_bytes <= LARGEST_BYTES
    if len(sums) != SUM_BYTES * count or not is_known:
        raise DamagedError(f"its record has {len(sums)} bytes of checksums for {count} blocks")
    return Blocks(segment.step, row_bytes, sums)


def sums_of(segment: Segment) -> bytes:
    """The sums of the blocks of *segment*, from the record that holds them if they are many."""
    sums: Any = segment.sums
    if isinstance(sums, Box):
        try:
            sums = sums.own[0]
        except (AttributeError, LookupError, TypeError, POSError) as error:
            raise DamagedError(f"the checksums of its blocks cannot be read: {error}") from error
    if not isinstance(sums, bytes):
        raise DamagedError("the checksums of its blocks are none")
    return sums


def _sums(data: Bytes, size: int) -> Words:
    """The sums of the blocks of *size* bytes in *data*; the last may be shorter."""
    # Einsum takes half the time of numpy's matmul, and no second memory for what begins at an odd place.
    if size == BLOCK_BYTES and not len(data) % size:
        sums: Words = np.einsum("ij,j->i", data.view(_WORD).reshape(-1, _WORDS), _numbers())
        return sums
    count = -(-len(data) // size)
    sums = np.empty(count, _WORD)
    if size > BLOCK_BYTES or size % 8 or count == 1:
        for number in range(count):
            sums[number] = _sum(data[number * size : (number + 1) * size])
        return sums
    whole = len(data) // size
    words = data[: whole * size].view(_WORD).reshape(whole, size // 8)
    np.einsum("ij,j->i", words, _numbers()[: size // 8], out=sums[:whole])
    if whole < count:
        sums[whole] = _sum_part(data[whole * size :])
    return sums


def _sum(data: Bytes) -> int:
    size = len(data)
    if size == BLOCK_BYTES:  # as most blocks have
        return int(_numbers().dot(data.view(_WORD)))
    if size < BLOCK_BYTES:
        return _sum_part(data)
    total = 0
    for first in range(0, size, BLOCK_BYTES):
        total = (total * _NEXT_PART + _sum_part(data[first : first + BLOCK_BYTES])) & _MASK
    return total


def _sum_part(data: Bytes) -> int:
    size = len(data)
    words = size // 8
    numbers = _numbers()
    total = int(numbers[:words].dot(data[: words * 8].view(_WORD)))
    if size % 8:
        last = int.from_bytes(data[words * 8 :].tobytes(), "little")
        total += last * int(numbers[words])
    return total & _MASK


@cache
def _numbers() -> Words:
    """The odd numbers that words are multiplied by."""
    with np.errstate(over="ignore"):
        state = np.arange(1, _WORDS + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return (state ^ (state >> np.uint64(31))) | np.uint64(1)
