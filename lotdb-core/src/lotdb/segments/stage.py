"""What a transaction has written: segments, durable once it is committed, removed by an abort.

A payload's rows lie in *segments*. A segment is a run of rows in an array that a backend holds under a
locator; it is written once and never changed. Small arrays of one layout share such an array, a *pack*,
so that a thousand small captures become a few files. The locator of a pack is made first and its bytes
follow, at the latest when the transaction commits.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from typing import Any

import numpy as np
from persistent import Persistent

from lotdb.errors import (
    ConflictError,
    DamagedError,
    LotdbError,
    PluginError,
    store_error,
)
from lotdb.interfaces.backend import Backend, is_locator
from lotdb.interfaces.checksums import checksum
from lotdb.interfaces.installed import plugin_errors, with_versions
from lotdb.records import Box
from lotdb.segments.blocks import BLOCK_BYTES, SUM_BYTES, BlockSums, block_rows, block_sums, sums_of
from lotdb.segments.durability import make_durable
from lotdb.segments.in_records import RECORDS, is_in_record
from lotdb.segments.layout import Array, Layout, Segment
from lotdb.segments.reader import Reader, place_of
from lotdb.segments.small_arrays import PACK_BYTES, PACKED_BYTES, Pack, Spare, copy_rows
from lotdb.storage.signals import uninterrupted
from lotdb.values.numpy_types import contiguous

# Appending merges small segments up to this size.
MERGED_BYTES = 32 << 20
# What is added in pieces of this size is not merged: it is read as fast in pieces.
UNMERGED_BYTES = 8 << 20
# Rows of unknown number are written in segments of this size.
STREAMED_BYTES = 32 << 20
# All packs are written when together they have grown to this size.
PENDING_BYTES = 48 << 20
# A transaction puts up to so many bytes into records. More goes to files: what is loaded at once needs no
# further sync for each array, and the data file is copied by each pack.
RECORDED_BYTES = 256 << 10
# Where small arrays lie in records, so many segments of about one size gather until they are merged.
GATHERED = 32
# What so many small packs held is remembered: the next append is likely to merge them.
REMEMBERED = 16
# Sums of blocks of up to so many bytes lie in the payload's record, those of 2 MiB at most.
INLINE_BYTES = 256

_AS_A_PACK_DOES = "as a pack of another process does that waits for nobody; run the transaction again"


class Stage(Reader):
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
    note_format
        Given a backend that is about to write in a form of a version other than the first.
    keeps_pieces
        Whether the storage takes appended pieces; see :attr:`lotdb.Storage.keeps_pieces`.
    decode_options
        From the plain form of a layout's options to what the backend is passed.
    """

    def __init__(
        self,
        backends: Callable[[str], Backend],
        *,
        join: Callable[[Stage], None] | None = None,
        adopt: Callable[[Any], None] = lambda locator: None,
        note_format: Callable[[Backend], None] = lambda backend: None,
        keeps_pieces: bool = True,
        decode_options: Callable[[Layout], Mapping[str, Any]],
    ) -> None:
        super().__init__(backends)
        self._join = join
        self._adopt = adopt
        self._note_format = note_format
        self._keeps_pieces = keeps_pieces
        self._decode_options = decode_options
        self._packs: dict[Layout, Pack] = {}
        self._pending_bytes = 0
        self._spare = Spare()
        self._recorded_bytes = 0
        self._closed: set[int] = set()  # the identities of the locators of packs that were written
        self._remembered: OrderedDict[Any, Array] = OrderedDict()
        self._written: list[tuple[Backend, Any]] = []
        # What backends may still be putting on the disk, by the identity of its locator; and why that failed.
        self._unsettled: dict[int, tuple[Backend, Any, BaseException | None]] = {}
        self._joined = False
        self._voted = False
        self._discarded: list[tuple[Backend, Any]] = []
        #: Whether rows are being written that the program produces meanwhile, which may change the tree.
        self.is_streaming = False
        #: Called when all storages have voted, if it is not None; the transaction fails if it raises.
        self.on_vote: Callable[[], None] | None = None

    # -- writing -----------------------------------------------------------------------------------

    def write(self, layout: Layout, array: Array, *, appended: bool = False) -> tuple[Segment, ...]:
        """Segments that hold the rows of *array*, which is C-contiguous and fits *layout*.

        They may be *appended* to rows that are there.
        """
        if array.nbytes == 0:
            return ()
        if array.nbytes >= PACKED_BYTES or self._join is None:
            return (self._write_large(layout, array),)
        pack = self._packs.get(layout)
        if pack is not None and is_in_record(pack.locator):
            most = self._most_in_record(self._backends(layout.backend), appended)
            if min(most, pack.limit) < pack.nbytes + array.nbytes:
                self._close_pack(layout)
                pack = None
        if pack is None:
            pack = self._new_pack(layout, array.nbytes, appended)
        segment = self._segment(layout, pack.locator, pack.rows, array)
        self._add(layout, pack, array)
        return (segment,)

    def _most_in_record(self, backend: Backend, appended: bool) -> int:
        """Of how many bytes arrays of *backend* may lie in records, at most."""
        takes_pieces = appended and self._keeps_pieces
        return max(backend.record_bytes, backend.append_record_bytes if takes_pieces else 0)

    def _new_pack(self, layout: Layout, size: int, appended: bool) -> Pack:
        """A pack for arrays of *layout*, the first of *size* bytes."""
        backend, limit = self._backends(layout.backend), PACK_BYTES
        most = self._most_in_record(backend, appended)
        if size <= most and self._recorded_bytes + size <= RECORDED_BYTES:
            backend, limit = RECORDS, most
        locator = self._new_locator(backend)
        with self._or_discarded(locator):
            pack = Pack(locator, layout, limit)
            self._pending[id(locator)] = pack
            self._packs[layout] = pack
        return pack

    def _segment(self, layout: Layout, locator: Any, first: int, array: Array) -> Segment:
        """The segment that *array* is, from row *first* on of what is stored at *locator*."""
        step = self._step(layout, len(array), locator)
        if not step:
            return Segment(locator, first, len(array), checksum(array))
        sums = self._kept(block_sums(array, step))
        return Segment(locator, first, len(array), checksum(array), step, sums)

    def _step(self, layout: Layout, rows: int, locator: Any) -> int:
        """Rows of a block of *rows* rows; 0 if they are one block, or somebody else checks windows."""
        if rows * layout.row_bytes <= BLOCK_BYTES or self.backend_for(layout.backend, locator).checks_windows:
            return 0
        return block_rows(layout.row_bytes, rows)

    def _kept(self, sums: bytes) -> bytes | Box:
        # Many get a record of their own, which is read with the first window: the node's is read each time.
        return Box((sums,)) if len(sums) > INLINE_BYTES and self._join is not None else sums

    def write_blocks(self, layout: Layout, blocks: Iterable[Array], rows: int) -> tuple[Segment, ...]:
        """One segment that holds *rows* rows, given as consecutive *blocks*; held in memory one by one."""
        if rows * layout.row_bytes < PACKED_BYTES:
            return self.write_stream(layout, blocks)
        backend, options = self._backends(layout.backend), self._decode_options(layout)
        locator = self._new_locator(backend)
        with self._or_discarded(locator):
            running, step = 0, self._step(layout, rows, locator)
            sums = BlockSums(layout.row_bytes, step) if step else None

            def summed() -> Iterator[Array]:
                nonlocal running
                for block in map(contiguous, blocks):
                    running = checksum(block, running)
                    if sums is not None:
                        sums.add(block)
                    yield block

            with self._writing(backend, locator):
                shape = (rows, *layout.row_shape)
                backend.write_blocks(locator, summed(), shape, options, **_notes(backend, layout))
        segment = Segment(locator, 0, rows, running)
        return (segment if sums is None else segment._replace(step=step, sums=self._kept(sums.finish())),)

    def write_stream(
        self, layout: Layout, blocks: Iterable[Array], segments: tuple[Segment, ...] = ()
    ) -> tuple[Segment, ...]:
        """*segments* followed by the rows of *blocks*, however many come; held in memory 32 MiB at a time."""
        waiting = Pack(None, layout)
        streamed: tuple[Segment, ...] = ()
        mark = self.mark()
        try:
            for block in blocks:
                waiting.add(contiguous(block))  # a copy: the memory of a block may be used for the next
                if waiting.nbytes >= STREAMED_BYTES:
                    streamed += (self._write_large(layout, waiting.array),)
                    waiting.rows = waiting.nbytes = 0
            if not streamed:
                return self.append(layout, segments, waiting.array)
            return (*segments, *streamed, *self.write(layout, waiting.array, appended=bool(segments)))
        except BaseException:
            self.discard_segments(mark, streamed)
            raise

    @contextlib.contextmanager
    def all_or_nothing(self, mark: int | None = None) -> Iterator[None]:
        """Delete what was written since *mark*, or by the block, if that fails."""
        keep = self.mark() if mark is None else mark
        try:
            yield
        except BaseException:
            self.discard_since(keep)
            raise

    def mark(self) -> int:
        """What :meth:`discard_since` takes, to delete what is written from now on."""
        return len(self._written)

    def discard_since(self, mark: int) -> None:
        """Delete what was written since :meth:`mark` gave *mark*, and nothing in the tree names any more."""
        self._discard_these(mark, {id(locator) for _, locator in self._written[mark:]})

    def discard_segments(self, mark: int, segments: Iterable[Segment]) -> None:
        """Delete those of *segments* that were written since *mark*, and nothing in the tree names any more.

        What else was written since then stays: the rows may have come from a generator that has written to
        other nodes. So do rows in a pack with those of others; they are garbage.
        """
        rows = {id(locator): 0 for _, locator in self._written[mark:]}
        for segment in segments:
            if id(segment.locator) in rows:
                rows[id(segment.locator)] += segment.rows
        self._discard_these(mark, {each for each in rows if rows[each] and self._is_alone(each, rows[each])})

    def _is_alone(self, locator_id: int, rows: int) -> bool:
        """Whether *rows* rows are all there are at a locator of this transaction."""
        pack = self._pending.get(locator_id)
        if pack is None:
            return locator_id not in self._closed
        return isinstance(pack, Pack) and pack.rows == rows

    def _discard_these(self, mark: int, undone: Set[int]) -> None:
        for layout, pack in list(self._packs.items()):
            if id(pack.locator) in undone:
                self._forget_pack(layout)
        kept = [each for each in self._written[mark:] if id(each[1]) not in undone]
        self._written[mark:] = kept + [each for each in self._written[mark:] if id(each[1]) in undone]
        self._discard_written(mark + len(kept))

    def append(self, layout: Layout, segments: tuple[Segment, ...], array: Array) -> tuple[Segment, ...]:
        """*segments* followed by the rows of *array*, with small segments merged.

        Segments are kept in sizes that at least halve from one to the next, as the digits of a binary
        counter do: any history of appends leaves O(log n) small segments, and each byte is rewritten
        O(log n) times.
        """
        if not segments:
            return self.write(layout, array)
        if array.nbytes == 0:
            return segments
        extended = self._extend(layout, segments[-1], array)
        if extended is not None:
            return (*segments[:-1], extended)
        keep = len(segments)
        if array.nbytes < UNMERGED_BYTES:
            sizes = [segment.rows * layout.row_bytes for segment in segments]
            gathers = self._most_in_record(self._backends(layout.backend), appended=True)
            keep = (_keep_gathering if gathers else _keep)(sizes, array.nbytes)
            if keep and self._ends_record(layout, segments[keep - 1]):
                keep -= 1  # which had no room for the rest: in a file there is, and reading it costs nothing
        if keep < len(segments):
            merged = sum(segment.rows for segment in segments[keep:])
            block = np.empty((merged + len(array), *layout.row_shape), layout.dtype)
            self._read_to_merge(layout, segments[keep:], block[:merged])
            copy_rows(array, block[merged:])
            array = block
        return (*segments[:keep], *self.write(layout, array, appended=True))

    def _extend(self, layout: Layout, last: Segment, array: Array) -> Segment | None:
        # The last rows still wait at the end of a pack: the new ones go right behind them.
        pack = self._packs.get(layout)
        if pack is None or not _is_end(pack, last):
            return None
        if pack.nbytes + array.nbytes > pack.limit:
            return None
        extended = last._replace(rows=last.rows + len(array), checksum=checksum(array, last.checksum))
        self._add(layout, pack, array)
        pack_rows = pack.array  # also if it has just been written
        step = self._step(layout, extended.rows, pack.locator)
        if not step:
            return extended
        # Blocks that were full stay as they are; the one that was not is summed once more.
        full = 0 if last.sums is None else last.rows // step
        before = b"" if last.sums is None else sums_of(last)[: full * SUM_BYTES]
        rest = pack_rows[last.first + full * step :]
        return extended._replace(step=step, sums=self._kept(before + block_sums(rest, step)))

    def _ends_record(self, layout: Layout, last: Segment) -> bool:
        """Whether *last* is at the end of rows that wait to be put into a record."""
        pack = self._packs.get(layout)
        return pack is not None and is_in_record(pack.locator) and _is_end(pack, last)

    def _add(self, layout: Layout, pack: Pack, array: Array) -> None:
        pack.add(array, self._spare)
        self._pending_bytes += array.nbytes
        if is_in_record(pack.locator):
            self._recorded_bytes += array.nbytes
        if pack.nbytes >= pack.limit:
            self._close_pack(layout)
        elif self._pending_bytes >= PENDING_BYTES:
            self._close_packs()

    def _close_packs(self) -> None:
        for layout in list(self._packs):
            self._close_pack(layout)

    def _close_pack(self, layout: Layout) -> None:
        pack = self._packs[layout]
        if not pack.rows:  # what was to be its first rows has failed
            self._forget_pack(layout)
            self._discard_these(0, {id(pack.locator)})
            return
        self._backend_write(layout, pack.locator, pack.array)
        # Only now: until its bytes are stored the pack's rows are read from memory.
        self._forget_pack(layout)
        self._closed.add(id(pack.locator))
        if not is_in_record(pack.locator):  # which the connection has in its cache
            self._remember(pack.locator, pack.array)
            self._spare.keep(pack)

    def _remember(self, locator: Any, array: Array) -> None:
        if array.nbytes >= PACKED_BYTES:
            return
        kept = np.empty_like(array)  # without the room that the pack had
        copy_rows(array, kept)
        self._remembered[locator] = kept
        if len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)

    def _read_error(self, backend: Backend, locator: Any, error: Exception) -> LotdbError:
        found = super()._read_error(backend, locator, error)
        if not isinstance(found, DamagedError) or not isinstance(locator, str):
            return found
        if any(each is locator for _, each in self._written):
            with plugin_errors(backend.name):
                if not backend.is_stored(locator):
                    return ConflictError(
                        f"{place_of(backend, locator)} was removed before it was committed, {_AS_A_PACK_DOES}"
                    )
        return found

    def _read_to_merge(self, layout: Layout, segments: tuple[Segment, ...], out: Array) -> None:
        if not any(segment.locator in self._remembered for segment in segments):
            self.read_into(layout, segments, 0, out)
            return
        done = 0
        for segment in segments:
            rows = out[done : done + segment.rows]
            array = self._remembered.get(segment.locator)
            if array is None:
                self._read_segment(layout, segment, 0, rows)
            else:
                copy_rows(array[segment.first : segment.first + segment.rows], rows)
            done += segment.rows

    def _forget_pack(self, layout: Layout) -> None:
        pack = self._packs.pop(layout)
        del self._pending[id(pack.locator)]
        self._pending_bytes -= pack.nbytes

    def _write_large(self, layout: Layout, array: Array) -> Segment:
        locator = self._new_locator(self._backends(layout.backend))
        with self._or_discarded(locator):
            self._backend_write(layout, locator, array)
        return self._segment(layout, locator, 0, array)

    @contextlib.contextmanager
    def _or_discarded(self, locator: Any) -> Iterator[None]:
        """Forget *locator*, which nothing in the tree names yet, if what is written there fails.

        Not that of a pack, which is written again at the next commit. What lies elsewhere than in the storage
        is looked for when the transaction is committed.
        """
        try:
            yield
        except BaseException:
            self._discard_these(0, {id(locator)})
            raise

    def _new_locator(self, backend: Backend) -> Any:
        locator = _new_locator(backend)
        if self._join is not None:
            if not self._joined:
                self._join(self)
                self._joined = True
            if backend.format_version != 1:
                self._note_format(backend)
            self._adopt(locator)
            self._written.append((backend, locator))
        return locator

    def _backend_write(self, layout: Layout, locator: Any, array: Array) -> None:
        backend = self.backend_for(layout.backend, locator)
        options = self._decode_options(layout)
        with self._writing(backend, locator):
            backend.write(locator, array, options, **_notes(backend, layout))

    @contextlib.contextmanager
    def _writing(self, backend: Backend, locator: Any) -> Iterator[None]:
        """Have the array that the block writes put on the disk, the latest once the next one is written."""
        with _removed_on_failure(backend, locator):
            yield
            make_durable(backend, locator)
            if self._join is None:
                backend.settle(locator)
            self._settle()
        if self._join is not None and type(backend).settle is not Backend.settle:
            self._unsettled[id(locator)] = backend, locator, None

    def _settle(self) -> None:
        """Wait until backends have put on the disk what they have begun to."""
        for name in list(self._unsettled):
            backend, locator, failure = self._unsettled[name]
            if failure is not None:
                raise failure
            with uninterrupted():  # an interrupt is no failure, and hides none
                try:
                    with _removed_on_failure(backend, locator):
                        backend.settle(locator)
                except BaseException as error:
                    # The tree names what is not on the disk, and to try again may seem to succeed. So no
                    # commit goes on from here, until what was written is undone.
                    self._unsettled[name] = backend, locator, error
                    raise
                del self._unsettled[name]

    def flush(self) -> None:
        """Write all packs that are still in memory, and wait until all that was written is on the disk."""
        self._close_packs()
        self._spare.clear()
        self._settle()

    # -- as a data manager of ZODB's transaction ---------------------------------------------------

    def sortKey(self) -> str:
        """After every storage, so that its vote comes before ours."""
        return f"~lotdb:{id(self)}"

    def tpc_begin(self, transaction: object) -> None:
        """Nothing to do: everything was written before the commit began."""

    def commit(self, transaction: object) -> None:
        """Nothing to do: everything was written before the commit began."""

    def tpc_vote(self, transaction: object) -> None:
        if self.on_vote is not None:
            self.on_vote()
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
            for _, locator in self._written[keep:]:
                self._unsettled.pop(id(locator), None)
            del self._written[keep:]
        else:
            self._discard_written(keep)

    def _discard_written(self, keep: int) -> None:
        for backend, locator in self._written[keep:]:
            self._unsettled.pop(id(locator), None)
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
        self.forget_ahead()
        self._written.clear()
        self._closed.clear()
        self._unsettled.clear()
        self._spare.clear()
        self._recorded_bytes = 0
        self._joined = self._voted = False

    def _forget_packs(self) -> None:
        self._packs.clear()
        self._pending.clear()
        self._pending_bytes = 0

    @property
    def locators(self) -> list[Any]:
        """What this transaction has written so far, for the garbage collector to spare."""
        return [locator for _, locator in self._written]

    @property
    def written(self) -> list[tuple[Backend, Any]]:
        """The same, each with the backend that holds it."""
        return list(self._written)


