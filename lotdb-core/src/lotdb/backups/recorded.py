"""The records of any storage as a data file, so that each backup is a folder that opens."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from io import BytesIO
from pickletools import genops
from typing import Any

import zodbpickle.pickle
from ZODB.blob import is_blob_record
from ZODB.utils import oid_repr, p64, u64, z64

from lotdb.backups.named import Named
from lotdb.backups.new_files import copy_bytes
from lotdb.backups.target import Target
from lotdb.backups.writing import transaction_bytes
from lotdb.database.opened import Opened
from lotdb.errors import DamagedError
from lotdb.storage.classes import find_class
from lotdb.storage.committed import Record
from lotdb.storage.compat import FILESTORAGE_MAGIC, unpickler
from lotdb.storage.parts import open_plain
from lotdb.storage.recovery import Scan
from lotdb.storage.sealing import belongs, is_intact, unsealed
from lotdb.storage.transactions import time_of
from lotdb.storage.watermark import EMPTY, End

__all__ = ["Recorded", "recorded"]

# Under this name the root notes where payloads are, if they are not in the folder.
_PLACE = "payloads"


class Recorded:
    """What a database has that its copy does not have, as the end of a data file.

    Attributes
    ----------
    descriptor, base : int
        Of a file that holds what stands in the data file from position *base* on.
    end : End
        Where the data file then ends.
    named : Named
        The payloads that the new records name.
    commits, tree_bytes : int
        How many commits are new, and how many bytes they take.
    anew : bool
        Whether there is no copy yet.
    replaces : bool
        Whether the file is all of the data file: if there is none yet, and if a pack has gone through what is
        new. Then the states in between are not whole, and the copy must not be left in one of them.
    """

    is_replaced = False

    def __init__(self, start: End) -> None:
        self.descriptor = -1
        self._start = start
        self.end = start
        self.named, self.commits = Named(), 0
        self.anew = self.replaces = start == EMPTY

    @property
    def base(self) -> int:
        """Where in the data file what is in the file begins."""
        return 0 if self.replaces else self._start.size

    @property
    def tree_bytes(self) -> int:
        """How many bytes of the data file are new."""
        return self.end.size - (0 if self.anew else self._start.size)

    @property
    def nothing(self) -> bool:
        """Whether the copy has all."""
        return self.commits == 0


@contextlib.contextmanager
def recorded(database: Opened, target: Target, payloads: str) -> Iterator[Recorded]:
    """What *database* has and *target* does not, in a file of its own beside the copy.

    *payloads* is what the copy notes of the place for payloads; "" if they are in its folder.

    Raises
    ------
    DamagedError
        A record is not as it was stored.
    DatabaseExistsError
        The copy has commits that no backup wrote, or that are later than all of the database.
    """
    last = database._storage.last_commit()
    target.check_is_ours(last)
    start, index = _known(target)
    found = Recorded(start)
    with open_plain(target.new_data_file, "w+b") as file:
        if found.anew:
            file.write(FILESTORAGE_MAGIC)
        for commit in _commits(database, start.tid, last):
            tid, status, texts, records = commit
            written = transaction_bytes(
                tid,
                _noted(tid, records, found.named, payloads),
                found.end.size,
                index,
                status=status,
                texts=texts,
            )
            file.write(written)
            found.commits += 1
            found.end = End(found.end.size + len(written), tid, found.end.transactions + 1)
            found.replaces = found.replaces or status == b"p"
        file.flush()
        found.descriptor = file.fileno()
        if found.anew or not found.replaces:
            yield found
            return
        with (
            open_plain(target.new_data_file + ".whole", "w+b") as whole,
            open_plain(target.folder.data_file) as before,
        ):
            copy_bytes(before.fileno(), whole.fileno(), 0, 0, start.size)
            copy_bytes(file.fileno(), whole.fileno(), 0, start.size, found.end.size - start.size)
            found.descriptor = whole.fileno()
            yield found


_Commit = tuple[bytes, bytes, tuple[bytes, bytes], Iterator[tuple[bytes, bytes | None]]]


def _commits(database: Opened, after: bytes, last: bytes) -> Iterator[_Commit]:
    """Id, status, texts and records of each commit after *after*, up to *last*; nothing is unpickled."""
    storage = database._storage.opened
    with contextlib.ExitStack() as stack:
        transactions = storage.iterator(p64(u64(after) + 1), last)
        if hasattr(transactions, "close"):
            stack.callback(transactions.close)
        for each in transactions:
            status = each.status if isinstance(each.status, bytes) else each.status.encode("ascii")
            texts = _bytes(each.user), _bytes(each.description)
            yield each.tid, status, texts, _records(each, database._data_file)


def _records(transaction: Any, where: str) -> Iterator[tuple[bytes, bytes | None]]:
    for each in transaction:
        if each.data is None:  # the creation of the object was undone
            yield each.oid, None
            continue
        data = bytes(each.data)
        if not (is_intact(data) and belongs(data, each.oid, transaction.tid)):
            raise DamagedError(
                f"{where}: object {oid_repr(each.oid)}, stored {time_of(transaction.tid)}: its bytes are not"
                " the ones that were stored"
            )
        yield each.oid, unsealed(data)


def _bytes(text: Any) -> bytes:
    return text if isinstance(text, bytes) else str(text).encode()


def _known(target: Target) -> tuple[End, dict[bytes, int]]:
    """Where the copy ends, and where in it the last record of each object is."""
    if target.end is None:
        return EMPTY, {}
    path = target.folder.data_file
    with open_plain(path) as file:
        scan = Scan(path, file, (target.end,), read_only=True)
    return target.end, scan.index


def _noted(
    tid: bytes, records: Iterator[tuple[bytes, bytes | None]], named: Named, payloads: str
) -> Iterator[tuple[bytes, bytes | None]]:
    """The *records* as they are in the copy; what they name is noted."""
    for oid, data in records:
        if oid == z64 and data is not None:
            data = _with_place(data, payloads)
        content = data or b""
        is_blob = data is None or (b"ZODB.blob" in content[:40] and is_blob_record(content))
        named.add(Record(oid, tid, content, is_blob))
        yield oid, data


class _Reference:
    """Stands for an object that the root refers to."""

    def __init__(self, reference: Any) -> None:
        self.reference = reference


def _with_place(data: bytes, payloads: str) -> bytes:
    """The record *data* of the root with another place for payloads, or without one."""
    if _PLACE.encode() not in data:
        return data
    first = [position or 0 for _, _, position in genops(data)][-1] + 1
    reading = unpickler(BytesIO(data[first:]), find_class, _Reference)
    state = reading.load()
    content = state.get("data") if isinstance(state, dict) else None
    if not isinstance(content, dict) or _PLACE not in content:
        return data
    if payloads:
        content[_PLACE] = payloads
    else:
        del content[_PLACE]
    output = BytesIO()
    writing = zodbpickle.pickle.Pickler(output, 3)
    writing.persistent_id = lambda value: value.reference if type(value) is _Reference else None
    writing.dump(state)
    return data[:first] + output.getvalue()
