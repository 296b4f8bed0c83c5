"""A picture, or a matrix of numbers, as an image of no more pixels than are shown."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from lotdb.errors import InvalidRangeError
from lotdb.looking.channels import Array
from lotdb.looking.looked_at import LookedPayload
from lotdb.looking.pixels import Frame, as_pixels, frame_of, has_colours
from lotdb.looking.plot_axes import pixels_across, title, unit_of

__all__ = ["draw_image"]

_BLOCK_BYTES = 16 << 20


def draw_image(ax: Any, payload: LookedPayload, first: int, last: int, *, is_window: bool) -> None:
    """Draw the picture on *ax*: of several, that of row *first*."""
    frame = frame_of(payload)
    if is_window and not frame.before:
        raise InvalidRangeError(
            f"{payload._place} is a single image, which is drawn whole; leave out start and stop"
        )
    number = first if frame.before else 0
    title(ax, payload, f"image {number} of {frame.frames}" if frame.before else "")
    if number >= frame.frames or not prod(payload.shape):
        return
    metadata = payload.metadata
    values = _thinned(payload, frame, number, *pixels_across(ax))
    extent = (-0.5, frame.width - 0.5, frame.height - 0.5, -0.5)
    is_file = payload.content_type.startswith("image/")
    aspect = "equal" if is_file or frame.channels > 1 or frame.before else "auto"
    if has_colours(frame, metadata) or is_file or values.dtype in (np.uint8, np.bool_):
        shown = as_pixels(values, metadata)
        shown = _with_alpha(shown) if shown.ndim == 3 and shown.shape[2] == 2 else shown
        ax.imshow(shown, extent=extent, aspect=aspect, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    else:
        numbers = np.abs(values) if values.dtype.kind == "c" else values
        numbers = numbers[:, :, 0] if numbers.ndim == 3 else numbers
        numbers = np.ma.masked_invalid(numbers.astype("f8"))
        image = ax.imshow(numbers, extent=extent, aspect=aspect, interpolation="nearest")
        ax.figure.colorbar(image, ax=ax, label=unit_of(payload), pad=0.01)
    ax.set_xlabel("column")
    ax.set_ylabel("row")


def _with_alpha(pixels: Array) -> Array:
    return pixels[:, :, (0, 0, 0, 1)]


def _thinned(payload: LookedPayload, frame: Frame, number: int, across: int, down: int) -> Array:
    """Each so many-th row and column of the picture, read in blocks of rows."""
    every_row, every_column = max(frame.height // max(down, 1), 1), max(frame.width // max(across, 1), 1)
    row_bytes = max(frame.width * frame.channels * payload.dtype.itemsize, 1)
    step = max(_BLOCK_BYTES // row_bytes // every_row, 1) * every_row
    if frame.before:  # a picture is within one row of the payload, which would be read for each block
        step = frame.height
    return np.concatenate(
        [
            frame.rows(payload, number, start, min(start + step, frame.height))[::every_row, ::every_column]
            for start in range(0, frame.height, step)
        ]
    )
