"""The data file as it was at one moment, for a copy of it: where it ends, and what its transactions name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

from ZODB.blob import is_blob_record
from ZODB.utils import oid_repr

from lotdb.errors import DamagedError, system_errors
from lotdb.storage.filestorage import SafeFileStorage
from lotdb.storage.following import identity
from lotdb.storage.parts import open_part
from lotdb.storage.sealing import belongs, is_intact
from lotdb.storage.transactions import DataFile, NotWholeError, time_of
from lotdb.storage.watermark import End

__all__ = ["Committed", "Record", "committed", "records_from"]


class Record(NamedTuple):
    """A record of one revision; ``data`` are empty if the creation of the object was undone."""

    oid: bytes
    tid: bytes
    data: bytes
    is_blob: bool


class Committed:
    """The data file of *storage* up to its last commit; it stays as it is, though a pack replaces the file.

    Attributes
    ----------
    descriptor : int
        Of the file, for reading at places.
    base : int
        What stands at its beginning is that at the beginning of the data file.
    end : End
        Where it ends.
    file : DataFile
        Its transactions.
    """

    base = 0

    def __init__(self, storage: SafeFileStorage, descriptor: int, end: End) -> None:
        self._storage = storage
        self.descriptor = descriptor
        self.end = end
        self.file = DataFile(descriptor, end.size)

    @property
    def is_replaced(self) -> bool:
        """Whether a pack has put another file in its place."""
        own = os.fstat(self.descriptor)
        return identity(self._storage._file_name) != (own.st_dev, own.st_ino)


@contextlib.contextmanager
def committed(storage: SafeFileStorage) -> Iterator[Committed]:
    """The data file of *storage*, at its last commit. Commits and packs go on meanwhile."""
    # A reader exchanges the file under the first lock, a writer under the second.
    with storage._following, storage._lock:
        storage._refuse_when_closed()
        with system_errors("the data file cannot be read", storage._file_name):
            known = getattr(storage._files, "descriptor", None)
            descriptor = open_part(storage._file_name) if known is None else os.dup(known.number)
        end = storage._end
    try:
        yield Committed(storage, descriptor, end)
    finally:
        os.close(descriptor)


def records_from(path: str, file: DataFile, start: int) -> Iterator[tuple[bytes, bool, list[Record]]]:
    """Of each transaction from *start* on its id, whether a pack wrote it, and its records, each checked.

    Raises
    ------
    DamagedError
        A transaction or a record is not as it was written; the message begins with *path*.
    """
    last = bytes(8)
    try:
        for transaction in file.transactions(start):
            if transaction.tid <= last:
                raise NotWholeError(transaction.position, "a transaction is older than the one before it")
            last = tid = transaction.tid
            records = []
            for oid, at, length in transaction.records:
                data = file.data(at) if length else b""
                if length and not (is_intact(data) and belongs(data, oid, tid)):
                    raise DamagedError(
                        f"{path}: object {oid_repr(oid)}, stored after {time_of(last)}: its bytes are not the"
                        " ones that were stored"
                    )
                # The creation of what has no data was undone; a blob's file may be there all the same.
                is_blob = not length or (b"ZODB.blob" in data[:40] and is_blob_record(data))
                records.append(Record(oid, tid, data, is_blob))
            yield tid, file.status(transaction.position) == b"p", records
    except NotWholeError as error:
        raise DamagedError(f"{path}: {error}; it comes after {time_of(last)}") from error
