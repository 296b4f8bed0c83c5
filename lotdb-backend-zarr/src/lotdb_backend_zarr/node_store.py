"""A subtree as a zarr store that is read as it is asked: nothing is copied, and nothing is written.

Groups are nodes, and tables; arrays are payloads, columns of tables, and the times of rows. Each array is cut
into chunks of whole rows, which are stored without compression: as they are asked for, the rows are read.

Format: https://zarr-specs.readthedocs.io/en/latest/v3/core/
"""

from __future__ import annotations

import asyncio
import functools
import json
import math
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)

from lotdb import BaseNode, InvalidKeyError, InvalidOptionError, NodeVariable, ReadOnlyError
from lotdb_backend_zarr.json_values import as_json

if TYPE_CHECKING:
    from zarr.abc.buffer import Buffer
    from zarr.core.buffer import BufferPrototype

__all__ = ["CONSOLIDATED", "NodeStore", "data_type", "zarr_name"]

#: Chunks have about so many bytes.
CHUNK_BYTES = 4 << 20

#: Of more groups and payloads, the metadata are not consolidated: zarr makes an object of each array when it
#: opens the group, which takes longer than asking for those that are used.
CONSOLIDATED = 1000

_DOCUMENT = "zarr.json"
_SEPARATOR = "/"

# Kinds and sizes that zarr's format and numpy call alike.
_NUMBERS = {"b": (1,), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "f": (2, 4, 8), "c": (8, 16)}


