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


def _place_of(stored: bytes, place: Any) -> tuple[Any, int] | None:
    """The place of the rows in the *stored* form of their record, at *place*, and their size in bytes.

    None if they are pickled in another way than as they are.
    """
    rows = States().read(stored)[1]
    start = stored.find(rows[:_SIGHT]) if type(rows) is bytes else -1
    if start < 0 or stored[start : start + len(rows)] != rows:
        return None
    return place.at(start), len(rows)


class _Reader:
    """Reads rows in a record: from its place in the data file, where it was found right, or from memory.

    Windows of thousands of such arrays are more than stays in memory. To load each record anew would take 30
    times as long as reading the window from its place.
    """

    # One object, and no variables of a closure, of which each lies in a place of its own: of thousands of
    # records none of them would be in the processor's cache.
    __slots__ = ("_find", "_locator", "_place", "_row_bytes", "_size")

    def __init__(self, locator: Any, find: Callable[[], Any], row_bytes: int) -> None:
        self._locator, self._find, self._row_bytes = locator, find, row_bytes
        self._place: Any = None
        self._size = 0

    def read(self, first_row: int, out: Array) -> None:
        if not self._read_there(first_row * self._row_bytes, out):
            self._read_anew(first_row, out)

    def _read_there(self, start: int, out: Array) -> bool:
        place = self._place
        if place is None or start + out.nbytes > self._size:
            return False
        return bool(place.read_into(out, start))

    def _read_anew(self, first_row: int, out: Array) -> None:
        locator = self._locator
        self._place = None
        if not (type(locator) is Rows and locator._p_changed is not None):  # it is not in memory
            found = self._find()
            placed = None if found is None else _place_of(*found)
            if placed is not None:
                self._place, self._size = placed
                if self._read_there(first_row * self._row_bytes, out):
                    return
        RECORDS.read_into(locator, first_row, out)


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
        return _Reader(locator, find, row_bytes).read

    def delete(self, locator: Rows) -> None:
        locator.rows = b""

    def describe(self, locator: Any) -> str:
        return "the record of its rows"


RECORDS: Backend = _InRecords(None)  # type: ignore[arg-type]  # it has no folder
