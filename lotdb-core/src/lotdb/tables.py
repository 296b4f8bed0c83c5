"""Tables: rows of named columns, each of one type, in which cells may be missing.

In memory a table is a structured array of one axis; missing cells are masked. It is stored as another
structured array, with the fields ``row``, the columns, and ``missing``, a bit for each of them: bit ``i % 8`` of
byte ``i // 8`` is set where the cell of column *i* is missing. What is stored of such a cell is zero, an empty
text, or "not a time".
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from lotdb.errors import DataMismatchError, InvalidDataError, MissingPluginError, shown

__all__ = [
    "as_table",
    "columns_of",
    "fit",
    "from_stored",
    "is_table",
    "stored_dtype",
    "to_frame",
    "to_stored",
]

Array = np.ndarray[Any, Any]
DType = np.dtype[Any]

#: Kinds of dtype that a column may have: numbers, texts and times.
KINDS = frozenset("biufcSUmM")


def stored_dtype(columns: DType) -> DType:
    """The dtype in which a table with such *columns* is stored.

    Raises
    ------
    InvalidDataError
        If a column is of a type that tables cannot hold.
    """
    if columns.names is None:
        raise InvalidDataError(f"a table has named columns, {columns} has none")
    for name in columns.names:
        if columns[name].kind not in KINDS:
            raise InvalidDataError(
                f"column {name!r} is of type {columns[name]}; a column holds numbers, texts or times, one a row"
            )
    packed = np.dtype([(name, columns[name]) for name in columns.names])
    return np.dtype([("row", packed), ("missing", "u1", (-(-len(columns.names) // 8),))])


def columns_of(stored: DType) -> DType:
    """The columns of a table that is stored as *stored*."""
    return stored["row"]


def is_table(data: Any) -> bool:
    """Whether *data* is stored as a table without being asked: a DataFrame, or rows with a mask."""
    if isinstance(data, np.ma.MaskedArray):
        return data.dtype.names is not None and data.ndim == 1
    return _is_frame(data)


def as_table(data: Any) -> Array:
    """*data* as a structured array of one axis, masked where cells are missing.

    Parameters
    ----------
    data
        Such an array; or a mapping of column names to sequences, in which None is missing; or a pandas
        DataFrame.

    Raises
    ------
    InvalidDataError
        If it is none of these, or a column cannot be stored.
    """
    if _is_frame(data):
        return _from_columns(_frame_columns(data))
    if isinstance(data, Mapping):
        return _from_columns({name: _column(name, values) for name, values in data.items()})
    if isinstance(data, np.ndarray) and data.dtype.names is not None and data.ndim == 1:
        stored_dtype(data.dtype)
        return data
    raise InvalidDataError(
        f"{type(data).__name__} is no table; use a structured array of one axis, a mapping of column names to "
        "sequences, or a DataFrame"
    )


def to_stored(table: Array) -> Array:
    """The rows of *table* as they are stored."""
    dtype = stored_dtype(table.dtype)
    stored = np.zeros(len(table), dtype)
    mask = np.ma.getmaskarray(table) if isinstance(table, np.ma.MaskedArray) else None
    rows = np.ma.getdata(table)
    for index, name in enumerate(dtype["row"].names or ()):
        column, target = rows[name], stored["row"][name]
        _check_texts(name, column)
        target[...] = column
        if mask is not None:
            missing = mask[name]
            if missing.any():
                target[missing] = np.zeros((), column.dtype) if column.dtype.kind not in "mM" else "NaT"
                stored["missing"][:, index // 8] |= missing.astype(np.uint8) << np.uint8(index % 8)
    return stored


def from_stored(stored: Array) -> Array:
    """The rows of a table from how they are stored.

    A plain structured array if all cells of these rows are there, and a masked one if any is missing.
    """
    rows = np.empty(stored.shape, columns_of(stored.dtype))
    rows[...] = stored["row"]
    bits = stored["missing"]
    if not bits.any():
        return rows
    table = np.ma.MaskedArray(rows, mask=np.zeros(rows.shape, np.ma.make_mask_descr(rows.dtype)))
    for index, name in enumerate(rows.dtype.names or ()):
        table.mask[name] = _missing(bits, index)
    return table


def fit(stored: Array, dtype: DType) -> Array:
    """*stored* in the *dtype* of a table that it is appended to.

    Raises
    ------
    DataMismatchError
        Unless the columns are the same; texts may be shorter than there.
    """
    if stored.dtype == dtype:
        return stored
    there, given = columns_of(dtype), columns_of(stored.dtype)
    if there.names != given.names:
        raise DataMismatchError(f"the table has the columns {there.names}, the new rows {given.names}")
    for name in there.names or ():
        if not _fits(given[name], there[name]):
            raise DataMismatchError(
                f"column {name!r} holds {there[name]}, the new rows {given[name]}; nothing was appended. "
                "Convert the new rows, or write the table anew"
            )
    fitted = np.zeros(stored.shape, dtype)
    for name in there.names or ():
        fitted["row"][name] = stored["row"][name]
    fitted["missing"] = stored["missing"]
    return fitted


def to_frame(stored: Array) -> Any:
    """The rows of a table as a pandas DataFrame.

    Raises
    ------
    MissingPluginError
        If pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingPluginError(
            'a DataFrame needs pandas, which is not installed; install it with: pip install "lotdb-core[pandas]"'
        ) from error
    columns = columns_of(stored.dtype)
    series = {
        name: _series(pandas, np.ascontiguousarray(stored["row"][name]), _missing(stored["missing"], index))
        for index, name in enumerate(columns.names or ())
    }
    return pandas.DataFrame(series, index=pandas.RangeIndex(len(stored)))


