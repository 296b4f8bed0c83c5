"""The ZODB database over a storage, with the doors shut that would load foreign code."""

from __future__ import annotations

from typing import Any, NoReturn

import ZODB
from ZODB.Connection import Connection
from ZODB.POSException import POSKeyError
from ZODB.POSException import ReadOnlyError as ZODBReadOnlyError

from lotdb.errors import DamagedError, DatabaseNotFoundError, ReadOnlyError, UnsafeRecordError
from lotdb.storage.classes import class_factory

__all__ = ["open_database"]

_CACHE_OBJECTS = 20_000
_CACHE_BYTES = 16 << 20
# ZODB warns of records from 16 MiB and of more than seven open connections. Neither is a mistake here.
_LARGE_RECORD = 1 << 30
_CONNECTIONS = 100


class _Connection(Connection):
    def setstate(self, obj: Any) -> None:
        """Load the state of *obj*; a record or a blob file that is gone is damage, and no ``KeyError``."""
        try:
            super().setstate(obj)
        except POSKeyError as error:
            raise DamagedError(f"{self._db.storage.getName()}: a part is missing: {error}") from error

    def importFile(self, f: Any, clue: str = "", customImporters: Any = None) -> NoReturn:
        """Refused: importing an export file unpickles it without a class factory."""
        raise UnsafeRecordError("importFile() runs what a ZODB export file names; LOTDB does not offer it")


class _Database(ZODB.DB):
    klass = _Connection


def open_database(storage: Any) -> ZODB.DB:
    """A ``ZODB.DB`` over *storage* that loads LOTDB's own classes only.

    Parameters
    ----------
    storage : ZODB.interfaces.IStorage
        Such as ``open_storage`` gives. The database owns it: closing one closes the other, and so does an
        error raised from here.

    Raises
    ------
    UnsafeRecordError
        The root object is of a class that is not on the list.
    DatabaseNotFoundError
        *storage* can only be read, and has nothing in it yet.
    """
    try:
        return _Database(
            storage,
            pool_size=_CONNECTIONS,
            cache_size=_CACHE_OBJECTS,
            cache_size_bytes=_CACHE_BYTES,
            historical_cache_size=_CACHE_OBJECTS,
            historical_cache_size_bytes=_CACHE_BYTES,
            xrefs=False,
            large_record_size=_LARGE_RECORD,
            class_factory=class_factory,
        )
    except (ReadOnlyError, ZODBReadOnlyError) as error:  # ZODB wanted to add the root object
        storage.close()
        raise DatabaseNotFoundError(
            f"{storage.getName()} is empty: its creation was interrupted; open it once without read_only=True"
        ) from error
    except BaseException:
        storage.close()
        raise
