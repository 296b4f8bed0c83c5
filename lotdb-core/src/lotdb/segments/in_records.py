"""Small arrays in records of the tree, in place of the backend that is asked for.

A file for each small array takes a commit four syncs, of the file, of its folder, of the one above, and of
the records that name it. What lies in a record is written with the others, and synced with them. The record
has a checksum, so any window of it is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lotdb.errors import DamagedError
from lotdb.interfaces.backend import Backend
from lotdb.interfaces.checksums import as_bytes
from lotdb.records import Rows
from lotdb.segments.layout import Array

__all__ = ["FORMAT", "NAME", "RECORDS", "LoadedRows", "bytes_in", "is_in_record"]

# The name under which the form of LOTDB's own records is noted in the database, and the version that has rows
# in records. No backend can have this name.
NAME = "lotdb"
FORMAT = 3


class LoadedRows:
    """Rows in a record, for threads other than that of its connection: loaded each time they are read.

    Parameters
    ----------
    load
        Gives the bytes, in any thread.
    where
        What tells the record from all others.
    """

    __slots__ = ("_load", "where")

    def __init__(self, load: Callable[[], Any], where: str) -> None:
        self._load = load
        self.where = where

    @property
    def rows(self) -> Any:
        """The bytes."""
        return self._load()


def is_in_record(locator: Any) -> bool:
    """Whether *locator* is that of rows in a record."""
    return type(locator) in _KINDS


_KINDS = (Rows, LoadedRows)


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


class _InRecords(Backend):
    """A backend for them, of which the locators are the records themselves."""

    name = NAME
    format_version = FORMAT
    checks_windows = True
    syncs = True
    concurrent_reads = 1

    def new_locator(self) -> Rows:
        return Rows()

    def write(self, locator: Rows, array: Array, options: Mapping[str, Any]) -> None:
        locator.rows = as_bytes(array).tobytes()

    def read_into(self, locator: Any, first_row: int, out: Array) -> None:
        rows = bytes_in(locator)
        target = as_bytes(out)
        row_bytes = len(target) // len(out)
        start = first_row * row_bytes
        if start + len(target) > len(rows):
            raise DamagedError(
                f"the record has {len(rows)} bytes, at least {start + len(target)} are recorded"
            )
        target[...] = np.frombuffer(rows, np.uint8, len(target), start)

    def delete(self, locator: Rows) -> None:
        locator.rows = b""

    def describe(self, locator: Any) -> str:
        return "the record of its rows"


RECORDS: Backend = _InRecords(None)  # type: ignore[arg-type]  # it has no folder
