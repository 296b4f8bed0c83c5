"""Where rows lie, and what arrays must have in common to share a pack."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lotdb.records import Box

__all__ = ["Array", "Layout", "Segment"]

Array = np.ndarray[Any, Any]


class Segment(NamedTuple):
    """Rows *first* to *first + rows* of the array at *locator*, and the CRC-32 of their bytes.

    Of more than one block there are also *sums*, those of ``segments/blocks.py``, of blocks of *step* rows:
    the bytes themselves, or a record that holds them. A segment without, of an earlier format or of a backend
    that checks its windows itself, has no *step*.
    """

    locator: Any
    first: int
    rows: int
    checksum: int
    step: int = 0
    sums: bytes | Box | None = None


class Layout:
    """What arrays must have in common to share a pack.

    ``options`` are pairs of the option's name and its value in the plain form of ``values/values.py``.
    ``notes`` are pairs, too: what the backend is to note beside the rows, of no meaning for LOTDB itself.
    """

    __slots__ = ("_all", "backend", "dtype", "notes", "options", "row_bytes", "row_shape")

    def __init__(
        self,
        backend: str,
        dtype: np.dtype[Any],
        row_shape: tuple[int, ...],
        options: tuple[tuple[str, Any], ...] = (),
        notes: tuple[tuple[str, Any], ...] = (),
    ) -> None:
        self.backend = backend
        self.dtype = dtype
        self.row_shape = row_shape
        self.options = options
        self.notes = notes
        self._all = backend, dtype, row_shape, options, notes
        #: Bytes a row.
        self.row_bytes = dtype.itemsize * math.prod(row_shape)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layout) and self._all == other._all

    def __hash__(self) -> int:
        return hash(self._all)

    def with_notes(self, notes: tuple[tuple[str, Any], ...]) -> Layout:
        """The same, whose backend is to note *notes*."""
        return Layout(self.backend, self.dtype, self.row_shape, self.options, notes)
