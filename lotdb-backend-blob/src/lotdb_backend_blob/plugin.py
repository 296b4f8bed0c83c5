"""The hook by which LOTDB finds this backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lotdb.hookspecs import hookimpl
from lotdb_backend_blob.settings import SETTINGS

if TYPE_CHECKING:
    from lotdb import Backend


@hookimpl
def lotdb_get_backend(name: str) -> type[Backend] | None:
    if name != "blob":
        return None
    from lotdb_backend_blob.backend import BlobBackend

    return BlobBackend


@hookimpl
def lotdb_get_backend_settings(name: str) -> tuple[str, ...] | None:
    return SETTINGS if name == "blob" else None
