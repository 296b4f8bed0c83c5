"""The door through which LOTDB writes subtrees as zarr stores, and takes zarr stores in."""

from __future__ import annotations

from pathlib import Path

from lotdb import BaseNode, IngestedNode, IngestedTree, TargetFile
from lotdb.hookspecs import hookimpl

MARKS = ("zarr.json", ".zgroup", ".zarray")


@hookimpl
def lotdb_export_node(target: TargetFile, node: BaseNode) -> bool | None:
    """Write a subtree as a zarr v3 store, with the index that brings all back."""
    if target.format != "zarr":
        return None
    target.check_options("progress")
    from lotdb_backend_zarr.tree_out import write_tree

    write_tree(target, node)
    return True


@hookimpl
def lotdb_ingest_folder(folder: Path) -> IngestedTree | IngestedNode | None:
    """The subtree that was exported to a store, or the groups and arrays of one of another program."""
    if not any((folder / name).is_file() for name in MARKS):
        return None
    from lotdb_backend_zarr.tree_in import check_plain, read_tree
    from lotdb_backend_zarr.tree_of_others import read_others

    check_plain(folder)
    return read_tree(folder) or read_others(folder)
