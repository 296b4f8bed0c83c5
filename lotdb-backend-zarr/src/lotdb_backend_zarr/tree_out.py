"""A subtree as a zarr v3 store on the disk: what other programs read, and the index by which all comes back.

Each node is a group, and so is each table; each payload, or column of a table, is an array. The array
``lotdb-index`` of the root holds the index, as JSON. Attributes are there for other programs as well, as far
as JSON can say them.

Format: https://zarr-specs.readthedocs.io/en/latest/v3/core/
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from lotdb import BaseNode, NodeVariable, Payload, TargetFile, TreeIndex
from lotdb_backend_zarr.json_values import as_json
from lotdb_backend_zarr.node_store import CONSOLIDATED, data_type, zarr_name
from lotdb_backend_zarr.tree_arrays import INDEX, Column, chunk_name, columns_of, write_chunk, write_file

__all__ = ["write_tree"]

BLOCK_BYTES = 4 << 20
# File systems allow names of 255 bytes.
NAME_BYTES = 200
DOCUMENT = "zarr.json"


def write_tree(target: TargetFile, node: BaseNode) -> None:
    """Write *node* with all below it."""
    writer = _Writer(target.as_folder(is_export), node)
    index = TreeIndex.of(node, writer.place, target.options.get("progress"))
    writer.finish(index.to_bytes())


def is_export(folder: Path) -> bool:
    """Whether *folder* is a store that a subtree was exported to, and to which nothing was added."""
    try:
        about = json.loads((folder / INDEX / DOCUMENT).read_bytes())["attributes"]
        return bool(about["files"] == _files_in(folder))
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False


def _files_in(folder: Path) -> int:
    return sum(len(names) for _, _, names in os.walk(folder))


class _Writer:
    def __init__(self, folder: Path, node: BaseNode) -> None:
        self._folder = folder
        #: The documents below the root, for its own; None if there are too many.
        self._members: dict[str, Any] | None = {}
        self._datasets = node.datasets()
        self._nodes: dict[str, str] = {"": str(folder)}
        self._tables: dict[str, list[str]] = {}
        self._shown: tuple[str, dict[tuple[str, str | None], tuple[NodeVariable, list[str]]]] = ("/", {})
        self._top = len(str(folder)) + 1
        self._files = 0
        os.mkdir(folder / INDEX)  # which is the name's that it has
        start = len(node.path) + 1 if node.path else 0
        # Groups first: a payload gives way to a child of the same name.
        for each in node.iterate_tree():
            path = each.path[start:]
            if path:
                above, _, key = path.rpartition("/")
                place = self._nodes[path] = _new_folder(self._nodes[above], key)
                self._group(place, self._datasets[path].attrs)
        for path in self._datasets:
            if path not in self._nodes:
                self._tables.setdefault(path.rpartition("/")[0], []).append(path)

    def place(self, path: tuple[str, ...], payload: Payload, rows: Iterator[np.ndarray[Any, Any]]) -> Any:
        """Write the rows of *payload*, and return where they are."""
        above = self._nodes["/".join(path)]
        variables = self._variables("/".join(path))
        about = {
            **payload.metadata,
            "samplerate_hz": payload.samplerate_hz,
            "content_type": payload.content_type,
            "kind": payload.kind,
        }
        about = {name: value for name, value in about.items() if value is not None}
        arrays: list[_Array] = []
        chunk_rows = 1
        for number, block in enumerate(rows):
            if not arrays:
                chunk_rows = len(block)
                shape = block.shape[1:]
                arrays = self._arrays(above, payload, block.dtype, shape, chunk_rows, variables, about)
            for array in arrays:
                self._files += array.write(number, block)
        if not arrays:  # no rows, of which the dtype is as they would be stored
            dtype = payload.dtype
            if payload.kind == "table":
                bits = -(-len(dtype.names or ()) // 8)
                dtype = np.dtype([("row", dtype), ("missing", "u1", (bits,))])
            shape = payload.shape[1:] if payload.kind == "array" else ()
            arrays = self._arrays(above, payload, dtype, shape, 1, variables, about)
        names = [array.folder[self._top :] for array in arrays]
        return {"arrays": names, "chunk_rows": chunk_rows}

    def _arrays(
        self,
        above: str,
        payload: Payload,
        dtype: np.dtype[Any],
        row_shape: tuple[int, ...],
        chunk_rows: int,
        variables: Mapping[tuple[str, str | None], tuple[NodeVariable, list[str]]],
        about: Mapping[str, Any],
    ) -> list[_Array]:
        columns = columns_of(payload.kind, dtype)
        if dtype.names:
            above = _new_folder(above, payload.name)
            self._group(above, about)
        shape = () if payload.kind == "array" and not payload.shape else (payload.shape[0], *row_shape)
        arrays = []
        for column in columns:
            variable, coordinates = variables.get((payload.name, column.name), (None, []))
            known = column.name or (variable.name if variable is not None else payload.name)
            array = _Array(_new_folder(above, known), column, shape, chunk_rows)
            dims = list(variable.dims) if variable is not None and payload.kind != "text" else []
            if variable is not None and dims:  # as the rows are stored, the first axis is theirs
                dims.insert(0, dims.pop(variable.rows_axis))
            attrs = {} if column.name else dict(about)
            if variable is not None and not column.name:
                attrs = {**dict(variable.attrs), **{key: about[key] for key in _OWN if key in about}}
            if coordinates and "coordinates" not in attrs:
                attrs["coordinates"] = " ".join(coordinates)
            self._document(array.folder, array.document(dims, attrs))
            arrays.append(array)
        return arrays

    def _variables(self, path: str) -> dict[tuple[str, str | None], tuple[NodeVariable, list[str]]]:
        """What the payloads of a node are to libraries with labelled axes, by payload and column."""
        if self._shown[0] != path:
            found: dict[tuple[str, str | None], tuple[NodeVariable, list[str]]] = {}
            for each in (path, *self._tables.get(path, ())):
                several = self._datasets[each].variables.values()
                variables = [one for one in several if one.payload is not None]
                outer = [one for one in variables if one.is_coordinate and one.dims != (one.name,)]
                for one in variables:
                    assert one.payload is not None
                    others = [] if one.is_coordinate else [
                        other.name for other in outer if set(other.dims) <= set(one.dims)
                    ]
                    found[one.payload.name, one.column] = one, others
            self._shown = path, found
        return self._shown[1]

    def _group(self, folder: str, attrs: Mapping[str, Any]) -> None:
        self._document(folder, {"zarr_format": 3, "node_type": "group", "attributes": as_json(attrs)})

    def _document(self, folder: str, document: dict[str, Any]) -> None:
        write_file(f"{folder}/{DOCUMENT}", _dumped(document))
        self._files += 1
        if self._members is not None:
            self._members[folder[self._top :]] = document
            if len(self._members) > CONSOLIDATED:
                self._members = None

    def finish(self, index: bytes) -> None:
        """Write the index, and the root."""
        array = _Array(str(self._folder / INDEX), Column((), np.dtype(np.uint8)), (len(index),), BLOCK_BYTES)
        for number, first in enumerate(range(0, len(index), BLOCK_BYTES)):
            self._files += array.write(number, np.frombuffer(index[first : first + BLOCK_BYTES], np.uint8))
        about = {"bytes": len(index), "files": self._files + 2}  # with two more documents
        self._document(array.folder, array.document([f"{INDEX}_byte"], about))
        root: dict[str, Any] = {
            "zarr_format": 3, "node_type": "group", "attributes": as_json(self._datasets[""].attrs)
        }
        if self._members is not None:
            members = dict(sorted(self._members.items()))
            root["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": members}
        write_file(str(self._folder / DOCUMENT), _dumped(root))


# What is told of a payload beside its metadata.
_OWN = ("samplerate_hz", "content_type", "kind")


class _Array:
    """An array that is being written: a column of rows in chunks, each with its checksum."""

    def __init__(self, folder: str, column: Column, shape: tuple[int, ...], chunk_rows: int) -> None:
        self.folder, self._column = folder, column
        self._axes = len(shape)
        self._shape = (*shape, *column.inner_shape)
        grid = [max(1, length) for length in self._shape]
        if shape:
            grid[0] = max(1, min(chunk_rows, shape[0]))
        self._grid = grid

    def write(self, number: int, rows: np.ndarray[Any, Any]) -> int:
        """Write chunk *number*, of *rows*; how many files that took."""
        if 0 in self._shape:
            return 0
        data = self._column.to_stored(rows).tobytes()
        nbytes = math.prod(self._grid) * self._column.stored.itemsize
        write_chunk(f"{self.folder}/{chunk_name(number, len(self._shape))}", data.ljust(nbytes, b"\0"))
        return 1

    def document(self, dims: list[str], attrs: Mapping[str, Any]) -> dict[str, Any]:
        """The array's metadata."""
        column = self._column
        name, fill, _ = data_type(np.dtype(np.uint8) if column.is_bytes else column.dtype.base)
        codec: dict[str, Any] = {"name": "bytes"}
        if column.stored.itemsize > 1 and column.stored.kind != "S":
            codec["configuration"] = {"endian": "little"}
        dims = dims[: len(self._shape)]
        own = self.folder.rpartition("/")[2]
        dims += [f"{own}_{axis}" for axis in range(len(dims), len(self._shape))]
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(self._shape),
            "data_type": name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": self._grid}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
            "fill_value": fill,
            "codecs": [codec, {"name": "crc32c"}],
            "attributes": as_json(attrs),
            "dimension_names": dims,
            "storage_transformers": [],
        }


def _new_folder(folder: str, name: str) -> str:
    """A new folder in *folder*, called like *name* as far as zarr and file systems allow."""
    text = name.encode("utf-8", "backslashreplace").decode()
    text = zarr_name(text.replace("/", "%2F").replace("\0", "%00"))
    if len(text.encode()) > NAME_BYTES:
        short = text.encode()[: NAME_BYTES - 20].decode("utf-8", "ignore")
        text = f"{short}_{sha256(text.encode()).hexdigest()[:16]}"
    while True:
        with contextlib.suppress(FileExistsError):
            os.mkdir(f"{folder}/{text}")
            return f"{folder}/{text}"
        text += "~"


def _finite(value: Any) -> Any:
    """*value* as JSON of the standard, which has no NaN (RFC 8259, section 6): that becomes a text."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _dumped(document: Mapping[str, Any]) -> bytes:
    try:
        text = json.dumps(document, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(document))
    return text.encode("ascii")
