"""Pickling a record by C code alone.

A pickler asks of every value whether it is a record of its own: 700 calls of Python in a small commit, which
take several times as long as the pickling. So the records that a state refers to are found first: they are the
only values that have no form of their own in a pickle, and only of these a pickler asks how to reduce them. Then
the record is pickled with a memo that has them. It begins with the references, each loaded and put into the memo;
in the state stands where. To an unpickler this is a pickle like any other.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import lru_cache
from io import BytesIO
from typing import Any

from persistent import Persistent

__all__ = ["dump_record"]

_PROTOCOL = 3  # as ZODB's
_OID_BYTES = 8

_POP, _REFER = pickle.POP, pickle.TUPLE2 + pickle.BINPERSID


class _UnknownError(Exception):
    """A value is neither plain, nor a container of plain ones, nor a record."""


class _Finder(pickle.Pickler):
    """Finds the records that are referred to; what it writes is of use only if there are none."""

    def __init__(self, file: BytesIO) -> None:
        super().__init__(file, _PROTOCOL)
        self.found: list[Persistent] = []

    def reducer_override(self, value: Any) -> Any:
        if value is int:  # which stands in the place of all that is found
            return NotImplemented
        if not isinstance(value, Persistent):
            raise _UnknownError
        self.found.append(value)
        return int, ()


def dump_record(kind: Any, state: Any, refer: Callable[[Any], Any]) -> bytes | None:
    """The record of an object of class *kind*; None if it has to be pickled as ZODB does it.

    *refer* gives the id and the class of a record.
    """
    file = BytesIO()
    finder = _Finder(file)
    try:
        finder.dump(state)
    except _UnknownError:
        return None
    content = file.getvalue()
    if finder.found:
        memo: dict[int, tuple[int, Any]] = {}
        references = _references(finder.found, refer, memo)
        if references is None:
            return None
        file = BytesIO()
        pickler = pickle.Pickler(file, _PROTOCOL)
        pickler.memo = memo  # type: ignore[attr-defined]  # typeshed has it not
        pickler.dump(state)
        content = file.getvalue()
        content = b"".join((content[:2], *references, content[2:]))  # behind the number of the protocol
    return _head(kind) + content


@lru_cache(64)
def _head(kind: Any) -> bytes:
    return pickle.dumps(kind, _PROTOCOL)


def _references(
    records: list[Persistent], refer: Callable[[Any], Any], memo: dict[int, tuple[int, Any]]
) -> list[bytes] | None:
    """Code that puts references to *records* into the *memo*; None if one of them is of another form."""
    code: list[bytes] = []

    def note(value: Any) -> bytes:
        number = len(memo)
        memo[id(value)] = number, value
        return (_short(pickle.BINPUT, number) if number < 256 else _long(pickle.LONG_BINPUT, number)) + _POP

    for record in records:
        reference = refer(record)
        if type(reference) is not tuple or len(reference) != 2:
            return None
        oid, kind = reference
        if not isinstance(oid, bytes) or len(oid) != _OID_BYTES or not isinstance(kind, type):
            return None
        if id(kind) not in memo:
            code += (f"c{kind.__module__}\n{kind.__qualname__}\n".encode(), note(kind))
        number = memo[id(kind)][0]
        got = _short(pickle.BINGET, number) if number < 256 else _long(pickle.LONG_BINGET, number)
        code += (_short(pickle.SHORT_BINBYTES, _OID_BYTES), oid, got, _REFER, note(record))
    return code


def _short(code: bytes, number: int) -> bytes:
    return code + number.to_bytes(1, "little")


def _long(code: bytes, number: int) -> bytes:
    return code + number.to_bytes(4, "little")
