"""Buckets of children as columns, which are shorter and quicker to read than rows.

BTrees has keys and values one after the other: ``(key, entry, key, entry, ...)``. Entries of neighbours
mostly have the same parts, in the same types: a hundred captures with a label, a length and a number. As
rows, a record says so a hundred times, and an unpickler makes each row. Folded, the keys are one text, and
the parts are columns::

    (1, own, "key/key/key/...", (column, column, ...))

*own* is key and entry of what a branch holds itself, or ``()``.

A column is ``(form, data)``: numbers packed as in C, texts joined or counted out, one value for all, or else
a plain tuple. One entry is found without the others. What has no such columns stays as it is, and so do a few
entries: the first item tells, which is a number only in the folded form.

Values come back as they were, of the same types and to the last bit.
"""

from __future__ import annotations

import struct
from itertools import repeat
from typing import Any

from lotdb.errors import DamagedError

__all__ = ["entry_in", "folded", "is_folded", "things_in", "unfolded"]

_VERSION = 1
# Fewer entries are as short as they are, and as quick.
_FEWEST = 8

# The forms of columns. Those of numbers are as module struct names them, little-endian.
_SAME = 0  # one value, which all have
_PLAIN = 1  # a tuple of the values
_JOINED = 2  # texts, with a NUL between each and the next
_CHOSEN = 3  # the different texts, and for each entry a byte that says which
_PACKED = {10: "b", 11: "h", 12: "i", 13: "q", 20: "d"}
_WIDTHS = {form: struct.calcsize(f"<{code}") for form, code in _PACKED.items()}
_FLOAT = 20
# Of those of integers, from how many bits on a number does not fit.
_INTEGERS = ((8, 10), (16, 11), (32, 12), (64, 13))
_NUL = "\0"

# What is added for each entry of a folded record to what is counted of things in one, because it takes the
# same memory once it is loaded, and has fewer bytes.
_SAVED = 3


def folded(state: Any) -> Any:
    """The *state* of a bucket, or of children that lie in one, with columns where it can have them."""
    if type(state) is tuple and state and type(state[0]) is tuple and state[0]:
        first = state[0]
        if type(first[0]) is str:
            return (_folded(first), *state[1:])
        if len(first) == 1 == len(state) and type(first[0]) is tuple and len(first[0]) == 1:
            return (((_folded(first[0][0]),),),)
    return state


def unfolded(state: Any) -> Any:
    """The *state* as BTrees has it, of which :func:`folded` gave the argument.

    Raises
    ------
    DamagedError
        The columns do not fit together.
    """
    columns = _columns_in(state)
    if columns is None:
        return state
    if columns is state[0]:
        return (_unfolded(columns), *state[1:])
    return (((_unfolded(columns),),),)


def is_folded(state: Any) -> bool:
    """Whether *state* has columns."""
    return _columns_in(state) is not None


def entry_in(state: Any, key: str) -> tuple[bool, Any]:
    """Whether *state* is folded; and if it is, the entry at *key*, which is not empty, or None.

    Raises
    ------
    DamagedError
        The columns do not fit together.
    """
    columns = _columns_in(state)
    if columns is None:
        return False, None
    try:
        _, _, keys, parts = columns
        keys = f"/{keys}/"
        found = keys.find(f"/{key}/")
        if found < 0 or "/" in key:
            return True, None
        at = keys.count("/", 0, found)
        return True, tuple([_value(form, data, at) for form, data in parts])
    except _ERRORS as error:
        raise _damaged(error) from error


def things_in(state: Any) -> int:
    """What is counted of a folded *state*: twice its entries, and more for what folding has saved; or 0."""
    columns = _columns_in(state)
    if columns is None:
        return 0
    return (2 + _SAVED) * (str(columns[2]).count("/") + 1)


def _columns_in(state: Any) -> Any:
    """The columns in the *state* of a bucket, or of children that lie in one; None if it is not folded."""
    if type(state) is tuple and state:
        first = state[0]
        if len(state) == 1 and type(first) is tuple and len(first) == 1:  # children; a bucket's is within
            bucket = first[0]
            first = bucket[0] if type(bucket) is tuple and bucket else None
        if type(first) is tuple and first and type(first[0]) is int:
            return first
    return None


_ERRORS = (ValueError, TypeError, IndexError, KeyError, AttributeError, struct.error)


