"""The storage ``file``: one data file, which one process writes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from lotdb.errors import DamagedError
from lotdb.interfaces.storage import Storage
from lotdb.storage import SafeFileStorage, open_storage
from lotdb.storage.history import Stored
from lotdb.storage.waiting import wait_until

__all__ = ["FileStorageKind"]

# What FileStorage writes for each record, and for each transaction with our checksum, beside the contents.
_RECORD_BYTES, _TRANSACTION_BYTES, _START_BYTES = 42, 44, 4


class FileStorageKind(Storage):
    """A database in one data file, with a folder of blobs; see :mod:`lotdb.storage`."""

    name = "file"
    has_blobs = True
    keeps_pieces = True
    marks_folder = False  # as storage.prepare does

    _opened: SafeFileStorage

    def open(self) -> Any:
        """The data file, with all that belongs to it."""
        about = self.context
        return open_storage(
            about._folder, about.name, new=about.new, read_only=about.read_only, durability=about.durability
        )

    def may_create_root(self) -> bool:
        """Whether the data file has no more than the first transaction."""
        return self._opened.transactions <= 1

    def abandon(self) -> None:
        """Close the files as they are."""
        if self._opened is not None:
            self._opened.abandon()

    def follow(self) -> None:
        """See what the process that writes has committed, if opened read-only."""
        self._opened.follow()

    def hold(self, tid: bytes | None) -> None:
        """Lock the byte for *tid*, as readers do."""
        self._opened.hold(tid)

    def commits(self, last: bytes | None = None) -> Iterator[Stored]:
        """The commits, from the end of the data file on."""
        return self._opened.commits(last)

    def commit_until(self, tid: bytes) -> Stored:
        """The commit, found by halving the data file."""
        return self._opened.commit_until(tid)

    def announcing_pack(self) -> AbstractContextManager[None]:
        """A lock on the byte that stands for packs."""
        from lotdb.storage.snapshots import packing

        return packing(self._opened._file_name + ".readers")

    def has_moment(self, tid: bytes) -> bool:
        """Whether no pack has gone through a later transaction."""
        from lotdb.storage.snapshots import is_packing

        path = self._opened._file_name + ".readers"
        if is_packing(path):
            wait_until(lambda: not is_packing(path), f"a pack of {self._opened._file_name}")
        if self.context.read_only:
            self._opened.follow()  # to the file that a pack has put in place
        return super().has_moment(tid)

    #: A pack goes through all records, and sees it.
    _finds_rings = True

    def pack(self, keep: bytes, references: Callable[[bytes], list[bytes]]) -> None:
        """Write the data file anew, without what nobody can see."""
        self._opened.pack_before(keep, references)

    def records(self) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Each record, checked."""
        return self._opened.checked_records()

    def damage(self) -> Iterator[str]:
        """What is wrong with the first transaction in the data file that is not as it was written.

        If none is: with records that are read at earlier moments only.
        """
        try:
            self._opened.check_headers()
            yield from self._opened.damaged_earlier()
        except DamagedError as error:
            yield str(error)

    def blob_files(self) -> Iterable[tuple[bytes, bytes, str]]:
        """The files in the folder of blobs."""
        return self._opened.blob_files()

    def tree_bytes(self) -> int:
        """Size of the data file."""
        return os.path.getsize(os.path.join(self.context._folder, self.context.name))

    def packed_bytes(self, records: int, contents: int, transactions: int) -> int:
        """Size of a data file that holds these records only."""
        return _START_BYTES + _RECORD_BYTES * records + contents + _TRANSACTION_BYTES * transactions
