"""pandas, both ways: what its objects hold that numpy's have not, and DataFrames of tables.

Only ``to_frame`` imports pandas: a program that passes an object of pandas has imported it.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Any

import numpy as np

from lotdb.content.items import array_of
from lotdb.errors import InvalidDataError, shown
from lotdb.extras import import_extra

__all__ = ["as_series", "check_frame", "check_labels", "check_said", "is_frame", "to_frame", "values_of"]

Array = np.ndarray[Any, Any]


# -- in -------------------------------------------------------------------------------------------


def is_frame(data: Any) -> bool:
    """Whether *data* is a DataFrame."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, getattr(pandas, "DataFrame", ()))


def as_series(data: Any) -> Any:
    """*data* as a Series, if it is one, or an index or an array of pandas; None otherwise."""
    pandas = sys.modules.get("pandas")
    series = getattr(pandas, "Series", None)
    if pandas is None or series is None:
        return None
    if isinstance(data, series):
        return data
    if isinstance(data, pandas.MultiIndex):
        return None  # its items are tuples
    if isinstance(data, pandas.Index | pandas.api.extensions.ExtensionArray):
        return series(data, name=getattr(data, "name", None))
    return None


def check_frame(frame: Any, said: Collection[str] = ()) -> None:
    """Raise ``InvalidDataError`` if a table cannot keep what *frame* holds beside its columns.

    *said* are the names of what the caller gives as metadata.
    """
    advice = "make it a column with reset_index(), or use node.write_frame"
    _check_index(frame, "the DataFrame", "a table", advice)
    if not frame.columns.is_unique:
        raise InvalidDataError(
            f"the DataFrame has columns of the same name: {shown(list(frame.columns))}; rename them"
        )
    if frame.columns.nlevels == 1 and frame.columns.name is not None:
        raise InvalidDataError(
            f"the columns of the DataFrame have the name {shown(frame.columns.name)}, which would be lost; "
            "take it off with rename_axis(columns=None), and pass it as metadata="
        )
    check_said("the DataFrame", "attrs", frame.attrs, said, "pass metadata=frame.attrs to keep them")


def check_labels(series: Any, said: Collection[str] = ()) -> None:
    """Raise ``InvalidDataError`` if an array cannot keep what *series* holds beside its values.

    *said* are the names of what the caller gives as metadata, and that of the payload.
    """
    advice = "pass its to_numpy(), or series.reset_index() to keep it as a column of a table"
    _check_index(series, "the Series", "an array", advice)
    if series.name is not None and series.name not in said and "name" not in said:
        raise InvalidDataError(
            f"the Series has the name {shown(series.name)}, which would be lost; pass its to_numpy(), "
            "or the name as data_attribute= or in metadata="
        )
    check_said("the Series", "attrs", series.attrs, said, "pass metadata=series.attrs to keep them")


def check_said(what: str, name: str, notes: Any, said: Collection[str], advice: str) -> None:
    """Raise ``InvalidDataError`` for *notes* of an object, unless the caller passes them as metadata."""
    lost = [key for key in notes if key not in said]
    if lost:
        raise InvalidDataError(f"{what} has {name} ({shown(lost)}), which would be lost; {advice}")


def _check_index(labelled: Any, what: str, kind: str, advice: str) -> None:
    index = labelled.index
    if index.nlevels == 1 and index.name is None and (not len(index) or _counts_rows(index)):
        return
    raise InvalidDataError(f"{what} has an index of its own, which {kind} has not; {advice}")


def _counts_rows(index: Any) -> bool:
    if hasattr(index, "step"):  # a RangeIndex, without making an array of it
        return bool(index.start == 0 and index.step == 1)
    return index.dtype.kind in "iu" and np.array_equal(index.to_numpy(), np.arange(len(index)))


