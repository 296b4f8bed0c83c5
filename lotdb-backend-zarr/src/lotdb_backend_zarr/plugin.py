"""The door through which LOTDB finds this backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lotdb.hookspecs import hookimpl
from lotdb_backend_zarr.settings import SETTINGS

if TYPE_CHECKING:
    from lotdb import Backend

@hookimpl
def lotdb_get_backend(name: str) -> type[Backend] | None:
    if name != "zarr":
        return None
    from lotdb_backend_zarr.backend import ZarrBackend

    return ZarrBackend


@hookimpl
def lotdb_get_backend_settings(name: str) -> tuple[str, ...] | None:
    return SETTINGS if name == "zarr" else None
