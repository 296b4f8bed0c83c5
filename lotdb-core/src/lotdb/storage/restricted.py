"""FileStorage's own ways to unpickle whatever a database contains, closed.

``ZODB.DB``'s class factory guards the loading of objects. FileStorage also unpickles the extensions of
transactions when it is asked for its history, and both sides of a conflict. Its index is one of our own.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Set
from typing import Any, NoReturn

from ZODB.FileStorage import FileStorage
from ZODB.POSException import ConflictError

from lotdb.errors import UnsafeRecordError
from lotdb.storage.classes import check_record

__all__ = ["RestrictedLoading", "unmerged"]


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
        if oid in getattr(_unmerged, "oids", ()):
            raise ConflictError(oid=oid, serials=(committedSerial, oldSerial))
        revisions = [
            self.loadSerial(oid, oldSerial),
            committedData or self.loadSerial(oid, committedSerial),
            newpickle,
        ]
        try:
            for revision in revisions:
                check_record(revision)
        except UnsafeRecordError:
            raise
        except Exception as error:
            # What cannot be read to its end was not checked to its end, so ZODB must not see it.
            raise ConflictError(oid=oid, serials=(committedSerial, oldSerial)) from error
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


@contextlib.contextmanager
def unmerged(oids: Set[bytes]) -> Iterator[None]:
    """While this thread commits, let a conflict about one of *oids* be one, whatever could be merged.

    ZODB forgets that a transaction depends on a record if it changes that record as well.
    """
    _unmerged.oids = oids
    try:
        yield
    finally:
        del _unmerged.oids


def _refuse(what: str) -> NoReturn:
    raise UnsafeRecordError(
        f"{what}() unpickles whatever a transaction's extension contains; LOTDB does not offer it"
    )
