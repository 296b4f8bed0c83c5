"""The pixels of a payload: which of its axes make a picture, and its numbers as what a screen shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lotdb.looking.looked_at import LookedPayload

__all__ = ["Frame", "as_pixels", "frame_of", "has_colours"]

Array = np.ndarray[Any, Any]

# Which channel is shown of colours that are not converted: the lightness, or the value.
_BRIGHTNESS = {"LAB": 0, "HSV": 2}


@dataclass(frozen=True)
class Frame:
    """How the axes of a payload make pictures.

    ``before`` are the axes that count pictures: the first one frames or pages, of which there are ``frames``.
    ``channels`` is 1 if the picture has no axis of its own for them.
    """

    before: int
    frames: int
    height: int
    width: int
    channels: int

    def rows(self, payload: LookedPayload, number: int, first: int, last: int) -> Array:
        """The rows *first* to *last* of picture *number*."""
        if not self.before:
            return np.asarray(payload[first:last])
        return np.asarray(payload[(number, *(0,) * (self.before - 1), slice(first, last))])


def frame_of(payload: LookedPayload) -> Frame:
    """How the axes of *payload*, at least two, make pictures: rows, columns, and up to four channels."""
    shape = payload.shape
    has_channels = len(shape) > 2 and 1 <= shape[-1] <= 4
    picture = 3 if has_channels else 2
    before = len(shape) - picture
    height, width = shape[before : before + 2]
    return Frame(before, shape[0] if before else 1, height, width, shape[-1] if has_channels else 1)


def has_colours(frame: Frame, metadata: Mapping[str, Any]) -> bool:
    """Whether the numbers of a picture are colours, and not a brightness."""
    return frame.channels > 1 or isinstance(metadata.get("palette"), np.ndarray)


def as_pixels(values: Array, metadata: Mapping[str, Any]) -> Array:
    """The rows of a picture as bytes: grey, grey with alpha, RGB or RGBA.

    Channels are what the *metadata* of an image file call them (``mode``, ``palette``, ``white_is_zero``).
    Numbers that are no bytes are spread from the least to the greatest; NaN is transparent.
    """
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.dtype.kind == "c":
        values = np.abs(values)
    mode = str(metadata.get("mode"))
    palette: Any = metadata.get("palette")
    if _fits(palette, values):
        colours = palette if palette.dtype == np.uint8 else (palette >> 8).astype(np.uint8)
        return np.asarray(colours[values if values.ndim == 2 else values[:, :, 0]])
    pixels = _as_bytes(values)
    if metadata.get("white_is_zero") is True and values.dtype.kind != "f":
        pixels = 255 - pixels
    if values.ndim != 3:
        return pixels
    if mode == "CMYK" and values.shape[2] == 4:
        black = 255 - pixels[:, :, 3:].astype(np.uint16)
        return np.asarray(((255 - pixels[:, :, :3]) * black // 255).astype(np.uint8))
    if mode == "YCbCr" and values.shape[2] == 3:
        return _from_ycbcr(pixels)
    if mode in _BRIGHTNESS and values.shape[2] == 3:
        return pixels[:, :, _BRIGHTNESS[mode]]
    return pixels


def _fits(palette: Any, values: Array) -> bool:
    """Whether *values* are places in a *palette* of RGB or RGBA."""
    return (
        isinstance(palette, np.ndarray)
        and palette.ndim == 2
        and palette.shape[1] in (3, 4)
        and palette.dtype in (np.uint8, np.uint16)
        and values.dtype.kind == "u"
        and values.ndim in (2, 3)
        and values.size > 0
        and int(values.max()) < len(palette)
    )


def _as_bytes(values: Array) -> Array:
    kind = values.dtype.kind
    if values.dtype == np.uint8:
        return values
    if kind == "b":
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype == np.uint16 and values.ndim == 3:
        return (values >> 8).astype(np.uint8)
    numbers = values.astype("f8")
    there = np.isfinite(numbers)
    if not there.any():
        return np.zeros((*values.shape[:2], 2), np.uint8)
    low, high = float(numbers[there].min()), float(numbers[there].max())
    if kind == "f" and values.ndim == 3 and low >= 0 and high <= 1:
        low, high = 0.0, 1.0  # colours as fractions
    with np.errstate(all="ignore"):
        scaled = (numbers / 2 - low / 2) / ((high / 2 - low / 2) or 1.0)
    shades = np.where(there, np.clip(scaled, 0, 1) * 255, 0).astype(np.uint8)
    if there.all() or values.ndim == 3:
        return shades
    return np.dstack([shades, there.astype(np.uint8) * np.uint8(255)])


def _from_ycbcr(pixels: Array) -> Array:
    """RGB of ITU-R BT.601 in full range, as JPEG (ISO/IEC 10918-5) has it."""
    luma, blue, red = (pixels[:, :, each].astype("f4") for each in range(3))
    blue, red = blue - 128, red - 128
    colours = (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue)
    return np.clip(np.rint(np.dstack(colours)), 0, 255).astype(np.uint8)