class _Savepoint:
    def __init__(self, stage: Stage, keep: int) -> None:
        self._stage = stage
        self._keep = keep

    def rollback(self) -> None:
        self._stage._discard(self._keep)


def _notes(backend: Backend, layout: Layout) -> dict[str, Any]:
    return {"notes": dict(layout.notes)} if backend.takes_notes else {}


def _new_locator(backend: Backend) -> Any:
    with plugin_errors(backend.name):
        locator = backend.new_locator()
    # The sweep looks for the form in raw records; whatever it does not find there counts as garbage.
    if not isinstance(locator, Persistent) and not (isinstance(locator, str) and is_locator(locator)):
        raise PluginError(
            f"backend {backend.name!r} made {locator!r} as a locator; leave new_locator as it is"
        )
    return locator


def _is_end(pack: Pack, segment: Segment) -> bool:
    """Whether *segment* is the last rows that wait in *pack*."""
    return pack.locator is segment.locator and segment.first + segment.rows == pack.rows


def _keep(sizes: list[int], added: int) -> int:
    """How many segments of *sizes* stay as they are when *added* bytes follow; the rest are merged."""
    keep = len(sizes)
    while keep:
        last = sizes[keep - 1]
        # The last one may have grown after it was written, so it is compared with the one before as well;
        # but not with one that it cannot be merged with, or each append would rewrite it.
        before = sizes[keep - 2] if keep > 1 else MERGED_BYTES
        close = last < 2 * added or (before < 2 * last and before + last + added <= MERGED_BYTES)
        if not close or added + last > MERGED_BYTES:
            break
        keep -= 1
        added += last
    return keep


