"""Converting what the user passes to an array without loss, or an error that names what would be lost.

``numpy.asarray`` converts almost anything, and silently drops what an array cannot hold: masks, missing
values, labels, units, time zones. To drop them on purpose, the user passes the result of ``numpy.asarray``.
"""

from __future__ import annotations

import datetime
import os
import re
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Set
from itertools import chain
from typing import Any

import numpy as np

from lotdb.content import frames
from lotdb.content.items import array_of, is_masked, is_value, same_times
from lotdb.errors import InvalidDataError, LotdbError, shown

__all__ = ["as_array", "check_no_subclass", "is_array_like"]

Array = np.ndarray[Any, Any]
DType = np.dtype[Any]

_SEQUENCES = frozenset({list, tuple, range, deque})
_VALUES = (int, float, complex, np.generic, datetime.date, datetime.timedelta)

# Axes that an array can have. Sequences that are nested deeper contain themselves.
_MOST_AXES = 64


def as_array(data: Any, *, said: Collection[str] = ()) -> Array:
    """*data* as an array.

    Parameters
    ----------
    data
        An array; or sequences of values of one type; or an object with ``__array__``; or a pandas Series.
    said
        Names that the caller passes as metadata or otherwise, so that those parts are not lost.

    Raises
    ------
    InvalidDataError
        If *data* is none of these, or a part of it would be lost.
    """
    if isinstance(data, np.ndarray):
        return _of_array(data)
    try:
        return _of_any(data, said)
    except RecursionError as error:
        raise InvalidDataError(f"{_name(data)} cannot become an array: it contains itself") from error


def _of_any(data: Any, said: Collection[str]) -> Array:
    if type(data) in _SEQUENCES:
        return _of_sequence(data)
    if isinstance(data, _VALUES):
        whole = isinstance(data, np.generic) and is_value(type(data))
        return np.asarray(data) if whole else _of_values(data, [data]).reshape(())
    if (series := frames.as_series(data)) is not None:
        return _of_series(series, said)
    if isinstance(data, list | tuple):
        raise InvalidDataError(
            f"{_name(data)} would be read as plain numbers, without its other contents; convert it with "
            f"{'list' if isinstance(data, list) else 'tuple'}(x)"
        )
    _check_labels(data, said)
    try:
        if not is_array_like(data) and _is_sequence(data):
            return _of_sequence([data[number] for number in range(len(data))])
        array = np.asanyarray(data)
    except (LotdbError, RecursionError):  # such as of a lazy array, which reads a payload now
        raise
    except Exception as error:  # from another library's class
        raise InvalidDataError(f"{_name(data)} cannot become an array: {error}") from error
    return _of_array(array, of=data)


def check_no_subclass(array: Array) -> None:
    """Raise ``InvalidDataError`` for an array of a class that may hold more than its numbers."""
    if type(array).__module__.partition(".")[0] == "numpy":
        return
    unit = getattr(array, "unit", getattr(array, "units", None))
    more = f", such as its unit ({shown(str(unit))})" if unit is not None else ""
    raise InvalidDataError(
        f"{_name(array)} is an array that may hold more than its numbers{more}, which would be lost; pass "
        "numpy.asarray(x), and the rest as metadata="
    )


def _of_array(array: Array, of: Any = None) -> Array:
    if is_masked(array):
        raise InvalidDataError(
            "a masked array would lose its mask; store data and mask as two payloads, "
            "or, with DataWriter.write_table, columns in which cells are missing"
        )
    check_no_subclass(array)
    if array.dtype.kind == "T":
        width = max(map(len, array.reshape(-1).tolist()), default=1) if array.dtype == _STRINGS else 1
        raise InvalidDataError(
            "arrays of StringDType, texts of any length, cannot be stored; give them one with "
            f"x.astype('<U{max(1, width)}'), or keep them as a column: DataWriter.write_table"
        )
    if array.dtype.hasobject:
        if not array.ndim and array[()] is of:  # numpy has made nothing of it
            raise InvalidDataError(f"{_name(of)} is not an array, text or bytes{_advice(of)}")
        kinds = sorted({type(item).__name__ for item in array.reshape(-1)[:1000].tolist()})
        there = f"{_name(of)}, " if of is not None and array.ndim else ""
        raise InvalidDataError(
            f"arrays of objects ({there}{', '.join(kinds)}) cannot be stored; convert them to numbers, texts "
            "or times, as with x.astype(float)"
        )
    return np.asarray(array)


