"""Checking that an image file is complete, and how large the image is, before anything is decoded.

Sources: ITU-T T.81 (JPEG), and the BMP headers of Windows and OS/2. GIF, PNG, TIFF and WebP have modules of
their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import IO

from lotdb import IngestError
from lotdb_ingest.image.gif import check_gif
from lotdb_ingest.image.png import check_png
from lotdb_ingest.image.webp import check_webp

__all__ = ["check_whole"]

PIECE = 1 << 20
#: A marker that ends the pixels of a JPEG; restart markers (D0 to D7) stand among the pixels.
MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
#: Markers without a length: a temporary one, the start, and the end.
LONE, END = (0x01, 0xD8), 0xD9
#: Markers of frames, which say how large the image is.
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


def check_whole(
    format: str, file: IO[bytes], size: int, check_size: Callable[[int, int], None]
) -> int | None:
    """Check the file; return the number of frames for a GIF, None for other formats.

    Raises
    ------
    IngestError
        If the file of *size* bytes is cut, or its pixels are fewer than announced; and whatever *check_size*
        raises, which is asked about each width and height that the file announces.
    """
    if format == "gif":
        return check_gif(file, check_size)
    checks = {"bmp": _check_bmp, "jpeg": _check_jpeg, "png": check_png, "webp": check_webp}
    if format in checks:
        checks[format](file, size, check_size)
    return None


def _check_jpeg(file: IO[bytes], size: int, check_size: Callable[[int, int], None]) -> None:
    """libjpeg fills a missing end with grey, and decodes zeros at the end as pixels."""
    place = 2
    while True:
        marker, place = _marker(file, place, size)
        if marker == END:
            return
        if marker in LONE:
            continue
        file.seek(place)
        head = file.read(7).ljust(7, b"\0")
        length = int.from_bytes(head[:2], "big")
        if length < 2 and place + 2 <= size:
            raise IngestError(f"it has a segment at byte {place} of {length} bytes")
        if marker in FRAMES:
            check_size(int.from_bytes(head[5:7], "big"), int.from_bytes(head[3:5], "big"))
        place += max(length, 2)


def _marker(file: IO[bytes], place: int, size: int) -> tuple[int, int]:
    """The next marker from *place* on, and where what follows it begins."""
    length = 16  # it mostly comes at once
    while place < size:
        file.seek(place)
        piece = file.read(length)
        if found := MARKER.search(piece):
            return piece[found.end() - 1], place + found.end()
        place += max(len(piece) - 1, 1)  # the last byte may be the first one of a marker
        length = PIECE
    raise IngestError(f"its end is missing: it has {size} bytes, and no mark of the end in them")


def _check_bmp(file: IO[bytes], size: int, check_size: Callable[[int, int], None]) -> None:
    """Only the size: Pillow refuses cut files."""
    file.seek(0)
    head = file.read(26).ljust(26, b"\0")
    if head[14] == 12:
        check_size(_short(head, 18), _short(head, 20))
        return
    width = int.from_bytes(head[18:22], "little")
    check_size(width, abs(int.from_bytes(head[22:26], "little", signed=True)))


def _short(data: bytes, place: int) -> int:
    return int.from_bytes(data[place : place + 2], "little")
