"""Opening ZODB storages safely: what the database needs, and no more.

::

    storage = open_storage("./data", "lotdb.fs", durability="full")
    db = open_database(storage)
    with uninterrupted():
        transaction.commit()
    storage.pack_before(None, db.references)
    db.close()
"""

from __future__ import annotations

from lotdb.storage.filestorage import SafeFileStorage
from lotdb.storage.folder import DatabaseFolder
from lotdb.storage.lock import patiently
from lotdb.storage.logs import silence
from lotdb.storage.opening import open_storage
from lotdb.storage.restricted import unmerged
from lotdb.storage.signals import uninterrupted
from lotdb.storage.zodb import open_database

silence()

__all__ = [
    "DatabaseFolder",
    "SafeFileStorage",
    "open_database",
    "open_storage",
    "patiently",
    "uninterrupted",
    "unmerged",
]
