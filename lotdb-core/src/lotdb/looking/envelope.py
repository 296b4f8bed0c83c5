"""The least and the greatest value of each column of a picture, exact, from blocks of rows.

A value that is NaN does not count; a column that has nothing else is NaN, so that a gap stays a gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["Envelope"]

Array = np.ndarray[Any, Any]


class Envelope:
    """Collects the bounds of *columns* equal parts of *rows* rows, of which each has at least one row.

    Parameters
    ----------
    rows
        Number of all rows.
    columns
        Number of parts; at most *rows*.

    Examples
    --------
    >>> envelope = Envelope(5, 2)
    >>> envelope.add(0, [np.array([3, 1, 2])])
    >>> envelope.add(3, [np.array([9, 4])])
    >>> envelope.low[0].tolist(), envelope.high[0].tolist()
    ([1, 2], [3, 9])
    """

    def __init__(self, rows: int, columns: int) -> None:
        #: Where each part begins, and where the last one ends.
        self.edges = np.array([number * rows // columns for number in range(columns + 1)], np.int64)
        self._columns = columns
        self.low: list[Array] = []
        self.high: list[Array] = []

    def add(self, first: int, channels: Sequence[Array]) -> None:
        """Take in rows from row *first* on: a one-dimensional array of numbers for each channel."""
        if not len(channels) or not len(channels[0]):
            return
        if not self.low:
            self.low = [np.full(self._columns, _none(each.dtype, least=True)) for each in channels]
            self.high = [np.full(self._columns, _none(each.dtype, least=False)) for each in channels]
        edges = self.edges
        begin = int(np.searchsorted(edges, first, "right")) - 1
        end = int(np.searchsorted(edges, first + len(channels[0]), "left"))
        starts = np.maximum(edges[begin:end], first) - first
        for number, values in enumerate(channels):
            self._bound(self.low, np.minimum, np.fmin, number, values, starts, begin, end)
            self._bound(self.high, np.maximum, np.fmax, number, values, starts, begin, end)

    @staticmethod
    def _bound(
        bounds: list[Array],
        quick: np.ufunc,
        without_nan: np.ufunc,
        number: int,
        values: Array,
        starts: Array,
        begin: int,
        end: int,
    ) -> None:
        found = quick.reduceat(values, starts)
        if values.dtype.kind == "f":
            # The quick one gives NaN where there is any; these parts are looked at once more.
            for place in np.flatnonzero(np.isnan(found)):
                stop = starts[place + 1] if place + 1 < len(starts) else len(values)
                found[place] = without_nan.reduce(values[starts[place] : stop])
        within = bounds[number][begin:end]
        without_nan(within, found, out=within)


def _none(dtype: np.dtype[Any], *, least: bool) -> Any:
    """What any value replaces as a bound."""
    if dtype.kind == "f":
        return np.array(np.nan, dtype)
    info = np.iinfo(dtype)
    return np.array(info.max if least else info.min, dtype)
