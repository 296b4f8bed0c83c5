"""Checking that a WebP is complete, and which of its chunks are not kept.

Source: the WebP container specification (RFC 9649).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import IO, Any

from lotdb import IngestError

__all__ = ["about_webp", "check_webp"]

FRAME, FRAME_HEADER_BYTES = b"ANMF", 16
#: Chunks of the pixels, and those that Pillow knows.
KNOWN = {b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", FRAME, b"ICCP", b"EXIF", b"XMP "}


def check_webp(file: IO[bytes], size: int, check_size: Callable[[int, int], None]) -> None:
    """Raise ``IngestError`` if the file of *size* bytes is cut."""
    file.seek(0)
    head = file.read(30).ljust(30, b"\0")
    announced = int.from_bytes(head[4:8], "little") + 8
    if announced > size:
        raise IngestError(f"its header announces {announced} bytes, {size} are present")
    # The decoder allocates the canvas when it is made, so its size is read here.
    kind = head[12:16]
    if kind == b"VP8X":
        check_size(
            int.from_bytes(head[24:27], "little") + 1,
            int.from_bytes(head[27:30], "little") + 1,
        )
    elif kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        check_size((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    else:
        width, height = struct.unpack_from("<HH", head, 26)
        check_size(width & 0x3FFF, height & 0x3FFF)


def about_webp(file: IO[bytes]) -> dict[str, Any]:
    """The names of chunks that are not kept, those within frames too."""
    file.seek(4)
    end = int.from_bytes(file.read(4), "little") + 8
    left = {name for name in _names(file, 12, end) if name not in KNOWN}
    return {"not_kept": sorted(f"WebP chunk {name.decode('latin-1')}" for name in left)} if left else {}


def _names(file: IO[bytes], place: int, end: int) -> Iterator[bytes]:
    while place + 8 <= end:
        file.seek(place)
        head = file.read(8)
        name, length = head[:4], int.from_bytes(head[4:], "little")
        if len(head) < 8:
            return
        yield name
        if name == FRAME:
            yield from _names(file, place + 8 + FRAME_HEADER_BYTES, min(place + 8 + length, end))
        place += 8 + length + length % 2
