"""What LOTDB uses of ZODB beyond its public names.

Some of it is for speed: where it is not there, ZODB's own way is taken. The rest is what the promises about
commits and files stand on, and there is no public way to the same: a storage that cannot keep them is not
opened. Nothing here depends on a release number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import zodbpickle.pickle
from ZODB import POSException
from ZODB.Connection import Connection, TmpStore
from ZODB.FileStorage import FileStorage
from ZODB.serialize import ObjectReader

from lotdb.errors import PluginError

__all__ = [
    "ATTRIBUTES",
    "FILESTORAGE_MAGIC",
    "NEEDED",
    "StateLoadError",
    "Unpickler",
    "check_release",
    "reads_ahead",
    "release",
    "unpickler",
]

#: The first bytes of a data file.
FILESTORAGE_MAGIC = b"FS30"

#: Methods that LOTDB overrides or calls, of the classes that it makes its own ones of.
NEEDED: dict[type, tuple[str, ...]] = {
    FileStorage: (
        "_abort",
        "_begin",
        "_blob_init",
        "_blob_storeblob",
        "_blob_tpc_abort",
        "_blob_tpc_finish",
        "_clear_index",
        "_clear_temp",
        "_finish_finish",
        "_initIndex",
        "_is_read_only",
        "_metadata_size",
        "_newIndexes",
        "_read_data_header",
        "_read_txn_header",
        "_remove_blob_files_tagged_for_removal_during_pack",
        "_restore_index",
        "_save_index",
        "_saved",
        "_transaction",
        "_tstatus",
    ),
    Connection: ("_abort", "_abort_savepoint", "_add", "_register", "_resetCache", "savepoint"),
    TmpStore: ("close", "load", "reset", "store", "storeBlob"),
}

#: Attributes of a storage, which come into being when it is opened, or in a transaction.
ATTRIBUTES = (
    "_commit_lock",
    "_commit_lock_acquire",
    "_commit_lock_release",
    "_file",
    "_file_name",
    "_files",
    "_index",
    "_lock",
    "_lock_file",
    "_ltid",
    "_nextpos",
    "_oid",
    "_pos",
    "_resolved",
    "_start",
    "_tfile",
    "_tfmt",
    "_thl",
    "_tid",
    "_tindex",
    "_ude",
    "_used_index",
)


class _NeverRaised(Exception):
    pass


#: What ZODB makes of an error met while it loads a record; before 6.4 it lets that one through.
StateLoadError: type[Exception] = getattr(POSException, "StateLoadError", _NeverRaised)

#: What reading records ahead stands on; without it, ZODB reads them.
_READER = ("_get_class", "_get_unpickler", "_persistent_load")


def check_release() -> None:
    """Raise ``PluginError`` if the ZODB that is installed lacks a method of :data:`NEEDED`."""
    for cls, names in NEEDED.items():
        for name in names:
            if not hasattr(cls, name):
                raise _lacking(f"{cls.__name__}.{name}")


def release() -> str:
    """The version of the ZODB that is installed, for messages."""
    from importlib.metadata import version  # takes longer to import than opening a database takes

    return version("ZODB")


def _lacking(what: str) -> PluginError:
    return PluginError(
        f"ZODB {release()} has no {what}, which LOTDB's commits need; nothing was opened: install a"
        " release of ZODB that has it, such as 6.4, or a newer LOTDB"
    )


def reads_ahead() -> bool:
    """Whether records can be unpickled from a file that is looked ahead into."""
    return all(hasattr(ObjectReader, name) for name in _READER)


class Unpickler(zodbpickle.pickle.Unpickler):
    """Unpickles what ZODB has pickled; ``find_class`` and ``persistent_load`` may be set on it."""


def unpickler(file: Any, find_class: Callable[[str, str], Any], persistent_load: Callable[[Any], Any]) -> Any:
    """An unpickler that asks *find_class* for what a pickle names, and *persistent_load* for references."""
    made = Unpickler(file)
    made.find_class = find_class
    made.persistent_load = persistent_load
    return made