def _advice(data: Any) -> str:
    if isinstance(data, os.PathLike):
        return "; attach_file stores a file"
    return "; pass Blocks of arrays, or list(x)" if isinstance(data, Iterator) else ""


_STRINGS = np.dtypes.StringDType()


def _of_series(series: Any, said: Collection[str]) -> Array:
    frames.check_labels(series, said)
    try:
        values, missing = frames.values_of(series)
    except ValueError as error:
        raise InvalidDataError(f"{_name(series)} cannot become an array: {error}") from error
    if missing.any():
        raise InvalidDataError(
            f"{_name(series)} has missing values, which an array cannot tell; keep it as a column of a "
            "table: DataWriter.write_table(node, {'name': series})"
        )
    return values


# -- sequences ------------------------------------------------------------------------------------


def _of_sequence(data: Any) -> Array:
    """The array of sequences within sequences, down to values or arrays."""
    shape: list[int] = []
    level: list[Any] = [data]
    above: set[int] = set()
    kinds: set[type] = {type(data)}
    while not kinds.isdisjoint(_SEQUENCES):
        if len(shape) == _MOST_AXES or not above.isdisjoint(map(id, level)):
            raise InvalidDataError(f"{_name(data)} cannot become an array: it contains itself")
        if not kinds <= _SEQUENCES:
            raise _ragged(data, "values stand beside sequences in it")
        lengths = sorted({len(item) for item in level})
        if len(lengths) > 1:
            raise _ragged(data, f"its rows have different lengths ({', '.join(map(str, lengths[:5]))})")
        above.update(map(id, level))
        shape.append(lengths[0])
        level = list(chain.from_iterable(level))
        kinds = set(map(type, level))
    if all(map(is_value, kinds)) or not any(_holds_array(item) for item in level):
        return _of_values(data, level).reshape(shape)
    return _stacked(data, [as_array(item) for item in level], shape)


def _of_values(data: Any, values: list[Any]) -> Array:
    try:
        return array_of(values)
    except (ValueError, OverflowError, TypeError, MemoryError) as error:
        raise InvalidDataError(f"{_name(data)} cannot become an array: {error}") from error


def _holds_array(item: Any) -> bool:
    kind = type(item)
    if is_value(kind) or item is None or isinstance(item, Mapping | Set | str | bytes):
        return False
    return is_array_like(item) or _is_sequence(item)


def _ragged(data: Any, why: str) -> InvalidDataError:
    return InvalidDataError(
        f"{_name(data)} cannot become an array: {why}; make them alike, or give each a payload of its own"
    )


def _stacked(data: Any, arrays: list[Array], shape: list[int]) -> Array:
    shapes = sorted({array.shape for array in arrays})
    if len(shapes) > 1:
        raise _ragged(data, f"its arrays have different shapes ({', '.join(map(str, shapes[:5]))})")
    if len({array.dtype for array in arrays}) > 1:
        _check_promotion(data, arrays)
    try:
        return np.stack(arrays).reshape(*shape, *shapes[0])
    except Exception as error:
        raise InvalidDataError(f"{_name(data)} cannot become an array: {error}") from error


def _check_promotion(data: Any, arrays: list[Array]) -> None:
    """Raise ``InvalidDataError`` unless all values of *arrays* can stand in one."""
    dtypes = sorted({array.dtype for array in arrays}, key=str)
    what = f"{_name(data)} cannot become an array: it holds arrays of {' and '.join(map(str, dtypes[:5]))}"
    kinds = {dtype.kind for dtype in dtypes}
    if not (len(kinds) == 1 and kinds <= set("SUmM")) and not kinds <= set("iufc"):
        raise InvalidDataError(f"{what}; give them one type")
    try:
        dtype = np.result_type(*dtypes)
    except TypeError as error:
        raise InvalidDataError(f"{what}; give them one type") from error
    for array in arrays:
        if not _keeps(array, dtype):
            raise InvalidDataError(f"{what}, and not all of their values can be kept as {dtype}")