def _damaged(error: Exception) -> DamagedError:
    return DamagedError(f"a record of children makes no sense: {error}")


# -- folding --------------------------------------------------------------------------------------


def _folded(flat: tuple[Any, ...]) -> tuple[Any, ...]:
    """Keys and entries, one after the other, as columns; as they are if these would not be better."""
    start = 2 if flat and flat[0] == "" else 0
    count = (len(flat) - start) // 2
    if count < _FEWEST:
        return flat
    keys = "/".join(flat[start::2])
    if keys.count("/") != count - 1:
        return flat
    try:
        columns = [*zip(*flat[start + 1 :: 2], strict=True)]
    except ValueError:  # entries of different lengths
        return flat
    return (_VERSION, flat[:start], keys, tuple([_column(values, count) for values in columns]))


def _column(values: tuple[Any, ...], count: int) -> tuple[int, Any]:
    # This is called for each column of each bucket that is stored, so the quickest questions come first.
    first = values[0]
    kind = type(first)
    if kind is str:
        return _texts(values, count)
    if kind is float:
        if [*map(type, values)].count(float) == count:
            return _FLOAT, struct.pack(f"<{count}d", *values)
    elif kind is int:
        if [*map(type, values)].count(int) == count:
            return _integers(values, count)
    elif _is_exact(first) and values.count(first) == count:
        return _SAME, first
    return _PLAIN, values


def _is_exact(value: Any) -> bool:
    """Whether what equals *value* is the same: None, and names, as what equals a text is one."""
    return value is None or (type(value) is tuple and bool(value) and set(map(type, value)) == {str})


def _texts(values: tuple[Any, ...], count: int) -> tuple[int, Any]:
    first = values[0]
    if values.count(first) == count:
        return _SAME, first
    try:
        joined = _NUL.join(values)
    except TypeError:  # others are no texts
        return _PLAIN, values
    if 2 * len(set(values)) <= count <= 256:
        numbers = {text: number for number, text in enumerate(dict.fromkeys(values))}
        return _CHOSEN, (tuple(numbers), bytes(map(numbers.__getitem__, values)))
    return (_JOINED, joined) if joined.count(_NUL) == count - 1 else (_PLAIN, values)


def _integers(values: tuple[int, ...], count: int) -> tuple[int, Any]:
    if values.count(values[0]) == count:
        return _SAME, values[0]
    bits = values[0].bit_length()
    for limit, form in _INTEGERS:
        if bits < limit:
            try:
                return form, struct.pack(f"<{count}{_PACKED[form]}", *values)
            except struct.error:  # another one needs more bytes
                pass
    return _PLAIN, values


# -- unfolding ------------------------------------------------------------------------------------


def _unfolded(columns: Any) -> tuple[Any, ...]:
    try:
        version, own, keys, parts = columns
        if version != _VERSION or type(own) is not tuple or len(own) not in (0, 2):
            raise ValueError("it is of another form")
        keys = keys.split("/")
        count = len(keys)
        start = len(own)
        flat: list[Any] = [*own, *keys, *keys]
        flat[start::2] = keys
        flat[start + 1 :: 2] = zip(*[_values(form, data, count) for form, data in parts], strict=True)
        return tuple(flat)
    except _ERRORS as error:
        raise _damaged(error) from error


def _values(form: int, data: Any, count: int) -> Any:
    """The values of a column, *count* of them; what is fewer or more does not fit the others."""
    if form == _SAME:
        return repeat(data, count)
    if form == _PLAIN:
        if type(data) is not tuple:
            raise ValueError("a column is of another form")
        return data
    if form == _JOINED:
        return data.split(_NUL)
    if form == _CHOSEN:
        different, numbers = data
        return map(different.__getitem__, numbers)
    return struct.unpack(f"<{count}{_PACKED[form]}", data)


def _value(form: int, data: Any, at: int) -> Any:
    """The value at *at* of a column."""
    if form == _SAME:
        return data
    if form == _PLAIN:
        return data[at]
    if form == _JOINED:
        return data.split(_NUL)[at]
    if form == _CHOSEN:
        different, numbers = data
        return different[numbers[at]]
    return struct.unpack_from(f"<{_PACKED[form]}", data, at * _WIDTHS[form])[0]
