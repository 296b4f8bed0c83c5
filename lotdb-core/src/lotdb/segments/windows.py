"""The short way to windows of one array, of which windows were read before.

A program that reads windows of a few kilobytes feels each look-up on the way to them: which segments the rows
are in, whether they wait to be written, who reads them and from which file. None of that changes once a
segment is written, so it is looked up once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lotdb.interfaces.checksums import as_bytes
from lotdb.segments.blocks import Blocks
from lotdb.segments.layout import Array
from lotdb.segments.payload_record import PayloadRecord
from lotdb.segments.small_arrays import copy_rows

__all__ = ["LARGEST_BYTES", "Window", "no_window_of", "window_of"]

#: Gives the rows from one on to before another; None if they have to be read the long way.
Window = Callable[[int, int], "Array | None"]

# A window of more bytes takes so long to read that the way to it does not matter.
LARGEST_BYTES = 8 << 20
# Blocks of up to so many bytes are read in one piece, to be checked, and the window is cut out of it.
CHECKED_BYTES = 128 << 10


def window_of(record: PayloadRecord, read: Callable[[int, Array], None], blocks: Blocks | None) -> Window:
    """What reads windows of a payload of one segment, but the whole of it.

    Parameters
    ----------
    record
        That of the payload, of kind ``"array"``. It lives as long as the window does.
    read
        Fills an array with the rows from one on of the array in which the segment lies; checked, if there are
        no *blocks*.
    blocks
        Those of the segment. Of a window of blocks that were not looked at yet, they are read whole and
        checked; of a large one that is left to the long way.
    """
    (segment,), layout = record.segments, record.layout
    rows, before, dtype, row_shape = segment.rows, segment.first, layout.dtype, layout.row_shape
    most = min(rows - 1, LARGEST_BYTES // max(1, layout.row_bytes))
    step = 0 if blocks is None or not blocks.count else blocks.step
    find: Any = None if blocks is None else blocks.find_unseen
    empty, few = np.empty, CHECKED_BYTES // max(1, layout.row_bytes)
    is_plain = dtype.kind in "biufc"  # of structures, a copy leaves out what lies between the fields

    def checked(first: int, last: int) -> Array | None:
        begin, stop = first // step * step, min(-(-last // step) * step, rows)
        if blocks is None or stop - begin > few:
            return None
        around: Array = empty((stop - begin, *row_shape), dtype)
        try:
            read(before + begin, around)
            if not blocks.check(begin, as_bytes(around)):
                return None
        except Exception:
            return None
        wanted = around[first - begin : last - begin]
        if is_plain:
            return wanted.copy()  # whoever gets it does not keep the rest
        out: Array = empty(wanted.shape, dtype)
        copy_rows(wanted, out)
        return out

    def window(first: int, last: int, record: PayloadRecord = record) -> Array | None:
        count = last - first
        if not (0 < count <= most and first >= 0 and last <= rows):
            return None
        if step and find(0, first // step, (last - 1) // step + 1) >= 0:
            return checked(first, last)
        out: Array = empty((count, *row_shape) if row_shape else count, dtype)
        try:
            read(before + first, out)
        except Exception:  # the long way tells what is wrong
            return None
        return out

    return window


def no_window_of(record: PayloadRecord) -> Window:
    """The same for a payload whose windows are read the long way."""

    def window(first: int, last: int, record: PayloadRecord = record) -> None:
        return None

    return window
