"""Where rows lie, and what arrays must have in common to share a pack."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
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

    @property
    def stored(self) -> tuple[Any, ...]:
        """The plain form of it that a record holds."""
        return tuple(self) if self.step else tuple(self[:4])


@dataclass(frozen=True)
class Layout:
    """What arrays must have in common to share a pack.

    ``options`` are pairs of the option's name and its value in the plain form of ``values/values.py``.
    """

    backend: str
    dtype: np.dtype[Any]
    row_shape: tuple[int, ...]
    options: tuple[tuple[str, Any], ...] = ()
    #: What the backend is to note beside the rows, as pairs; of no meaning for LOTDB itself.
    notes: tuple[tuple[str, Any], ...] = ()

    @cached_property
    def row_bytes(self) -> int:
        """Bytes a row."""
        size = self.dtype.itemsize
        for length in self.row_shape:
            size *= length
        return size
