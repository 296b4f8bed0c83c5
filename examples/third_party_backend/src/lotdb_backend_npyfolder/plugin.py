"""The door through which LOTDB finds this backend."""

from lotdb import Backend, hookimpl


@hookimpl
def lotdb_get_backend(name: str) -> type[Backend] | None:
    if name != "npyfolder":
        return None
    from lotdb_backend_npyfolder.backend import NpyFolderBackend

    return NpyFolderBackend
