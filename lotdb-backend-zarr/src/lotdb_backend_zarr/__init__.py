"""LOTDB payloads in a zarr v3 store, and nodes as one."""

from typing import Any

__all__ = ["NodeStore"]


def __getattr__(name: str) -> Any:
    # zarr takes long to import, and the plugin is asked for without it.
    if name == "NodeStore":
        from lotdb_backend_zarr.node_store import NodeStore

        return NodeStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
