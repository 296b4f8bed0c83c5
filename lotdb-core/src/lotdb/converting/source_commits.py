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


# The status of a transaction that a pack has gone through: no earlier moment is whole.
_PACKED = "p"


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
    """The state after the commit *last*, as a pack would leave it: the root by itself, and all that is below.

    A data file of one transaction is one whose commits were lost.
    """
    before = p64(u64(last) + 1)
    root = _load(storage, z64, before)
    tid = min(root.tid, p64(u64(last) - 1))
    yield Commit(tid, _PACKED, b"", b"", iter([root]))
    yield Commit(last, _PACKED, b"", b"", _below(storage, root, before))


def _below(storage: Any, root: Record, before: bytes) -> Iterator[Record]:
    seen, stack = {root.oid}, [root.oid]
    while stack:
        oid = stack.pop()
        found = root if oid == root.oid else _load(storage, oid, before)
        if found is not root:
            yield found
        new = [each for each in referencesf(found.data) if each not in seen]
        seen.update(new)
        stack += dict.fromkeys(new)


def _load(storage: Any, oid: bytes, before: bytes) -> Record:
    found = storage.loadBefore(oid, before)
    if found is None:
        raise DamagedError(f"{storage.getName()}: object 0x{u64(oid):02x} is missing")
    return Record(oid, found[1], _checked(bytes(found[0]), oid, storage.getName()))


def _checked(data: bytes, oid: bytes, where: str) -> bytes:
    """The record *data* without its checksums, once they were found right."""
    if not is_intact(data):
        raise DamagedError(f"{where}: object 0x{u64(oid):02x} is not as it was stored")
    return unsealed(data)


def _bytes(text: Any) -> bytes:
    return text if isinstance(text, bytes) else str(text).encode()
