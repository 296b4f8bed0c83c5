"""Payloads for pandas, with the index and the types that ``write_frame`` has noted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from lotdb.errors import InvalidDataError
from lotdb.extras import import_extra
from lotdb.interop.labels import FRAME_NOTES, NOTES, variables_of
from lotdb.interop.xarray_out import _attributes_of

if TYPE_CHECKING:
    from lotdb.content.payload import Payload

__all__ = ["to_pandas"]


def to_pandas(payload: Payload) -> Any:
    """See :meth:`lotdb.Payload.to_pandas`."""
    pandas = import_extra("pandas", "lotdb-core[pandas]", "to_pandas()")
    if payload.kind in ("text", "bytes"):
        raise InvalidDataError(f"{payload._place} is of kind {payload.kind!r}, and no array; use read()")
    if payload.kind == "table":
        return _table(pandas, payload)
    shape = payload.shape
    if payload.dtype.names and len(shape) == 1:
        columns = {name: _native(rows) for name, rows in _fields(payload.read())}
        return _indexed(pandas, payload, _made(payload, pandas.DataFrame, columns))
    if len(shape) not in (1, 2):
        raise InvalidDataError(
            f"{payload._place} has {len(shape)} axes, and a DataFrame two; use to_xarray(), or read()"
        )
    make = partial(pandas.Series, name=payload.name) if len(shape) == 1 else pandas.DataFrame
    return _indexed(pandas, payload, _made(payload, make, _native(payload.read())))


def _made(payload: Payload, make: Callable[[Any], Any], data: Any) -> Any:
    for each in data.values() if isinstance(data, dict) else [data]:
        if each.dtype.kind in "mM" and np.datetime_data(each.dtype)[1] != 1:
            # pandas 3 refuses them; earlier ones fail without a reason, or show a fraction of a duration.
            raise InvalidDataError(
                f"{payload._place} cannot be held by pandas: it has times of type {each.dtype}; use read()"
            )
    try:
        return make(data)
    except (TypeError, ValueError) as error:
        raise InvalidDataError(f"{payload._place} cannot be held by pandas: {error}; use read()") from error


def _fields(rows: Any) -> list[tuple[str, Any]]:
    return [(name, np.ascontiguousarray(rows[name])) for name in rows.dtype.names]


def _native(data: Any) -> Any:
    """*data* in the machine's byte order, which is the only one that pandas works with."""
    return data.astype(data.dtype.newbyteorder("="), copy=False)


def _indexed(pandas: Any, payload: Payload, made: Any) -> Any:
    first, *others = variables_of_here(payload)
    rows = first.dims[first.rows_axis]
    times = [each for each in others if each.axis is not None and each.dims == (rows,)]
    if times:
        made.index = pandas.Index(times[0].read(0, len(made)), name=times[0].name)
    return made


def variables_of_here(payload: Payload) -> Any:
    return variables_of(payload.for_threads(), _attributes_of(payload))


def _table(pandas: Any, payload: Payload) -> Any:
    frame = payload.read_frame()
    metadata = payload.metadata
    notes = metadata.pop(FRAME_NOTES, None)
    metadata.pop(NOTES, None)
    if not isinstance(notes, dict):
        return _indexed(pandas, payload, frame)
    for column, said in notes.get("types", {}).items():
        frame[column] = _as_noted(pandas, frame[column], said)
    frame.attrs = metadata
    levels = notes.get("index")
    if levels is None:
        return frame
    frame = frame.set_index([level["column"] for level in levels])
    frame.index.names = [level["name"] for level in levels]
    has_freq = len(levels) == 1 and isinstance(frame.index, pandas.DatetimeIndex | pandas.TimedeltaIndex)
    if has_freq and notes.get("freq"):
        frame.index.freq = notes["freq"]
    return frame


def _as_noted(pandas: Any, series: Any, said: dict[str, Any]) -> Any:
    if "categories" in said:
        categories = pandas.Index(said["categories"], dtype=said.get("of"))
        dtype = pandas.CategoricalDtype(categories, ordered=said["ordered"])
        return series.astype(object).astype(dtype)
    if "zone" in said:
        return series.dt.tz_localize("UTC").dt.tz_convert(said["zone"])
    if said["dtype"] != "object":
        return series.astype(said["dtype"])
    objects = series.astype(object)
    objects[series.isna()] = None if said["missing"] == "None" else np.nan
    return objects
