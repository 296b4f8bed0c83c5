"""Data that are produced while they are written."""

from __future__ import annotations

import codecs
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import GeneratorType
from typing import Any, Literal

import numpy as np

from lotdb.errors import InvalidDataError, shown
from lotdb.ranges import is_whole

__all__ = ["Blocks", "check_blocks", "checked"]

_KINDS = ("array", "bytes", "text", "table")
# Marks Blocks whose iterator was begun: nothing, or only the rest, would come from it again.
_BEGUN = "_begun"
# What numpy can hold: axes, and bytes.
_AXES = 64
_TOO_MANY = 1 << 63


@dataclass(frozen=True)
class Blocks:
    """Data that are too large for memory: consecutive blocks of rows, produced when they are needed.

    Parameters
    ----------
    blocks
        Arrays of *dtype* and of shape ``(any number of rows, *row_shape)``, a few MB each; for a text,
        its UTF-8 bytes. Those of an ingester are read while the source file is open. An iterator, such
        as a generator, gives its blocks once.
    dtype, row_shape
        The dtype and the shape of a row, which all blocks share.
    rows
        The number of rows, if it is known; any other number is an error.
    kind : {"array", "bytes", "text", "table"}
        Kind of the payload.
    """

    blocks: Iterable[np.ndarray[Any, Any]]
    dtype: np.dtype[Any]
    row_shape: tuple[int, ...] = ()
    rows: int | None = None
    kind: Literal["array", "bytes", "text", "table"] = "array"


def _is_length(length: Any) -> bool:
    return is_whole(length) and bool(length >= 0)


def check_blocks(data: Blocks, about: Callable[[], str]) -> None:
    """Raise ``InvalidDataError`` unless *data* say what they are; *about* begins the message."""
    dtype, kind, row_shape, blocks = data.dtype, data.kind, data.row_shape, data.blocks
    if not isinstance(dtype, np.dtype):
        raise InvalidDataError(f"{about()} Blocks whose dtype is {shown(dtype)}; use a numpy.dtype")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise InvalidDataError(f"{about()} Blocks whose kind is {shown(kind)}; use one of {_KINDS}")
    if dtype.subdtype is not None:
        raise InvalidDataError(f"{about()} Blocks of {dtype}, with axes of its own; name them in row_shape")
    if not isinstance(row_shape, tuple) or not all(map(_is_length, row_shape)):
        raise InvalidDataError(
            f"{about()} Blocks whose row_shape is {shown(row_shape)}; use a tuple of lengths, such as (4,)"
        )
    if data.rows is not None and not _is_length(data.rows):
        raise InvalidDataError(
            f"{about()} Blocks whose rows are {shown(data.rows)}; use a whole number from 0 on, or None"
        )
    lengths = (*row_shape, 1 if data.rows is None else data.rows)
    if len(row_shape) >= _AXES or math.prod(map(int, lengths)) * dtype.itemsize >= _TOO_MANY:
        raise InvalidDataError(f"{about()} Blocks of {shown(data.rows)} rows of shape {shown(row_shape)}")
    is_iterable = any(hasattr(type(blocks), name) for name in ("__iter__", "__getitem__"))
    if not is_iterable or getattr(blocks, "shape", None) == ():  # numbers of numpy look as if they were
        raise InvalidDataError(
            f"{about()} Blocks whose blocks are of type {type(blocks).__name__}; use an iterable of arrays, "
            "such as a generator"
        )
    if getattr(data, _BEGUN, False) or (isinstance(blocks, GeneratorType) and blocks.gi_frame is None):
        raise InvalidDataError(
            f"{about()} Blocks whose iterator has given its blocks before; make Blocks with a new one"
        )
    if kind in ("bytes", "text") and (dtype != np.uint8 or data.row_shape):
        raise InvalidDataError(f"{about()} Blocks of {dtype} {data.row_shape} for {kind}; use uint8")
    if kind == "table" and data.row_shape:
        raise InvalidDataError(f"{about()} Blocks of a table with rows of shape {data.row_shape}; use ()")


def checked(data: Blocks, about: Callable[[], str]) -> Iterator[np.ndarray[Any, Any]]:
    """The blocks of *data*, each checked when it comes; *about* begins the message of an error.

    Raises
    ------
    InvalidDataError
        If a block is not what was announced, or a text is not in UTF-8.
    """
    dtype, row_shape, may_mask = data.dtype, data.row_shape, data.kind == "table"
    if isinstance(data.blocks, Iterator):
        object.__setattr__(data, _BEGUN, True)
    read = _Text(about).read if data.kind == "text" else None
    for block in data.blocks:
        # Whoever declares plain numbers gives no mask and no unit, which would be lost.
        is_plain = type(block) is np.ndarray or (
            isinstance(block, np.ndarray)
            and (may_mask or not isinstance(block, np.ma.MaskedArray))
            and type(block).__module__.partition(".")[0] == "numpy"
        )
        if not is_plain or not block.ndim or block.dtype != dtype or block.shape[1:] != row_shape:
            raise InvalidDataError(
                f"{about()} announced blocks of {dtype} {row_shape}, and gave another: {_about(block)}"
            )
        if read is not None:
            read(block.tobytes(), False)
        yield block
    if read is not None:
        read(b"", True)


class _Text:
    """Bytes that are no UTF-8 could not be read later as a text."""

    def __init__(self, about: Callable[[], str]) -> None:
        self._about = about
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogatepass").decode

    def read(self, data: bytes, final: bool) -> None:
        try:
            self._decode(data, final)
        except UnicodeDecodeError as error:
            raise InvalidDataError(
                f"{self._about()} announced a text, and gave bytes that are no UTF-8: {error}"
            ) from error


def _about(block: Any) -> str:
    if not isinstance(block, np.ndarray):
        return shown(block)
    kind = "" if type(block) is np.ndarray else f"{type(block).__name__} of "
    return f"{kind}{block.dtype} of shape {block.shape}"
