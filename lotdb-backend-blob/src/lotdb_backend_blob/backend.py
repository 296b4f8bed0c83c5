"""Payloads in ZODB blobs, each a file in NumPy's ``.npy`` format.

The file of a committed blob never changes, so rows are read directly from it: a window is one ``pread`` into
the result. Any program that reads ``.npy`` files can read the blob folder.

Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Any

import numpy as np
from ZODB.blob import Blob

from lotdb import Backend, BackendContext, DamagedError
from lotdb_backend_blob.reading import READ_BYTES, OpenFile, read_at, rows_of

__all__ = ["BlobBackend"]

# Files of at least this size are synced when they are written. The commit syncs the smaller ones.
SYNCED_BYTES = 1 << 20

# How many files stay open. Opening a file takes several times as long as reading a small window.
OPEN_FILES = 128


class BlobBackend(Backend):
    """Payloads in ZODB blobs. The locator of a payload is its blob, so ZODB's pack removes unused ones."""

    name = "blob"
    reads_in_parts = True
    syncs = True  # the commit syncs the files
    concurrent_reads = 1  # a local folder answers at once
    settings = ()

    def __init__(self, context: BackendContext) -> None:
        super().__init__(context)
        self._files: OrderedDict[str, OpenFile] = OrderedDict()
        self._lock = Lock()

    def new_locator(self) -> Blob:
        return Blob()

    def write(self, locator: Blob, array: np.ndarray[Any, Any], options: Mapping[str, Any]) -> None:
        self.write_blocks(locator, [array], array.shape, options)

    def write_blocks(
        self,
        locator: Blob,
        blocks: Iterable[np.ndarray[Any, Any]],
        shape: tuple[int, ...],
        options: Mapping[str, Any],
    ) -> None:
        with locator.open("w") as file:
            descriptor = file.fileno()
            size = 0
            for block in blocks:
                if size == 0:
                    size += _write_all(descriptor, memoryview(_header(block.dtype, shape)))
                size += _write_all(descriptor, block.reshape(-1).view(np.uint8).data)
            if os.fstat(descriptor).st_size != size:
                raise OSError(f"{file.name} is shorter than what was written to it")
            # The commit syncs each file after renaming it. A large file is synced here as well, so that the
            # commit is short: other threads may be waiting to commit.
            if size >= SYNCED_BYTES:
                self.context.sync(descriptor)

    def read_into(self, locator: Blob, first_row: int, out: np.ndarray[Any, Any]) -> None:
        offset = first_row * (out.nbytes // len(out))
        # NumPy gives no buffer of arrays of some dtypes (dates, texts), so their bytes are used.
        target = out if out.dtype.kind in "biufc" else out.reshape(-1).view(np.uint8)
        path = _committed(locator)
        if path is None:
            _read_staged(locator, target, offset)
            return
        with self._lock:
            opened = self._opened(path)
        # Other threads may read meanwhile, and forget the file: it is open as long as somebody has it.
        _read_all(opened.descriptor, target, offset + opened.offset, opened.size)

    def delete(self, locator: Blob) -> None:
        uncommitted = locator._p_blob_uncommitted
        if uncommitted is None or not os.path.exists(uncommitted):
            return
        if locator._p_jar is None:
            os.remove(uncommitted)
        else:
            # The blob is still part of the transaction, so a commit stores its file. It is emptied here, and
            # pack removes it, because nothing refers to it.
            os.truncate(uncommitted, 0)

    def files(self, locator: Blob) -> list[tuple[str, int]]:
        path = _committed(locator)
        return [] if path is None else [(path, os.path.getsize(path))]

    def describe(self, locator: Blob) -> str:
        return str(locator._p_blob_committed or locator._p_blob_uncommitted or "a blob")

    def close(self) -> None:
        with self._lock:
            self._files.clear()

    def _opened(self, path: str) -> OpenFile:
        opened = self._files.get(path)
        if opened is None:
            opened = self._files[path] = OpenFile(path)
            if len(self._files) > OPEN_FILES:
                self._files.popitem(last=False)
        else:
            self._files.move_to_end(path)
        return opened


def _committed(locator: Blob) -> str | None:
    """The file of a committed blob, or None before the commit. No other blob ever gets this file name."""
    locator._p_activate()
    path: str | None = locator._p_blob_committed
    return path if path and not locator._p_blob_uncommitted and path.endswith(".blob") else None


def _read_staged(locator: Blob, target: np.ndarray[Any, Any], offset: int) -> None:
    """Read a blob that this transaction has written and not committed."""
    if not locator._p_blob_uncommitted and not locator._p_blob_committed:
        # ZODB would create an empty file if such a blob were opened.
        raise DamagedError("nothing is stored in this blob")
    try:
        with locator.open("r") as file:
            first, size = rows_of(file.fileno())
            _read_all(file.fileno(), target, first + offset, size)
    except FileNotFoundError as error:
        raise DamagedError(f"{error.filename} is missing") from error


def _descr(dtype: np.dtype[Any]) -> Any:
    try:
        return np.lib.format.dtype_to_descr(dtype)
    except ValueError:
        # The format cannot describe fields that overlap, or whose order differs from that in memory.
        return f"|V{dtype.itemsize}"


def _header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """The ``.npy`` header of an array: version 1.0, or 3.0 if the field names or the size need it."""
    described = {"descr": _descr(dtype), "fortran_order": False, "shape": shape}
    text = repr(described)
    old = text.isascii() and len(text) < 60_000
    prefix, encoded = (10, text.encode("ascii")) if old else (12, text.encode("utf-8"))
    # The header is padded: the format requires that the rows begin at a multiple of 64 bytes.
    length = -(-(prefix + len(encoded) + 1) // 64) * 64 - prefix
    version, width = (b"\x01\x00", 2) if old else (b"\x03\x00", 4)
    return b"\x93NUMPY" + version + length.to_bytes(width, "little") + encoded.ljust(length - 1) + b"\n"


def _write_all(descriptor: int, data: memoryview) -> int:
    size = len(data)
    # One call writes at most 2 GiB. On a full disk it writes less, without an error.
    while data:
        data = data[os.write(descriptor, data) :]
    return size


def _read_all(descriptor: int, target: np.ndarray[Any, Any], offset: int, size: int) -> None:
    """Fill *target* with what begins at *offset* in a file of *size* bytes."""
    wanted = target.nbytes
    if offset + wanted > size:
        raise DamagedError(f"the blob's file has {size} bytes, at least {offset + wanted} are recorded")
    done = read_at(descriptor, target, offset) if wanted <= READ_BYTES else 0
    if done == wanted:
        return
    rest = target.reshape(-1).view(np.uint8).data
    while done < len(rest):
        count = read_at(descriptor, rest[done : done + READ_BYTES], offset + done)
        if count == 0:
            raise DamagedError("the blob's file ends too early")
        done += count
