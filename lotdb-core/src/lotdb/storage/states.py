"""Records as plain data: their states without a connection, where one object stands for each other record."""

from __future__ import annotations

import pickle
from io import BufferedReader, BytesIO
from typing import Any

from persistent import Persistent

from lotdb.errors import DamagedError
from lotdb.storage import compat
from lotdb.storage.classes import find_class
from lotdb.storage.folding import unfolded

__all__ = ["States", "outline"]


class States:
    """Unpickles records, with the list of classes that may be named.

    What a record refers to is an object of the right class that has its id as ``_p_oid``, and nothing else.
    There is one for each id, so that the same reference is the same object whichever record it is in.
    """

    def __init__(self) -> None:
        self._objects: dict[bytes, Any] = {}

    def read(self, record: bytes) -> tuple[type, Any, list[Any]]:
        """The class of a *record*, its state, and the objects that it refers to.

        Raises
        ------
        UnsafeRecordError
            It names a class that is not on the list.
        DamagedError
            It makes no sense.
        """
        references: list[Any] = []

        def find(reference: Any) -> Any:
            if type(reference) is not tuple or len(reference) != 2 or type(reference[0]) is not bytes:
                raise DamagedError(f"a record has a reference that LOTDB does not make: {reference!r:.80}")
            oid, kind = reference
            found = self._objects.get(oid)
            if found is None:
                if not (isinstance(kind, type) and issubclass(kind, Persistent)):
                    raise DamagedError("a record refers to what is none")
                made: Any = kind
                found = self._objects[oid] = made.__new__(made)
                found._p_oid = oid
            references.append(found)
            return found

        unpickler = compat.unpickler(BytesIO(record), find_class, find)
        try:
            kind = unpickler.load()
            state = unpickler.load()
        except (LookupError, ValueError, TypeError, EOFError, AttributeError) as error:
            raise DamagedError(f"a record cannot be decoded: {type(error).__name__}: {error}") from error
        kind = kind[0] if type(kind) is tuple else kind
        return kind, unfolded(state) if getattr(kind, "is_folded", False) else state, references


class _Outline(pickle.Unpickler):
    """Python's unpickler, which takes half as long as ZODB's to look for references only."""

    oids: list[bytes]

    def find_class(self, module: str, name: str) -> Any:
        return name  # of which nothing can be made

    def persistent_load(self, reference: Any) -> Any:
        oid, _ = reference
        if type(reference) is not tuple or type(oid) is not bytes:
            raise TypeError("a reference of another kind than LOTDB's")
        self.oids.append(oid)
        return reference


def outline(record: bytes) -> tuple[Any, Any, list[bytes]] | None:
    """The name of the class of a *record*, its state, and the ids of the objects that it refers to.

    In the state, a reference is an id and the name of a class. None if LOTDB has not written it.
    """
    unpickler = _Outline(BufferedReader(BytesIO(record), len(record) or 1))
    unpickler.oids = []
    try:
        kind = unpickler.load()
        return kind, unpickler.load(), unpickler.oids
    except Exception:  # whatever it is, ZODB's own way says it
        return None
