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
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any

from persistent import Persistent

from lotdb.errors import DamagedError

__all__ = ["Columns", "columns_in", "folded", "is_folded", "things_in", "unfolded"]

_VERSION = 1
# Fewer entries are as short as they are, and as quick.
_FEWEST = 8

# The forms of columns. Those of numbers are as module struct names them, little-endian.
_SAME = 0  # one value, which all have
_PLAIN = 1  # a tuple of the values
_JOINED = 2  # texts, with a NUL between each and the next
_CHOSEN = 3  # the different texts, and for each entry a byte that says which
_PACKED = {10: "b", 11: "h", 12: "i", 13: "q", 20: "d"}
_NUMBERS = {form: struct.Struct(f"<{code}") for form, code in _PACKED.items()}
_FLOAT = 20
# Of those of integers, from how many bits on a number does not fit.
_INTEGERS = ((8, 10), (16, 11), (32, 12), (64, 13))
_NUL = "\0"
_LENGTH = "a column has another length"

# A record of a few bytes must not become rows of gigabytes. What LOTDB stores has a hundredth of that.
_MOST_PARTS = 1 << 20
# Of each entry, which has a type and names, or a record.
_FEWEST_PARTS = 2
# In a pickle one text may stand in many columns, and each cuts texts of its own out of it. So there is a
# limit to the texts of more columns than a few, of which what LOTDB stores has a hundredth, too.
_FEW_PARTS = 16
_MOST_TEXT = 1 << 22

# What is counted of each entry: key and value, and two more, since it takes the same memory as one of a row
# once it is loaded, and has fewer bytes.
_THINGS = 4


def folded(state: Any, records: Callable[..., Any] | None = None) -> Any:
    """The *state* of a bucket, or of children, with columns where it can have them.

    What *records* makes of it takes the place of a column of records, all of one class; and, made of the
    records and of the keys between them, that of what is below a record of many children.
    """
    if type(state) is tuple and state and type(state[0]) is tuple and state[0]:
        first = state[0]
        if type(first[0]) is str:
            return (_folded(first, records), *state[1:])
        if records is not None and len(first) > _FEWEST and isinstance(first[0], Persistent):
            if len({*map(type, first[::2])}) == 1:
                return (records(first[::2], first[1::2]), *state[1:])
            return state
        if len(first) == 1 == len(state) and type(first[0]) is tuple and len(first[0]) == 1:
            return (((_folded(first[0][0], records),),),)
    return state


def unfolded(state: Any) -> Any:
    """The *state* as BTrees has it, of which :func:`folded` gave the argument.

    Raises
    ------
    DamagedError
        The columns do not fit together.
    """
    stored = _stored_columns(state)
    if stored is None:
        return state
    flat = Columns(stored).rows()
    return (flat, *state[1:]) if stored is state[0] else (((flat,),),)


def is_folded(state: Any) -> bool:
    """Whether *state* has columns."""
    return _stored_columns(state) is not None


def columns_in(state: Any) -> Columns | None:
    """The columns in *state*, to be looked into; None if it has none.

    Raises
    ------
    DamagedError
        They are of another form.
    """
    stored = _stored_columns(state)
    return None if stored is None else Columns(stored)


def _stored_columns(state: Any) -> Any:
    """The columns in the *state* of a bucket, or of children that lie in one; None if it is not folded."""
    if type(state) is tuple and state:
        first = state[0]
        if len(state) == 1 and type(first) is tuple and len(first) == 1:  # children; a bucket's is within
            bucket = first[0]
            first = bucket[0] if type(bucket) is tuple and bucket else None
        if type(first) is tuple and first and type(first[0]) is int:
            return first
    return None


def things_in(state: Any) -> int:
    """How many things are counted of a folded *state*, to tell what memory it takes; 0 for others."""
    stored = _stored_columns(state)
    return 0 if stored is None else _THINGS * len(Columns(stored))


class Columns:
    """Keys and entries that are stored as columns, looked into without making rows of all.

    All methods raise ``DamagedError`` if the columns do not fit together.
    """

    __slots__ = ("_count", "_keys", "_parts", "own")

    _count: int
    _keys: str
    _parts: tuple[Any, ...]
    #: Key and entry of what the branch holds itself, or ``()``.
    own: tuple[Any, ...]

    def __init__(self, stored: Any) -> None:
        try:
            version, self.own, self._keys, self._parts = stored
        except ValueError as error:
            raise _damaged(error) from error
        if version != _VERSION or type(self._keys) is not str or type(self._parts) is not tuple:
            raise _damaged("it is of another form")
        if type(self.own) is not tuple or len(self.own) not in (0, 2) or self.own[:1] not in ((), ("",)):
            raise _damaged("it is of another form")
        self._count = self._keys.count("/") + 1
        if not _FEWEST_PARTS <= len(self._parts) <= _MOST_PARTS // self._count:
            raise _damaged("it has too few or too many parts")
        if _is_too_long(self._parts):
            raise _damaged("its texts are too long")

    def __len__(self) -> int:
        """How many entries there are."""
        return self._count

    @property
    def first_key(self) -> str:
        """The key of the first entry."""
        return self._keys.partition("/")[0]

    @property
    def last_key(self) -> str:
        """The key of the last entry."""
        return self._keys.rpartition("/")[2]

    def entry(self, key: str) -> tuple[Any, ...] | None:
        """The entry at *key*, which is not empty; None if there is none."""
        keys = f"/{self._keys}/"
        found = keys.find(f"/{key}/")
        if found < 0 or "/" in key:
            return None
        return self._row(keys.count("/", 0, found))

    def same(self, at: int) -> Any:
        """What all entries have at *at*; None if they differ there."""
        try:
            form, data = self._parts[at]
        except _ERRORS as error:
            raise _damaged(error) from error
        return data if form == _SAME else None

    def plain(self, at: int) -> Any:
        """What the entries have at *at*, one after the other, if all are texts or numbers; else None."""
        try:
            form, data = self._parts[at]
            if form == _PLAIN or (form == _SAME and type(data) not in (str, int)):
                return None
            return _values(form, data, self._count)
        except _ERRORS as error:
            raise _damaged(error) from error

    def some(self, places: list[int]) -> list[tuple[str, tuple[Any, ...]]]:
        """Key and entry of those at *places*, which are numbers from 0 on."""
        if not places:
            return []
        keys = self._keys.split("/")
        if 4 * len(places) < len(keys):
            return [(keys[at], self._row(at)) for at in places]
        flat = self.rows()
        start = len(self.own)
        return [(keys[at], flat[start + 2 * at + 1]) for at in places]

    def rows(self) -> tuple[Any, ...]:
        """Keys and entries, one after the other, as BTrees has them."""
        keys = self._keys.split("/")
        count, start = len(keys), len(self.own)
        flat: list[Any] = [*self.own, *keys, *keys]
        try:
            columns = [_values(form, data, count) for form, data in self._parts]
            flat[start::2] = keys
            flat[start + 1 :: 2] = zip(*columns, strict=True)
        except _ERRORS as error:
            raise _damaged(error) from error
        return tuple(flat)

    def _row(self, at: int) -> tuple[Any, ...]:
        count = self._count
        try:
            # What all have is decided here, without a call.
            return tuple(
                [data if form == _SAME else _value(form, data, at, count) for form, data in self._parts]
            )
        except _ERRORS as error:
            raise _damaged(error) from error


