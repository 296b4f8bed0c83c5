"""Small arrays in records of the tree, in place of the backend that is asked for.

A file for each small array takes a commit four syncs, of the file, of its folder, of the one above, and of
the records that name it. What lies in a record is written with the others, and synced with them. The record
has a checksum, so any window of it is checked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lotdb.errors import DamagedError
from lotdb.interfaces.backend import Backend
from lotdb.interfaces.checksums import as_bytes
from lotdb.records import Rows
from lotdb.segments.layout import Array
from lotdb.segments.payload_form import OWN, ROWS_FORMAT
from lotdb.storage.states import States

__all__ = ["RECORDS", "LoadedRows", "bytes_in", "is_in_record"]


class LoadedRows:
    """Rows in a record, for threads other than that of its connection: loaded each time they are read.

    Parameters
    ----------
    load
        Gives the bytes, in any thread.
    where
        What tells the record from all others.
    find
        Gives what is stored of the record, and its place in the data file; None if it has none.
    """

    __slots__ = ("_load", "find", "where")

    def __init__(self, load: Callable[[], Any], where: str, find: Callable[[], Any] = lambda: None) -> None:
        self._load = load
        self.where = where
        self.find = find

    @property
    def rows(self) -> Any:
        """The bytes."""
        return self._load()


def is_in_record(locator: Any) -> bool:
    """Whether *locator* is that of rows in a record."""
    return type(locator) in _KINDS


_KINDS = (Rows, LoadedRows)

# By so many bytes the place of rows is found in their record.
_SIGHT = 32


def bytes_in(locator: Any) -> bytes:
    """The bytes of a record.

    Raises
    ------
    DamagedError
        If there are none.
    """
    rows = locator.rows
    if type(rows) is not bytes:
        raise DamagedError("the record of its rows holds none")
    return rows


class _Place:
    """Where the bytes of a record that was found right are in the data file."""

    __slots__ = ("_read", "_size", "_start")

    def __init__(self, read: Callable[[Array, int], bool], start: int, size: int) -> None:
        self._read, self._start, self._size = read, start, size

    @classmethod
    def of(cls, stored: bytes, place: Any) -> _Place | None:
        """That of the rows in the *stored* form of their record, at *place*; None if they are not there."""
        rows = States().read(stored)[1]
        start = stored.find(rows[:_SIGHT]) if type(rows) is bytes else -1
        if start < 0 or stored[start : start + len(rows)] != rows:  # pickled in another way than as they are
            return None
        return cls(place.read_into, start, len(rows))

    def read_into(self, start: int, out: Array) -> bool:
        """Fill *out* with the bytes from *start* on; whether that was possible."""
        return start + out.nbytes <= self._size and self._read(out, self._start + start)


class _InRecords(Backend):
    """A backend for them, of which the locators are the records themselves."""

    name = OWN
    format_version = ROWS_FORMAT
    checks_windows = True
    syncs = True
    concurrent_reads = 1

    def new_locator(self) -> Rows:
        return Rows()

    def write(self, locator: Rows, array: Array, options: Mapping[str, Any]) -> None:
        locator.rows = as_bytes(array).tobytes()

    def read_into(self, locator: Any, first_row: int, out: Array) -> None:
        self._copy(bytes_in(locator), first_row, out)

    def _copy(self, rows: bytes, first_row: int, out: Array) -> None:
        target = as_bytes(out)
        row_bytes = len(target) // len(out)
        start = first_row * row_bytes
        if start + len(target) > len(rows):
            raise DamagedError(
                f"the record has {len(rows)} bytes, at least {start + len(target)} are recorded"
            )
        target[...] = np.frombuffer(rows, np.uint8, len(target), start)

    def reader_of(
        self, locator: Any, dtype: np.dtype[Any], row_shape: tuple[int, ...]
    ) -> Callable[[int, Array], None]:
        row_bytes = dtype.itemsize * math.prod(row_shape)
        find: Any = None
        if type(locator) is LoadedRows:
            find = locator.find
        elif locator._p_jar is not None:
            find = locator._p_jar.placed(locator)
        if find is None or dtype.kind not in "biufc" or not row_bytes:
            return super().reader_of(locator, dtype, row_shape)
        place: _Place | None = None

        # Windows of thousands of such arrays are more than stays in memory. To load each record anew would
        # take 30 times as long as reading the window from its place, where the record was found right once.
        def read(first_row: int, out: Array) -> None:
            nonlocal place
            if type(locator) is Rows and locator._p_changed is not None:  # it is in memory
                self.read_into(locator, first_row, out)
                return
            if place is not None and place.read_into(first_row * row_bytes, out):
                return
            place = None if (found := find()) is None else _Place.of(*found)
            if place is None or not place.read_into(first_row * row_bytes, out):
                self.read_into(locator, first_row, out)

        return read

    def delete(self, locator: Rows) -> None:
        locator.rows = b""

    def describe(self, locator: Any) -> str:
        return "the record of its rows"


RECORDS: Backend = _InRecords(None)  # type: ignore[arg-type]  # it has no folder
