"""Storing a DataFrame with its index, and with the types that a table itself does not know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lotdb.content import payloads
from lotdb.content.frames import is_frame
from lotdb.content.payload import Payload
from lotdb.content.payloads import IfExists, Request
from lotdb.errors import InvalidDataError, shown
from lotdb.extras import import_extra
from lotdb.interop.labels import FRAME_NOTES
from lotdb.keys import check_name
from lotdb.values import values

if TYPE_CHECKING:
    from lotdb.tree.node import Node

__all__ = ["write_frame"]


def write_frame(
    node: Node,
    frame: Any,
    *,
    data_attribute: str,
    backend: str | None,
    samplerate_hz: float | None,
    metadata: Mapping[str, Any] | None,
    if_exists: IfExists,
    options: Mapping[str, Any],
) -> Payload:
    """See :meth:`lotdb.BaseNode.write_frame`."""
    pandas = import_extra("pandas", "lotdb-core[pandas]", "write_frame()")
    if not is_frame(frame):
        raise InvalidDataError(
            f"{type(frame).__name__} is no DataFrame; write_data stores arrays, and a Series with to_frame()"
        )
    _check(pandas, frame)
    notes: dict[str, Any] = {}
    plain = frame.copy(deep=False)
    plain.attrs = {}
    if not _counts_rows(pandas, frame.index):
        notes["index"] = _index_to_columns(pandas, plain, frame.index)
        if (
            isinstance(frame.index, pandas.DatetimeIndex | pandas.TimedeltaIndex)
            and frame.index.freq is not None
        ):
            notes["freq"] = frame.index.freqstr
        plain = plain.reset_index(drop=True)
        plain.index = pandas.RangeIndex(len(plain))
    types: dict[str, Any] = {}
    for position, name in enumerate(plain.columns):
        column, said = _plain(pandas, name, plain.iloc[:, position])
        if said is not None:
            types[name] = said
            plain[name] = column
    notes["types"] = types
    payloads.check_metadata(node, metadata)
    about = {**_attrs(frame.attrs), **({} if metadata is None else metadata), FRAME_NOTES: notes}
    name = check_name(data_attribute, "payload")
    request = Request(name, backend, samplerate_hz, about, None, if_exists, options)
    return payloads.write(node, plain, request)


def _check(pandas: Any, frame: Any) -> None:
    if frame.columns.nlevels > 1:
        raise InvalidDataError("the DataFrame has columns of several levels; give each one text as its name")
    if not frame.columns.is_unique:
        raise InvalidDataError(
            f"the DataFrame has columns of the same name: {shown(list(frame.columns))}; rename them"
        )
    if frame.columns.name is not None:
        raise InvalidDataError(
            f"the columns of the DataFrame have the name {shown(frame.columns.name)}, which would be lost; "
            "take it off with rename_axis(columns=None), and pass it as metadata="
        )
    for name in frame.columns:
        if not isinstance(name, str):
            raise InvalidDataError(
                f"column {shown(name)} has a name of type {type(name).__name__}; use a text"
            )
    if not len(frame.columns):
        raise InvalidDataError("the DataFrame has no columns, and a table has at least one")


def _counts_rows(pandas: Any, index: Any) -> bool:
    return isinstance(index, pandas.RangeIndex) and (index.start, index.step, index.name) == (0, 1, None)


def _index_to_columns(pandas: Any, plain: Any, index: Any) -> list[dict[str, Any]]:
    levels = []
    for level in range(index.nlevels):
        name = index.names[level]
        if name is not None and not isinstance(name, str):
            raise InvalidDataError(f"a level of the index has the name {shown(name)}; use a text")
        column = base = name or (f"level_{level}" if index.nlevels > 1 else "index")
        while column in plain.columns:
            column += "_"
        if name and column != base:
            raise InvalidDataError(f"the index and a column are both called {name!r}; rename one")
        plain.insert(level, column, index.get_level_values(level))
        levels.append({"column": column, "name": name})
    return levels


def _attrs(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    for name, value in attrs.items():
        if not isinstance(name, str):
            raise InvalidDataError(f"the DataFrame has an attribute {shown(name)}, which is no text")
        values.encode(value, name=name)
    return dict(attrs)


def _plain(pandas: Any, name: str, series: Any) -> tuple[Any, dict[str, Any] | None]:
    """*series* as a table can hold it, and what gives back its type."""
    dtype = series.dtype
    if isinstance(dtype, np.dtype):
        return series, None if dtype.kind != "O" else _objects(pandas, name, series)
    if isinstance(dtype, pandas.CategoricalDtype):
        categories = dtype.categories
        if not isinstance(categories.dtype, np.dtype | pandas.StringDtype):
            raise _refused(name, dtype, f"its categories are of type {categories.dtype}")
        said = {"ordered": bool(dtype.ordered), "of": str(categories.dtype)}
        return series.astype(object), {"categories": _listed(name, categories), **said}
    if isinstance(dtype, pandas.DatetimeTZDtype):
        zone = str(dtype.tz)
        try:
            is_same = pandas.DatetimeTZDtype(dtype.unit, zone) == dtype
        except (TypeError, ValueError, KeyError):
            is_same = False
        if not is_same:
            raise _refused(name, dtype, "its time zone has no name; use dt.tz_convert with one that has")
        return series.dt.tz_convert("UTC").dt.tz_localize(None), {"zone": zone}
    if isinstance(dtype, pandas.StringDtype) or getattr(dtype, "numpy_dtype", None) is not None:
        try:
            is_same = pandas.api.types.pandas_dtype(str(dtype)) == dtype
        except TypeError:
            is_same = False
        return series, {"dtype": str(dtype) if is_same else _string_name(name, dtype)}
    raise _refused(name, dtype, "a table holds numbers, texts, times and categories of these")


def _objects(pandas: Any, name: str, series: Any) -> dict[str, Any]:
    """What gives back a column of objects that a table can hold: texts, bytes and numbers."""
    gone = series.isna().to_numpy(bool)
    kinds = {type(each) for each, is_gone in zip(series, gone, strict=True) if not is_gone}
    if len(kinds) > 1 or not kinds <= {str, bytes, bool, int, float}:
        there = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise _refused(name, series.dtype, f"it holds objects ({there}); give them one type with astype")
    missing = {_MISSING_NAMES.get(type(each), "") for each in series[gone]}
    if len(missing) > 1 or "" in missing:
        raise _refused(name, series.dtype, "its missing cells are not all of one kind: None, NaN or NA")
    return {"dtype": "object", "missing": next(iter(missing), "None")}


# What stands for a missing cell among objects.
_MISSING_NAMES = {type(None): "None", float: "NaN"}


def _string_name(name: str, dtype: Any) -> str:
    raise _refused(name, dtype, "its type cannot be told by a name; convert it, as with .astype('string')")


def _listed(name: str, categories: Any) -> list[Any]:
    listed: list[Any] = categories.tolist()
    for each in listed:
        if not isinstance(each, str | int | float | bool):
            raise _refused(name, categories.dtype, f"category {shown(each)} is neither a text nor a number")
    return listed


def _refused(name: str, dtype: Any, why: str) -> InvalidDataError:
    return InvalidDataError(f"column {name!r} is of type {dtype}, which cannot be stored: {why}")
