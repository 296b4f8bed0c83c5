"""Reading the rows of segments: from the backend that holds them, or where they wait to be written."""

from __future__ import annotations

import weakref
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple, NoReturn, TypeVar

import numpy as np
from persistent import Persistent

from lotdb.errors import (
    DamagedError,
    LotdbError,
    PluginError,
    StaleNodeError,
    store_error,
    system_errors,
)
from lotdb.interfaces.backend import Backend
from lotdb.interfaces.checksums import (
    THREADED_BYTES,
    as_bytes,
    checksum,
    read_summed,
    read_summed_at_once,
)
from lotdb.interfaces.installed import plugin_errors, with_versions
from lotdb.segments.blocks import Blocks, blocks_of
from lotdb.segments.in_records import RECORDS, bytes_in, is_in_record
from lotdb.segments.layout import Array, Layout, Segment
from lotdb.segments.payload_record import PayloadRecord
from lotdb.segments.requests import Request, run_all
from lotdb.segments.small_arrays import Pack, copy_rows
from lotdb.segments.windows import NoWindow, Window

__all__ = ["Reader", "ShortWay", "Wanted", "place_of", "read_ahead"]

T = TypeVar("T")

# What a backend raises if a library has not what it calls, which says nothing about the data.
NOT_OF_DATA = (AttributeError, ImportError, NameError, NotImplementedError, TypeError)
# Before memory is taken for so many bytes, a look is taken whether the last of them are there.
DOUBTED_BYTES = 64 << 20
# No array that does not fit into memory is compressed like that.
IMPLAUSIBLE = 1000

# A window of up to so many bytes is read with what else is in its blocks in one piece; of a larger one, only
# the blocks at its edges are read to memory of their own.
SCRATCH_BYTES = 1 << 20
# A reader keeps memory of so many bytes for it, which is in the processor's cache.
WARM_BYTES = 128 << 10
_NO_ROOM = np.empty(0, np.uint8)
NO_WINDOW = NoWindow()
# Of so many segments, and of so many blocks of them, it is remembered which blocks were found right. That
# takes a kilobyte for a segment, and 9 bytes for a block.
KNOWN_SEGMENTS = 8192
KNOWN_BLOCKS = 1 << 20
# Segments of up to so many bytes are read ahead, and so many bytes of them at a time.
AHEAD_BYTES = 1 << 20
FETCHED_BYTES = 8 << 20
# What is done one by one is looked at so far ahead.
BATCH = 256

ShortWay = tuple[Callable[[int, Array], None], Blocks | None]


class _Checked(NamedTuple):
    """What a window is read from, whose blocks are checked; *scratch* is in the processor's cache already."""

    backend: Backend
    layout: Layout
    segment: Segment
    blocks: Blocks
    scratch: Array


