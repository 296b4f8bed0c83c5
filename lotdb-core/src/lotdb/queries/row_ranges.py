"""Which rows of two payloads differ. Rows of the same segments are equal, and are not read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import eq
from typing import Any

import numpy as np

from lotdb.segments.layout import Segment
from lotdb.segments.payload_record import PayloadRecord
from lotdb.segments.stage import Stage

__all__ = ["differing_rows"]

_BLOCK_BYTES = 16 << 20
_MOST_RANGES = 1000


def differing_rows(
    one: PayloadRecord,
    mine: Stage,
    other: PayloadRecord,
    theirs: Stage,
    same: Callable[[Any, Any], bool] = eq,
) -> tuple[tuple[int, int], ...]:
    """The ranges of rows that differ, from the first row to before the last, in order.

    *same* tells whether two locators name the same array. Rows that only one of the two has differ; all do
    if the two have rows of different types or shapes.
    """
    most = max(one.rows, other.rows)
    layout = one.layout
    alike = (layout.dtype, layout.row_shape, len(one.shape)) == (
        other.layout.dtype,
        other.layout.row_shape,
        len(other.shape),
    )
    if not alike:
        return ((0, most),) if most else ()
    common = min(one.rows, other.rows)
    ranges = _Ranges()
    if layout.row_bytes:
        step = max(1, _BLOCK_BYTES // layout.row_bytes)
        for first, last in _unlike(one.segments, other.segments, common, same):
            for start in range(first, last, step):
                stop = min(start + step, last)
                rows = _read(one, mine, start, stop), _read(other, theirs, start, stop)
                differ = (rows[0] != rows[1]).any(axis=1)
                edges = np.flatnonzero(np.diff(differ, prepend=False, append=False)) + start
                for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
                    ranges.add(begin, end)
    if most > common:
        ranges.add(common, most)
    return tuple(ranges.found)


class _Ranges:
    def __init__(self) -> None:
        self.found: list[tuple[int, int]] = []

    def add(self, first: int, last: int) -> None:
        """Add a range that begins after all others, or where the last of them ends."""
        found = self.found
        if found and (found[-1][1] == first or len(found) >= _MOST_RANGES):
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))


def _read(record: PayloadRecord, stage: Stage, first: int, last: int) -> np.ndarray[Any, Any]:
    """The bytes of these rows, a row each."""
    out = stage.room_for(record.layout, record.segments, first, last - first)
    stage.read_into(record.layout, record.segments, first, out)
    return np.ascontiguousarray(out).view(np.uint8).reshape(last - first, record.layout.row_bytes)


def _unlike(
    one: tuple[Segment, ...], other: tuple[Segment, ...], rows: int, same: Callable[[Any, Any], bool]
) -> Iterator[tuple[int, int]]:
    """The ranges of the first *rows* rows that do not lie in the same place of the same array."""
    first = 0
    pending: tuple[int, int] | None = None
    for mine, theirs, length in _side_by_side(one, other, rows):
        is_same = mine[1] == theirs[1] and same(mine[0], theirs[0])
        if is_same:
            if pending is not None:
                yield pending
            pending = None
        else:
            pending = (first if pending is None else pending[0], first + length)
        first += length
    if first < rows:
        pending = (first if pending is None else pending[0], rows)
    if pending is not None:
        yield pending


def _side_by_side(
    one: tuple[Segment, ...], other: tuple[Segment, ...], rows: int
) -> Iterator[tuple[Any, Any, int]]:
    """Where both have their next rows, for as many as neither changes its array."""
    places = [0, 0]
    offsets = [0, 0]
    sides = (one, other)
    while rows > 0 and all(place < len(side) for place, side in zip(places, sides, strict=True)):
        segments = [side[place] for place, side in zip(places, sides, strict=True)]
        length = min(rows, *(each.rows - offset for each, offset in zip(segments, offsets, strict=True)))
        if length:
            yield (
                (segments[0].locator, segments[0].first + offsets[0]),
                (segments[1].locator, segments[1].first + offsets[1]),
                length,
            )
        rows -= length
        for side in (0, 1):
            offsets[side] += length
            if offsets[side] >= segments[side].rows:
                places[side] += 1
                offsets[side] = 0