_ERRORS = (ValueError, TypeError, IndexError, KeyError, AttributeError, struct.error)


def _damaged(error: object) -> DamagedError:
    return DamagedError(f"a record of children makes no sense: {error}")


# -- folding --------------------------------------------------------------------------------------


def _folded(flat: tuple[Any, ...], records: Callable[..., Any] | None) -> tuple[Any, ...]:
    """Keys and entries, one after the other, as columns; as they are if these would not be better."""
    start = 2 if flat and flat[0] == "" else 0
    count = (len(flat) - start) // 2
    if count < _FEWEST:
        return flat
    keys = "/".join(flat[start::2])
    if keys.count("/") != count - 1:
        return flat
    entries = flat[start + 1 :: 2]
    if {*map(type, entries)} != {tuple}:  # as of tags, which are texts
        return flat
    try:
        columns = [*zip(*entries, strict=True)]
    except ValueError:  # they are of different lengths
        return flat
    if not _FEWEST_PARTS <= len(columns) <= _MOST_PARTS // count:
        return flat
    parts = [_column(values, count) for values in columns]
    if _is_too_long(parts):
        return flat
    if records is not None:
        for at, (form, values) in enumerate(parts):
            if form == _PLAIN and isinstance(values[0], Persistent) and len({*map(type, values)}) == 1:
                parts[at] = _PLAIN, records(values)
    return (_VERSION, flat[:start], keys, tuple(parts))


def _column(values: tuple[Any, ...], count: int) -> tuple[int, Any]:
    # This is called for each column of each bucket that is stored, so the quickest questions come first.
    try:
        return _form_of(values, count)
    except (ValueError, TypeError):  # what stands for a record, where changes are merged, cannot be compared
        return _PLAIN, values


def _form_of(values: tuple[Any, ...], count: int) -> tuple[int, Any]:
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
    joined = _NUL.join(values)  # a TypeError if others are no texts
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


def _values(form: int, data: Any, count: int) -> Any:
    """The values of a column, *count* of them."""
    if form == _SAME:
        return repeat(data, count)
    if form in _PACKED:
        return struct.unpack(f"<{count}{_PACKED[form]}", data)
    if form == _JOINED:
        values = data.split(_NUL)
    elif form == _CHOSEN:
        different, values = _chosen(data)
    else:
        values = _plain(form, data)
    if len(values) != count:  # at once: those of the next columns may be as many, and take as much memory
        raise ValueError(_LENGTH)
    return [different[number] for number in values] if form == _CHOSEN else values


def _value(form: int, data: Any, at: int, count: int) -> Any:
    """The value at *at* of a column of *count* values, which are not all the same."""
    number = _NUMBERS.get(form)
    if number is not None:
        if len(data) != count * number.size:
            raise ValueError(_LENGTH)
        return number.unpack_from(data, at * number.size)[0]
    if form == _JOINED:
        values = data.split(_NUL)
    elif form == _CHOSEN:
        different, values = _chosen(data)
    else:
        values = _plain(form, data)
    if len(values) != count:
        raise ValueError(_LENGTH)
    return different[values[at]] if form == _CHOSEN else values[at]


def _plain(form: int, data: Any) -> tuple[Any, ...]:
    if form != _PLAIN or type(data) is not tuple:
        raise ValueError("a column is of another form")
    return data


def _is_too_long(parts: Sequence[Any]) -> bool:
    """Whether columns have more text than what is stored ever has."""
    if len(parts) <= _FEW_PARTS:
        return False
    if {*map(type, parts)} != {tuple}:
        raise _damaged("a column is of another form")
    return sum(len(part[-1]) for part in parts if part and type(part[-1]) is str) > _MOST_TEXT


def _chosen(data: Any) -> tuple[tuple[str, ...], bytes]:
    different, numbers = data
    if type(different) is not tuple or {*map(type, different)} != {str} or type(numbers) is not bytes:
        raise ValueError("a column is of another form")
    return different, numbers
