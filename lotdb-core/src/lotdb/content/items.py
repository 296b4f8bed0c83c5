"""Single values in a sequence, as one array in which each has kept its value.

``numpy.array`` silently changes some values. Here, these are errors: integers that become floating point,
numbers that become texts, texts that lose the NULs at their end, times that wrap around, and values of
another library's type of which only the number would remain.
"""

from __future__ import annotations

import datetime
import sys
from typing import Any, TypeGuard

import numpy as np

__all__ = ["array_of", "is_masked", "is_value", "same_times"]

Array = np.ndarray[Any, Any]

_TIMES = {datetime.date: "M8[D]", datetime.datetime: "M8[us]", datetime.timedelta: "m8[us]"}

_SORTS: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "bytes": (bytes,),
    "truth values": (bool, np.bool_),
    "times": (np.datetime64, datetime.date),
    "time spans": (np.timedelta64, datetime.timedelta),  # before the numbers: numpy counts them as such
    "numbers": (int, float, complex, np.number),
    "structures": (np.void,),
}
_PYTHON = frozenset({str, bytes, bool, int, float, complex, *_TIMES})


def is_masked(array: object) -> TypeGuard[np.ma.MaskedArray[Any, Any]]:
    """Whether it is one of numpy's arrays with a mask."""
    # numpy loads that part when somebody asks for it, which takes a third as long as the first payload. Who
    # has such an array has asked.
    return "numpy.ma" in sys.modules and isinstance(array, np.ma.MaskedArray)


def is_value(kind: type) -> bool:
    """Whether an array can hold values of exactly this type; values of a subclass would change their type."""
    return kind in _PYTHON or (issubclass(kind, np.generic) and kind.__module__ == "numpy")


def array_of(items: list[Any]) -> Array:
    """*items* as an array of one type and one axis, in which each has kept its value.

    Raises
    ------
    ValueError
        If there is no such array. The message is the reason; the caller adds what the items are from.
    """
    if not items:
        return np.zeros(0, "f8")
    types = set(map(type, items))
    others = sorted({kind.__name__ for kind in types if not is_value(kind)})
    if others:
        raise ValueError(f"it holds objects ({', '.join(others)}); {_advice(types)}")
    sorts = {_sort(kind) for kind in types}
    if len(sorts) > 1 and not types <= _TIMES.keys():
        raise ValueError(f"it holds {' and '.join(sorted(sorts))}; give it one type")
    if sorts & {"times", "time spans"}:
        return _array_of_times(items, types)
    # Numpy pads texts with NULs, and takes those at their end for padding.
    if sorts <= {"text", "bytes"} and any(item[-1:] in ("\0", b"\0") for item in items):
        raise ValueError("a text ends with NUL, which would be lost")
    if sorts == {"structures"} and len({item.dtype for item in items}) > 1:
        raise ValueError("it holds structures of several types; give it one")
    array = np.array(items)
    if sorts == {"numbers"} and types != {float} and array.dtype.kind not in "iu":
        return _array_of_numbers(items, array)
    return array


def _advice(types: set[type]) -> str:
    if type(None) in types:
        return (
            "None is a missing value, which an array cannot tell: use float('nan'), or DataWriter.write_table"
        )
    return "use numbers, texts, or times of datetime or numpy"


def _sort(kind: type) -> str:
    """What *kind* is in a message; values of the same sort may stand in one array."""
    return next(sort for sort, kinds in _SORTS.items() if issubclass(kind, kinds))


def _array_of_numbers(items: list[Any], array: Array) -> Array:
    """*items*, of which numpy made an *array* that holds no integers."""
    plain = [item.item() if isinstance(item, np.generic) else item for item in items]
    if all(isinstance(item, int) for item in plain):
        # Numpy takes floats for large integers beside others, though all may fit 64 bits.
        lowest, highest = min(plain), max(plain)
        if lowest >= -(1 << 63) and highest < 1 << 63:
            return np.array(plain, "i8")
        if lowest >= 0 and highest < 1 << 64:
            return np.array(plain, "u8")
    else:
        found = array.tolist()
        if array.dtype.hasobject:  # Numpy keeps integers of more than 64 bits as they are, beside floats too.
            found = [_as_float(item) for item in plain]
        # Python compares integers and floats exactly.
        if all(a == b or b != b for a, b in zip(found, plain, strict=True)):
            return np.array(found) if array.dtype.hasobject else array
    raise ValueError(
        "its integers fit neither 64 bits nor, exactly, floating point; store them as texts, "
        "or say what they may become with numpy.array(..., dtype=...)"
    )


def _as_float(number: Any) -> Any:
    """An integer as the float that is nearest to it, which may be infinite; others as they are."""
    try:
        return float(number) if isinstance(number, int) else number
    except OverflowError:
        return float("inf")


def _array_of_times(items: list[Any], types: set[type]) -> Array:
    if types & _TIMES.keys():
        if len(types) > 1:
            raise ValueError("it holds dates and times of several types; give it one")
        if any(getattr(item, "tzinfo", None) is not None for item in items):
            raise ValueError("it holds times with a time zone; convert them to UTC and leave the zone out")
        if any(getattr(item, "fold", 0) for item in items):
            raise ValueError("it holds times with fold=1, which would be lost; convert them to UTC")
        array = np.array(items, _TIMES[types.pop()])
        if array.tolist() != items:
            raise ValueError("it holds time spans beyond the range of numpy's microseconds")
        return array
    dtypes = {item.dtype for item in items}
    array = np.array(items)
    for dtype in dtypes if len(dtypes) > 1 else ():
        # Numpy wraps around without a word.
        chosen = np.array([item.dtype == dtype for item in items])
        if not same_times(np.array([item for item in items if item.dtype == dtype]), array[chosen]):
            raise ValueError(f"it holds times of several units, and {array.dtype} cannot keep all of them")
    return array


def same_times(given: Array, converted: Array) -> bool:
    """Whether times or time spans are the same in another unit."""
    if np.datetime_data(given.dtype)[0] == "generic":
        return bool(np.isnat(given).all())  # of no unit, which the other would give them
    back = converted.astype(given.dtype)
    return np.array_equal(back.view("i8"), given.astype(given.dtype.newbyteorder("=")).view("i8"))
