"""What the plots have in common: the axis of time, blocks of rows, names and units."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lotdb.looking.looked_at import LookedPayload
from lotdb.looking.wording import plain, short

__all__ = ["blocks", "label_rows", "literal", "pixels_across", "title", "unit_of"]

# Of a payload, so much is in memory at a time; what is smaller is read whole, which is quicker.
_BLOCK_BYTES = 16 << 20
_WHOLE_BYTES = 64 << 20
_TEXT = 60


def blocks(payload: LookedPayload, first: int, last: int) -> Iterator[tuple[int, Any]]:
    """The rows *first* to *last* in blocks, each with the place of its first row behind *first*."""
    row_bytes = max(payload.nbytes // max(payload.shape[0], 1), 1)
    step = max(_BLOCK_BYTES // row_bytes, 1)
    if (last - first) * row_bytes <= _WHOLE_BYTES:
        step = max(last - first, 1)
    for start in range(first, last, step):
        yield start - first, payload[start : min(start + step, last)]


def pixels_across(ax: Any) -> tuple[int, int]:
    """Width and height of *ax* in pixels."""
    extent = ax.get_window_extent()
    return max(int(extent.width), 1), max(int(extent.height), 1)


def unit_of(payload: LookedPayload, name: str | None = None) -> str:
    """The unit that the metadata name, of all or of the column *name*; "" if they name none."""
    metadata = payload.metadata
    unit = metadata.get("unit")
    if not isinstance(unit, str) and name is not None:
        units = metadata.get("units")
        unit = units.get(name) if isinstance(units, dict) else None
    return literal(unit) if isinstance(unit, str) else ""


def literal(text: str) -> str:
    """*text* as matplotlib shows it letter by letter: a ``$`` would begin a formula."""
    return short(plain(text), _TEXT).replace("$", r"\$")


def title(ax: Any, payload: LookedPayload, *more: str) -> None:
    """Name the payload above the picture, unless the Axes has a title already."""
    if not ax.get_title():
        place = payload._place.removeprefix("payload ")
        ax.set_title("; ".join([literal(place), *filter(None, more)]), fontsize="medium")


def label_rows(ax: Any, payload: LookedPayload) -> None:
    """Label the axis along the rows."""
    ax.set_xlabel("time in s" if payload.samplerate_hz else "row")
