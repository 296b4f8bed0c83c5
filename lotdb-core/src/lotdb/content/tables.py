"""Tables: rows of named columns, each of one type, in which cells may be missing.

In memory a table is a structured array of one axis; missing cells are masked. It is stored as another
structured array, with the fields ``row``, the columns, and ``missing``, a bit for each of them: bit ``i % 8``
of byte ``i // 8`` is set where the cell of column *i* is missing. What is stored of such a cell is zero, NaN,
an empty text, or "not a time".
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from typing import Any

import numpy as np

from lotdb.content import frames
from lotdb.content.arrays import as_array, check_no_subclass, is_array_like
from lotdb.content.items import array_of, is_masked
from lotdb.errors import DataMismatchError, InvalidDataError, shown

__all__ = [
    "as_table",
    "columns_of",
    "fit",
    "from_stored",
    "is_table",
    "missing_cells",
    "stored_dtype",
    "to_frame",
    "to_stored",
]

Array = np.ndarray[Any, Any]
DType = np.dtype[Any]

# The kinds of dtype that a column may have (numbers, texts and times), and the largest items of some:
# what longdouble means depends on the machine.
_KINDS = frozenset("biufcSUmM")
_LARGEST = {"f": 8, "c": 16}

# What stands below the mask, where it is not zero.
_UNDER_MISSING: dict[str, Any] = {
    "f": np.nan,
    "c": complex(np.nan, np.nan),
    "S": b"",
    "U": "",
    "m": "NaT",
    "M": "NaT",
}


# -- how a table is stored ------------------------------------------------------------------------


def stored_dtype(columns: DType) -> DType:
    """The dtype in which a table with such *columns* is stored.

    Raises
    ------
    InvalidDataError
        If there are no columns, or one is of a type that tables cannot hold.
    """
    if not columns.names:
        raise InvalidDataError(f"a table has at least one column, and a name for each; {columns} has none")
    for name in columns.names:
        _check_name(name)
        _check_type(name, columns[name])
        if len(columns.fields[name]) > 2:  # type: ignore[index]
            raise InvalidDataError(f"column {name!r} has a title, which would be lost; leave it out")
    packed = _packed((name, columns[name]) for name in columns.names)
    return np.dtype([("row", packed), ("missing", "u1", (-(-len(columns.names) // 8),))])


def columns_of(stored: DType) -> DType:
    """The columns of a table that is stored as *stored*."""
    return stored["row"]


def to_stored(table: Array) -> Array:
    """The rows of *table*, a structured array that may be masked, as they are stored."""
    dtype = stored_dtype(table.dtype)
    stored = np.zeros(len(table), dtype)
    mask: Array | None = np.ma.getmaskarray(table) if is_masked(table) else None
    rows, targets, bits = table if mask is None else np.ma.getdata(table), stored["row"], stored["missing"]
    for index, name in enumerate(table.dtype.names or ()):
        target = targets[name]
        target[...] = rows[name]
        if mask is not None and (missing := mask[name]).any():
            target[missing] = _UNDER_MISSING.get(target.dtype.kind, 0)
            bits[:, index // 8] |= missing.astype(np.uint8) << np.uint8(index % 8)
    return stored


def from_stored(stored: Array) -> Array:
    """The rows of a table from how they are stored.

    A plain structured array if all cells of these rows are there, and a masked one, with a mask for each
    cell, if any is missing.
    """
    rows = np.empty(stored.shape, columns_of(stored.dtype))
    rows[...] = stored["row"]
    bits = stored["missing"]
    if not bits.any():
        return rows
    mask: Array = np.zeros(rows.shape, np.ma.make_mask_descr(rows.dtype))
    for index, name in enumerate(rows.dtype.names or ()):
        mask[name] = _missing(bits, index)
    return _masked(rows, mask)


def missing_cells(stored: Array) -> Iterator[Array]:
    """Of each column of a table that is stored as *stored*: in which rows its cell is missing."""
    return (_missing(stored["missing"], index) for index in range(len(columns_of(stored.dtype).names or ())))


def fit(stored: Array, dtype: DType) -> Array:
    """*stored* in the *dtype* of a table that it is appended to.

    Raises
    ------
    DataMismatchError
        Unless the columns have the same names, in the same order, and the same types; texts may be
        shorter than there, and numbers of another byte order. A column in which all new cells are missing
        may be of any type.
    """
    if stored.dtype == dtype:
        return stored
    there, given = columns_of(dtype), columns_of(stored.dtype)
    names = there.names or ()
    _check_names(names, given.names or ())
    missing = [_missing(stored["missing"], index) for index in range(len(names))]
    for name, gone in zip(names, missing, strict=True):
        if not _fits(given[name], there[name]) and not gone.all():
            raise DataMismatchError(
                f"column {name!r} holds {there[name]}, the new rows {given[name]}; nothing was appended. "
                "Convert the new rows, or write the table again"
            )
    fitted = np.zeros(stored.shape, dtype)
    for name, gone in zip(names, missing, strict=True):
        fitted["row"][name] = (
            _UNDER_MISSING.get(there[name].kind, 0) if gone.all() and len(gone) else stored["row"][name]
        )
    fitted["missing"] = stored["missing"]
    return fitted


def _check_name(name: Any) -> None:
    if not isinstance(name, str):
        raise InvalidDataError(f"column {shown(name)} has a name of type {type(name).__name__}; use a text")
    if not name:
        raise InvalidDataError("a column has no name: numpy cannot mask it; give it one")


def _check_type(name: Any, dtype: DType) -> None:
    advice = "a column holds numbers, texts or times, one a row"
    if dtype.kind in _LARGEST and dtype.itemsize > _LARGEST[dtype.kind]:
        advice = f"what that holds depends on the machine; convert it to {dtype.kind}{_LARGEST[dtype.kind]}"
    elif dtype.metadata:
        advice = "the metadata of its dtype would be lost; pass it as metadata="
    elif dtype.kind in _KINDS:
        return
    raise InvalidDataError(f"column {shown(name)} is of type {dtype}; {advice}")


def _packed(columns: Iterable[tuple[str, DType]]) -> DType:
    """The structure of *columns*."""
    names, formats = zip(*columns, strict=True)
    # Numpy takes texts of length 0 for texts whose length is not known yet.
    sized = [np.dtype(f"{dtype.kind}1") if dtype.itemsize == 0 else dtype for dtype in formats]
    return np.dtype({"names": names, "formats": sized})


def _missing(bits: Array, index: int) -> Array:
    missing: Array = (bits[:, index // 8] >> np.uint8(index % 8)) & np.uint8(1) == 1
    return missing


def _masked(rows: Array, mask: Array) -> Array:
    # Numpy's default for filling masked cells, 1e20, is too much for float16, which it warns of.
    with np.errstate(over="ignore"):
        return np.ma.MaskedArray(rows, mask=mask)


def _check_names(there: tuple[str, ...], given: tuple[str, ...]) -> None:
    if there == given:
        return
    advice = "nothing was appended. New rows need the same columns in the same order"
    for number, (old, new) in enumerate(zip(there, given, strict=False), 1):
        if old != new:
            raise DataMismatchError(
                f"column {number} of the table is {old!r}, that of the new rows {new!r}; {advice}"
            )
    more, rest = ("the new rows", given) if len(given) > len(there) else ("the table", there)
    extra = rest[min(len(there), len(given))]
    raise DataMismatchError(
        f"the table has {len(there)} columns, the new rows {len(given)}: only {more} have {extra!r}; {advice}"
    )


def _fits(given: DType, there: DType) -> bool:
    if given.kind in "US" and given.kind == there.kind:
        return given.itemsize <= there.itemsize
    return given.newbyteorder("=") == there.newbyteorder("=")


# -- what is given as a table ---------------------------------------------------------------------


def is_table(data: Any) -> bool:
    """Whether *data* is stored as a table without being asked: a DataFrame, or rows with a mask."""
    if is_masked(data):
        return data.dtype.names is not None and data.ndim == 1
    return frames.is_frame(data)


def as_table(data: Any, *, said: Collection[str] = ()) -> Array:
    """*data* as a structured array of one axis, masked where cells are missing.

    Parameters
    ----------
    data
        Such an array; or a mapping of column names to sequences, in which None is missing; or a pandas
        DataFrame, in which what pandas takes for missing is, but for the NaN of numpy's own floats.
    said
        Names of what the caller gives as metadata, so that it is not lost.

    Raises
    ------
    InvalidDataError
        If it is none of these, or a column cannot be stored, or something beside the columns would be lost.
    """
    if frames.is_frame(data):
        frames.check_frame(data, said)
        return _from_columns({name: _series_column(name, data[name]) for name in data.columns})
    if isinstance(data, Mapping):
        _check_mapping(data)
        return _from_columns({name: _column(name, values, said) for name, values in data.items()})
    if isinstance(data, np.ndarray) and data.dtype.names is not None and data.ndim == 1:
        check_no_subclass(data)
        stored_dtype(data.dtype)
        return data
    raise InvalidDataError(
        f"{type(data).__name__} is not a table; use a structured array of one axis, a mapping of column "
        "names to sequences, or a DataFrame"
    )


def _check_mapping(columns: Mapping[Any, Any]) -> None:
    """Raise ``InvalidDataError`` for a mapping that says more than its items, such as an xarray.Dataset."""
    for name in ("attrs", "coords", "meta"):
        notes = getattr(columns, name, None)
        if isinstance(notes, Mapping) and notes:
            raise InvalidDataError(
                f"{type(columns).__name__} has {name} ({shown(list(notes))}), which would be lost; "
                f"{'node.write_xarray(x) keeps it; or ' if type(columns).__module__[:6] == 'xarray' else ''}"
                "pass {name: numpy.asarray(values), ...}, and the rest as metadata="
            )


def _from_columns(columns: Mapping[Any, tuple[Array, Array]]) -> Array:
    """A table of *columns*, which are values and whether each is missing."""
    if not columns:
        raise InvalidDataError("a table has at least one column")
    lengths = {name: len(values) for name, (values, _) in columns.items()}
    first = next(iter(lengths))
    for name, length in lengths.items():
        _check_name(name)
        if length != lengths[first]:
            raise InvalidDataError(
                f"column {name!r} has {length} rows, column {first!r} has {lengths[first]}: all need the same"
            )
    dtype = _packed((str(name), values.dtype) for name, (values, _) in columns.items())
    rows = np.zeros(lengths[first], dtype)
    mask = np.zeros(lengths[first], np.ma.make_mask_descr(dtype))
    for name, (values, missing) in columns.items():
        rows[name] = values
        mask[name] = missing
    return _masked(rows, mask)


def _column(name: Any, values: Any, said: Collection[str]) -> tuple[Array, Array]:
    """The values of a column, and which of them are missing."""
    if (series := frames.as_series(values)) is not None:
        # Its name is what the column is called instead.
        with _of_column(name):
            frames.check_labels(series, {*said, "name"})
        return _series_column(name, series)
    no_sequence = not hasattr(values, "__len__") and not is_array_like(values)
    if isinstance(values, str | bytes | Mapping | Set) or no_sequence:
        raise InvalidDataError(f"column {shown(name)} is {shown(values)}; use a sequence of values")
    if isinstance(values, np.ndarray):
        with _of_column(name):
            check_no_subclass(values)
        if is_masked(values):
            _check_column(name, values.data)
            return values.data, np.ma.getmaskarray(values)
        if values.dtype.kind not in "OT":
            _check_column(name, values)
            return values, np.zeros(len(values), bool)
    elif is_array_like(values) or (isinstance(values, list | tuple) and type(values) not in (list, tuple)):
        with _of_column(name):
            values = as_array(values, said=said)
        _check_column(name, values)
        return values, np.zeros(len(values), bool)
    return _column_of_items(name, list(values))


@contextlib.contextmanager
def _of_column(name: Any) -> Iterator[None]:
    """Says which column it was that cannot be stored."""
    try:
        yield
    except (ValueError, OverflowError, TypeError, MemoryError) as error:
        raise InvalidDataError(f"column {shown(name)} cannot be stored: {error}") from error


def _column_of_items(name: Any, items: list[Any]) -> tuple[Array, Array]:
    if any(isinstance(item, list | tuple | np.ndarray) for item in items):
        raise InvalidDataError(
            f"column {shown(name)} cannot be stored: it holds sequences; a column holds one value a row"
        )
    missing = np.array([item is None for item in items], bool)
    with _of_column(name):
        typed = array_of([item for item in items if item is not None])
    _check_column(name, typed)
    values = np.zeros(len(items), typed.dtype if typed.dtype.itemsize else f"{typed.dtype.kind}1")
    values[~missing] = typed
    return values, missing


def _series_column(name: Any, series: Any) -> tuple[Array, Array]:
    """As :func:`_column`, of a Series whose labels are looked at."""
    with _of_column(name):
        values, missing = frames.values_of(series)
    _check_column(name, values)
    return values, missing


def _check_column(name: Any, values: Array) -> None:
    if values.ndim != 1:
        raise InvalidDataError(
            f"column {shown(name)} has shape {values.shape}; a column holds one value a row"
        )
    _check_type(name, values.dtype)


def to_frame(stored: Array) -> Any:
    """The rows of a table as a pandas DataFrame; see :func:`lotdb.frames.to_frame`."""
    rows, bits = stored["row"], stored["missing"]
    return frames.to_frame(
        rows, {name: _missing(bits, index) for index, name in enumerate(rows.dtype.names or ())}
    )