def values_of(series: Any) -> tuple[Array, Array]:
    """The values of *series*, and which of them are missing.

    Raises
    ------
    ValueError
        If an array cannot keep them. The message is the reason; the caller adds what it is about.
    """
    dtype = series.dtype
    if isinstance(dtype, np.dtype) and dtype.kind != "O":
        return series.to_numpy(), np.zeros(len(series), bool)
    if getattr(dtype, "tz", getattr(getattr(dtype, "pyarrow_dtype", None), "tz", None)) is not None:
        raise ValueError(
            "it has times with a time zone; convert it with .dt.tz_convert('UTC').dt.tz_localize(None)"
        )
    if (categories := getattr(dtype, "categories", None)) is not None:
        _check_categories(series, dtype, categories)
    missing = series.isna().to_numpy(bool)
    inner = getattr(dtype, "numpy_dtype", None)  # of pandas' own types for missing cells
    if inner is not None and inner.kind in "biuf":
        return series.to_numpy(inner, na_value=inner.type(0)), missing
    return _of_items(series.astype(object).to_numpy(), missing)


def _of_items(items: Array, missing: Array) -> tuple[Array, Array]:
    typed = array_of([item for item, gone in zip(items, missing, strict=True) if not gone])
    values = np.zeros(len(items), typed.dtype if typed.dtype.itemsize else f"{typed.dtype.kind}1")
    values[~missing] = typed
    return values, missing


def _check_categories(series: Any, dtype: Any, categories: Any) -> None:
    advice = "convert it with .astype(object), and pass its categories as metadata="
    if dtype.ordered:
        raise ValueError(f"the order of its categories ({shown(list(categories))}) would be lost; {advice}")
    unused = categories.difference(series.dropna().unique())
    if len(unused):
        there = shown(list(unused))
        raise ValueError(f"it has categories of no row ({there}), which would be lost; {advice}")


# -- out ------------------------------------------------------------------------------------------


def to_frame(rows: Array, missing: dict[str, Array]) -> Any:
    """*rows* of a table, and which cells of each column are *missing*, as a pandas DataFrame.

    A column has numpy's type if no cell of these rows is missing, and pandas' type for missing cells
    otherwise (``int16`` and ``Int16``); NaN stays apart from what is missing. Texts are of type
    ``string``. What pandas has no type for stays as it is, as objects: bytes, times finer than a
    nanosecond or beyond its range, and complex numbers of which some are missing.

    Raises
    ------
    MissingPluginError
        If pandas is not installed.
    """
    pandas = import_extra("pandas", "lotdb-core[pandas]", "a DataFrame")
    columns = {
        name: _for_pandas(pandas, np.ascontiguousarray(rows[name]), gone) for name, gone in missing.items()
    }
    return pandas.DataFrame(columns, index=pandas.RangeIndex(len(rows)))


def _for_pandas(pandas: Any, values: Array, missing: Array) -> Any:
    kind = values.dtype.kind
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if kind == "U":
        return pandas.array(_objects(values, missing), dtype="string")
    if kind in "mM":
        return _times_for_pandas(pandas, values)
    if kind == "S" or (kind == "c" and missing.any()):
        return pandas.Series(_objects(values, missing), dtype=object)
    if not missing.any():
        return values
    if kind == "b":
        return pandas.arrays.BooleanArray(values, missing)
    if kind in "iu":
        return pandas.arrays.IntegerArray(values, missing)
    # There is no Float16.
    return pandas.arrays.FloatingArray(values.astype(np.promote_types(values.dtype, "f4")), missing)


def _objects(values: Array, missing: Array) -> Array:
    objects = values.astype(object)
    objects[missing] = None
    return objects


def _times_for_pandas(pandas: Any, times: Array) -> Any:
    """Times in one of the four units of pandas, or as objects if that would change them."""
    unit, _ = np.datetime_data(times.dtype)
    if unit not in ("s", "ms", "us", "ns"):
        unit = "s"
    try:
        converted = times.astype(f"{times.dtype.kind}8[{unit}]")
        if np.array_equal(converted.astype(times.dtype).view("i8"), times.view("i8")):
            return converted
    except (ValueError, OverflowError, TypeError):
        pass
    return pandas.Series(list(times), dtype=object)
