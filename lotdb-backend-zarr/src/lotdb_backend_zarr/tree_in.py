"""A subtree that was exported as a zarr store, on its way back."""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lotdb import IngestedTree, IngestError, TreeIndex
from lotdb_backend_zarr.tree_arrays import INDEX, chunk_name, columns_of, read_chunk

__all__ = ["check_plain", "read_tree"]

BLOCK_BYTES = 4 << 20


def check_plain(folder: Path) -> None:
    """Raise ``IngestError`` for a link or a device in *folder*: only what is in it is read."""
    for top, folders, names in os.walk(folder, onerror=_not_left_out):
        for name in (*folders, *names):
            path = os.path.join(top, name)
            mode = os.lstat(path).st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                what = "a link" if stat.S_ISLNK(mode) else "no file"
                raise IngestError(f"{os.path.relpath(path, folder)} is {what}, which is not followed")


def _not_left_out(error: OSError) -> None:
    raise error  # os.walk would be silent about what it cannot list


def read_tree(folder: Path) -> IngestedTree | None:
    """What was exported to *folder*; None if it holds no index."""
    array = folder / INDEX
    if not (array / "zarr.json").is_file():
        return None
    try:
        nbytes = json.loads((array / "zarr.json").read_bytes())["attributes"]["bytes"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise IngestError(f"{INDEX}/zarr.json is damaged: {error}") from error
    if type(nbytes) is not int or nbytes < 1:
        raise IngestError(f"{INDEX}/zarr.json is damaged")
    parts = []
    for number in range(-(-nbytes // BLOCK_BYTES)):
        parts.append(read_chunk(folder, array / chunk_name(number, 1), min(nbytes, BLOCK_BYTES)))
    index = TreeIndex.from_bytes(b"".join(parts)[:nbytes])
    kinds = _kinds(index)

    def rows(where: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Iterator[np.ndarray[Any, Any]]:
        names, step = where["arrays"], where["chunk_rows"]
        kind, is_scalar = kinds[names[0]]
        columns = columns_of(kind, dtype)
        if len(names) != len(columns) or type(step) is not int or step < 1:
            raise IngestError("its index says wrongly where rows are")
        count = shape[0]
        for number, first in enumerate(range(0, count, step)):
            these = min(step, count - first)
            block = np.zeros((these, *shape[1:]), dtype)
            for name, column in zip(names, columns, strict=True):
                inner = (*shape[1:], *column.inner_shape)
                held = (min(step, count), *inner)
                if math.prod(held) == 0:
                    continue
                axes = len(inner) + (not is_scalar)
                path = folder / _checked(name) / chunk_name(number, axes)
                nbytes = math.prod(held) * column.stored.itemsize
                data = np.frombuffer(read_chunk(folder, path, nbytes), column.stored).reshape(held)
                column.from_stored(data[:these], block)
            yield block

    return IngestedTree(index, rows)


def _kinds(index: TreeIndex) -> dict[str, tuple[str, bool]]:
    """Of each payload by its first array: its kind, and whether it is a single value."""
    found = {}
    for node in index.nodes:
        for payload in node["payloads"]:
            found[payload["where"]["arrays"][0]] = payload["kind"], bool(payload["is_scalar"])
    return found


def _checked(name: Any) -> str:
    parts = name.split("/") if isinstance(name, str) else [""]
    if any(part in ("", ".", "..") or re.search(r"[\0\\]", part) for part in parts):
        raise IngestError(f"its index names an array {name!r}, which is not one of an export")
    return str(name)