class Reader:
    """Reads segments, whether they are stored or wait in a pack.

    Parameters
    ----------
    backends
        Finds the open backend of a name.
    """

    def __init__(self, backends: Callable[[str], Backend]) -> None:
        self._backends = backends
        self._pending: dict[int, Pack | Held] = {}  # what is not written yet, by the identity of its locator
        # What was undone last, to tell it from what is damaged.
        self._undone: deque[Any] = deque(maxlen=1000)
        # By locator, first row and rows: what is known of the blocks of segments, and rows read ahead, with
        # the number of payloads that want them.
        self._blocks: dict[tuple[Any, ...], Blocks] = {}
        self._known_blocks = 0
        self._scratch = _NO_ROOM
        #: The short way to windows of a payload, by its record.
        self.windows: dict[PayloadRecord, Window | NoWindow] = {}
        self._window_blocks = 0
        # By its name, whether a backend may be asked for several things at once.
        self._at_once: dict[str, bool] = {}
        self._ahead: OrderedDict[tuple[Any, ...], tuple[Array, int]] = OrderedDict()
        self._ahead_bytes = 0
        #: Where the payload was that was read whole last, of a backend that is read ahead.
        self.last_read: tuple[Any, str, str] | None = None

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
            locators = {id(each.locator): each.locator for each in segments if is_in_record(each.locator)}
            for number, record in enumerate(locators.values()):
                files.add((f"the record {number} of its rows", len(bytes_in(record))))
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
            If bytes are missing, or do not match their checksums.
        """
        wanted, done = len(out), 0
        if len(segments) == 1 and first + wanted <= segments[0].rows:  # as most windows are
            self._read_segment(layout, segments[0], first, out)
            return
        if len(segments) > 1 and self.reads_at_once(layout, segments):
            done = self._read_at_once(layout, segments, first, out)
        else:
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
            self._read_segment(layout, segment, first, block, checked_later=True)
            running = checksum(block, running)
            yield block
        if running != segment.checksum:
            raise self._checksum_error(layout, segment)

    def read_box(
        self, layout: Layout, segments: tuple[Segment, ...], box: tuple[slice, ...], out: Array
    ) -> None:
        """Fill *out* with what lies in *box*, a slice for each axis, of backends that read such boxes.

        Raises
        ------
        DamagedError
            If bytes are missing or altered.
        """
        done = 0
        for segment, skip, rows in _windows(segments, box[0].start, len(out)):
            self._read_box(layout, segment, skip, box[1:], out[done : done + rows])
            done += rows
        if done < len(out):
            raise DamagedError(f"only {done} of {len(out)} rows are recorded")

    def _read_box(
        self, layout: Layout, segment: Segment, skip: int, others: tuple[slice, ...], out: Array
    ) -> None:
        keeper = self._keeper(segment.locator)
        if keeper is not self:
            keeper._read_box(layout, segment, skip, others, out)
            return
        first = segment.first + skip
        rows = slice(first, first + len(out))
        pack = self._pending.get(id(segment.locator))
        if pack is not None:
            out[...] = pack.array[(rows, *others)]
            return
        if is_in_record(segment.locator):
            whole = np.empty((len(out), *layout.row_shape), layout.dtype)
            self._read_segment(layout, segment, skip, whole)
            out[...] = whole[(slice(None), *others)]
            return
        backend = self._backends(layout.backend)
        box = np.empty(out.shape, out.dtype)  # C-contiguous, as backends are promised
        try:
            backend.read_selection(segment.locator, (rows, *others), box)
        except MemoryError:
            raise
        except Exception as error:
            self._raise_as_read_error(backend, segment.locator, error)
        copy_rows(box, out)

    def reads_boxes(self, layout: Layout, segments: tuple[Segment, ...]) -> bool:
        """Whether the backend of *segments* reads parts of rows, and checks what it reads."""
        backend = self._backend_of(layout, segments)
        return backend.checks_windows and type(backend).read_selection is not Backend.read_selection

    def _backend_of(self, layout: Layout, segments: tuple[Segment, ...]) -> Backend:
        keeper = self._keeper(segments[0].locator) if segments else self
        return keeper._backends(layout.backend)

    def shorten(self, record: PayloadRecord) -> None:
        """Look up the short way to windows of *record*, an array in one segment of which one was read."""
        (segment,) = record.segments
        found = self._short_way(record, segment)
        if len(self.windows) >= KNOWN_SEGMENTS or self._window_blocks >= KNOWN_BLOCKS:
            self.windows.clear()
            self._window_blocks = 0
        if found is None:
            self.windows[record] = NO_WINDOW
            return
        read, blocks = found
        self.windows[record] = Window(record, read, blocks)
        self._window_blocks += 0 if blocks is None else blocks.count

    def _short_way(self, record: PayloadRecord, segment: Segment) -> ShortWay | None:
        """What reads rows of the array that *segment* is in, and what checks them; None for the long way."""
        if self._keeper(segment.locator) is not self or id(segment.locator) in self._pending:
            return None
        layout = record.layout
        backend = self.backend_for(layout.backend, segment.locator)
        try:
            read = backend.reader_of(segment.locator, layout.dtype, layout.row_shape)
        except Exception:  # whoever reads the next window learns of it
            return None
        if backend.checks_windows:
            return read, None
        return read, self._blocks.get(segment[:3]) or self._blocks_of(layout, segment)

    # -- for readers of other threads --------------------------------------------------------------

    def keeper_of(self, segment: Segment) -> Reader:
        """The reader that knows where *segment* is."""
        return self._keeper(segment.locator)

    def backend_of(self, name: str) -> Backend:
        """The open backend called *name* that holds what this reader itself keeps."""
        return self._backends(name)

    def backend_for(self, name: str, locator: Any) -> Backend:
        """What holds the array at *locator*: the open backend called *name*, unless it lies in a record."""
        return RECORDS if is_in_record(locator) else self._backends(name)

    def waiting(self, segment: Segment) -> Array | None:
        """A copy of the rows of *segment* if they are not written yet."""
        pack = self._pending.get(id(segment.locator))
        if pack is None:
            return None
        rows = pack.array[segment.first : segment.first + segment.rows]
        copy = np.empty(rows.shape, rows.dtype)
        copy_rows(rows, copy)
        return copy

    def hold(self, locator: Any, rows: Array) -> None:
        """Read *rows* wherever *locator* is asked for."""
        self._pending[id(locator)] = Held(rows)

    def check_not_undone(self, locator: Any) -> None:
        """Raise ``StaleNodeError`` if what is at *locator* was undone lately."""
        undone = (each() if isinstance(each, weakref.ref) else each for each in list(self._undone))
        # A text may have been read anew since.
        if any(locator is each or (type(locator) is str and locator == each) for each in undone):
            raise StaleNodeError("it was written in a transaction, or after a savepoint, that was undone")

    # -- several at once ---------------------------------------------------------------------------

    def reads_at_once(self, layout: Layout, segments: tuple[Segment, ...]) -> bool:
        """Whether the backend of *segments* may be asked for several things at once."""
        known = self._at_once.get(layout.backend)
        if known is None:
            known = self._at_once[layout.backend] = self._backend_of(layout, segments).concurrent_reads > 1
        return known

    def _read_at_once(self, layout: Layout, segments: tuple[Segment, ...], first: int, out: Array) -> int:
        """What :meth:`read_into` does, with all requests under way at once; how many rows were read."""
        done, steps = 0, []
        for segment, skip, rows in _windows(segments, first, len(out)):
            steps.append(self._begin(layout, segment, skip, out[done : done + rows]))
            done += rows
        run_all([request for requests, _ in steps for request in requests])
        for _, finish in steps:
            finish()
        return done

    def fetch(self, wanted: Iterable[tuple[Layout, Segment]]) -> None:
        """Read small segments ahead, for who is about to read them one by one.

        Errors are left to who does.
        """
        steps: dict[tuple[int, Any], tuple[Reader, Segment, Request]] = {}
        times: Counter[tuple[int, Any]] = Counter()
        for layout, segment in wanted:
            if not self.reads_at_once(layout, (segment,)):
                continue
            keeper = self._keeper(segment.locator)
            size = segment.rows * layout.row_bytes
            if id(segment.locator) in keeper._pending or segment[:3] in keeper._ahead or size > AHEAD_BYTES:
                continue
            name = id(keeper), segment[:3]
            times[name] += 1
            if name in steps:  # of a branch that shares it
                continue
            rows = np.empty((segment.rows, *layout.row_shape), layout.dtype)
            backend = keeper.backend_for(layout.backend, segment.locator)
            steps[name] = keeper, segment, Request(backend, segment.locator, segment.first, rows)
        run_all([request for _, _, request in steps.values()])
        for name, (keeper, segment, request) in steps.items():
            if request.error is None:
                keeper._put_ahead(segment, request.out, times[name])

    def _put_ahead(self, segment: Segment, rows: Array, times: int) -> None:
        self._ahead[segment[:3]] = rows, times
        self._ahead_bytes += rows.nbytes
        while self._ahead_bytes > 2 * FETCHED_BYTES:
            self._ahead_bytes -= self._ahead.popitem(last=False)[1][0].nbytes

    def _take_ahead(self, segment: Segment) -> Array | None:
        found = self._ahead.get(segment[:3])
        if found is None:
            return None
        rows, times = found
        if times > 1:
            self._ahead[segment[:3]] = rows, times - 1
        else:
            del self._ahead[segment[:3]]
            self._ahead_bytes -= rows.nbytes
        return rows

    def is_ahead(self, segment: Segment) -> bool:
        """Whether *segment* was read ahead."""
        return segment[:3] in self._keeper(segment.locator)._ahead

    def forget_ahead(self) -> None:
        """Let go of what was read ahead."""
        self._ahead.clear()
        self._ahead_bytes = 0
        self.last_read = None

    # -- one segment -------------------------------------------------------------------------------

    def _checksum_error(self, layout: Layout, segment: Segment) -> DamagedError:
        keeper = self._keeper(segment.locator)
        if keeper is not self:
            return keeper._checksum_error(layout, segment)
        where = place_of(self.backend_for(layout.backend, segment.locator), segment.locator)
        return DamagedError(f"the bytes in {where} do not match their checksum")

    def _read_segment(
        self, layout: Layout, segment: Segment, skip: int, out: Array, *, checked_later: bool = False
    ) -> None:
        keeper = self._keeper(segment.locator)
        if keeper is not self:
            keeper._read_segment(layout, segment, skip, out, checked_later=checked_later)
            return
        pack = self._pending.get(id(segment.locator)) if self._pending else None
        if pack is not None:
            first = segment.first + skip
            copy_rows(pack.array[first : first + len(out)], out)
            return
        backend, first = self.backend_for(layout.backend, segment.locator), segment.first + skip
        is_whole = len(out) == segment.rows
        if self._ahead and is_whole and (kept := self._take_ahead(segment)) is not None:
            copy_rows(kept, out)
            if checksum(out) != segment.checksum:
                raise self._checksum_error(layout, segment)
            return
        if not is_whole and not checked_later and not backend.checks_windows:
            blocks = self._blocks.get(segment[:3]) or self._blocks_of(layout, segment)
            if blocks.unseen and blocks.has_unseen(skip, len(out)):
                self._read_checked(backend, layout, segment, blocks, skip, out)
                return
        is_large = is_whole and out.nbytes >= THREADED_BYTES
        in_parts = is_large and backend.reads_in_parts
        summed: int | None = None
        try:
            if is_large:
                summed = backend.read_summed(segment.locator, first, out)
            if summed is None and in_parts:
                summed = self._read_in_parts(backend, segment.locator, first, out)
            elif summed is None:
                backend.read_into(segment.locator, first, out)
        except MemoryError:
            raise
        except Exception as error:
            self._raise_as_read_error(backend, segment.locator, error)
        if is_whole and (checksum(out) if summed is None else summed) != segment.checksum:
            raise self._checksum_error(layout, segment)

    def _read_in_parts(self, backend: Backend, locator: Any, first: int, out: Array) -> int:
        def read(row: int, block: Array) -> None:
            backend.read_into(locator, first + row, block)

        # What belongs to a connection of ZODB is for its own thread.
        if isinstance(locator, Persistent):
            return read_summed(read, out)
        return read_summed_at_once(read, out, first, backend.chunk_rows(locator))

    def _read_checked(
        self, backend: Backend, layout: Layout, segment: Segment, blocks: Blocks, skip: int, out: Array
    ) -> None:
        """Fill *out* with rows of blocks of which some were not looked at yet."""
        step, row_bytes, end = blocks.step, layout.row_bytes, skip + len(out)
        begin, stop = skip // step * step, min(-(-end // step) * step, segment.rows)
        scratch = self._scratch
        is_small = (stop - begin) * row_bytes <= len(scratch)
        if not is_small and (backend.concurrent_reads > 1 or step * row_bytes > len(scratch)):
            requests, finish = self._begin_checked(backend, layout, segment, blocks, skip, out)
            run_all(requests)
            finish()
            return
        self._scratch = _NO_ROOM  # it is in use: a backend may read from this database, too
        try:
            window = _Checked(backend, layout, segment, blocks, scratch)
            if is_small:
                self._read_blocks(window, begin, stop, skip, out)
            else:
                self._read_around(window, begin, stop, skip, out)
        finally:
            self._scratch = scratch

    def _read_blocks(self, window: _Checked, begin: int, stop: int, skip: int, out: Array) -> None:
        """Check the blocks of rows *begin* to *stop* and fill *out* with their rows from *skip* on."""
        backend, layout, segment, blocks, scratch = window
        rows = np.ndarray((stop - begin, *layout.row_shape), layout.dtype, scratch)
        self._ask(backend, segment, begin, rows)
        if not blocks.check(begin, scratch[: rows.nbytes]):
            raise self._checksum_error(layout, segment)
        rows = rows[skip - begin : skip - begin + len(out)]
        if layout.dtype.kind in "biufc":
            out[...] = rows
        else:
            copy_rows(rows, out)

    def _read_around(self, window: _Checked, begin: int, stop: int, skip: int, out: Array) -> None:
        """As :meth:`_read_blocks`, but only the blocks at the edges are read to the scratch, if they are cut.

        All others are read to where they belong; and those too, if they were right.
        """
        backend, layout, segment, blocks, _ = window
        step, end = blocks.step, skip + len(out)
        low, high, last = skip, end, end // step * step
        if begin < skip and blocks.has_unseen(begin, 1):
            low = begin + step
            head = out[: low - skip]
            self._read_blocks(window, begin, low, skip, head)
        if end < stop and blocks.has_unseen(last, 1):
            high = last
        if low < high:
            self._ask(backend, segment, low, out[low - skip : high - skip])
            first = -(-skip // step) * step
            whole = out[first - skip : (end if stop == end else last) - skip]
            if len(whole) and not blocks.check(first, as_bytes(whole)):
                raise self._checksum_error(layout, segment)
        if high < end:
            tail = out[high - skip :]
            self._read_blocks(window, high, stop, high, tail)

    def _ask(self, backend: Backend, segment: Segment, skip: int, out: Array) -> None:
        """Fill *out* with rows of *segment*, which are not checked."""
        try:
            backend.read_into(segment.locator, segment.first + skip, out)
        except MemoryError:
            raise
        except Exception as error:
            self._raise_as_read_error(backend, segment.locator, error)

    def _begin(
        self, layout: Layout, segment: Segment, skip: int, out: Array
    ) -> tuple[list[Request], Callable[[], None]]:
        """The requests that fill *out* with rows of *segment*, and what is to be done after them."""
        keeper = self._keeper(segment.locator)
        if keeper is not self:
            return keeper._begin(layout, segment, skip, out)
        is_whole = len(out) == segment.rows
        if id(segment.locator) in self._pending or (is_whole and segment[:3] in self._ahead):
            return [], partial(self._read_segment, layout, segment, skip, out)
        backend = self.backend_for(layout.backend, segment.locator)
        if not is_whole and not backend.checks_windows:
            blocks = self._blocks.get(segment[:3]) or self._blocks_of(layout, segment)
            if blocks.unseen and blocks.has_unseen(skip, len(out)):
                return self._begin_checked(backend, layout, segment, blocks, skip, out)
        request = Request(backend, segment.locator, segment.first + skip, out)

        def finish() -> None:
            self._raise_error(request)
            if is_whole and checksum(out) != segment.checksum:
                raise self._checksum_error(layout, segment)

        return [request], finish

    def _begin_checked(
        self, backend: Backend, layout: Layout, segment: Segment, blocks: Blocks, skip: int, out: Array
    ) -> tuple[list[Request], Callable[[], None]]:
        """As :meth:`_begin`, for a window of blocks of which some were not looked at yet."""
        step, end = blocks.step, skip + len(out)
        begin, stop = skip // step * step, min(-(-end // step) * step, segment.rows)
        # The blocks that lie in the window as a whole.
        first, last = -(-skip // step) * step, end if stop == end else end // step * step
        little = SCRATCH_BYTES if backend.concurrent_reads > 1 else WARM_BYTES
        if (stop - begin) * layout.row_bytes <= little or first > last:
            around = [(begin, stop)]
            low = high = skip
        else:
            # All but the blocks at the edges is read to where it belongs; and those too, if they were right.
            around = [
                (edge, min(edge + step, stop))
                for edge, is_cut in ((begin, begin < skip), (last, last < end))
                if is_cut and blocks.has_unseen(edge, 1)
            ]
            low = first if (begin, begin + step) in around else skip
            high = last if (last, stop) in around else end
        parts = [(edge, np.empty((until - edge, *layout.row_shape), layout.dtype)) for edge, until in around]
        wanted = [(edge, rows) for edge, rows in parts if edge < low or low == high]
        wanted += [(low, out[low - skip : high - skip])] if low < high else []
        wanted += [(edge, rows) for edge, rows in parts if edge >= high > low]
        requests = [Request(backend, segment.locator, segment.first + row, rows) for row, rows in wanted]

        def finish() -> None:
            for request in requests:
                self._raise_error(request)
            whole = out[first - skip : last - skip] if low < high and first < last else out[:0]
            for edge, rows in [*parts, (first, whole)]:
                if len(rows) and not blocks.check(edge, as_bytes(rows)):
                    raise self._checksum_error(layout, segment)
            for edge, rows in parts:
                some, rest = max(edge, skip), min(edge + len(rows), end)
                copy_rows(rows[some - edge : rest - edge], out[some - skip : rest - skip])

        return requests, finish

    def _raise_error(self, request: Request) -> None:
        error = request.error
        if error is None:
            return
        if isinstance(error, MemoryError):
            raise error
        self._raise_as_read_error(request.backend, request.locator, error)

    def _blocks_of(self, layout: Layout, segment: Segment) -> Blocks:
        if len(self._blocks) >= KNOWN_SEGMENTS or self._known_blocks >= KNOWN_BLOCKS:
            self._blocks.clear()
            self._known_blocks = 0
        if not len(self._scratch):
            self._scratch = np.empty(WARM_BYTES, np.uint8)
        blocks = self._blocks[segment[:3]] = blocks_of(segment, layout.row_bytes)
        self._known_blocks += blocks.count
        return blocks

    def _keeper(self, locator: Any) -> Reader:
        """The reader of *locator*; a tree that was copied has others, and overrides this."""
        return self

    def _raise_as_read_error(self, backend: Backend, locator: Any, error: Exception) -> NoReturn:
        found = self._read_error(backend, locator, error)
        if found is error:  # which must not be its own cause: whoever follows the causes would never end
            raise found
        raise found from error

    def _read_error(self, backend: Backend, locator: Any, error: Exception) -> LotdbError:
        if isinstance(error, LotdbError) and not isinstance(error, DamagedError):
            return error
        try:
            self.check_not_undone(locator)
        except StaleNodeError as stale:
            return stale
        where = place_of(backend, locator)
        if failure := store_error(error, f"cannot read {where}", where):
            return failure
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
        with system_errors(), plugin_errors(layout.backend):
            return list(self.backend_for(layout.backend, segment.locator).files(segment.locator))

    def record_bytes(self, layout: Layout, segment: Segment) -> int:
        """Bytes of the rows of *segment* in a record; 0 if they are elsewhere, or not written yet."""
        waits = id(segment.locator) in self._keeper(segment.locator)._pending
        return 0 if waits or not is_in_record(segment.locator) else segment.rows * layout.row_bytes


class Held(NamedTuple):
    """Rows in memory, in place of a pack."""

    array: Array


Wanted = tuple["Reader", Layout, Segment]


def read_ahead(items: Iterable[T], wanted: Callable[[T], Iterable[Wanted]]) -> Iterator[T]:
    """*items*, of which each is given out when the small segments that are *wanted* for it were read.

    From a store that takes its time, those of several are read at once. Any other is left alone, and asked
    for nothing before it is needed.
    """
    batch: list[T] = []
    waiting: list[Wanted] = []
    size = 0
    for item in items:
        slow = [each for each in wanted(item) if _is_slow(*each)]
        if not slow and not batch:
            yield item
            continue
        batch.append(item)
        waiting += slow
        size += sum(segment.rows * layout.row_bytes for _, layout, segment in slow)
        if size > FETCHED_BYTES or len(batch) >= BATCH:
            yield from _fetched(batch, waiting)
            batch, waiting, size = [], [], 0
    yield from _fetched(batch, waiting)


def _is_slow(reader: Reader, layout: Layout, segment: Segment) -> bool:
    try:
        return reader.reads_at_once(layout, (segment,))
    except LotdbError:  # its backend is not to be had, as who reads it will say
        return False


def _fetched(batch: list[T], waiting: list[Wanted]) -> list[T]:
    readers = {id(reader): reader for reader, _, _ in waiting}
    for name, reader in readers.items():
        reader.fetch([(layout, segment) for each, layout, segment in waiting if id(each) == name])
    return batch


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