class NodeStore(Store):
    """A node and all below it as a read-only zarr v3 store, whatever backends hold the payloads.

    It shows what is there when it is made, also what is not committed yet. It works in any thread, as long as
    the connection of the node is open; then it raises ``ClosedError``. ::

        store = NodeStore(root["study"])
        zarr.open_group(store, mode="r")
        xarray.open_datatree(store, engine="zarr")

    Parameters
    ----------
    node
        The node that becomes the root group.
    consolidated
        Whether the root has the metadata of all groups and arrays; by default if they are not very many.

    Raises
    ------
    InvalidOptionError
        If *node* is no node.
    InvalidKeyError
        If two names within a node are the same as names of zarr.
    """

    def __init__(self, node: BaseNode, *, consolidated: bool | None = None) -> None:
        super().__init__(read_only=True)
        if not isinstance(node, BaseNode):
            raise InvalidOptionError(f"{type(node).__name__} is no node; pass one, such as the root")
        if consolidated is not None and not isinstance(consolidated, bool):
            raise InvalidOptionError(
                f"consolidated is of type {type(consolidated).__name__}; use True, False or None"
            )
        self._said = repr(node)
        self._datasets = node.datasets()
        # As zarr has them: the path of each group, and what the groups hold.
        self._groups: dict[str, str] = {}
        self._below: dict[str, list[str]] = {}
        self._members: dict[str, dict[str, _StoredArray]] = {}
        names: dict[str, str] = {}
        for path in self._datasets:
            above, _, key = path.rpartition("/")
            name = zarr_name(key) if path else ""
            place = names[path] = _joined(names[above], name) if path else ""
            if place in self._groups:
                raise InvalidKeyError(f"{self._groups[place]!r} and {path!r} are both {place!r} in zarr")
            self._groups[place] = path
            self._below[place] = []
            if path:
                self._below[names[above]].append(name)
        if consolidated is None:
            consolidated = len(self._groups) + self._datasets.payloads <= CONSOLIDATED
        self._consolidated = consolidated
        self._root: bytes | None = None
        self._is_open = True

    def _arrays(self, group: str) -> dict[str, _StoredArray]:
        """The arrays of a group, by their names."""
        arrays = self._members.get(group)
        if arrays is None:
            arrays = {}
            variables = self._datasets[self._groups[group]].variables
            outer = [each for each in variables.values() if each.is_coordinate and each.dims != (each.name,)]
            for name, variable in variables.items():
                others = [] if variable.is_coordinate else [
                    each.name for each in outer if set(each.dims) <= set(variable.dims)
                ]
                place = zarr_name(name)
                if place in arrays or place in self._below[group]:
                    raise InvalidKeyError(
                        f"two things in {self._groups[group]!r} would be {place!r} in zarr; rename one"
                    )
                arrays[place] = _StoredArray(variable, others)
            self._members[group] = arrays
        return arrays

    def _array(self, path: str) -> _StoredArray | None:
        group, _, name = path.rpartition("/")
        return self._arrays(group).get(name) if group in self._groups else None

    def __str__(self) -> str:
        return f"NodeStore({self._said})"

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    def with_read_only(self, read_only: bool = False) -> NodeStore:
        """This store, if *read_only* is true."""
        if not read_only:
            raise ReadOnlyError(f"{self} only reads; write to the node itself, as with write_data")
        return self

    # -- reading -------------------------------------------------------------------------------------

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """The bytes at *key*, or None if there is no such key."""
        document = self._document(key)
        if document is not None:
            first, last = _window(byte_range, len(document))
            return prototype.buffer.from_bytes(document[first:last])
        found = self._chunk(key)
        if found is None:
            return None
        array, number = found
        # Not in zarr's loop: others of its requests go on meanwhile.
        data = await asyncio.to_thread(array.read, number, byte_range)
        return prototype.buffer.from_array_like(data)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """As :meth:`get`, of several keys."""
        return list(
            await asyncio.gather(*[self.get(key, prototype, each) for key, each in key_ranges])
        )

    async def exists(self, key: str) -> bool:
        """Whether there is something at *key*."""
        return self._document(key) is not None or self._chunk(key) is not None

    async def getsize(self, key: str) -> int:
        """How many bytes are at *key*."""
        document = self._document(key)
        if document is not None:
            return len(document)
        found = self._chunk(key)
        if found is None:
            raise FileNotFoundError(key)
        return found[0].chunk_bytes

    def _document(self, key: str) -> bytes | None:
        """The metadata at *key*."""
        path, _, name = key.rpartition("/")
        if name != _DOCUMENT:
            return None
        if path not in self._groups:
            array = self._array(path)
            return None if array is None else _dumped(array.document())
        document = self._group(path)
        if path == "" and self._root is not None:
            return self._root
        if path == "" and self._consolidated:
            members: dict[str, Any] = {each: self._group(each) for each in self._groups if each}
            for group in self._groups:
                for name, array in self._arrays(group).items():
                    members[_joined(group, name)] = array.document()
            document["consolidated_metadata"] = {
                "kind": "inline",
                "must_understand": False,
                "metadata": dict(sorted(members.items())),
            }
        found = _dumped(document)
        if path == "":
            self._root = found  # it takes a while, and is asked for at each opening
        return found

    def _group(self, path: str) -> dict[str, Any]:
        return {"zarr_format": 3, "node_type": "group", "attributes": as_json(self._attrs(path))}

    def _attrs(self, path: str) -> Mapping[str, Any]:
        return self._datasets[self._groups[path]].attrs

    def _chunk(self, key: str) -> tuple[_StoredArray, int] | None:
        """The array that *key* is a chunk of, and the number of the chunk along the rows."""
        parts = key.split("/")
        for at in range(len(parts) - 1, 0, -1):
            array = self._array("/".join(parts[:at])) if parts[at] == "c" else None
            if array is not None and len(parts) - at - 1 == len(array.shape):
                places = parts[at + 1 :]
                if not all(re.fullmatch("0|[1-9][0-9]*", place) for place in places):
                    return None
                numbers = [int(place) for place in places] or [0]
                number = numbers.pop(array.rows_axis)
                if number >= array.chunks or any(numbers) or 0 in array.shape:
                    return None
                return array, number
        return None

    # -- listing -------------------------------------------------------------------------------------

    async def list(self) -> AsyncIterator[str]:
        """All keys."""
        for key in self._keys():
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """The keys that begin with *prefix*."""
        for key in self._keys():
            if key.startswith(prefix):
                yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """What is directly below *prefix*."""
        prefix = prefix.strip("/")
        if prefix in self._groups:
            for name in [_DOCUMENT, *self._below[prefix], *self._arrays(prefix)]:
                yield name
            return
        seen = set()
        for key in self._keys():
            name = key[len(prefix) + 1 :].partition("/")[0]
            if key.startswith(f"{prefix}/") and name not in seen:
                seen.add(name)
                yield name

    def _keys(self) -> Iterator[str]:
        for group in self._groups:
            yield _joined(group, _DOCUMENT)
            for name, array in self._arrays(group).items():
                yield from (_joined(_joined(group, name), key) for key in array.own_keys())

    # -- writing -------------------------------------------------------------------------------------

    async def set(self, key: str, value: Buffer) -> None:
        """It only reads: this raises what zarr's stores raise then."""
        self._check_writable()

    async def delete(self, key: str) -> None:
        """It only reads: this raises what zarr's stores raise then."""
        self._check_writable()

    @property
    def supports_writes(self) -> Literal[False]:
        """Never."""
        return False

    @property
    def supports_deletes(self) -> Literal[False]:
        """Never."""
        return False

    @property
    def supports_listing(self) -> Literal[True]:
        """Always."""
        return True

    # Releases before zarr 3.1.3 ask each store for these two.

    @property
    def supports_partial_writes(self) -> Literal[False]:
        """Never."""
        return False

    async def set_partial_values(self, key_start_values: Any) -> None:
        """It only reads: this raises what zarr's stores raise then."""
        self._check_writable()