def _missing(bits: Array, index: int) -> Array:
    missing: Array = (bits[:, index // 8] >> np.uint8(index % 8)) & np.uint8(1) == 1
    return missing


def _series(pandas: Any, values: Array, missing: Array) -> Any:
    kind = values.dtype.kind
    # Of another byte order, or of a precision that pandas has no type for.
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if kind == "U":
        return pandas.array(np.where(missing, None, values.astype(object)), dtype="string")
    if kind == "S":
        return pandas.Series(np.where(missing, None, values.astype(object)), dtype=object)
    if kind in "mM" or not missing.any():
        return values
    if kind == "b":
        return pandas.arrays.BooleanArray(values, missing)
    if kind in "iu":
        return pandas.arrays.IntegerArray(values, missing)
    if kind == "f" and values.dtype.itemsize in (4, 8):
        return pandas.arrays.FloatingArray(values, missing)
    return pandas.Series(np.where(missing, None, values.astype(object)), dtype=object)


def _fits(given: DType, there: DType) -> bool:
    if given.kind in "US" and given.kind == there.kind:
        return given.itemsize <= there.itemsize
    return given == there


def _check_texts(name: str, column: Array) -> None:
    # Numpy pads texts with NULs, and takes those at their end for padding.
    if column.dtype.kind not in "US" or column.size == 0:
        return
    if column.dtype.itemsize == 0:
        raise InvalidDataError(f"column {name!r} is of type {column.dtype}, texts of no length")


# -- columns of mappings and of DataFrames --------------------------------------------------------


def _from_columns(columns: Mapping[Any, tuple[Array, Array]]) -> Array:
    """A table of *columns*, which are values and whether each is missing."""
    if not columns:
        raise InvalidDataError("a table has at least one column")
    lengths = {name: len(values) for name, (values, _) in columns.items()}
    first = next(iter(lengths))
    for name, length in lengths.items():
        if not isinstance(name, str) or not name:
            raise InvalidDataError(
                f"column {shown(name)} has a name of type {type(name).__name__}; use a text"
            )
        if length != lengths[first]:
            raise InvalidDataError(
                f"column {name!r} has {length} rows, column {first!r} has {lengths[first]}: all need the same"
            )
    try:
        dtype = np.dtype([(name, values.dtype) for name, (values, _) in columns.items()])
    except ValueError as error:
        raise InvalidDataError(f"the columns {list(columns)} make no table: {error}") from error
    stored_dtype(dtype)
    table = np.ma.MaskedArray(
        np.zeros(lengths[first], dtype), mask=np.zeros(lengths[first], np.ma.make_mask_descr(dtype))
    )
    for name, (values, missing) in columns.items():
        table.data[name] = values
        table.mask[name] = missing
    return table


def _column(name: Any, values: Any) -> tuple[Array, Array]:
    """The values of a column, and which of them are missing."""
    if isinstance(values, np.ma.MaskedArray):
        return _typed(name, values.data), np.ma.getmaskarray(values)
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise InvalidDataError(f"column {shown(name)} is {shown(values)}; use a sequence of values")
    if isinstance(values, np.ndarray) and not values.dtype.hasobject:
        return _typed(name, values), np.zeros(len(values), bool)
    items = list(values)
    missing = np.array([item is None for item in items], bool)
    present = [item for item in items if item is not None]
    kinds = {str if isinstance(item, str) else bytes if isinstance(item, bytes) else None for item in present}
    if len(kinds) > 1:
        raise InvalidDataError(f"column {shown(name)} holds texts and other values; give it one type")
    # numpy leaves out NULs at the end of a text.
    if any(isinstance(item, str | bytes) and item[-1:] in ("\0", b"\0") for item in present):
        raise InvalidDataError(f"column {shown(name)} has a text that ends with NUL, which would be lost")
    try:
        typed = _typed(name, np.array(present) if present else np.zeros(0, "f8"))
    except (ValueError, OverflowError) as error:
        raise InvalidDataError(f"column {shown(name)} cannot become an array: {error}") from error
    whole = np.zeros(len(items), typed.dtype)
    whole[~missing] = typed
    return whole, missing


def _typed(name: Any, values: Array) -> Array:
    if values.ndim != 1 or values.dtype.kind not in KINDS:
        raise InvalidDataError(
            f"column {shown(name)} is of type {values.dtype} and shape {values.shape}; "
            "a column holds numbers, texts or times, one a row"
        )
    if values.dtype.itemsize == 0:
        values = values.astype(values.dtype.kind + "1")
    return values


def _is_frame(data: Any) -> bool:
    # Without importing pandas: who has a DataFrame has imported it.
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, getattr(pandas, "DataFrame", ()))


def _frame_columns(frame: Any) -> dict[Any, tuple[Array, Array]]:
    if not frame.index.equals(type(frame)(index=range(len(frame))).index):
        raise InvalidDataError(
            "the DataFrame has an index of its own, which a table has not; make it a column with reset_index()"
        )
    if not frame.columns.is_unique:
        raise InvalidDataError(f"the DataFrame has columns of the same name: {list(frame.columns)}")
    return {name: _frame_column(name, frame[name]) for name in frame.columns}


def _frame_column(name: Any, series: Any) -> tuple[Array, Array]:
    if getattr(series.dtype, "tz", None) is not None:
        raise InvalidDataError(
            f"column {shown(name)} has times with a time zone; "
            "convert it with .dt.tz_convert('UTC').dt.tz_localize(None)"
        )
    if isinstance(series.dtype, np.dtype) and not series.dtype.hasobject:
        return _typed(name, series.to_numpy()), np.zeros(len(series), bool)
    missing = series.isna().to_numpy()
    inner = getattr(series.dtype, "numpy_dtype", None)  # of pandas' own nullable types
    if inner is not None and inner.kind in "biuf":
        return series.to_numpy(inner, na_value=inner.type(0)), missing
    items = series.astype(object).to_numpy()
    return _column(name, [None if gone else item for item, gone in zip(items, missing, strict=True)])
