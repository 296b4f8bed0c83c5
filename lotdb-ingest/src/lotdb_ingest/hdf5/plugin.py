"""HDF5: files of any program in, and subtrees out and in."""

from __future__ import annotations

from lotdb import BaseNode, IngestedNode, IngestedTree, SourceFile, TargetFile
from lotdb.hookspecs import hookimpl

# HDF5 File Format Specification, section II.A: it may stand behind a block of the user, at 512, 1024, ...
MAGIC = b"\x89HDF\r\n\x1a\n"
NAMES = ("h5", "hdf5", "hdf", "he5")


@hookimpl
def lotdb_identify_file(source: SourceFile) -> str | None:
    """``"h5"`` for a file that begins as such do."""
    head = source.head
    return "h5" if MAGIC in head and any(head.startswith(MAGIC, at) for at in (0, 512, 1024, 2048)) else None


@hookimpl
def lotdb_ingest_file(source: SourceFile) -> IngestedNode | None:
    """The groups of a file as nodes, and its datasets as payloads, which are read in blocks."""
    if source.format not in NAMES:
        return None
    source.check_options()
    from lotdb_ingest.hdf5.read import read

    return read(source)


@hookimpl
def lotdb_get_ingest_formats() -> list[str]:
    """The formats that :func:`lotdb_ingest_file` reads."""
    return [*NAMES]


@hookimpl
def lotdb_ingest_tree(source: SourceFile) -> IngestedTree | None:
    """The subtree that was exported to the file."""
    if lotdb_identify_file(source) is None:
        return None
    from lotdb_ingest.hdf5.trees import read_tree

    return read_tree(source)


@hookimpl
def lotdb_export_node(target: TargetFile, node: BaseNode) -> bool | None:
    """Write a subtree: groups for nodes, datasets for payloads, and the index that brings all back."""
    if target.format not in NAMES:
        return None
    target.check_options("progress")
    from lotdb_ingest.hdf5.trees import write_tree

    write_tree(target, node)
    return True
