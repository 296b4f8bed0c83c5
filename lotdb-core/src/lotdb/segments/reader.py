"""Reading the rows of segments: from the backend that holds them, or where they wait to be written."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lotdb.errors import (
    DamagedError,
    FileSystemError,
    LotdbError,
    PluginError,
    StaleNodeError,
    system_error,
    system_errors,
)
from lotdb.interfaces.backend import Backend
from lotdb.interfaces.installed import with_versions
from lotdb.segments.checksums import THREADED_BYTES, checksum, read_summed
from lotdb.segments.layout import Array, Layout, Segment
from lotdb.segments.small_arrays import Pack, copy_rows

__all__ = ["Reader", "place_of"]

# What a backend raises if a library has not what it calls, which says nothing about the data.
NOT_OF_DATA = (AttributeError, ImportError, NameError, NotImplementedError, TypeError)
# Before memory is taken for so many bytes, a look is taken whether the last of them are there.
DOUBTED_BYTES = 64 << 20
# No array that does not fit into memory is compressed like that.
IMPLAUSIBLE = 1000


class Reader:
    """Reads segments, whether they are stored or wait in a pack.

    Parameters
    ----------
    backends
        Finds the open backend of a name.
    """

    def __init__(self, backends: Callable[[str], Backend]) -> None:
        self._backends = backends
        self._pending: dict[int, Pack] = {}  # what is not written yet, by the identity of its locator
        # What was undone last, to tell it from what is damaged.
        self._undone: deque[Any] = deque(maxlen=1000)

    def room_for(self, layout: Layout, segments: tuple[Segment, ...], first: int, rows: int) -> Array:
        """Memory for *rows* rows of *segments* from row *first* on, if they can be there.

        Raises
        ------
        DamagedError
            If more is claimed than the backend has.
        """
        claimed = rows * layout.row_bytes
        if claimed >= DOUBTED_BYTES and layout.row_bytes <= DOUBTED_BYTES:
            one = np.empty((1, *layout.row_shape), layout.dtype)
            for segment, skip, taken in _windows(segments, first, rows):
                self._read_segment(layout, segment, skip + taken - 1, one)
        try:
            return np.empty((rows, *layout.row_shape), layout.dtype)
        except (MemoryError, ValueError) as error:  # a ValueError for more than numpy can count
            files = {file for segment in segments for file in self.files(layout, segment)}
            stored = sum(size for _, size in files)
            if not isinstance(error, MemoryError) or (files and claimed > IMPLAUSIBLE * stored):
                names = ", ".join(sorted(path for path, _ in files)) or "nothing"
                raise DamagedError(
                    f"{claimed} bytes are recorded, and what holds them has {stored}: {names}"
                ) from error
            raise

    def read_into(self, layout: Layout, segments: tuple[Segment, ...], first: int, out: Array) -> None:
        """Fill *out* with the rows of *segments* from row *first* on.

        Raises
        ------
        DamagedError
            If bytes are missing, or rows that are read whole do not match their checksum.
        """
        wanted, done = len(out), 0
        for segment, skip, rows in _windows(segments, first, wanted):
            self._read_segment(layout, segment, skip, out if rows == wanted else out[done : done + rows])
            done += rows
        if done == wanted:
            return
        if out.nbytes:
            raise DamagedError(f"only {done} of {wanted} rows are recorded")

    def read_whole(self, layout: Layout, segment: Segment, block_bytes: int) -> Iterator[Array]:
        """The rows of *segment* in blocks, checked as one when the last has been read.

        Raises
        ------
        DamagedError
            If bytes are missing, or do not match the checksum; blocks given out before are not to be used.
        """
        step, running = max(1, block_bytes // layout.row_bytes), 0
        for first in range(0, segment.rows, step):
            block = self.room_for(layout, (segment,), first, min(step, segment.rows - first))
            self.read_into(layout, (segment,), first, block)
            running = checksum(block, running)
            yield block
        if running != segment.checksum:
            raise self._checksum_error(layout, segment)

    def _checksum_error(self, layout: Layout, segment: Segment) -> DamagedError:
        keeper = self._keeper(segment.locator)
        if keeper is not self:
            return keeper._checksum_error(layout, segment)
        where = place_of(self._backends(layout.backend), segment.locator)
        return DamagedError(f"the bytes in {where} do not match their checksum")

    def _read_segment(self, layout: Layout, segment: Segment, skip: int, out: Array) -> None:
        keeper = self._keeper(segment.locator)
        if keeper is not self:
            keeper._read_segment(layout, segment, skip, out)
            return
        pack = self._pending.get(id(segment.locator))
        if pack is not None:
            first = segment.first + skip
            copy_rows(pack.array[first : first + len(out)], out)
            return
        backend, first = self._backends(layout.backend), segment.first + skip
        is_whole = len(out) == segment.rows
        in_parts = is_whole and backend.reads_in_parts and out.nbytes >= THREADED_BYTES
        try:
            if in_parts:
                summed = read_summed(
                    lambda row, block: backend.read_into(segment.locator, first + row, block), out
                )
            else:
                backend.read_into(segment.locator, first, out)
        except MemoryError:
            raise
        except Exception as error:
            raise self._read_error(backend, segment.locator, error) from error
        if is_whole and (summed if in_parts else checksum(out)) != segment.checksum:
            raise self._checksum_error(layout, segment)

    def _keeper(self, locator: Any) -> Reader:
        """The reader of *locator*; a tree that was copied has others, and overrides this."""
        return self

    def _read_error(self, backend: Backend, locator: Any, error: Exception) -> LotdbError:
        if isinstance(error, LotdbError) and not isinstance(error, DamagedError):
            return error
        undone = (each() if isinstance(each, weakref.ref) else each for each in self._undone)
        if any(locator is each for each in undone):
            return StaleNodeError("it was written in a transaction, or after a savepoint, that was undone")
        where = place_of(backend, locator)
        if failure := system_error(error):
            return FileSystemError.of(failure, f"cannot read {where}", where)
        if isinstance(error, DamagedError):
            return error if where in str(error) else DamagedError(f"{where}: {error}")
        if isinstance(error, NOT_OF_DATA):
            return PluginError(f"backend {with_versions(backend.name)} failed to read {where}: {error!r}")
        return DamagedError(f"cannot read {where}: {error!r}")

    def files(self, layout: Layout, segment: Segment) -> list[tuple[str, int]]:
        """Path and size in bytes of each file that holds *segment*; none while it is in memory."""
        keeper = self._keeper(segment.locator)
        if keeper is not self:
            return keeper.files(layout, segment)
        if id(segment.locator) in self._pending:
            return []
        with system_errors():
            return list(self._backends(layout.backend).files(segment.locator))


def _windows(segments: tuple[Segment, ...], first: int, rows: int) -> Iterator[tuple[Segment, int, int]]:
    """Each segment that has some of *rows* rows from *first* on: rows to skip in it, and rows to take."""
    for segment in segments:
        if rows <= 0:
            return
        if first >= segment.rows:
            first -= segment.rows
            continue
        taken = min(segment.rows - first, rows)
        yield segment, first, taken
        rows -= taken
        first = 0


def place_of(backend: Backend, locator: Any) -> str:
    try:
        return str(backend.describe(locator))
    except Exception as error:  # it must not hide the error that it was to be a part of
        return f"{locator} (backend {backend.name!r} fails to describe it: {error!r})"