def _keeps(array: Array, dtype: DType) -> bool:
    if array.dtype.kind in "mM":
        try:
            return same_times(array, array.astype(dtype))
        except OverflowError:  # before NumPy 2.5 it wraps around
            return False
    if array.dtype.kind not in "iu" or dtype.kind not in "fc" or not array.size:
        return True
    largest = 1 << (np.finfo(dtype).nmant + 1)
    return int(array.max()) <= largest and int(array.min()) >= -largest


# -- what other libraries' arrays say beside their values -----------------------------------------


def is_array_like(data: Any) -> bool:
    """Whether numpy converts *data* to an array without looking at its items."""
    if any(_defines(type(data), name) for name in ("__array__", "__array_interface__", "__array_struct__")):
        return True
    try:
        memoryview(data).release()
    except (TypeError, ValueError, BufferError):
        return False
    return True


def _is_sequence(data: Any) -> bool:
    """Whether *data* has numbered items, and is no mapping, set, text or bytes."""
    return (
        all(_defines(type(data), name) for name in ("__len__", "__getitem__"))
        and not isinstance(data, Mapping | Set | str | bytes)
        and not _defines(type(data), "keys")
    )


def _defines(kind: type, name: str) -> bool:
    # Not hasattr, which also finds members of the metaclass: an enumeration has a length.
    return any(name in vars(base) for base in kind.__mro__)


def _check_labels(data: Any, said: Collection[str]) -> None:
    """Raise ``InvalidDataError`` if *data* has labels, units or the like that would be lost."""
    labels = _LABELS
    if type(data).__module__.partition(".")[0] in _NAMING:
        labels = {**labels, "name": _a_name}
    for name, says in labels.items():
        try:
            value = getattr(data, name, None)
            more = value is not None and says(value, said)
        except Exception:
            continue  # what cannot be read cannot be lost
        if more:
            keeps = "node.write_xarray(x) keeps it; or " if _is_xarrays(data) else ""
            raise InvalidDataError(
                f"{_name(data)} has a part that an array cannot hold: {name} ({_told(value)}) would be lost; "
                f"{keeps}pass numpy.asarray(x), and the rest as metadata="
            )


def _is_xarrays(data: Any) -> bool:
    return type(data).__module__.partition(".")[0] == "xarray"


def _told(value: Any) -> str:
    if isinstance(value, Mapping) or hasattr(value, "keys"):
        return shown(list(value))
    return shown(str(value() if callable(value) else value))


def _notes(value: Any, said: Collection[str]) -> bool:
    return hasattr(value, "keys") and any(key not in said for key in value)


def _anything(value: Any, said: Collection[str]) -> bool:
    return not callable(value) and bool(len(value) if hasattr(value, "__len__") else str(value))


def _a_name(value: Any, said: Collection[str]) -> bool:
    return isinstance(value, str) and bool(value) and value not in said and "name" not in said


def _axes(value: Any, said: Collection[str]) -> bool:
    names = list(value) if isinstance(value, tuple | list) else []
    return any(isinstance(name, str) and not re.fullmatch(r"dim_\d+", name) for name in names)


def _zone(value: Any, said: Collection[str]) -> bool:
    return getattr(value, "tz", None) is not None or getattr(value, "time_zone", None) is not None


def _some(value: Any, said: Collection[str]) -> bool:
    return bool(value() if callable(value) else value)


def _mask(value: Any, said: Collection[str]) -> bool:
    return np.ndim(value) > 0 and bool(np.any(value))


# Libraries in which the user names an array; in others, the name is a place in a file or made up.
_NAMING = ("polars", "xarray")

#: Attributes of arrays of h5py, netCDF4, zarr, xarray, pint, astropy, polars, pyarrow, torch, PIL and others.
_LABELS: dict[str, Callable[[Any, Collection[str]], bool]] = {
    "attrs": _notes,
    "coords": _notes,
    "meta": _notes,
    "metadata": _notes,
    "info": _notes,
    "stats": _notes,
    "units": _anything,
    "unit": _anything,
    "columns": _anything,
    "column_names": _anything,
    "colnames": _anything,
    "index": lambda value, said: not callable(value),
    "dims": _axes,
    "names": _axes,
    "mask": _mask,
    "null_count": _some,
    "ncattrs": _some,
    "palette": _anything,
    "tz": lambda value, said: not callable(value),
    "type": _zone,
    "dtype": _zone,
}


def _name(data: Any) -> str:
    return type(data).__name__
