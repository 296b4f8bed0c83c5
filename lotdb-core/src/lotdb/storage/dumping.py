"""Pickling a record by C code alone.

A pickler asks of every value whether it is a record of its own: 700 calls of Python in a small commit. They
take several times as long as the pickling. But records are the only values that have no form of their own in
a pickle, and only of such values a pickler asks how to reduce them. That question notes the record, and is
answered with a call that no state has. In the pickle, the code of each call is then replaced by that of a
reference.

Many records in a row are asked for once, as :class:`Several`: a column of them, or what is below a record of
many children. They are referred to in one go.

A text may hold the same bytes. Then there are more of them than records, and the record is pickled as ZODB
does it. The first byte of the code is in it only once, so no text can share a part of one with a call.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable
from functools import lru_cache
from io import BytesIO
from itertools import islice
from operator import attrgetter
from typing import Any

from persistent import Persistent

__all__ = ["Several", "dump_record"]

_PROTOCOL = 3  # as ZODB's
_START = pickle.PROTO + bytes([_PROTOCOL])
_OID_BYTES = 8
_OID = pickle.SHORT_BINBYTES + _OID_BYTES.to_bytes(1, "little")


def _stand_in() -> None:
    """What is called, by the pickle as it is at first, in place of each reference."""


# What a pickler has in its memo from the beginning: that, and room for the classes of what is referred to.
_CLASSES = 15
_MEMO = {
    id(each): (number, each) for number, each in enumerate([_stand_in, *(object() for _ in range(_CLASSES))])
}
_CALL: Any = _stand_in, ()
_CALL_CODE = pickle.BINGET + bytes(1) + pickle.EMPTY_TUPLE + pickle.REDUCE

# How many bytes have their number before them in four bytes: those whose pickle is written here.
_FEW_BYTES, _MANY_BYTES = 255, 1 << 32

# Classes of which objects are referred to by their id and class. ZODB finds out, and it does not change.
_referred: set[type] = set()


class Several:
    """Records, all of one class, in a tuple once they are pickled: with a text between each and the next.

    Without *texts* they stand one after the other.
    """

    __slots__ = ("records", "texts")

    def __init__(self, records: tuple[Persistent, ...], texts: tuple[str, ...] = ()) -> None:
        self.records, self.texts = records, texts

    def code(self, oids: list[bytes], end: bytes) -> bytes:
        """The code of the tuple, if the records have these *oids*, and each reference that *end*."""
        if not self.texts:
            return b"".join([pickle.MARK, _OID, (end + _OID).join(oids), end, pickle.TUPLE])
        texts = [*map(str.encode, self.texts)]
        before = {size: end + pickle.BINUNICODE + size.to_bytes(4, "little") for size in {*map(len, texts)}}
        parts = [_OID] * (4 * len(texts) + 2)
        parts[1::4] = oids
        parts[2::4] = [before[len(text)] for text in texts]
        parts[3::4] = texts
        return b"".join([pickle.MARK, *parts, end, pickle.TUPLE])


_jar_of, _oid_of = attrgetter("_p_jar"), attrgetter("_p_oid")

# Made once: it is asked for each record that is referred to.
_NOTED = Persistent, Several


class _UnknownError(Exception):
    """A value is neither plain, nor a container of plain ones, nor a record."""


class _Pickler(pickle.Pickler):
    """Pickles a state, and notes the records that it refers to."""

    def __init__(self, file: BytesIO) -> None:
        super().__init__(file, _PROTOCOL)
        self.memo = _MEMO
        self.found: list[Any] = []

    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, _NOTED):
            raise _UnknownError
        self.found.append(value)
        return _CALL


def dump_record(kind: Any, state: Any, refer: Callable[[Any], Any], jar: Any) -> bytes | None:
    """The record of an object of class *kind*; None if it has to be pickled as ZODB does it.

    *refer* gives the id and the class of a record, as ZODB does. It has nothing else to do for one that is in
    the connection *jar* already.
    """
    if not isinstance(kind, type):
        return None
    if type(state) is bytes and _FEW_BYTES < len(state) < _MANY_BYTES:
        # Rows of an array: a pickler copies them three times.
        size = len(state).to_bytes(4, "little")
        return b"".join([_head(kind), _START, pickle.BINBYTES, size, state, pickle.STOP])
    file = BytesIO()
    pickler = _Pickler(file)
    try:
        pickler.dump(state)
    except _UnknownError:
        return None
    content = file.getvalue()
    if not pickler.found:
        return _head(kind) + content
    parts = content.split(_CALL_CODE)
    if len(parts) != len(pickler.found) + 1:
        return None
    parts[0] = parts[0][len(_START) :]
    try:
        codes = _codes(pickler.found, refer, jar)
    except UnicodeEncodeError:  # half of a surrogate pair in a key
        return None
    if codes is None:
        return None
    classes, references = codes
    rest = [b""] * (2 * len(references) + 1)
    rest[::2], rest[1::2] = parts, references
    return b"".join([_head(kind), _START, *classes, *rest])


def _codes(found: list[Any], refer: Callable[[Any], Any], jar: Any) -> tuple[list[bytes], list[bytes]] | None:
    """The code that has the classes of all that was *found*, and what refers to each.

    None if ZODB refers to one of them otherwise. Children of a branch and pieces of an array are hundreds,
    and all but one are in the connection already: no function of Python is called for each of these.
    """
    records = found
    if Several in map(type, found):
        records = [each for some in found for each in (some.records if type(some) is Several else (some,))]
    kinds = [*dict.fromkeys(map(type, records))]
    oids = [*map(_oid_of, records)]
    jars = [*map(_jar_of, records)]
    if not _referred.issuperset(kinds):
        unknown: Iterable[int] = range(len(records))
    elif jars.count(jar) == len(jars) and None not in oids:
        unknown = ()
    else:
        unknown = [at for at, each in enumerate(jars) if each is not jar or oids[at] is None]
    for at in unknown:
        reference = refer(records[at])
        if type(reference) is not tuple or reference[1] is not type(records[at]):
            return None
        oids[at] = reference[0]
    if len(kinds) > _CLASSES or len(b"".join(oids)) != _OID_BYTES * len(oids):
        return None
    _referred.update(kinds)
    ends = {of: _end(number) for number, of in enumerate(kinds, 1)}
    each_oid = iter(oids)
    codes = [
        some.code([*islice(each_oid, len(some.records))], ends[type(some.records[0])])
        if type(some) is Several
        else b"%b%b%b" % (_OID, next(each_oid), ends[type(some)])
        for some in found
    ]
    return [_class_code(of, number) for number, of in enumerate(kinds, 1)], codes


@lru_cache(64)
def _end(number: int) -> bytes:
    """The end of a reference to a record of the class of that *number* in the memo."""
    return pickle.BINGET + bytes([number]) + pickle.TUPLE2 + pickle.BINPERSID


@lru_cache(64)
def _head(kind: Any) -> bytes:
    return pickle.dumps(kind, _PROTOCOL)


@lru_cache(64)
def _class_code(kind: Any, number: int) -> bytes:
    """Code that puts a class into the memo, and takes it from the stack."""
    name = f"c{kind.__module__}\n{kind.__qualname__}\n".encode()
    return name + pickle.BINPUT + bytes([number]) + pickle.POP
