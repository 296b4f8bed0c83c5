"""The commits of a database, from ZODB's storage, as what a storage of another kind takes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from ZODB.serialize import referencesf
from ZODB.utils import p64, u64, z64

from lotdb.errors import DamagedError
from lotdb.storage.sealing import is_intact, unsealed

__all__ = ["Commit", "Record", "all_commits", "newest"]


class Record(NamedTuple):
    """A revision of an object, that of the transaction *tid* in the source.

    *data* is None where the creation of the object was undone.
    """

    oid: bytes
    tid: bytes
    data: bytes | None


class Commit(NamedTuple):
    """A commit: its id, status, texts, and records one after another."""

    tid: bytes
    status: str
    user: bytes
    description: bytes
    records: Iterator[Record]


def all_commits(storage: Any, last: bytes) -> Iterator[Commit]:
    """The commits up to *last*, the oldest first; *storage* is one of ZODB. Nothing in them is unpickled."""
    with contextlib.ExitStack() as stack:
        transactions = storage.iterator(None, last)
        if hasattr(transactions, "close"):
            stack.callback(transactions.close)
        for each in transactions:
            status = each.status if isinstance(each.status, str) else each.status.decode("ascii")
            records = _records(each, storage.getName())
            yield Commit(each.tid, status, _bytes(each.user), _bytes(each.description), records)


def _records(transaction: Any, where: str) -> Iterator[Record]:
    for each in transaction:
        data = None if each.data is None else _checked(bytes(each.data), each.oid, where)
        yield Record(each.oid, each.tid, data)


def newest(storage: Any, last: bytes) -> Iterator[Commit]:
    """The state after the commit *last*, as one commit."""
    yield Commit(last, " ", b"", b"", _reachable(storage, p64(u64(last) + 1)))


def _reachable(storage: Any, before: bytes) -> Iterator[Record]:
    seen, stack = {z64}, [z64]
    while stack:
        oid = stack.pop()
        found = storage.loadBefore(oid, before)
        if found is None:
            raise DamagedError(f"{storage.getName()}: object 0x{u64(oid):02x} is missing")
        data = _checked(bytes(found[0]), oid, storage.getName())
        yield Record(oid, found[1], data)
        for each in referencesf(data):
            if each not in seen:
                seen.add(each)
                stack.append(each)


def _checked(data: bytes, oid: bytes, where: str) -> bytes:
    """The record *data* without its checksums, once they were found right."""
    if not is_intact(data):
        raise DamagedError(f"{where}: object 0x{u64(oid):02x} is not as it was stored")
    return unsealed(data)


def _bytes(text: Any) -> bytes:
    return text if isinstance(text, bytes) else str(text).encode()
