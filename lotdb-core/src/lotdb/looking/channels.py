"""The numbers of a payload as channels: one-dimensional arrays that can be drawn over the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from math import prod
from typing import Any

import numpy as np

from lotdb.looking.looked_at import LookedPayload

__all__ = ["Array", "Channels", "channels_of", "is_number", "numeric_columns"]

Array = np.ndarray[Any, Any]

# Names of channels under which programs keep them in the metadata.
_NAMES = ("channel_names", "channels", "columns")


def is_number(dtype: np.dtype[Any]) -> bool:
    """Whether it is a dtype of truth values, or of integer, real or complex numbers."""
    return dtype.kind in "biufc"


def numeric_columns(dtype: np.dtype[Any]) -> list[str]:
    """The names of the columns that hold one real number a row."""
    return [name for name in dtype.names or () if dtype[name].kind in "biuf"]


@dataclass(frozen=True)
class Channels:
    """Which channels of a payload are drawn.

    ``names`` are those of the chosen channels, and ``places`` where they are: the numbers of columns, of a
    table each with the name of a field. ``number`` is how many the payload has.
    """

    names: tuple[str, ...]
    places: tuple[Any, ...]
    number: int

    def take(self, places: Sequence[int]) -> Channels:
        """Those at *places* among all."""
        return Channels(
            tuple(self.names[each] for each in places),
            tuple(self.places[each] for each in places),
            self.number,
        )

    def of(self, rows: Any) -> list[Array]:
        """Each channel of *rows*, contiguous and in its own dtype; a missing cell is NaN."""
        rows = rows.reshape(len(rows), prod(rows.shape[1:]))
        if rows.dtype.names:
            return [_filled(rows[name][:, each]) for name, each in self.places]
        flat = np.asarray(rows)
        if flat.dtype.kind == "c":
            parts = flat.real, flat.imag
            return [_drawable(parts[each % 2][:, each // 2]) for each in self.places]
        return [_drawable(flat[:, each]) for each in self.places]


def channels_of(payload: LookedPayload, most: int) -> Channels:
    """The first *most* channels of *payload*; the axes behind the first are channels, and so are columns.

    A complex number is two: its real and its imaginary part.
    """
    dtype = payload.dtype
    elements = prod(payload.shape[1:])
    if dtype.names:
        columns = numeric_columns(dtype)
        fields = tuple(islice(((name, each) for name in columns for each in range(elements)), most))
        named_so = tuple(name if elements == 1 else f"{name} {each}" for name, each in fields)
        return Channels(named_so, fields, len(columns) * elements)
    named = _named(payload, elements)
    count = elements * (2 if dtype.kind == "c" else 1)
    places = tuple(range(min(count, most)))
    if dtype.kind != "c":
        names = tuple(named[each] if named else str(each) for each in places)
    else:
        parts = ("real", "imag")
        one = elements == 1 and not named
        names = tuple(
            parts[each % 2] if one else f"{named[each // 2] if named else each // 2} {parts[each % 2]}"
            for each in places
        )
    return Channels(names, places, count)


def _named(payload: LookedPayload, number: int) -> list[str]:
    metadata = payload.metadata
    for name in _NAMES:
        found = metadata.get(name)
        if isinstance(found, list | tuple) and len(found) == number:
            return [str(each)[:40] for each in found]
    return []


def _filled(column: Any) -> Array:
    values = np.ma.getdata(column)
    # Always a float, since whether cells are missing is known of the rows at hand alone.
    values = values if values.dtype.kind == "f" else values.astype("f8")
    mask = np.ma.getmaskarray(column)
    return _drawable(np.where(mask, values.dtype.type(np.nan), values) if mask.any() else values)


def _drawable(values: Array) -> Array:
    """*values* in an order and a dtype of which numpy is quick to find the least and the greatest."""
    if values.dtype.kind == "b":
        return np.ascontiguousarray(values).view(np.uint8)
    dtype = np.dtype("f4") if values.dtype == np.float16 else values.dtype.newbyteorder("=")
    return np.ascontiguousarray(values, dtype)
