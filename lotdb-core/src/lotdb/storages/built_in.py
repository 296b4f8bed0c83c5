"""The storages that come with LOTDB, as a plugin."""

from __future__ import annotations

from lotdb.hookspecs import hookimpl
from lotdb.interfaces.storage import Storage

__all__ = ["lotdb_get_storage"]


@hookimpl
def lotdb_get_storage(name: str) -> type[Storage] | None:
    """The class of the storage called *name*."""
    if name == "file":
        from lotdb.storages.one_file import FileStorageKind

        return FileStorageKind
    if name == "sqlite":
        from lotdb.storages.sqlite import SqliteStorage

        return SqliteStorage
    if name == "postgresql":
        from lotdb.storages.postgresql.server import PostgresqlStorage

        return PostgresqlStorage
    return None
