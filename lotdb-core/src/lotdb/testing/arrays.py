"""The arrays that backends are tried with: of every dtype, of many shapes, and with all sorts of bits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["DTYPES", "OPTIONAL", "ROWS", "SHAPES", "filled"]

BASIC = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float32", "float64", "complex64", "complex128",
)  # fmt: skip
FURTHER = (
    "float16", "longdouble", "clongdouble", "datetime64[ns]", "datetime64[D]", "timedelta64[us]", "S5", "U3",
    ">i2", ">u8", ">f4", ">f8", ">c16", ">U2", ">M8[s]",
)  # fmt: skip
#: Dtypes by a name for them.
DTYPES: dict[str, np.dtype[Any]] = {name: np.dtype(name) for name in (*BASIC, *FURTHER)} | {
    "structure": np.dtype([("t", "<f8"), ("name", "U4"), ("xyz", "<i2", (3,))]),
    "aligned structure": np.dtype([("flag", "i1"), ("value", "f8")], align=True),
    "nested structure": np.dtype([("inner", [("a", ">i4"), ("b", "S3")]), ("ok", "?")]),
    "raw bytes": np.dtype("V7"),
}
#: The names of those that a backend may refuse.
OPTIONAL = set(DTYPES) - set(BASIC)
#: Shapes of arrays that have at least one axis and one element, as a backend is given them.
ROWS = [(1,), (7,), (4, 3), (1, 1), (2, 3, 4)]
#: Shapes of what users write.
SHAPES = [(), (0,), (0, 3), (5, 0), (2, 0, 3), *ROWS]


def filled(dtype: Any, shape: tuple[int, ...], seed: int = 0) -> np.ndarray[Any, Any]:
    """An array with arbitrary bits: also NaN, NaT and infinities, where *dtype* has them.

    >>> filled(">i2", (2, 3)).shape
    (2, 3)
    """
    dtype = np.dtype(dtype)
    size = math.prod(shape)
    random = np.random.default_rng([seed, dtype.num, size])
    if dtype.names is not None:
        # What fills up between the fields is arbitrary as well.
        array = np.frombuffer(random.bytes(size * dtype.itemsize), dtype).reshape(shape).copy()
        for number, name in enumerate(dtype.names):
            field, *_ = (dtype.fields or {})[name]
            base, inner = field.subdtype or (field, ())
            array[name] = filled(base, (*shape, *inner), seed + number)
        return array
    if dtype.kind == "b":
        return random.integers(0, 2, shape).astype(bool)
    if dtype.kind == "U":
        letters = random.choice([*"aéß日𝄞", ""], (size, dtype.itemsize // 4)).tolist()
        return np.array(["".join(word) for word in letters], dtype).reshape(shape)
    if dtype.type in (np.longdouble, np.clongdouble):
        return np.asarray(random.normal(size=shape)).astype(dtype)  # most of its bit patterns are no numbers
    return np.frombuffer(random.bytes(size * dtype.itemsize), dtype).reshape(shape).copy()
