"""Payload: reading a payload, its shape and rate, and windows of its rows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from importlib import import_module
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, cast, overload

import numpy as np

import lotdb.ranges as ranges
from lotdb.content import tables
from lotdb.content.items import is_masked
from lotdb.errors import (
    DamagedError,
    FileSystemError,
    InvalidDataError,
    InvalidIndexError,
    InvalidOptionError,
    InvalidRangeError,
    LotdbError,
    NoAxisError,
    StaleNodeError,
    shown,
)
from lotdb.interfaces.options import check_flag, is_several
from lotdb.ranges import Number, Unit
from lotdb.records.entries import own_of
from lotdb.records.own import get_value
from lotdb.renamed import PAYLOAD, hide
from lotdb.segments.payload_form import is_payload
from lotdb.segments.payload_record import PayloadRecord
from lotdb.segments.reader import DOUBTED_BYTES, Wanted, read_ahead
from lotdb.values import values

if TYPE_CHECKING:
    from lotdb.content.stored_segment import StoredSegment
    from lotdb.tree.handle import Handle
    from lotdb.tree.tree import Tree

__all__ = ["Payload", "decode_record", "read_many"]

Kind = Literal["array", "bytes", "table", "text"]

_NAMED = (DamagedError, FileSystemError, InvalidRangeError, InvalidOptionError, StaleNodeError)


def interop(module: str) -> Any:
    """The module of other libraries' forms, which stands above this one, and is loaded when it is needed."""
    return import_module(f"lotdb.interop.{module}")


# Of rows of which only a part is wanted, so many bytes are in memory at a time.
_SELECTED_BYTES = 4 << 20

# How many records of payloads a tree keeps decoded; each takes about a kilobyte.
DECODED = 8192
# How many segments these have, at most: who looks on while a payload grows meets ever other forms of it.
DECODED_SEGMENTS = 65_536


def decode_record(node: Handle, name: str, stored: tuple[Any, ...]) -> PayloadRecord:
    """The record of payload *name*, whose stored form is *stored*.

    The tree remembers it, because decoding it takes longer than reading a window.
    """
    tree = node._tree
    known = tree.decoded.get(id(stored))
    if known is None:
        try:
            known = stored, PayloadRecord.decode(stored)
        except DamagedError as error:
            raise DamagedError(f"payload {name!r} of {node._place()}: {error}") from error
        _keep(tree, *known)
    record: PayloadRecord = known[1]
    return record


def remember(node: Handle, stored: tuple[Any, ...], record: PayloadRecord, before: Any = None) -> None:
    """Note that *stored* is the stored form of *record*, which then need not be decoded.

    That in whose place it comes is forgotten: of a payload that grows, each form is longer than the one
    *before*, and nobody asks for those again.
    """
    tree, layout = node._tree, record.layout
    forgotten = tree.decoded.pop(id(before), None)
    if forgotten is not None:
        tree.decoded_segments -= len(forgotten[1].segments)
    is_plain = layout.dtype.names is None and layout.dtype.subdtype is None and layout.dtype.metadata is None
    if is_plain and not layout.notes and layout.row_shape == record.shape[1:]:
        _keep(tree, stored, record)


def _keep(tree: Tree, stored: tuple[Any, ...], record: PayloadRecord) -> None:
    segments = tree.decoded_segments + len(record.segments)
    if len(tree.decoded) >= DECODED or segments > DECODED_SEGMENTS:
        tree.decoded.clear()
        segments = len(record.segments)
    # The stored form is kept, too, so that no other object gets its id meanwhile.
    tree.decoded[id(stored)] = stored, record
    tree.decoded_segments = segments


