"""FileStorage's own ways to unpickle whatever a database contains, closed.

``ZODB.DB``'s class factory guards the loading of objects. FileStorage also unpickles the extensions of
transactions when it is asked for its history, and both sides of a conflict. Its index is one of our own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Set
from typing import Any, NoReturn

from ZODB.FileStorage import FileStorage
from ZODB.POSException import ConflictError

from lotdb.errors import UnsafeRecordError
from lotdb.storage.classes import check_record

__all__ = ["RestrictedLoading", "check_merge", "refuse_unmerged", "unmerged"]


_unmerged = threading.local()


class RestrictedLoading(FileStorage):
    """A FileStorage that calls nothing that its files name, but the few listed classes."""

    def tryToResolveConflict(
        self,
        oid: bytes,
        committedSerial: bytes,
        oldSerial: bytes,
        newpickle: bytes,
        committedData: bytes = b"",
    ) -> bytes:
        """The merged record, if all three revisions name nothing but listed classes.

        ZODB imports what a record names and calls it. So the same bytes are first unpickled with the list.
        """
        serials = committedSerial, oldSerial
        refuse_unmerged(oid, serials)
        revisions = [
            self.loadSerial(oid, oldSerial),
            committedData or self.loadSerial(oid, committedSerial),
            newpickle,
        ]
        check_merge(oid, revisions, serials)
        merged: bytes = super().tryToResolveConflict(
            oid, committedSerial, oldSerial, newpickle, committedData
        )
        return merged

    def undoLog(self, first: int = 0, last: int = -20, filter: Any = None) -> NoReturn:
        """Refused: its entries are made of unpickled transaction extensions."""
        _refuse("undoLog")

    def undoInfo(self, first: int = 0, last: int = -20, specification: Any = None) -> NoReturn:
        """Refused: its entries are made of unpickled transaction extensions."""
        _refuse("undoInfo")

    def history(self, oid: bytes, size: int = 1, filter: Any = None) -> NoReturn:
        """Refused: its entries are made of unpickled transaction extensions."""
        _refuse("history")


def check_merge(oid: bytes, revisions: Iterable[bytes], serials: tuple[bytes, ...] | None = None) -> None:
    """Raise unless a conflict about *oid* may be resolved by ZODB from *revisions*.

    Raises
    ------
    ConflictError
        :func:`unmerged` says so, or a revision cannot be read.
    UnsafeRecordError
        A revision names a class that is not on the list.
    """
    refuse_unmerged(oid, serials)
    try:
        for revision in revisions:
            check_record(revision)
    except UnsafeRecordError:
        raise
    except Exception as error:
        # What cannot be read to its end was not checked to its end, so ZODB must not see it.
        raise ConflictError(oid=oid, serials=serials) from error


def refuse_unmerged(oid: bytes, serials: tuple[bytes, ...] | None = None) -> None:
    """Raise ``ConflictError`` if the transaction that this thread commits depends on *oid*."""
    if oid in getattr(_unmerged, "oids", ()):
        raise ConflictError(oid=oid, serials=serials)


class unmerged:
    """While this thread commits, let a conflict about one of *oids* be one, whatever could be merged.

    ZODB forgets that a transaction depends on a record if it changes that record as well.
    """

    __slots__ = ("_before", "_oids")

    def __init__(self, oids: Set[bytes]) -> None:
        self._oids = oids
        self._before: Set[bytes] = frozenset()

    def __enter__(self) -> None:
        self._before = getattr(_unmerged, "oids", self._before)
        _unmerged.oids = self._oids

    def __exit__(self, *exc_info: object) -> None:
        _unmerged.oids = self._before


def _refuse(what: str) -> NoReturn:
    raise UnsafeRecordError(
        f"{what}() unpickles whatever a transaction's extension contains; LOTDB does not offer it"
    )
