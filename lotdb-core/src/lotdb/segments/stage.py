"""What a transaction has written: segments, durable once it is committed, removed by an abort.

A payload's rows lie in *segments*. A segment is a run of rows in an array that a backend holds under a
locator; it is written once and never changed. Small arrays of one layout share such an array, a *pack*,
so that a thousand small captures become a few files. The locator of a pack is made first and its bytes
follow, at the latest when the transaction commits.
"""

from __future__ import annotations

import contextlib
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from persistent import Persistent

from lotdb.errors import (
    DamagedError,
    FileSystemError,
    LotdbError,
    PluginError,
    StaleNodeError,
    system_error,
    system_errors,
)
from lotdb.interfaces.backend import is_locator
from lotdb.plugins import plugin_errors, with_versions
from lotdb.segments.checksums import THREADED_BYTES, as_bytes, checksum, read_summed
from lotdb.segments.durability import make_durable

if TYPE_CHECKING:
    from lotdb.interfaces.backend import Backend

Array = np.ndarray[Any, Any]

# Arrays from this size on are written at once; smaller ones wait in a pack.
PACKED_BYTES = 1 << 20
# A pack is written when it has grown to this size.
PACK_BYTES = 16 << 20
# Appending merges small segments up to this size.
MERGED_BYTES = 32 << 20
# What is added in pieces of this size is not merged: it is read as fast in pieces.
UNMERGED_BYTES = 8 << 20
# Rows of unknown number are written in segments of this size.
STREAMED_BYTES = 32 << 20
# All packs are written when together they have grown to this size.
PENDING_BYTES = 48 << 20
# What a backend raises if a library has not what it calls, which says nothing about the data.
NOT_OF_DATA = (AttributeError, ImportError, NameError, NotImplementedError, TypeError)
# Before memory is taken for so many bytes, a look is taken whether the last of them are there.
DOUBTED_BYTES = 64 << 20
# No array that does not fit into memory is compressed like that.
IMPLAUSIBLE = 1000
# What so many small packs held is remembered: the next append is likely to merge them.
REMEMBERED = 16


class Segment(NamedTuple):
    """Rows *first* to *first + rows* of the array at *locator*, and the CRC-32 of their bytes."""

    locator: Any
    first: int
    rows: int
    checksum: int


@dataclass(frozen=True)
class Layout:
    """What arrays must have in common to share a pack.

    ``options`` are pairs of the option's name and its value in the plain form of ``values.py``.
    """

    backend: str
    dtype: np.dtype[Any]
    row_shape: tuple[int, ...]
    options: tuple[tuple[str, Any], ...] = ()
    #: What the backend is to note beside the rows, as pairs; of no meaning for LOTDB itself.
    notes: tuple[tuple[str, Any], ...] = ()

    @property
    def row_bytes(self) -> int:
        """Bytes a row."""
        size = self.dtype.itemsize
        for length in self.row_shape:
            size *= length
        return size


class _Pack:
    """Rows that will be written as one array; until then they are read from here."""

    def __init__(self, locator: Any, layout: Layout) -> None:
        self.locator = locator
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