def read_many(payloads: Iterable[Payload]) -> Iterator[Any]:
    """What :meth:`Payload.read` gives of each of *payloads*, one after another, in their order.

    Small ones are read several at once, some before they are asked for: many come from a store at the other
    end of a network in the time of a few. From a local folder, it is the same as reading each.

    Parameters
    ----------
    payloads
        Those of any nodes and databases, in their thread.

    Raises
    ------
    InvalidOptionError
        If one of them is no payload.
    DamagedError, UnavailableError
        As of :meth:`Payload.read`, when it is the turn of the payload that cannot be read.
    """
    if not is_several(payloads):
        raise InvalidOptionError(f"{shown(payloads)} is no list of payloads; use node.payloads.values()")
    return (payload.read() for payload in read_ahead(payloads, _wanted))


def _wanted(payload: Payload) -> Iterator[Wanted]:
    if not isinstance(payload, Payload):
        raise InvalidOptionError(f"{shown(payload)} is no payload; use those of node.payloads or get_data()")
    payload._tree.check()
    return ((payload._tree.stage, payload._record.layout, each) for each in payload._record.segments)


class Payload:
    """Stored data, read when you ask for them; shape, dtype and rate are known before that.

    It slices as a numpy array does (``payload[10:20]``, ``payload[-5:]``, ``payload[::2, 1]``), and
    only those rows are read. ``numpy.asarray(payload)`` reads all rows. A payload does not change when
    something else is written to its node. It can be read until the connection's transaction has ended and the
    database is packed.
    """

    __slots__ = ("_node", "_record", "_tree", "name")

    def __init__(self, node: Handle, name: str, record: PayloadRecord) -> None:
        self._node = node  # for its path, in messages
        self._tree = node._tree
        self.name = name
        self._record = record

    def __repr__(self) -> str:
        rate = f", {self.samplerate_hz:g} Hz" if self.samplerate_hz else ""
        about = f"{self.kind} {self.shape} {self.dtype}{rate}"
        return f"<Payload {self.name!r} of {self._node._path()!r}: {about}, in {self.backend}>"

    # -- what it is like -----------------------------------------------------------------------------

    @property
    def kind(self) -> Kind:
        """``"array"``, ``"bytes"``, ``"table"`` or ``"text"``; it decides what :meth:`read` returns."""
        return cast("Kind", self._record.kind)

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis; bytes and texts have one axis, of bytes (texts in UTF-8)."""
        return self._record.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements; of a table, the structured dtype with its columns."""
        stored = self._record.layout.dtype
        return tables.columns_of(stored) if self.kind == "table" else stored

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=object))

    @property
    def nbytes(self) -> int:
        """Bytes of the data, uncompressed."""
        return self.size * self.dtype.itemsize

    @property
    def samplerate_hz(self) -> float | None:
        """Rows per second, or None."""
        return self._record.samplerate_hz

    @property
    def duration_s(self) -> float | None:
        """Length of the first axis in seconds, or None without a sample rate."""
        return None if self.samplerate_hz is None else self._record.rows / self.samplerate_hz

    @property
    def backend(self) -> str:
        """Name of the backend that holds the data."""
        return self._record.layout.backend

    @property
    def content_type(self) -> str:
        """Media type of the data."""
        return self._record.content_type

    @property
    def metadata(self) -> dict[str, Any]:
        """A copy of the mapping that was passed as ``metadata=``."""
        stored = self._record.metadata
        decoded = {} if stored is None else values.decode(stored, extra=self._tree.plugins)
        return decoded if isinstance(decoded, dict) else {"metadata": decoded}

    @property
    def options(self) -> dict[str, Any]:
        """The backend's options with which the data were written."""
        return self._tree.decode_options(self._record.layout)

    def segments(self) -> list[StoredSegment]:
        """Where the rows are stored: one entry for each run of rows that are stored together.

        An entry has no files if its rows are not written yet, or lie in a record of the tree.
        """
        from lotdb.content.stored_segment import StoredSegment

        self._tree.check()
        stored, first, layout, stage = [], 0, self._record.layout, self._tree.stage
        for segment in self._record.segments:
            files, size = tuple(stage.files(layout, segment)), stage.record_bytes(layout, segment)
            stored.append(StoredSegment(first, segment.rows, files, segment.first, size))
            first += segment.rows
        return stored

    def __bool__(self) -> bool:
        """True, even without rows."""
        return True

    def __len__(self) -> int:
        if not self.shape:
            raise NoAxisError(f"{self._place} has no axis, so it has no rows to count")
        return self.shape[0]

    # -- reading -------------------------------------------------------------------------------------

    def read(self, start: Number | None = None, stop: Number | None = None, *, unit: Unit = "samples") -> Any:
        """The data from *start* to before *stop*: an array, a text, or bytes.

        The rows of a table are returned as a structured array, or as a masked one if a cell of these rows is
        missing.

        Parameters
        ----------
        start, stop
            First row and the row after the last; None for the start and the end. In samples (rows) they
            follow numpy: a negative one counts from the end, and the window ends at the last row; only a
            start after the stop is an error. In seconds they must not be negative, and sample *k* belongs to
            the window if ``start <= k / rate < stop``.
        unit : {"samples", "seconds"}

        Raises
        ------
        InvalidRangeError
            For an invalid window, a window in seconds without a sample rate, or a window of a text.
        DamagedError
            If the stored bytes are missing or altered.
        """
        record = self._record
        # Most windows have this form.
        if type(start) is int and type(stop) is int and type(unit) is str and unit == "samples":
            tree = self._tree
            tree.check()
            window = tree.stage.windows.get(record)
            if window is not None and (rows := window.rows(start, stop)) is not None:
                return rows
            if record.kind == "array" and record.shape and 0 <= start <= stop <= record.shape[0]:
                return self._read_rows(start, stop)
        kind = record.kind
        if kind == "text":
            self._window(None, None, unit)
            if start is not None or stop is not None:
                raise InvalidRangeError(f"{self._place} is a text, which is read whole")
            try:
                return self._read_rows(0, self._record.rows).tobytes().decode("utf-8", "surrogatepass")
            except UnicodeDecodeError as error:
                raise DamagedError(f"{self._place}: its bytes are no text: {error}") from error
        if not self._record.shape:
            self._window(None, None, unit)
            if start is not None or stop is not None:
                raise InvalidRangeError(f"{self._place} has no axis to take a window of")
            return self._read_rows(0, 1).reshape(())
        first, last = self._window(start, stop, unit)
        rows = self._read_rows(first, last)
        return rows if kind == "array" else self._block(rows)

    def read_frame(
        self, start: Number | None = None, stop: Number | None = None, *, unit: Unit = "samples"
    ) -> Any:
        """The rows of a table from *start* to before *stop* as a pandas DataFrame.

        Columns have pandas' nullable types where cells are missing, and numpy's otherwise.

        Raises
        ------
        MissingPluginError
            If pandas is not installed; install the extra ``lotdb-core[pandas]``.
        InvalidDataError
            If the payload is not a table.
        """
        first, last = self._window(start, stop, unit)
        if self.kind != "table":
            raise InvalidDataError(f"{self._place} is of kind {self.kind!r}, and only a table is a DataFrame")
        return tables.to_frame(self._read_rows(first, last))

    def read_seconds(self, start_second: Number | None = None, stop_second: Number | None = None) -> Any:
        """The data from *start_second* to before *stop_second*; see :meth:`read`."""
        return self.read(start_second, stop_second, unit="seconds")

    def iter_blocks(
        self,
        block_size: Number,
        *,
        block_unit: Unit = "samples",
        start: Number | None = None,
        stop: Number | None = None,
        range_unit: Unit = "samples",
    ) -> Iterator[Any]:
        """Consecutive blocks of the data, with each row in exactly one; the last may be shorter.

        Parameters
        ----------
        block_size
            Rows or seconds per block. Seconds need not be whole samples: the lengths of blocks then differ
            by one row, so that blocks do not drift.
        block_unit, range_unit : {"samples", "seconds"}
            Units of *block_size*, and of *start* and *stop*, which limit the range as in :meth:`read`.
        """
        if self.kind == "text" or not self.shape:
            raise InvalidRangeError(f"{self._place} has no rows to take blocks of")
        first, last = self._window(start, stop, range_unit)
        try:
            edges = ranges.block_edges(first, last, size=block_size, unit=block_unit, rate=self.samplerate_hz)
        except _NAMED as error:
            raise self._about(error) from error
        return map(self._block, self._read_runs(edges))

    def _read_runs(self, edges: Iterable[tuple[int, int]]) -> Iterator[np.ndarray[Any, Any]]:
        """The rows of each of windows that follow each other; from a slow store, of some in one request."""
        stage, record = self._tree.stage, self._record
        if not record.segments or not stage.reads_at_once(record.layout, record.segments):
            yield from (self._read_rows(first, last) for first, last in edges)
            return
        from lotdb.content import ahead  # which few stores need

        for run in ahead.runs(edges, record.layout.row_bytes):
            start = run[0][0]
            rows = self._read_rows(start, run[-1][1])
            yield from (rows[first - start : last - start] for first, last in run)

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        format: str | None = None,
        if_exists: Literal["error", "replace"] = "error",
        **options: Any,
    ) -> None:
        """Write the data to a file, in a format that ``attach_file`` reads.

        Parameters
        ----------
        path
            The file. It appears when it is complete and on the disk. If it is a link, the file that it points
            to is replaced.
        format
            Name of the format; by default the file name's suffix.
        if_exists : {"error", "replace"}
            What to do if the file exists.
        **options
            Options of the format, such as ``subtype``.

        Raises
        ------
        ExportError
            If the file exists or cannot be written, or the format cannot hold the data without loss; the
            file at *path* has not changed.
        """
        from lotdb.content.export import export_file  # which not every program needs

        self._tree.check()
        export_file(
            path,
            hook="lotdb_export_file",
            place=self._place,
            what=f"{self.kind} data",
            format=format,
            if_exists=if_exists,
            options=options,
            plugins=self._tree.plugins,
            payload=self,
        )

    # -- other libraries -----------------------------------------------------------------------------

    def for_threads(self) -> Payload:
        """The same payload, to be read in any thread as long as this connection is open.

        A payload belongs to the thread of its connection. This one does not: what it takes to read it was
        looked up already. A pack leaves what it reads from, as long as it lives.

        Raises
        ------
        WrongThreadError, ClosedError
            If this is not the thread of the connection, or the connection is closed.
        """
        from lotdb.content.unbound import Unbound, UnboundNode  # which not every program needs

        if isinstance(self._tree, Unbound):
            return self
        unbound = Unbound(self._tree)
        place = cast("Handle", UnboundNode(self._node._path(), unbound))
        return Payload(place, self.name, unbound.free(self._record))

    def reference(self) -> Payload:
        """The same payload as a reference: any thread of any process reads it, and the connection may close.

        It names the database, the commit that this connection sees, the node and the payload, in a few
        hundred bytes, and holds no data. What reads through it is opened when it is first used, once per
        process. A payload is pickled as such a reference; see :meth:`lotdb.BaseNode.reference`.

        Raises
        ------
        UnsupportedValueError
            If it is in no database, or its node has changes that are not committed; or if a setting of a
            backend may hold credentials.
        ClosedError
            If the connection is closed.
        """
        top: Any = self._node._top()
        made: Payload = top._tree.reference(type(self._node), self._node._keys(), (self.name, self._record))
        return made

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        return self.reference().__reduce_ex__(protocol)

    # What it shows does not change.

    def __copy__(self) -> Payload:
        return self

    def __deepcopy__(self, memo: Any) -> Payload:
        return self

    def to_dask(self, chunks: Any = None) -> Any:
        """The payload as a dask array, which reads its chunks when they are computed, in any thread.

        Its name is the same for the same data, so dask finds what it has computed before. Threads of this
        process compute it as long as the connection is open; processes get it as a :meth:`reference`.

        Parameters
        ----------
        chunks
            As dask takes them; by default whole rows, about 16 MiB of them, cut where they are stored apart.

        Returns
        -------
        dask.array.Array

        Raises
        ------
        InvalidDataError
            If it is a text or a table; :meth:`to_xarray` gives the columns of a table.
        InvalidOptionError
            If *chunks* do not fit the shape.
        MissingPluginError
            If dask is not installed; install the extra ``lotdb-core[dask]``.
        """
        return interop("dask_arrays").to_dask(self, chunks)

    def to_xarray(self, chunks: Any = None) -> Any:
        """The payload as a DataArray, or as a Dataset of its columns; data are read when they are needed.

        The axes are called as ``metadata["dims"]`` says; by default ``time``, ``channel``, ``dim_2``, … if
        there is a rate, and ``dim_0``, … otherwise. The time of row *k* is *k* / rate, in seconds; it is a
        datetime in UTC if the metadata or the node say when the first row was recorded, under ``start_time``
        or ``recorded_at``. The metadata become attributes, and so do the attributes of the node, unless
        ``write_xarray`` has stored the payload: then all is as it was.

        Parameters
        ----------
        chunks
            For dask arrays within: those of :meth:`to_dask`, or ``{}`` for such as the rows are stored in.

        Returns
        -------
        xarray.DataArray or xarray.Dataset

        Raises
        ------
        MissingPluginError
            If xarray is not installed; install the extra ``lotdb-core[xarray]``.
        """
        return interop("xarray_out").to_xarray(self, chunks)

    def to_pandas(self) -> Any:
        """The payload in pandas: a DataFrame of a table or of an array with two axes, a Series of one axis.

        Rows with a rate are indexed by their times, as :meth:`to_xarray` has them. What ``write_frame`` has
        stored comes back with its index and its types.

        Returns
        -------
        pandas.DataFrame or pandas.Series

        Raises
        ------
        InvalidDataError
            If it is a text or bytes, or has no axis, or more than two.
        MissingPluginError
            If pandas is not installed; install the extra ``lotdb-core[pandas]``.
        """
        return interop("pandas_out").to_pandas(self)

    # -- looking -------------------------------------------------------------------------------------

    def plot(
        self,
        ax: Any = None,
        kind: Literal["waveform", "spectrogram", "image", "table"] | None = None,
        *,
        start: Number | None = None,
        stop: Number | None = None,
        unit: Unit = "samples",
        channels: Any = None,
        stacked: bool | None = None,
    ) -> Any:
        """Draw the data, or a window of them, with matplotlib.

        It reads in bounded memory, and draws no more points than can be seen: of a waveform, two for each
        column of pixels, the least and the greatest value of its rows. NaN and missing cells are gaps.

        Parameters
        ----------
        ax
            The ``Axes`` to draw on; None for new ones, in a new figure.
        kind : {"waveform", "spectrogram", "image", "table"}
            What to draw; None for what suits the dtype, shape, rate and content type. A waveform of a table
            shows its columns of numbers. A table shows the first rows as texts.
        start, stop, unit
            The window, as in :meth:`read`. Of a payload of several images, *start* is the one to draw.
        channels
            Number or name of a channel, or a list of these; None for the first 32, of a spectrogram for the
            first one. The axes behind the first are channels, and so are columns of a table; a complex number
            is two.
        stacked
            Whether to draw the channels one above the other; None for more than four.

        Returns
        -------
        matplotlib.axes.Axes
            With labels, in the unit that the metadata name (``unit``).

        Raises
        ------
        InvalidDataError
            If data of this kind cannot be drawn so, as texts, bytes and single values.
        InvalidOptionError, InvalidRangeError
            For an unknown kind or channel, or an invalid window, such as one without rows.
        MissingPluginError
            If matplotlib is not installed; install the extra ``lotdb-core[plot]``.
        """
        from lotdb.looking.plots import plot  # which not every program needs

        if stacked is not None:
            stacked = check_flag("stacked", stacked)
        return plot(self, ax, kind, start, stop, unit, channels, stacked)

    def _repr_html_(self) -> str:
        from lotdb.looking.markup import payload_html

        return payload_html(self)

    def _block(self, rows: np.ndarray[Any, Any]) -> Any:
        return rows.tobytes() if self.kind == "bytes" else self._given_out(rows)

    def _given_out(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return tables.from_stored(rows) if self.kind == "table" else rows

    # Rows are an array. What one row is, or one element, depends on the shape.
    @overload
    def __getitem__(self, index: slice | EllipsisType | list[Any] | str | None) -> np.ndarray[Any, Any]: ...

    @overload
    def __getitem__(self, index: SupportsIndex | tuple[Any, ...] | np.ndarray[Any, Any]) -> Any: ...

    def __getitem__(self, index: Any) -> Any:
        # Most windows have this form.
        if type(index) is slice and index.step is None:
            start, stop = index.start, index.stop
            if type(start) is int and type(stop) is int:
                tree, record = self._tree, self._record
                tree.check()
                window = tree.stage.windows.get(record)
                if window is not None and (rows := window.rows(start, stop)) is not None:
                    return rows
                if record.kind == "array" and record.shape and 0 <= start <= stop <= record.shape[0]:
                    return self._read_rows(start, stop)
        try:
            return self._index(index)
        except (IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
            if isinstance(error, LotdbError):
                raise
            # Numpy's, for what it cannot do with the index.
            raise InvalidIndexError(f"{self._place} cannot be indexed by {shown(index)}: {error}") from error

    def _index(self, index: Any) -> Any:
        if type(index) is tuple and len(index) > 1 and self._record.kind == "array":
            from lotdb.content import selection  # which few windows need

            chosen = selection.basic(index, self.shape)
            if chosen is not None:
                return self._read_box(*chosen)
        head, rest = (index[0], index[1:]) if isinstance(index, tuple) and index else (index, ())
        if self.shape and isinstance(head, slice):
            try:
                first, last, step = ranges.slice_rows(head, self.shape[0])
            except _NAMED as error:
                raise self._about(error) from error
            return self._given_out(self._read_rows(first, last))[(step, *rest)]
        if self.shape and isinstance(head, int | np.integer) and ranges.is_whole(head):
            row = int(head) + (self.shape[0] if head < 0 else 0)
            if not 0 <= row < self.shape[0]:
                raise InvalidIndexError(
                    f"row {shown(head)} is out of bounds: {self._place} has {self.shape[0]} rows"
                )
            return self._given_out(self._read_rows(row, row + 1))[(0, *rest)]
        # Everything else that numpy can do, it does to the whole.
        return self._whole()[index]

    def _read_box(self, box: tuple[slice, ...], within: tuple[Any, ...]) -> Any:
        """What *within*, numpy's index, selects of the elements in *box*."""
        tree, record = self._tree, self._record
        tree.check()
        first, last = box[0].start, box[0].stop
        shape = tuple(each.stop - each.start for each in box)
        if shape[1:] == self.shape[1:] or 0 in shape:  # whole rows, or nothing
            return self._read_rows(first, last)[(slice(None), *box[1:])][within]
        try:
            if tree.stage.reads_boxes(record.layout, record.segments):
                out = np.empty(shape, self.dtype)
                tree.stage.read_box(record.layout, record.segments, box, out)
                return out[within]
        except _NAMED as error:
            raise self._about(error) from error
        # Row by row, for what is not wanted of a row is to take no memory; of few it does not matter.
        step = max(1, _SELECTED_BYTES // max(1, record.layout.row_bytes))
        if shape[0] <= step:
            return self._read_rows(first, last)[(slice(None), *box[1:])][within]
        out = np.empty(shape, self.dtype)
        for low in range(first, last, step):
            rows = self._read_rows(low, min(low + step, last))
            out[low - first : low - first + len(rows)] = rows[(slice(None), *box[1:])]
        return out[within]

    def __iter__(self) -> Iterator[Any]:
        rows = max(1, (1 << 20) // max(1, self._record.layout.row_bytes))
        for first in range(0, len(self), rows):
            yield from self._given_out(self._read_rows(first, min(first + rows, len(self))))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        if copy is False:
            raise InvalidOptionError(
                f"{self._place} cannot become an array without a copy: it is read from storage"
            )
        whole = self._whole()
        if is_masked(whole):
            raise InvalidDataError(
                f"{self._place} has missing cells, which an array without a mask cannot tell; use read()"
            )
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def _whole(self) -> np.ndarray[Any, Any]:
        return self._given_out(self._read_rows(0, self._record.rows)).reshape(self.shape)

    def _window(self, start: Any, stop: Any, unit: Unit) -> tuple[int, int]:
        record = self._record
        try:
            return ranges.sample_window(start, stop, rows=record.rows, unit=unit, rate=record.samplerate_hz)
        except _NAMED as error:
            raise self._about(error) from error

    def _read_rows(self, first: int, last: int) -> np.ndarray[Any, Any]:
        tree, record = self._tree, self._record
        tree.check()
        stage = tree.stage
        window = stage.windows.get(record)
        if window is not None and (out := window.rows(first, last)) is not None:
            return out
        layout, segments = record.layout, record.segments
        rows = last - first
        try:
            if rows == record.rows and stage.reads_at_once(layout, segments):
                from lotdb.content import ahead  # which few stores need

                ahead.look(self._node, self.name, record)
            # Most windows need no other look whether their rows can be there.
            if len(segments) == 1 and 0 < rows < segments[0].rows and rows * layout.row_bytes < DOUBTED_BYTES:
                out = np.empty((rows, *layout.row_shape), layout.dtype)
                stage.read_into(layout, segments, first, out)
                if window is None and record.kind == "array":
                    stage.shorten(record)
                return out
            out = stage.room_for(layout, segments, first, max(rows, 0))
            if rows > 0 and layout.row_bytes:
                stage.read_into(layout, segments, first, out)
        except _NAMED as error:
            raise self._about(error) from error
        return out

    def _about(self, error: Exception) -> Exception:
        """*error*, saying which payload it is about: the layers below know only rows and files."""
        if isinstance(error, FileSystemError):
            return type(error).of(error, self._place)
        if isinstance(error, DamagedError) and self._is_replaced():
            return StaleNodeError(
                f"{self._place} was replaced or deleted since, and what it was is no longer stored; "
                f"get_data() gives what is there now ({error})"
            )
        return type(error)(f"{self._place}: {error}")

    def _is_replaced(self) -> bool:
        """Whether the node is gone, or holds something else under the name."""
        from lotdb.content.unbound import UnboundNode  # which not every program needs

        if isinstance(self._node, UnboundNode):  # a pack leaves what it reads from
            return False
        try:
            stored = get_value(own_of(self._node._entry()), self.name)
            there = decode_record(self._node, self.name, stored) if is_payload(stored) else None
            return not self._record.is_same(there)
        except StaleNodeError:
            return True
        except LotdbError:
            return False

    def _asks_beside(self, kind: str, name: str = "") -> None:
        """Called before something else that the node holds is read; see ``node_api/facts.py`` for kinds."""

    @property
    def _place(self) -> str:
        return f"payload {self.name!r} of {self._node._place()}"


hide(Payload, PAYLOAD)
