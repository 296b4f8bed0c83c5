"""Data that are produced while they are written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

__all__ = ["Blocks"]


@dataclass(frozen=True)
class Blocks:
    """Data that are too large for memory: consecutive blocks of rows, produced when they are needed.

    Parameters
    ----------
    blocks
        Arrays of *dtype* and of shape ``(any number of rows, *row_shape)``, a few MB each; for a text,
        its UTF-8 bytes. They are read while the source file is open.
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
