"""How the rows of a payload lie in zarr arrays of a store that a subtree was exported to.

An array is one of zarr, and so is each column of a table. Each chunk has whole rows, and ends with its CRC32C
(https://zarr-specs.readthedocs.io/en/latest/v3/codecs/crc32c/), so that a flipped bit is noticed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from lotdb import IngestError
from lotdb_backend_zarr.node_store import data_type

__all__ = ["INDEX", "Column", "chunk_name", "columns_of", "read_chunk", "write_chunk", "write_file"]

#: The array of the root group that holds the index, as JSON.
INDEX = "lotdb-index"
_SUM_BYTES = 4

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Column:
    """A field of rows, or the whole rows, and how zarr holds them."""

    fields: tuple[str, ...]
    dtype: np.dtype[Any]

    @property
    def name(self) -> str | None:
        """The name of the field; None for whole rows."""
        return self.fields[-1] if self.fields else None

    @cached_property
    def stored(self) -> np.dtype[Any]:
        """The dtype of what is stored: what zarr has no type for is stored as its bytes."""
        base = self.dtype.base
        return np.dtype(np.uint8) if self.is_bytes else data_type(base)[2]

    @cached_property
    def is_bytes(self) -> bool:
        """Whether bytes are stored, along an axis of their own."""
        return data_type(self.dtype.base)[0] is None or self.dtype.base.itemsize == 0

    @cached_property
    def inner_shape(self) -> tuple[int, ...]:
        """The axes behind those of the payload."""
        return (*self.dtype.shape, *([self.dtype.base.itemsize] if self.is_bytes else []))

    def to_stored(self, rows: Array) -> Array:
        """These of *rows* as they are stored."""
        for field in self.fields:
            rows = rows[field]
        if not self.is_bytes:
            return np.ascontiguousarray(rows, self.stored).reshape(rows.shape)
        flat = np.frombuffer(np.ascontiguousarray(rows).tobytes(), np.uint8)
        return flat.reshape(*rows.shape, self.dtype.base.itemsize)

    def from_stored(self, data: Array, into: Array) -> None:
        """Put *data*, which were stored, into rows."""
        target = into
        for field in self.fields[:-1]:
            target = target[field]
        if self.is_bytes:
            shape = data.shape[:-1]
            data = np.frombuffer(data.tobytes(), self.dtype.base).reshape(shape)
        target[self.fields[-1] if self.fields else ...] = data


def columns_of(kind: str, dtype: np.dtype[Any]) -> list[Column]:
    """The arrays that hold the rows of a payload of *kind*, whose stored rows are of *dtype*."""
    if kind == "table":
        row = dtype["row"]
        return [
            *(Column(("row", name), row[name]) for name in row.names or ()),
            Column(("missing",), dtype["missing"]),
        ]
    if dtype.names:
        return [Column((name,), dtype[name]) for name in dtype.names]
    return [Column((), dtype)]


def chunk_name(number: int, axes: int) -> str:
    """How the file of chunk *number* along the rows is called."""
    # Not in folders of their own, which take longer to make and to sync than small chunks.
    return ".".join(["c", str(number), *["0"] * (axes - 1)] if axes else ["c"])


def write_chunk(path: str, data: bytes) -> None:
    """Write a chunk with its checksum."""
    write_file(path, data, google_crc32c.value(data).to_bytes(_SUM_BYTES, "little"))


def write_file(path: str, *parts: bytes) -> None:
    """Write a new file: without a buffer, that asks the system half as often."""
    with open(path, "xb", buffering=0) as file:
        for part in parts:
            left = memoryview(part)
            while len(left):
                left = left[file.write(left) :]


def read_chunk(top: Path, path: Path, nbytes: int | None = None) -> bytes:
    """What :func:`write_chunk` wrote, checked; *nbytes* long, if that is given."""
    name = path.relative_to(top).as_posix()
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < _SUM_BYTES or nbytes not in (None, size - _SUM_BYTES):
                raise IngestError(f"{name} has {size} bytes, and had {(nbytes or 0) + _SUM_BYTES}")
            data = file.read()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise IngestError(f"{name} is missing") from error
    if google_crc32c.value(data[:-_SUM_BYTES]).to_bytes(_SUM_BYTES, "little") != data[-_SUM_BYTES:]:
        raise IngestError(f"{name} is damaged: its CRC32C is not the one at its end")
    return data[:-_SUM_BYTES]