def _keep_gathering(sizes: list[int], added: int) -> int:
    """The same where segments are small and cost little: GATHERED of about one size are merged at once.

    So each byte is written anew once, each time that what holds it grows to the size of so many.
    """
    keep, total, alike = len(sizes), added, 4 * added
    while keep:
        first, merged = keep, total
        while first and sizes[first - 1] < alike and merged + sizes[first - 1] <= MERGED_BYTES:
            first -= 1
            merged += sizes[first]
        is_full = first and sizes[first - 1] < alike and merged >= MERGED_BYTES // 2
        if first == keep or not (keep - first + 1 >= GATHERED or is_full):
            break
        keep, total, alike = first, merged, 4 * merged
    return keep


@contextlib.contextmanager
def _removed_on_failure(backend: Backend, locator: Any) -> Iterator[None]:
    """Removes what a failed write has left, and names the backend in an error of its own."""
    try:
        yield
    except BaseException as error:
        _delete(backend, locator)
        if isinstance(error, LotdbError | MemoryError) or not isinstance(error, Exception):
            raise
        about = f"backend {backend.name!r} cannot write"
        if isinstance(error, FileNotFoundError) and _was_removed(locator, error):
            raise ConflictError(
                f"{place_of(backend, locator)} was removed while it was written, {_AS_A_PACK_DOES}"
            ) from error
        if failure := store_error(error, about, place_of(backend, locator)):
            raise failure from error
        raise PluginError(f"backend {with_versions(backend.name)} failed to write: {error!r}") from error


def _was_removed(locator: Any, error: FileNotFoundError) -> bool:
    """Whether it is the array that *error* misses, and not the folder that it was to be made in."""
    folder, found, _ = str(error.filename).partition(str(locator))
    return bool(found) and os.path.isdir(folder)


def _delete(backend: Backend, locator: Any) -> None:
    # What cannot be removed now is garbage that harms nobody; the next pack sweeps it.
    with contextlib.suppress(Exception):
        backend.delete(locator)