class _StoredArray:
    """A variable as zarr stores arrays."""

    def __init__(self, variable: NodeVariable, coordinates: list[str]) -> None:
        if variable.dtype.hasobject:  # zarr has no such type: what is there is read, if no cell is missing
            assert variable.payload is not None
            assert variable.column is not None
            variable = replace(variable, dtype=variable.payload.dtype[variable.column])
        self._variable = variable
        self._coordinates = coordinates
        dtype = variable.dtype
        self._type, self._fill, self._stored = data_type(dtype)
        self.shape = variable.shape
        self._dims = list(variable.dims)
        if self._type is None:  # zarr has no such type: the bytes of the elements are stored
            self._type, self._fill = "uint8", 0
            self.shape = (*variable.shape, dtype.itemsize)
            self._dims.append(f"{variable.name}_byte")
        self.rows_axis = place = variable.rows_axis
        row_bytes = dtype.itemsize * math.prod((*variable.shape[:place], *variable.shape[place + 1 :]))
        self._row_bytes = row_bytes
        self._rows = 1
        if variable.shape:
            fitting = max(1, CHUNK_BYTES // max(1, row_bytes))
            unit = max(1, variable.chunk_rows)
            fitting = max(unit, fitting // unit * unit)
            self._rows = max(1, min(fitting, variable.rows))
        self.chunks = -(-variable.rows // self._rows) if variable.shape else 1
        self.chunk_bytes = self._rows * row_bytes

    def document(self) -> dict[str, Any]:
        """The array's metadata."""
        attrs = dict(self._variable.attrs)
        if self._coordinates and "coordinates" not in attrs:
            attrs["coordinates"] = " ".join(self._coordinates)
        attributes = as_json(attrs)
        grid = [max(1, length) for length in self.shape]
        place = self.rows_axis
        if self._variable.shape:
            grid[place] = self._rows
        codecs: list[dict[str, Any]] = []
        if place:  # as the bytes lie, the first axis is that of the rows
            order = [place, *(axis for axis in range(len(grid)) if axis != place)]
            codecs.append({"name": "transpose", "configuration": {"order": order}})
        single = self._stored.itemsize == 1 or self._stored.kind == "S"
        codec: dict[str, Any] = {"name": "bytes"}
        if not single:
            codec["configuration"] = {"endian": "little"}
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(self.shape),
            "data_type": self._type,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": grid}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": _SEPARATOR}},
            "fill_value": self._fill,
            "codecs": [*codecs, codec],
            "attributes": attributes,
            "dimension_names": self._dims,
            "storage_transformers": [],
        }

    def read(self, number: int, byte_range: ByteRequest | None) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """The bytes of chunk *number*, or a part of them; what lies behind the last row is zero."""
        low, high = _window(byte_range, self.chunk_bytes)
        out = np.zeros(high - low, np.uint8)
        if not len(out):
            return out
        first = number * self._rows
        rows = self._variable.rows
        begin, end = first + low // self._row_bytes, min(first + -(-high // self._row_bytes), rows)
        if end > begin:
            read = np.ascontiguousarray(self._variable.read(begin, end), dtype=self._stored)
            data = read.reshape(-1).view(np.uint8)[low - (begin - first) * self._row_bytes :]
            if len(data) >= len(out):
                return data[: len(out)]
            out[: len(data)] = data
        return out

    def own_keys(self) -> Iterator[str]:
        """The keys of the array, below its own."""
        yield _DOCUMENT
        if 0 in self.shape:
            return
        before, after = "/0" * self.rows_axis, "/0" * (len(self.shape) - 1 - self.rows_axis)
        if not self.shape:
            yield "c"
        elif not self._variable.shape:  # the bytes of one element
            yield f"c{'/0' * len(self.shape)}"
        else:
            yield from (f"c{before}/{number}{after}" for number in range(self.chunks))


