"""Packing, and reading every record there is, on whatever storage a database has."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from lotdb.errors import DamagedError
from lotdb.storage.filestorage import SafeFileStorage

__all__ = ["damaged_headers", "may_get_root", "pack_database", "raw_records"]


def pack_database(db: Any, *, oldest_tid: bytes | None = None) -> None:
    """Drop the revisions and objects of *db* that nobody can see any more.

    Parameters
    ----------
    db : ZODB.DB
        The database.
    oldest_tid : bytes, optional
        The last transaction that the oldest open snapshot sees: what that snapshot reads is kept. Without it,
        whatever is not current goes.

    Raises
    ------
    DatabaseBusyError
        The database is open for reading only somewhere.
    DamagedError
        A record cannot be read. Nothing was changed.
    """
    storage = db.storage
    if isinstance(storage, SafeFileStorage):
        storage.pack_before(oldest_tid, db.references)
    else:  # the server of another storage knows its own clock and its own readers
        storage.pack(time.time(), db.references)


def damaged_headers(storage: Any) -> str | None:
    """What is wrong with the first transaction in the data file that is not as it was written, or None."""
    if isinstance(storage, SafeFileStorage):
        try:
            storage.check_headers()
        except DamagedError as error:
            return str(error)
    return None


def may_get_root(storage: Any) -> bool:
    """Whether *storage* is so new that a root without anything in it is right.

    ZODB makes an empty root in a transaction of its own, the first one; what comes next fills it.
    """
    return not isinstance(storage, SafeFileStorage) or storage.transactions <= 1


def raw_records(storage: Any) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Object id, transaction id and bytes of every record of every revision in *storage*.

    Nothing is unpickled. The bytes may end in a checksum that unpickling ignores.

    Raises
    ------
    DamagedError
        A record is not as it was stored.
    """
    if isinstance(storage, SafeFileStorage):
        return storage.checked_records()
    return _iterated_records(storage)


def _iterated_records(storage: Any) -> Iterator[tuple[bytes, bytes, bytes]]:
    with contextlib.ExitStack() as stack:
        transactions = storage.iterator()
        if hasattr(transactions, "close"):
            stack.callback(transactions.close)
        for transaction in transactions:
            for record in transaction:
                if record.data is not None:  # None: the creation of the object was undone
                    yield record.oid, record.tid, record.data
