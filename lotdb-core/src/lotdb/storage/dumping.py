"""Pickling a record by C code alone.

A pickler asks of every value whether it is a record of its own: 700 calls of Python in a small commit. They
take several times as long as the pickling. So the records that a state refers to are found first. They are
the only values that have no form of their own in a pickle, and only of such values a pickler asks how to
reduce them. Then the state is pickled with a memo that has them.

The pickle begins with the references. Each is loaded, put into the memo, and taken from the stack; the state
takes it out of the memo. To an unpickler this is a pickle like any other.
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
_OID = pickle.SHORT_BINBYTES + _OID_BYTES.to_bytes(1, "little")
_REFER = pickle.TUPLE2 + pickle.BINPERSID

# Classes of which objects are referred to by their id and class. ZODB finds out, and it does not change.
_referred: set[type] = set()


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


def dump_record(kind: Any, state: Any, refer: Callable[[Any], Any], jar: Any) -> bytes | None:
    """The record of an object of class *kind*; None if it has to be pickled as ZODB does it.

    *refer* gives the id and the class of a record, as ZODB does. It has nothing else to do for one that is in
    the connection *jar* already.
    """
    if not isinstance(kind, type):
        return None
    file = BytesIO()
    finder = _Finder(file)
    try:
        finder.dump(state)
    except _UnknownError:
        return None
    content = file.getvalue()
    if finder.found:
        memo: dict[int, tuple[int, Any]] = {}
        references = _references(finder.found, refer, jar, memo)
        if references is None:
            return None
        file = BytesIO()
        pickler = pickle.Pickler(file, _PROTOCOL)
        pickler.memo = memo
        pickler.dump(state)
        content = file.getvalue()
        content = b"".join((content[:2], *references, content[2:]))  # behind the number of the protocol
    return _head(kind) + content


@lru_cache(64)
def _head(kind: Any) -> bytes:
    return pickle.dumps(kind, _PROTOCOL)


def _references(
    records: list[Persistent], refer: Callable[[Any], Any], jar: Any, memo: dict[int, tuple[int, Any]]
) -> list[bytes] | None:
    """Code that puts references to *records* into the *memo*; None if one of them is of another form."""
    code: list[bytes] = []
    ends: dict[type, bytes] = {}  # of references to objects of a class
    for record in records:
        kind = type(record)
        if kind in _referred and record._p_jar is jar and record._p_oid is not None:
            oid = record._p_oid
        else:
            reference = refer(record)
            if type(reference) is not tuple or reference[1] is not kind or len(reference[0]) != _OID_BYTES:
                return None
            oid = reference[0]
            _referred.add(kind)
        end = ends.get(kind)
        if end is None:
            number = len(memo)
            memo[id(kind)] = number, kind
            name = f"c{kind.__module__}\n{kind.__qualname__}\n".encode()
            code.append(name + _noted(number))
            end = ends[kind] = _got(number) + _REFER
        number = len(memo)
        memo[id(record)] = number, record
        code.append(_OID + oid + end + _noted(number))
    return code


@lru_cache(1024)
def _noted(number: int) -> bytes:
    """Code that puts what is on the stack into the memo, and takes it from the stack."""
    if number < 256:
        return pickle.BINPUT + number.to_bytes(1, "little") + pickle.POP
    return pickle.LONG_BINPUT + number.to_bytes(4, "little") + pickle.POP


def _got(number: int) -> bytes:
    """Code that puts onto the stack what is in the memo."""
    if number < 256:
        return pickle.BINGET + number.to_bytes(1, "little")
    return pickle.LONG_BINGET + number.to_bytes(4, "little")
