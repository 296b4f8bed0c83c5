"""Packs: small arrays of one layout that will be written as one."""

from __future__ import annotations

from typing import Any

import numpy as np

from lotdb.interfaces.checksums import as_bytes
from lotdb.segments.layout import Array, Layout

__all__ = ["PACKED_BYTES", "PACK_BYTES", "Pack", "copy_rows"]

# Arrays from this size on are written at once; smaller ones wait in a pack.
PACKED_BYTES = 1 << 20
# A pack is written when it has grown to this size.
PACK_BYTES = 16 << 20


class Pack:
    """Rows that will be written as one array; until then they are read from here."""

    def __init__(self, locator: Any, layout: Layout, limit: int = PACK_BYTES) -> None:
        self.locator = locator
        #: It is written when it has so many bytes.
        self.limit = limit
        self.rows = 0
        self._row_bytes = layout.row_bytes
        self._buffer: Array = np.empty((0, *layout.row_shape), layout.dtype)

    def add(self, array: Array) -> None:
        needed = self.rows + len(array)
        if needed > len(self._buffer):
            # Short packs stay as large as they are. From some size on there is room for a whole one, of which
            # no page is taken before it is written to; doubling keeps the copying linear.
            room = needed + self.rows
            if needed * self._row_bytes >= PACKED_BYTES:
                room = max(needed + self.rows // 2, PACK_BYTES // self._row_bytes)
            grown = np.empty((room, *self._buffer.shape[1:]), self._buffer.dtype)
            copy_rows(self.array, grown[: self.rows])
            self._buffer = grown
        copy_rows(array, self._buffer[self.rows : needed])
        self.rows = needed

    @property
    def array(self) -> Array:
        return self._buffer[: self.rows]


def copy_rows(source: Array, target: Array) -> None:
    """Copy the bytes of C-contiguous rows; numpy itself leaves out what lies between the fields."""
    if source.nbytes:
        as_bytes(target)[...] = as_bytes(source)
