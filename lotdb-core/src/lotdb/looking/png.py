"""Pixels as the bytes of a PNG.

Source: Portable Network Graphics (PNG) Specification, third edition, https://www.w3.org/TR/png-3/
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

__all__ = ["encode"]

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by the number of channels: grey, with alpha, RGB, RGBA


def encode(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    """A PNG of *pixels*: rows, columns and, unless it is grey, two to four channels.

    >>> encode(np.zeros((2, 3), np.uint8))[:8]
    b'\\x89PNG\\r\\n\\x1a\\n'
    """
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels).reshape(height, -1)
    colour = _COLOUR_TYPES[pixels.shape[2] if pixels.ndim == 3 else 1]
    filtered = np.zeros((height, rows.shape[1] + 1), np.uint8)  # each row begins with the filter 0: none
    filtered[:, 1:] = rows
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes(), 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
