"""Reading FileStorage's ``.index`` without trusting it.

The index says where each object's record is, and spares a scan of the data file. ZODB unpickles it freely,
and would run whatever somebody put there. What ZODB really writes into it is a position and pairs of bytes.
"""

from __future__ import annotations

import logging
import os
from typing import Any, BinaryIO, NoReturn

from BTrees.fsBTree import fsBucket
from ZODB._compat import PersistentUnpickler
from ZODB.fsIndex import fsIndex

from lotdb.errors import UnsafeRecordError

__all__ = ["read_index"]

_log = logging.getLogger(__name__)


def read_index(path: str) -> tuple[Any, int] | None:
    """The ``fsIndex`` in the file *path* and the position up to which it is right, or None.

    An index is a cache: None sends FileStorage to scan the data file and to write a new one.
    """
    if not os.path.isfile(path):
        return None
    try:
        with open(path, "rb") as file:
            return _parse(file)
    except OSError:  # says nothing about the index
        raise
    except Exception:  # a torn or hostile pickle can raise anything
        _log.warning("ignored %s, which is no index that ZODB wrote; the data file is scanned", path)
        return None


def _parse(file: BinaryIO) -> tuple[Any, int]:
    unpickler = PersistentUnpickler(_refuse, _refuse, file)
    position = unpickler.load()
    if type(position) is not int:
        raise TypeError("an index starts with a position")
    index = fsIndex()
    while (pair := unpickler.load()) is not None:
        prefix, bucket = pair
        if type(prefix) is not bytes or len(prefix) != 6:
            raise TypeError("an index is keyed by the first six bytes of object ids")
        index._data[prefix] = fsBucket().fromString(bucket)
    return index, position


def _refuse(*what: object) -> NoReturn:
    raise UnsafeRecordError(f"an index names nothing, but this one names {what}")