class Stage:
    """The segments that one connection's transaction writes, and reading those of all.

    Parameters
    ----------
    backends
        Finds the open backend of a name.
    join
        Called before the first write of a transaction; it makes the stage a part of that transaction.
        None for a tree outside any database: arrays are then handed on at once and nothing is noted.
    adopt
        Given each new locator, so that one that is a persistent object becomes part of its database.
    decode_options
        From the plain form of a layout's options to what the backend is passed.
    """

    def __init__(
        self,
        backends: Callable[[str], Backend],
        *,
        join: Callable[[Stage], None] | None = None,
        adopt: Callable[[Any], None] = lambda locator: None,
        decode_options: Callable[[Layout], Mapping[str, Any]],
    ) -> None:
        self._backends = backends
        self._join = join
        self._adopt = adopt
        self._decode_options = decode_options
        self._packs: dict[Layout, _Pack] = {}
        self._pending: dict[int, _Pack] = {}  # the same packs by the identity of their locator
        self._pending_bytes = 0
        self._remembered: OrderedDict[Any, Array] = OrderedDict()
        self._written: list[tuple[Backend, Any]] = []
        self._joined = False
        self._voted = False
        self._discarded: list[tuple[Backend, Any]] = []
        # What was undone last, to tell it from what is damaged.
        self._undone: deque[Any] = deque(maxlen=1000)

    # -- writing -----------------------------------------------------------------------------------

    def write(self, layout: Layout, array: Array) -> tuple[Segment, ...]:
        """Segments that hold the rows of *array*, which is C-contiguous and fits *layout*."""
        if array.nbytes == 0:
            return ()
        if array.nbytes >= PACKED_BYTES or self._join is None:
            return (self._write_large(layout, array),)
        pack = self._packs.get(layout)
        if pack is None:
            pack = _Pack(self._new_locator(layout), layout)
            self._pending[id(pack.locator)] = pack
            self._packs[layout] = pack
        segment = Segment(pack.locator, pack.rows, len(array), checksum(array))
        self._add(layout, pack, array)
        return (segment,)

    def write_blocks(self, layout: Layout, blocks: Iterable[Array], rows: int) -> tuple[Segment, ...]:
        """One segment that holds *rows* rows, given as consecutive *blocks*; held in memory one by one."""
        if rows * layout.row_bytes < PACKED_BYTES:
            return self.write_stream(layout, blocks)
        locator = self._new_locator(layout)
        running = 0

        def summed() -> Iterator[Array]:
            nonlocal running
            for block in map(np.ascontiguousarray, blocks):
                running = checksum(block, running)
                yield block

        backend, options = self._backends(layout.backend), self._decode_options(layout)
        with _writing(backend, locator):
            shape = (rows, *layout.row_shape)
            backend.write_blocks(locator, summed(), shape, options, **_notes(backend, layout))
            make_durable(backend, locator)
        return (Segment(locator, 0, rows, running),)

    def write_stream(
        self, layout: Layout, blocks: Iterable[Array], segments: tuple[Segment, ...] = ()
    ) -> tuple[Segment, ...]:
        """*segments* followed by the rows of *blocks*, however many come; held in memory 32 MiB at a time."""
        waiting = _Pack(None, layout)
        streamed: tuple[Segment, ...] = ()
        for block in blocks:
            waiting.add(np.ascontiguousarray(block))  # a copy: the memory of a block may be used for the next
            if waiting.array.nbytes >= STREAMED_BYTES:
                streamed += (self._write_large(layout, waiting.array),)
                waiting.rows = 0
        if not streamed:
            return self.append(layout, segments, waiting.array)
        return (*segments, *streamed, *self.write(layout, waiting.array))

    @contextlib.contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Delete what the block has written, if it fails."""
        keep = len(self._written)
        try:
            yield
        except BaseException:
            undone = {id(locator) for _, locator in self._written[keep:]}
            for layout, pack in list(self._packs.items()):
                if id(pack.locator) in undone:
                    self._forget_pack(layout)
            self._discard_written(keep)
            raise

    def append(self, layout: Layout, segments: tuple[Segment, ...], array: Array) -> tuple[Segment, ...]:
        """*segments* followed by the rows of *array*, with small segments merged.

        Segments are kept in sizes that at least halve from one to the next, as the digits of a binary
        counter do: any history of appends leaves O(log n) small segments, and each byte is rewritten
        O(log n) times.
        """
        if array.nbytes == 0:
            return segments
        if segments:
            extended = self._extend(layout, segments[-1], array)
            if extended is not None:
                return (*segments[:-1], extended)
        keep = len(segments)
        if array.nbytes < UNMERGED_BYTES:
            keep = _keep([segment.rows * layout.row_bytes for segment in segments], array.nbytes)
        if keep < len(segments):
            merged = sum(segment.rows for segment in segments[keep:])
            block = np.empty((merged + len(array), *layout.row_shape), layout.dtype)
            done = 0
            for segment in segments[keep:]:
                self._read_to_merge(layout, segment, block[done : done + segment.rows])
                done += segment.rows
            copy_rows(array, block[merged:])
            array = block
        return (*segments[:keep], *self.write(layout, array))

    def _extend(self, layout: Layout, last: Segment, array: Array) -> Segment | None:
        # The last rows still wait at the end of a pack: the new ones go right behind them.
        pack = self._packs.get(layout)
        if pack is None or pack.locator is not last.locator or last.first + last.rows != pack.rows:
            return None
        if pack.array.nbytes + array.nbytes > PACK_BYTES:
            return None
        extended = last._replace(rows=last.rows + len(array), checksum=checksum(array, last.checksum))
        self._add(layout, pack, array)
        return extended

    def _add(self, layout: Layout, pack: _Pack, array: Array) -> None:
        pack.add(array)
        self._pending_bytes += array.nbytes
        if pack.array.nbytes >= PACK_BYTES:
            self._close_pack(layout)
        elif self._pending_bytes >= PENDING_BYTES:
            self.flush()

    def _close_pack(self, layout: Layout) -> None:
        pack = self._packs[layout]
        self._backend_write(layout, pack.locator, pack.array)
        # Only now: until its bytes are stored the pack's rows are read from memory.
        self._forget_pack(layout)
        self._remember(pack.locator, pack.array)

    def _remember(self, locator: Any, array: Array) -> None:
        if array.nbytes >= PACKED_BYTES:
            return
        kept = np.empty_like(array)  # without the room that the pack had
        copy_rows(array, kept)
        self._remembered[locator] = kept
        if len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)

    def _read_to_merge(self, layout: Layout, segment: Segment, out: Array) -> None:
        array = self._remembered.get(segment.locator)
        if array is None:
            self._read_segment(layout, segment, 0, out)
        else:
            copy_rows(array[segment.first : segment.first + segment.rows], out)

    def _forget_pack(self, layout: Layout) -> None:
        pack = self._packs.pop(layout)
        del self._pending[id(pack.locator)]
        self._pending_bytes -= pack.array.nbytes

    def _write_large(self, layout: Layout, array: Array) -> Segment:
        locator = self._new_locator(layout)
        self._backend_write(layout, locator, array)
        return Segment(locator, 0, len(array), checksum(array))

    def _new_locator(self, layout: Layout) -> Any:
        backend = self._backends(layout.backend)
        locator = _new_locator(backend)
        if self._join is not None:
            if not self._joined:
                self._join(self)
                self._joined = True
            self._adopt(locator)
            self._written.append((backend, locator))
        return locator

    def _backend_write(self, layout: Layout, locator: Any, array: Array) -> None:
        backend = self._backends(layout.backend)
        options = self._decode_options(layout)
        with _writing(backend, locator):
            backend.write(locator, array, options, **_notes(backend, layout))
            make_durable(backend, locator)

    def flush(self) -> None:
        """Write all packs that are still in memory."""
        for layout in list(self._packs):
            self._close_pack(layout)

    # -- reading -----------------------------------------------------------------------------------

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
        where = _where(self._backends(layout.backend), segment.locator)
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

    def _keeper(self, locator: Any) -> Stage:
        """The stage that keeps *locator*; a tree that was copied overrides this."""
        return self

    def _read_error(self, backend: Backend, locator: Any, error: Exception) -> LotdbError:
        if isinstance(error, LotdbError) and not isinstance(error, DamagedError):
            return error
        undone = (each() if isinstance(each, weakref.ref) else each for each in self._undone)
        if any(locator is each for each in undone):
            return StaleNodeError("it was written in a transaction, or after a savepoint, that was undone")
        where = _where(backend, locator)
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

    # -- as a data manager of ZODB's transaction ---------------------------------------------------

    def sortKey(self) -> str:
        """After every storage, so that its vote comes before ours."""
        return f"~lotdb:{id(self)}"

    def tpc_begin(self, transaction: object) -> None:
        """Nothing to do: everything was written before the commit began."""

    def commit(self, transaction: object) -> None:
        """Nothing to do: everything was written before the commit began."""

    def tpc_vote(self, transaction: object) -> None:
        # From here on the commit may have happened even if its reply gets lost: nothing is deleted any
        # more. What turns out to be garbage is swept later.
        self._voted = True

    def tpc_finish(self, transaction: object) -> None:
        self._reset()

    def tpc_abort(self, transaction: object) -> None:
        self._discard(0)
        self._reset()

    def abort(self, transaction: object) -> None:
        self._discard(0)
        self._reset()

    def savepoint(self) -> _Savepoint:
        """A point that a rollback returns to."""
        self.flush()
        return _Savepoint(self, len(self._written))

    def _discard(self, keep: int) -> None:
        self._forget_packs()
        self._remembered.clear()
        if self._voted:
            del self._written[keep:]
        else:
            self._discard_written(keep)

    def _discard_written(self, keep: int) -> None:
        for backend, locator in self._written[keep:]:
            self._undone.append(weakref.ref(locator) if isinstance(locator, Persistent) else locator)
            _delete(backend, locator)
            self._discarded.append((backend, locator))
        del self._written[keep:]

    def purge(self) -> None:
        """Delete once more what was discarded, now that no transaction holds it."""
        while self._discarded:
            _delete(*self._discarded.pop())

    def _reset(self) -> None:
        self._forget_packs()
        self._written.clear()
        self._joined = self._voted = False

    def _forget_packs(self) -> None:
        self._packs.clear()
        self._pending.clear()
        self._pending_bytes = 0

    @property
    def locators(self) -> list[Any]:
        """What this transaction has written so far, for the garbage collector to spare."""
        return [locator for _, locator in self._written]


class _Savepoint:
    def __init__(self, stage: Stage, keep: int) -> None:
        self._stage = stage
        self._keep = keep

    def rollback(self) -> None:
        self._stage._discard(self._keep)


def _notes(backend: Backend, layout: Layout) -> dict[str, Any]:
    return {"notes": dict(layout.notes)} if backend.takes_notes else {}


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


def _new_locator(backend: Backend) -> Any:
    with plugin_errors(backend.name):
        locator = backend.new_locator()
    # The sweep looks for the form in raw records; whatever it does not find there counts as garbage.
    if not isinstance(locator, Persistent) and not (isinstance(locator, str) and is_locator(locator)):
        raise PluginError(
            f"backend {backend.name!r} made {locator!r} as a locator; leave new_locator as it is"
        )
    return locator


def _where(backend: Backend, locator: Any) -> str:
    try:
        return str(backend.describe(locator))
    except Exception as error:  # it must not hide the error that it was to be a part of
        return f"{locator} (backend {backend.name!r} fails to describe it: {error!r})"


def _keep(sizes: list[int], added: int) -> int:
    """How many segments of *sizes* stay as they are when *added* bytes follow; the rest are merged."""
    keep = len(sizes)
    while keep:
        last = sizes[keep - 1]
        # The last one may have grown after it was written, so it is compared with the one before as well;
        # but not with one that it cannot be merged with, or it would be written anew each time.
        before = sizes[keep - 2] if keep > 1 else MERGED_BYTES
        close = last < 2 * added or (before < 2 * last and before + last + added <= MERGED_BYTES)
        if not close or added + last > MERGED_BYTES:
            break
        keep -= 1
        added += last
    return keep


@contextlib.contextmanager
def _writing(backend: Backend, locator: Any) -> Iterator[None]:
    """Removes what a failed write has left, and names the backend in an error of its own."""
    try:
        yield
    except BaseException as error:
        _delete(backend, locator)
        if isinstance(error, LotdbError | MemoryError) or not isinstance(error, Exception):
            raise
        if failure := system_error(error):
            raise FileSystemError.of(
                failure, f"backend {backend.name!r} cannot write", _where(backend, locator)
            ) from error
        raise PluginError(f"backend {with_versions(backend.name)} failed to write: {error!r}") from error


def _delete(backend: Backend, locator: Any) -> None:
    # What cannot be removed now is garbage that harms nobody; the next pack sweeps it.
    with contextlib.suppress(Exception):
        backend.delete(locator)


def copy_rows(source: Array, target: Array) -> None:
    """Copy the bytes of C-contiguous rows; numpy itself leaves out what lies between the fields."""
    if source.nbytes:
        as_bytes(target)[...] = as_bytes(source)
