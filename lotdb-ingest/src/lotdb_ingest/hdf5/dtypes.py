"""Dtypes of payloads as HDF5 can hold them, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["from_file", "in_file", "to_file"]

Array = np.ndarray[Any, Any]


def in_file(dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    """The dtype in the file of elements of *dtype*, or None if they are written as their bytes.

    Texts become UTF-8 of fixed length, and times the numbers of their units; the index knows what they were.
    """
    if dtype.subdtype is not None:
        inner, shape = dtype.subdtype
        below = in_file(inner)
        return None if below is None else np.dtype((below, shape))
    if dtype.names:
        fields = [(name, in_file(dtype[name])) for name in dtype.names]
        if any(below is None or not _is_plain(name) for name, below in fields):
            return None
        return np.dtype([(name, below) for name, below in fields if below is not None])
    if dtype.itemsize == 0:
        return None
    if dtype.kind == "U":
        return np.dtype(f"S{dtype.itemsize}")  # no character takes more than four bytes
    if dtype.kind in "mM":
        return np.dtype(np.int64).newbyteorder(dtype.byteorder)
    if dtype.kind in "biuS" or (dtype.kind in "fc" and dtype.itemsize <= {"f": 8, "c": 16}[dtype.kind]):
        return dtype
    return None


def _is_plain(name: str) -> bool:
    return bool(name) and name.isprintable() and "\0" not in name and "/" not in name


def to_file(rows: Array, dtype: np.dtype[Any] | None) -> Array:
    """*rows* as elements of *dtype*, which :func:`in_file` gave."""
    if dtype is None:
        width = rows.dtype.itemsize * int(np.prod(rows.shape[1:], dtype=object))
        data = np.frombuffer(np.ascontiguousarray(rows).tobytes(), np.uint8)
        return data.reshape(len(rows), width)
    return _converted(rows, dtype, to=True)


def from_file(rows: Array, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """*rows* of a file as elements of *dtype*, which they were, in *shape*."""
    if in_file(dtype) is None:
        return np.frombuffer(np.ascontiguousarray(rows).tobytes(), dtype).reshape(shape)
    return _converted(rows, dtype, to=False).reshape(shape)


def _converted(rows: Array, dtype: np.dtype[Any], *, to: bool) -> Array:
    if rows.dtype == dtype:
        return rows.view(dtype)  # without what h5py notes in dtypes
    if dtype.names:
        result = np.zeros(rows.shape, dtype)
        for name in dtype.names:
            field = dtype[name]
            base = field.subdtype[0] if field.subdtype else field
            result[name] = _converted(rows[name], base, to=to)
        return result
    if rows.dtype.kind == "U" or dtype.kind == "U":
        flat = [
            text.encode("utf-8", "surrogatepass") if to else text.decode("utf-8", "surrogatepass")
            for text in rows.ravel().tolist()
        ]
        return np.array(flat, dtype).reshape(rows.shape)
    if rows.dtype.kind in "mM" or dtype.kind in "mM":
        return np.ascontiguousarray(rows).view(dtype)
    return rows.astype(dtype)
