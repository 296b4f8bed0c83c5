"""CRC-32 of arrays, also of large ones while they are read.

A CRC takes longer than reading the bytes, so for a large array a second thread computes it behind the one
that reads; zlib and reading both let other threads run. Where any thread may read, each reads blocks and
sums them. Blocks are summed on their own, and their sums put together by the arithmetic of polynomials over
GF(2), as zlib's ``crc32_combine`` does.

isal computes the same CRC-32 three to five times as fast as zlib, so it is used where it is installed.

Source: ISO 3309; https://github.com/madler/zlib/blob/v1.3.1/crc32.c
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from _thread import start_new_thread
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np

from lotdb.extras import crc32_of
from lotdb.interfaces.at_once import at_once

__all__ = ["THREADED_BYTES", "as_bytes", "checksum", "combined", "read_summed", "read_summed_at_once"]

Array = np.ndarray[Any, Any]

# Blocks that one thread reads while the other sums the one before: they fit into the processor's cache.
BLOCK_BYTES = 2 << 20
# Arrays below this size are not worth starting a thread for.
THREADED_BYTES = 4 << 20

_POLYNOMIAL = 0xEDB88320
_ONE = 1 << 31  # the polynomial 1, in the reflected order of CRC-32


def as_bytes(array: Array) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The bytes of a C-contiguous array, without a copy."""
    return array.reshape(-1).view(np.uint8)


def checksum(array: Array, so_far: int = 0) -> int:
    """CRC-32 (ISO 3309) of the bytes of a C-contiguous *array*, continued from *so_far*."""
    return crc32_of(as_bytes(array).data, so_far)


def combined(first: int, second: int, length: int) -> int:
    """The CRC-32 of two runs of bytes, from those of each and the *length* of the second in bytes.

    >>> import zlib
    >>> combined(zlib.crc32(b"two "), zlib.crc32(b"runs"), 4) == zlib.crc32(b"two runs")
    True
    """
    return _product(_shift(length), first) ^ second


@functools.lru_cache(maxsize=64)
def _shift(length: int) -> int:
    """The polynomial x^(8 * length), as the product of x^(2^n) for the bits of 8 * length."""
    shift, power, bits = _ONE, 1 << 30, 8 * length
    while bits:
        if bits & 1:
            shift = _product(shift, power)
        power = _product(power, power)
        bits >>= 1
    return shift


def _product(left: int, right: int) -> int:
    """The product of two polynomials, modulo that of CRC-32."""
    product = 0
    while left:
        if left & _ONE:
            product ^= right
        left = left << 1 & 0xFFFFFFFF
        right = right >> 1 ^ _POLYNOMIAL if right & 1 else right >> 1
    return product


def read_summed_at_once(read: Callable[[int, Array], None], out: Array, first: int, rows: int) -> int:
    """Fill *out* by ``read(first row, block)``, which any thread may call, and give its CRC-32.

    Parameters
    ----------
    first
        The row of what is read at which *out* begins.
    rows
        Blocks end at multiples of so many of these, as far as they can: what is between them is read at once.
    """
    rows = max(1, rows)
    step = max(1, round(BLOCK_BYTES / (out.nbytes // len(out)) / rows)) * rows
    edges = [0, *range(step - first % rows, len(out), step), len(out)]
    blocks = [(low, out[low:high]) for low, high in itertools.pairwise(edges)]
    sums: list[int | None] = [None] * len(blocks)

    def read_one(number: int) -> None:
        low, block = blocks[number]
        read(low, block)
        sums[number] = checksum(block)

    def try_one(number: int) -> None:
        # What failed may be of use in the user's thread only; and it is that one which is told.
        with contextlib.suppress(Exception):
            read_one(number)

    at_once(try_one, range(len(blocks)))
    whole = 0
    for number, (_, block) in enumerate(blocks):
        if sums[number] is None:
            read_one(number)
        whole = combined(whole, cast(int, sums[number]), block.nbytes)
    return whole


def read_summed(read: Callable[[int, Array], None], out: Array) -> int:
    """Fill *out* block by block, by ``read(first row, block)`` in this thread, and give its CRC-32."""
    step = max(1, BLOCK_BYTES // (out.nbytes // len(out)))
    blocks = [out[first : first + step] for first in range(0, len(out), step)]
    sums = [0] * len(blocks)
    # Of the blocks to be summed; each number goes to one of the two threads.
    numbers: Iterator[int] = iter(range(len(blocks)))
    from queue import SimpleQueue  # which small arrays do not need

    # Queues in C: Ctrl-C inside of a semaphore, or of a thread's start, would leave the two waiting for ever.
    are_read: SimpleQueue[bool] = SimpleQueue()
    is_done: SimpleQueue[bool] = SimpleQueue()

    def sum_blocks() -> None:
        try:
            while are_read.get() and (number := next(numbers, None)) is not None:
                sums[number] = checksum(blocks[number])
        finally:
            is_done.put(True)

    try:
        start_new_thread(sum_blocks, ())
        for number, block in enumerate(blocks):
            read(number * step, block)
            are_read.put(True)
        for number in numbers:  # all is read, and now two can sum
            sums[number] = checksum(blocks[number])
    finally:
        numbers = iter(())
        are_read.put(False)
    is_done.get()
    whole = 0
    for each, block in zip(sums, blocks, strict=True):
        whole = combined(whole, each, block.nbytes)
    return whole