@functools.lru_cache(1000)
def data_type(dtype: np.dtype[Any]) -> tuple[Any, Any, np.dtype[Any]]:
    """zarr's name for *dtype*, a value to fill with, and the dtype of what is stored; no name if it has none.

    Source: https://zarr-specs.readthedocs.io/en/latest/v3/data-types/,
    https://github.com/zarr-developers/zarr-extensions/tree/main/data-types
    """
    stored = dtype.newbyteorder("<")
    if dtype.itemsize in _NUMBERS.get(dtype.kind, ()) and dtype.type is not np.longdouble:
        fill = {"b": False, "f": 0.0, "c": [0.0, 0.0]}.get(dtype.kind, 0)
        return np.dtype(dtype.newbyteorder("=")).name, fill, stored
    if dtype.kind in "mM":
        unit, scale = np.datetime_data(dtype)
        name = "numpy.datetime64" if dtype.kind == "M" else "numpy.timedelta64"
        return {"name": name, "configuration": {"unit": unit, "scale_factor": scale}}, 0, stored
    if dtype.kind == "U":
        return {"name": "fixed_length_utf32", "configuration": {"length_bytes": dtype.itemsize}}, "", stored
    if dtype.kind == "S":
        settings = {"length_bytes": dtype.itemsize}
        return {"name": "null_terminated_bytes", "configuration": settings}, "", stored
    return None, 0, dtype


def _window(byte_range: ByteRequest | None, size: int) -> tuple[int, int]:
    """First byte of a range of *size* bytes, and the one after its last."""
    if isinstance(byte_range, RangeByteRequest):
        return min(byte_range.start, size), max(min(byte_range.start, size), min(byte_range.end, size))
    if isinstance(byte_range, OffsetByteRequest):
        return min(byte_range.offset, size), size
    if isinstance(byte_range, SuffixByteRequest):
        return max(0, size - byte_range.suffix), size
    return 0, size


def zarr_name(name: str) -> str:
    """*name* as zarr allows it: not of dots alone, not beginning with two underscores, and no document's.

    zarr takes a backslash for a slash.

    >>> zarr_name("__init"), zarr_name("..."), zarr_name("a.b")
    ('%5F_init', '%2E..', 'a.b')
    """
    name = name.replace("\\", "%5C")
    if name.startswith("__"):
        return "%5F" + name[1:]
    if not name.strip(".") or name == _DOCUMENT:
        return name.replace(".", "%2E", 1)
    return name


def _joined(group: str, name: str) -> str:
    return f"{group}/{name}" if group else name


def _dumped(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")
