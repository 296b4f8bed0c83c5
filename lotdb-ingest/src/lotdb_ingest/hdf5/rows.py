"""Rows of HDF5 that numpy has as objects: texts of any length, and rows of different lengths."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np

from lotdb import Blocks

__all__ = ["STEP", "Plan", "fill", "plain_dtype", "ragged", "row_of", "text_of"]

Array = np.ndarray[Any, Any]
DType = np.dtype[Any]

# So many values that are objects are in memory at once.
STEP = 4096


def text_of(value: Any) -> str:
    """A text of HDF5."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


class Plan:
    """How elements of *dtype* are stored: texts as wide as the longest of their field, the rest as it is.

    Attributes
    ----------
    ragged
        The fields whose rows are numbers of different lengths: they are payloads of their own.
    lost
        What cannot be kept, each with the reason.
    """

    def __init__(self, dtype: DType, library: Any) -> None:
        self.dtype, self.ragged = dtype, dict[str, DType]()
        self.lost: list[str] = []
        self._library = library
        self._widths: dict[tuple[str, ...], int] = {}

    def widen(self, rows: Array) -> None:
        """Make room for the texts in *rows*."""
        self._widen(rows, ())

    def settle(self) -> DType | None:
        """The dtype in which elements are stored, with room for all texts; None if nothing of them is."""
        self.ragged, self.lost = {}, []
        return self._stored(self.dtype, ())

    def _stored(self, dtype: DType, path: tuple[str, ...]) -> DType | None:
        if dtype.subdtype is not None:
            inner = self._stored(dtype.subdtype[0], path)
            return None if inner is None else np.dtype((inner, dtype.subdtype[1]))
        if dtype.names:
            fields = [(name, self._stored(dtype[name], (*path, name))) for name in dtype.names]
            left = [(name, each) for name, each in fields if each is not None]
            return np.dtype(left) if left else None
        if dtype.kind != "O":
            return np.dtype(dtype.str)
        if self._library.check_string_dtype(dtype):
            return np.dtype(f"U{self._widths.get(path, 1)}")
        where = f"column {'.'.join(path)!r}: " if path else ""
        inner = self._library.check_vlen_dtype(dtype)
        of_rows = None if inner is None else np.dtype(inner)
        if any(each is not None and self._library.check_ref_dtype(each) for each in (dtype, of_rows)):
            self.lost.append(f"{where}it holds references, which mean nothing outside of the file")
        elif of_rows is None or of_rows.hasobject or len(path) > 1 or self._repeats(path):
            self.lost.append(f"{where}it holds rows of different lengths within others")
        else:
            self.ragged[".".join(path)] = plain_dtype(of_rows)
        return None

    def _repeats(self, path: tuple[str, ...]) -> bool:
        """Whether there are several of the field at *path* in an element."""
        return (self.dtype[path[0]] if path else self.dtype).subdtype is not None

    def _widen(self, rows: Array, path: tuple[str, ...]) -> None:
        if rows.dtype.names:
            for name in rows.dtype.names:
                self._widen(rows[name], (*path, name))
        elif rows.dtype.kind == "O" and self._library.check_string_dtype(_of(self.dtype, path)):
            widest = max((len(text_of(each)) for each in rows.ravel()), default=1)
            self._widths[path] = max(self._widths.get(path, 1), widest)


def _of(dtype: DType, path: tuple[str, ...]) -> DType:
    for name in path:
        dtype = dtype.base[name]
    return dtype.base


def plain_dtype(dtype: DType) -> DType:
    """*dtype* without what h5py notes in it, such as the names of an enumeration."""
    if dtype.subdtype:
        return np.dtype((plain_dtype(dtype.subdtype[0]), dtype.subdtype[1]))
    if dtype.names:
        return np.dtype([(name, plain_dtype(dtype[name])) for name in dtype.names])
    return np.dtype(dtype.str)


def fill(target: Array, rows: Array) -> Array:
    """Put *rows* into *target*, which has all of their fields or some, and return it."""
    if target.dtype.names:
        for name in target.dtype.names:
            fill(target[name], rows[name])
    elif rows.dtype.kind == "O":
        texts = np.array([text_of(each) for each in rows.ravel()], target.dtype)
        target[...] = texts.reshape(rows.shape)
    else:
        target[...] = rows
    return target


def row_of(values: Any, dtype: DType, library: Any) -> Array:
    """The *values* of a row of any length, which are of *dtype* in the file.

    h5py 3.16 gives the bytes as they are in the file, and says that they have the order of the machine.
    """
    if dtype.isnative or not values.dtype.isnative or not _says_other_order(library):
        return np.asarray(values, dtype)
    return np.ascontiguousarray(values).view(dtype)


@cache
def _says_other_order(library: Any) -> bool:
    """Whether this h5py says that rows in the order of other machines are in that of this one."""
    with library.File("rows", "w", driver="core", backing_store=False) as file:
        other = library.vlen_dtype(np.dtype("i2").newbyteorder())
        dataset = file.create_dataset("rows", (1,), dtype=other)
        dataset[0] = np.array([1], "i2")
        return bool(dataset[0][0] != 1)


def ragged(
    blocks: Callable[[], Iterator[Array]], shape: tuple[int, ...], dtype: DType, library: Any
) -> tuple[Blocks, Array]:
    """The values of rows of different lengths one behind the other, and the lengths, in *shape*.

    *blocks* gives the rows, each an array of *dtype*, once more each time that it is called.
    """
    lengths = np.zeros(math.prod(shape), np.int64)
    done = 0
    for block in blocks():
        lengths[done : done + block.size] = [len(each) for each in block.ravel()]
        done += block.size

    def values() -> Iterator[Array]:
        for block in blocks():
            found = [row_of(each, dtype, library) for each in block.ravel() if len(each)]
            if found:
                yield np.concatenate(found).astype(dtype, copy=False)

    return Blocks(values(), dtype, (), int(lengths.sum())), lengths.reshape(shape)
