"""Numpy's basic indexing in two steps: a box of elements, and what is selected within it.

A box has a first and a last place along each axis. That is all that a backend is asked for; steps, directions
and axes that vanish or are new are numpy's business, on the elements of the box.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

__all__ = ["basic"]


def basic(index: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[Any, ...]] | None:
    """The smallest box that has all of ``array[index]``, and what to index its elements by.

    None if *index* is none of ints, slices, ``...`` and None, or is out of bounds: numpy itself then says
    what is wrong.

    >>> basic((slice(2, 9, 3), -1), (10, 4))
    ((slice(2, 9, None), slice(3, 4, None)), (slice(None, None, 3), 0))
    """
    if sum(each is Ellipsis for each in index) > 1:
        return None
    named = sum(each is not None and each is not Ellipsis for each in index)
    if not shape or named > len(shape):
        return None
    box: list[slice] = []
    within: list[Any] = []
    has_dots = any(each is Ellipsis for each in index)
    if not has_dots:
        index = (*index, Ellipsis)
    for each in index:
        if each is None:
            within.append(None)
        elif each is Ellipsis:
            box += [slice(0, length) for length in shape[len(box) : len(shape) - _named_after_dots(index)]]
            if has_dots:  # with them, numpy gives an array also of a single element
                within.append(Ellipsis)
        else:
            part = _part(each, shape[len(box)])
            if part is None:
                return None
            box.append(part[0])
            within.append(part[1])
    return tuple(box), tuple(within)


def _named_after_dots(index: tuple[Any, ...]) -> int:
    """How many axes *index* names behind its ellipsis."""
    at = next(at for at, each in enumerate(index) if each is Ellipsis)
    return sum(each is not None for each in index[at + 1 :])


def _part(index: Any, length: int) -> tuple[slice, Any] | None:
    """The part of an axis that *index* names, and what names the same within it."""
    if isinstance(index, slice):
        start, stop, step = index.indices(length)
        count = len(range(start, stop, step))
        if not count:
            return slice(0, 0), slice(0, 0)
        last = start + (count - 1) * step
        return slice(min(start, last), max(start, last) + 1), slice(None, None, step)
    if not isinstance(index, int | np.integer) or isinstance(index, bool | np.timedelta64):
        return None
    place = operator.index(index)
    place += length if place < 0 else 0
    return (slice(place, place + 1), 0) if 0 <= place < length else None
