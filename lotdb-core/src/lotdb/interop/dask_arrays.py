"""Payloads as dask arrays: lazy, in chunks that lie as the rows are stored."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from lotdb.errors import InvalidDataError, InvalidOptionError, shown
from lotdb.extras import import_extra
from lotdb.interop.labels import NodeVariable

if TYPE_CHECKING:
    from lotdb.content.payload import Payload

__all__ = ["dask_array", "stored_rows", "to_dask"]

#: Chunks have about so many bytes: a thread has room for a few, and each is worth a task.
CHUNK_BYTES = 16 << 20


def to_dask(payload: Payload, chunks: Any) -> Any:
    """See :meth:`lotdb.Payload.to_dask`."""
    payload = payload.for_threads()
    if payload.kind == "text":
        raise InvalidDataError(f"{payload._place} is a text, and no array; use read()")
    if payload.kind == "table":
        raise InvalidDataError(
            f"{payload._place} is a table, whose cells may be missing; use to_xarray(chunks={{}}), which "
            "has an array for each column"
        )
    return dask_array(NodeVariable(payload.name, (), payload.shape, payload.dtype, payload=payload), chunks)


def dask_array(variable: NodeVariable, chunks: Any = None) -> Any:
    """*variable* as a dask array in *chunks*; None for such as it is stored in."""
    array = import_extra("dask.array", "lotdb-core[dask]", "a dask array")
    if chunks is None or (isinstance(chunks, str) and chunks == "stored"):
        chunks = _stored_chunks(variable)
    try:
        cut = array.core.normalize_chunks(chunks, variable.shape, dtype=variable.dtype)
    except Exception as error:  # dask's and numpy's, of whatever kind
        raise InvalidOptionError(
            f"chunks={shown(chunks)} do not fit the shape {variable.shape}: {error}"
        ) from error
    return array.from_array(
        _Indexable(variable),
        chunks=cut,
        name=f"lotdb-{variable.name}-{variable.token()}",
        asarray=True,
        fancy=False,
        meta=np.empty((0,) * len(variable.shape), variable.dtype),
    )


class _Indexable:
    """What dask's tasks hold: they read whatever slices they are for, in any thread."""

    def __init__(self, variable: NodeVariable) -> None:
        self._variable = variable
        self.shape = variable.shape
        self.dtype = variable.dtype
        self.ndim = len(variable.shape)

    def __getitem__(self, index: Any) -> Any:
        return np.asarray(self._variable[index], self.dtype)

    def __dask_tokenize__(self) -> str:
        return self._variable.token()


def _stored_chunks(variable: NodeVariable) -> tuple[tuple[int, ...], ...]:
    """Whole rows, cut where segments end and between the backend's own chunks."""
    if not variable.shape:
        return ()
    chunks: list[tuple[int, ...]] = [(length,) for length in variable.shape]
    if variable.payload is None:
        step = max(1, CHUNK_BYTES // variable.dtype.itemsize)
        rows = _even(variable.rows, step)
    else:
        rows = tuple(_row_chunks(variable.payload))
    chunks[variable.rows_axis] = rows or (0,)
    return tuple(chunks)


def _even(rows: int, step: int) -> tuple[int, ...]:
    return tuple(min(step, rows - first) for first in range(0, rows, step))


def _row_chunks(payload: Payload) -> list[int]:
    row_bytes = max(1, payload._record.layout.row_bytes)
    most = max(1, CHUNK_BYTES // row_bytes)
    cut: list[int] = []
    room = 0  # rows that still fit into the last chunk
    for segment in payload._record.segments:
        if segment.rows <= room:
            cut[-1] += segment.rows
            room -= segment.rows
            continue
        unit = stored_rows(payload, segment)
        step = max(unit, most // unit * unit)
        # The first ends where a chunk of the backend does.
        first = min(segment.rows, step - segment.first % unit)
        cut += [first, *_even(segment.rows - first, step)]
        room = most - cut[-1]
    missing = payload._record.rows - sum(cut)
    return [*cut, *_even(missing, most)] if missing > 0 else cut


def stored_rows(payload: Payload, segment: Any = None) -> int:
    """How many rows the backend reads at once at least, such as those of a chunk of a zarr array."""
    segments = payload._record.segments
    segment = segments[0] if segment is None and segments else segment
    if segment is None:
        return 1
    source = payload._tree.source(segment.locator)  # type: ignore[attr-defined]
    if source.held is not None:
        return 1
    rows = source.backend.chunk_rows(source.original)
    return max(1, math.floor(rows or 1))
