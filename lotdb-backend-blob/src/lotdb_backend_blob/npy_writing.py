"""Writing NumPy's ``.npy`` format, block by block, and its headers.

Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from lotdb_backend_blob.sync_ahead import AHEAD_BYTES, SyncAhead

__all__ = ["header", "is_header", "rows_claimed", "write_npy"]


def write_npy(
    descriptor: int,
    blocks: Iterable[np.ndarray[Any, Any]],
    shape: tuple[int, ...],
    name: object,
    ahead: SyncAhead,
) -> int:
    """Write an array of *shape*, given as *blocks* of its rows, to an open file; its size in bytes."""
    size = waiting = 0
    for block in blocks:
        if size == 0:
            size += _write_all(descriptor, memoryview(header(block.dtype, shape)))
        rest = block.reshape(-1).view(np.uint8).data
        while rest:
            written = _write_all(descriptor, rest[: AHEAD_BYTES - waiting])
            rest, size, waiting = rest[written:], size + written, waiting + written
            if waiting == AHEAD_BYTES:
                ahead.go_on()
                waiting = 0
    if os.fstat(descriptor).st_size != size:
        raise OSError(f"{name} is shorter than what was written to it")
    return size


def _descr(dtype: np.dtype[Any]) -> Any:
    try:
        return np.lib.format.dtype_to_descr(dtype)
    except ValueError:
        # The format cannot describe fields that overlap, or whose order differs from that in memory.
        return f"|V{dtype.itemsize}"


def header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """The ``.npy`` header of an array: version 1.0, or 3.0 if the field names or the size need it."""
    described = {"descr": _descr(dtype), "fortran_order": False, "shape": shape}
    text = repr(described)
    old = text.isascii() and len(text) < 60_000
    prefix, encoded = (10, text.encode("ascii")) if old else (12, text.encode("utf-8"))
    # The header is padded: the format requires that the rows begin at a multiple of 64 bytes.
    length = -(-(prefix + len(encoded) + 1) // 64) * 64 - prefix
    version, width = (b"\x01\x00", 2) if old else (b"\x03\x00", 4)
    return b"\x93NUMPY" + version + length.to_bytes(width, "little") + encoded.ljust(length - 1) + b"\n"


def is_header(stored: bytes, dtype: np.dtype[Any], shape: tuple[int, ...]) -> bool:
    """Whether *stored* is the header of such an array, as it is written here or by NumPy."""
    if stored == header(dtype, shape):
        return True
    return bool(_described(stored) == {"descr": _descr(dtype), "fortran_order": False, "shape": shape})


def rows_claimed(stored: bytes) -> int:
    """How many rows the header *stored* speaks of; 0 if it is none."""
    described = _described(stored)
    shape = described.get("shape") if isinstance(described, dict) else None
    return shape[0] if isinstance(shape, tuple) and shape and isinstance(shape[0], int) else 0


def _described(stored: bytes) -> Any:
    """What a header says; None if it is none."""
    width = 2 if stored[6:8] == b"\x01\x00" else 4 if stored[6:8] in (b"\x02\x00", b"\x03\x00") else 0
    if not width or stored[:6] != b"\x93NUMPY" or stored[-1:] != b"\n":
        return None
    try:
        return ast.literal_eval(stored[8 + width : -1].decode("utf-8" if stored[6] == 3 else "latin1"))
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def _write_all(descriptor: int, data: memoryview) -> int:
    size = len(data)
    # One call writes at most 2 GiB. On a full disk it writes less, without an error.
    while data:
        data = data[os.write(descriptor, data) :]
    return size
