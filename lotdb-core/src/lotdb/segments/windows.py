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

__all__ = ["LARGEST_BYTES", "NoWindow", "Window"]

# A window of more bytes takes so long to read that the way to it does not matter.
LARGEST_BYTES = 8 << 20
# Blocks of up to so many bytes are read in one piece, to be checked, and the window is cut out of it.
CHECKED_BYTES = 128 << 10

_empty = np.empty


class Window:
    """What reads windows of a payload of one segment, but the whole of it.

    Of thousands of payloads none is in the processor's cache when its turn comes. So what a window needs lies
    together in one small object, and not each in a place of its own, as the variables of a closure do.

    Parameters
    ----------
    record
        That of the payload, of kind ``"array"``.
    read
        Fills an array with the rows from one on of the array in which the segment lies; checked, if there are
        no *blocks*.
    blocks
        Those of the segment. Of a window of blocks that were not looked at yet, they are read whole and
        checked; of a large one that is left to the long way.
    """

    __slots__ = (
        "_before",
        "_blocks",
        "_dtype",
        "_few",
        "_find",
        "_most",
        "_read",
        "_row_shape",
        "_rows",
        "_step",
    )

    def __init__(
        self, record: PayloadRecord, read: Callable[[int, Array], None], blocks: Blocks | None
    ) -> None:
        (segment,), layout = record.segments, record.layout
        self._read, self._rows, self._before = read, segment.rows, segment.first
        # A window has fewer rows than this: not all of them, and not too many.
        most = LARGEST_BYTES // max(1, layout.row_bytes) + 1
        self._most = segment.rows if segment.rows < most else most
        self._dtype, self._row_shape = layout.dtype, layout.row_shape
        self._blocks = blocks
        # The rows of a block; 0 as soon as there is none to look at.
        self._step = 0 if blocks is None or not blocks.unseen else blocks.step
        self._find: Any = None if blocks is None else blocks.find_unseen
        self._few = CHECKED_BYTES // max(1, layout.row_bytes)

    def rows(self, first: int, last: int) -> Array | None:
        """The rows from *first* on to before *last*; None if they have to be read the long way."""
        count = last - first
        if not (0 < count < self._most and first >= 0 and last <= self._rows):
            return None
        step = self._step
        if step and self._find(0, first // step, (last - 1) // step + 1) >= 0:
            return self._checked(first, last)
        row_shape = self._row_shape
        out: Array = _empty((count, *row_shape) if row_shape else count, self._dtype)
        try:
            self._read(self._before + first, out)
        except Exception:  # the long way tells what is wrong
            return None
        return out

    def _checked(self, first: int, last: int) -> Array | None:
        """The same of blocks that were not looked at yet."""
        blocks, step = self._blocks, self._step
        begin, stop = first // step * step, min(-(-last // step) * step, self._rows)
        if blocks is None or stop - begin > self._few:
            return None
        around: Array = _empty((stop - begin, *self._row_shape), self._dtype)
        try:
            self._read(self._before + begin, around)
            if not blocks.check(begin, as_bytes(around)):
                return None
            if not blocks.unseen:
                self._step = 0
        except Exception:
            return None
        wanted = around[first - begin : last - begin]
        if self._dtype.kind in "biufc":
            return wanted.copy()  # whoever gets it does not keep the rest
        # Of structures, a copy by numpy leaves out what lies between the fields.
        out: Array = _empty(wanted.shape, self._dtype)
        copy_rows(wanted, out)
        return out


class NoWindow:
    """The same for a payload whose windows are read the long way."""

    __slots__ = ()

    def rows(self, first: int, last: int) -> None:
        """None: nothing is read here."""
        return None
