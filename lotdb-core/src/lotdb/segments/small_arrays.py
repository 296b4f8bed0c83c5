"""Packs: small arrays of one layout that will be written as one."""

from __future__ import annotations

from typing import Any

import numpy as np

from lotdb.interfaces.checksums import as_bytes
from lotdb.segments.layout import Array, Layout

__all__ = ["PACKED_BYTES", "PACK_BYTES", "Pack", "Spare", "copy_rows"]

# Arrays from this size on are written at once; smaller ones wait in a pack.
PACKED_BYTES = 1 << 20
# A pack is written when it has grown to this size.
PACK_BYTES = 16 << 20
# Memory of more bytes is not kept.
LARGEST_BYTES = PACK_BYTES + 2 * PACKED_BYTES

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


class Spare:
    """The memory of the last large pack, for the next one: to write to new memory takes twice as long."""

    def __init__(self) -> None:
        self._memory: Bytes | None = None

    def take(self, size: int) -> Bytes:
        """*size* bytes or more, which may hold anything."""
        memory, self._memory = self._memory, None
        return memory if memory is not None and len(memory) >= size else np.empty(size, np.uint8)

    def keep(self, pack: Pack) -> None:
        """Take the memory of *pack*, of which nobody reads any more; it is that of one pack at most."""
        if len(pack.memory) <= LARGEST_BYTES:
            self._memory = pack.memory

    def clear(self) -> None:
        """Let go of it."""
        self._memory = None


class Pack:
    """Rows that will be written as one array; until then they are read from here."""

    def __init__(self, locator: Any, layout: Layout, limit: int = PACK_BYTES) -> None:
        self.locator = locator
        #: It is written when it has so many bytes.
        self.limit = limit
        self.rows = self.nbytes = 0
        self._layout = layout
        #: Where the rows lie, one after another, with room for more.
        self.memory: Bytes = np.empty(0, np.uint8)

    def add(self, array: Array, spare: Spare | None = None) -> None:
        needed = self.nbytes + array.nbytes
        if needed > len(self.memory):
            # Short packs stay as large as they are. From some size on there is room for a whole one, of which
            # no page is taken before it is written to; doubling keeps the copying linear.
            if needed < PACKED_BYTES:
                grown: Bytes = np.empty(needed + self.nbytes, np.uint8)
            else:
                room = max(needed + self.nbytes // 2, PACK_BYTES)
                grown = np.empty(room, np.uint8) if spare is None else spare.take(room)
            grown[: self.nbytes] = self.memory[: self.nbytes]
            self.memory = grown
        # As bytes: numpy leaves out what lies between the fields of a structure.
        self.memory[self.nbytes : needed] = as_bytes(array)
        self.rows += len(array)
        self.nbytes = needed

    @property
    def array(self) -> Array:
        layout = self._layout
        return self.memory[: self.nbytes].view(layout.dtype).reshape(self.rows, *layout.row_shape)


def copy_rows(source: Array, target: Array) -> None:
    """Copy the bytes of C-contiguous rows; numpy itself leaves out what lies between the fields."""
    if source.nbytes:
        as_bytes(target)[...] = as_bytes(source)
