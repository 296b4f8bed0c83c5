"""A subtree as a folder of files with an index: ``.npy`` for arrays and tables, ``.txt``, ``.bin``."""

from __future__ import annotations

import hashlib
import math
import os
import re
import struct
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from lotdb.content.new_folder import new_folder
from lotdb.content.payload import Payload
from lotdb.errors import ExportError, FileSystemError, IngestError, lacking, shown
from lotdb.files.tree_index import BLOCK_BYTES, IngestedTree, Progress, TreeIndex
from lotdb.interfaces.options import check_choice
from lotdb.interfaces.sources import open_regular
from lotdb.storage.folder import check_path
from lotdb.tree.node import Node

__all__ = ["INDEX", "is_folder", "read_folder", "write_folder"]

INDEX = "index.json"
_SUFFIXES = {"text": ".txt", "bytes": ".bin"}
# The index ends with its own checksum: a cut one is known.
_SUM = b"\nsha256 "


def is_folder(path: Any, format: Any) -> bool:
    """Whether an export to *path* is one to a folder."""
    if format is not None:
        return isinstance(format, str) and format == "folder"
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else ""
    return isinstance(text, str) and bool(text) and "\0" not in text and not Path(text).suffix


def write_folder(
    node: Node,
    path: str | os.PathLike[str],
    *,
    if_exists: Literal["error", "replace"] = "error",
    progress: Progress | None = None,
) -> None:
    """Write *node* as a new folder, which appears when it is complete.

    Raises
    ------
    FileSystemError
        If there is no space, or there are too many open files.
    ExportError
        If it exists, or cannot be written.
    """
    path = check_path(path, what="a folder")
    check_choice("if_exists", if_exists, ("error", "replace"))
    try:
        with new_folder(Path(os.path.realpath(path)), if_exists, _is_ours) as folder:
            _fill(node, folder, progress)
    except (ExportError, OSError) as error:
        if isinstance(error, FileSystemError):
            raise
        if failure := lacking(error):
            about = f"cannot export {node._place()}: {failure.strerror}"
            raise FileSystemError(failure.errno, about, os.fspath(path)) from error
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise ExportError(f"cannot export {node._place()} to {os.fspath(path)!r}: {reason}") from error


def _is_ours(folder: Path) -> bool:
    """Whether *folder* holds an export and nothing else."""
    if not (folder / INDEX).is_file() or {each.name for each in folder.iterdir()} - {INDEX, "payloads"}:
        return False
    TreeIndex.from_bytes(_without_sum((folder / INDEX).read_bytes(), ExportError))
    return True


def _fill(node: Node, folder: Path, progress: Progress | None) -> None:
    number = 0
    os.mkdir(folder / "payloads")

    def place(path: tuple[str, ...], payload: Payload, rows: Iterator[np.ndarray[Any, Any]]) -> Any:
        nonlocal number
        number += 1
        known = "_".join((*path[-1:], payload.name))
        known = re.sub(r"[^A-Za-z0-9_-]+", "_", known)[:60]
        name = f"payloads/{number:06}_{known}{_SUFFIXES.get(payload.kind, '.npy')}"
        digest, size = hashlib.sha256(), 0
        with open(folder / name, "xb") as file:
            head = b"" if payload.kind in _SUFFIXES else _npy_head(payload)
            for data in chain([head], (np.ascontiguousarray(block).tobytes() for block in rows)):
                file.write(data)
                digest.update(data)
                size += len(data)
        return {"file": name, "bytes": size, "sha256": digest.hexdigest()}

    text = TreeIndex.of(node, place, progress).to_bytes()
    with open(folder / INDEX, "xb") as file:
        file.write(text + _SUM + hashlib.sha256(text).hexdigest().encode() + b"\n")


def _npy_head(payload: Payload) -> bytes:
    """The head of an ``.npy`` file of version 3.0 (numpy.lib.format), whose field names are UTF-8."""
    record = payload._record
    about = {
        "descr": np.lib.format.dtype_to_descr(record.layout.dtype),
        "fortran_order": False,
        "shape": tuple(record.shape),
    }
    text = repr(about).encode("utf-8", "backslashreplace")
    text += b" " * (-(len(text) + 13) % 64) + b"\n"
    return np.lib.format.magic(3, 0) + struct.pack("<I", len(text)) + text


# -- and back -------------------------------------------------------------------------------------


def read_folder(folder: Path) -> IngestedTree:
    """What was exported to *folder*."""
    try:
        file, _ = open_regular(folder / INDEX)
    except FileNotFoundError:
        raise IngestError("there is no index.json in it; ingest_tree takes in a folder of files") from None
    except IngestError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise IngestError(
                "there is no index.json in it; ingest_tree takes in a folder of other files"
            ) from error
        raise
    with file:
        text = file.read()
    index = TreeIndex.from_bytes(_without_sum(text, IngestError))

    def rows(where: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Iterator[np.ndarray[Any, Any]]:
        name = where["file"]
        if not re.fullmatch(r"payloads/[A-Za-z0-9_-]+\.(npy|txt|bin)", name):
            raise IngestError(f"its index names a file {shown(name)}, which is not one of an export")
        if (folder / "payloads").is_symlink() or (folder / name).is_symlink():
            raise IngestError(f"{name} is a link, or in one; an export has none")
        opened, about = open_regular(folder / name)
        with opened:
            yield from _read(opened, about.st_size, where, dtype, shape)

    return IngestedTree(index, rows)


def _read(
    file: IO[bytes], size: int, where: Any, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> Iterator[np.ndarray[Any, Any]]:
    row_bytes = dtype.itemsize * math.prod(shape[1:])
    nbytes = row_bytes * shape[0]
    if size != where["bytes"] or size < nbytes:
        raise IngestError(f"{where['file']} has {size} bytes, and had {where['bytes']}")
    head = file.read(size - nbytes)
    digest = hashlib.sha256(head)
    if row_bytes == 0:
        yield np.zeros(shape, dtype)
    step = max(1, BLOCK_BYTES // max(1, row_bytes))
    for first in range(0, shape[0] if row_bytes else 0, step):
        count = min(step, shape[0] - first)
        data = file.read(count * row_bytes)
        digest.update(data)
        if len(data) < count * row_bytes:
            raise IngestError(f"{where['file']} was cut while it was read")
        yield np.frombuffer(data, dtype).reshape(count, *shape[1:])
    if digest.hexdigest() != where["sha256"]:
        raise IngestError(f"{where['file']} is damaged: its SHA-256 is not that of the index")


def _without_sum(text: bytes, error: type[Exception]) -> bytes:
    """The index without its checksum, if that is right."""
    index, mark, digest = text.rpartition(_SUM)
    if not mark or hashlib.sha256(index).hexdigest().encode() != digest.rstrip(b"\n"):
        raise error("its index.json is damaged: its SHA-256 is not the one at its end")
    return index
