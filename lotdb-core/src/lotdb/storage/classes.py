"""The classes that a stored record may name, and the check that it names no other.

Unpickling calls what the pickle names. A database that came from somebody else must not be able to name
anything that does harm, so there is a list, and what is not on it is not even imported.
"""

from __future__ import annotations

import importlib
from io import BytesIO
from typing import Any

from ZODB.ConflictResolution import PersistentReferenceFactory
from ZODB.POSException import POSError

from lotdb.errors import UnsafeRecordError
from lotdb.storage import compat

__all__ = ["ALLOWED", "check_record", "class_factory", "find_class"]

#: Attribute values are encoded as plain data before they are stored, so records name nothing but containers.
ALLOWED = frozenset(
    {
        ("ZODB.blob", "Blob"),
        ("lotdb.records", "Box"),
        ("lotdb.records", "Bucket"),
        ("lotdb.records", "Children"),
        ("lotdb.records", "Guard"),
        ("lotdb.records", "Rows"),
        ("persistent.mapping", "PersistentMapping"),
    }
)

_loaded: dict[tuple[str, str], Any] = {}


class _UnsafeRecordError(UnsafeRecordError, POSError):
    """ZODB wraps every error met while it loads a state, except its own kind."""


def class_factory(connection: object, module: str, name: str) -> Any:
    """The class that a record means by *module* and *name*; ``ZODB.DB`` calls this for each one it meets.

    Parameters
    ----------
    connection : object
        The connection that loads the record; not used.
    module, name : str
        As they stand in the record.

    Raises
    ------
    UnsafeRecordError
        The class is not one that LOTDB stores.
    """
    return find_class(module, name)


def find_class(module: str, name: str) -> Any:
    """The same, for unpicklers.

    Raises
    ------
    UnsafeRecordError
        The class is not one that LOTDB stores.
    """
    return _loaded.get((module, name)) or _load(module, name)


def _load(module: str, name: str) -> Any:
    if (module, name) not in ALLOWED:
        raise _UnsafeRecordError(
            f"a stored record names {module}.{name}, which is none of the classes that LOTDB stores; it was"
            " not loaded: the database is damaged, or was not written by LOTDB alone"
        )
    return _loaded.setdefault((module, name), getattr(importlib.import_module(module), name))


def check_record(data: bytes) -> None:
    """Raise unless all that unpickling the record *data* would call is on the list.

    It is unpickled to find out, with the very unpickler and the stand-ins for references that conflict
    resolution uses: a separate parser could be made to see another record than the unpickler does.

    Raises
    ------
    UnsafeRecordError
        It names a class that is not on the list.
    """
    references = PersistentReferenceFactory()
    unpickler = compat.unpickler(BytesIO(data), find_class, references.persistent_load)
    kind = unpickler.load()
    if isinstance(kind, tuple) and isinstance(kind[0], tuple):  # a class by name instead of by reference
        find_class(*kind[0])
    unpickler.load()
