"""Whether a value that was encoded and decoded is the one that went in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["came_back"]

_DEPTH = 50  # deeper than any attribute's values stand within each other in practice


def came_back(value: Any, back: Any) -> bool:
    """Whether *back* is of the same type as *value* and equal to it.

    Equal is what ``==`` calls so. Where it does not, or gives arrays or an error, their parts are compared:
    NaN is then equal to NaN, and arrays are equal if their dtypes, shapes and elements are.
    """
    try:
        return _alike(value, back, _DEPTH)
    except Exception:  # whatever a comparison of a plugin's raises
        return False


def _alike(one: Any, other: Any, depth: int) -> bool:
    if one is other:
        return True
    if type(one) is not type(other) or not depth:
        return False
    if isinstance(one, np.ndarray):
        return _alike_arrays(one, other)
    if _says_equal(one, other):
        return True
    if isinstance(one, float | complex | np.generic):
        return bool(one != one and other != other)
    if isinstance(one, str | bytes | int):
        return False
    if isinstance(one, Mapping):
        return len(one) == len(other) and all(
            _alike(pair, twin, depth - 1) for pair, twin in zip(one.items(), other.items(), strict=True)
        )
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(
            _alike(part, twin, depth - 1) for part, twin in zip(one, other, strict=True)
        )
    return _alike_parts(one, other, depth)


def _says_equal(one: Any, other: Any) -> bool:
    try:
        said = one == other
        return said if isinstance(said, bool) else bool(np.all(said))
    except Exception:  # the truth of an array in it is ambiguous; their parts say more
        return False


def _alike_arrays(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    if one.dtype.kind in "fcmM":
        return bool(np.array_equal(one, other, equal_nan=True))
    return bool(np.array_equal(one, other)) or one.tobytes() == other.tobytes()


def _alike_parts(one: Any, other: Any, depth: int) -> bool:
    """Compare what pickle would keep of them, which is all that they are made of."""
    parts, twins = one.__reduce_ex__(4), other.__reduce_ex__(4)
    if isinstance(parts, str) or len(parts) != len(twins):
        return False
    # The last ones are iterators over the items of a list or a dict that is extended.
    return all(
        _alike(list(part), list(twin), depth - 1)
        if number > 2 and part is not None and twin is not None and number < 5
        else _alike(part, twin, depth - 1)
        for number, (part, twin) in enumerate(zip(parts, twins, strict=True))
    )
