"""What the pages of a TIFF announce, against what is there: Pillow leaves missing strips black.

Sources: TIFF 6.0 (Adobe, 1992) and the BigTIFF proposal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import IO

import numpy as np

from lotdb import IngestError

__all__ = ["BITS", "HEIGHT", "SAMPLES", "WIDTH", "check_tiff"]

WIDTH, HEIGHT, BITS, COMPRESSION, COLOURS = 256, 257, 258, 259, 262
SAMPLES, ROWS_PER_STRIP, PLANES = 277, 278, 284
STRIPS, TILE_WIDTH, TILE_HEIGHT, TILES, JPEG_TABLES = 273, 322, 323, 324, 513
#: Where the sizes of the strips and of the tiles are.
SIZES = {STRIPS: 279, TILES: 325}
WANTED = {WIDTH, HEIGHT, BITS, COMPRESSION, COLOURS, SAMPLES, ROWS_PER_STRIP, PLANES}
WANTED |= {STRIPS, TILE_WIDTH, TILE_HEIGHT, TILES, JPEG_TABLES, *SIZES.values()}
#: Unsigned whole numbers, by type: bytes, shorts, longs, and offsets of four and eight bytes.
TYPES = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
#: Bytes of a value of any other type.
OTHER_TYPES = {2: 1, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 17: 8}
UNCOMPRESSED, YCBCR = 1, 6

Tags = dict[int, "np.ndarray[tuple[int], np.dtype[np.unsignedinteger]]"]


def check_tiff(file: IO[bytes], size: int, check_size: Callable[[int, int], None]) -> int:
    """The number of pages; ``IngestError`` if something of the file of *size* bytes is missing."""
    count = 0
    for tags in _pages(file, size):
        count += 1
        try:
            _check_page(tags, size, check_size)
        except IngestError as error:
            raise IngestError(f"page {count}: {error}") from None
    if not count:
        raise IngestError("it has no pages")
    return count


def _pages(file: IO[bytes], size: int) -> Iterator[Tags]:
    """The wanted tags of each page, as far as they are whole numbers."""
    file.seek(0)
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    number = np.dtype(f"{order}u{8 if big else 4}")
    entry = np.dtype(
        [("tag", f"{order}u2"), ("type", f"{order}u2"), ("count", number), ("value", f"V{number.itemsize}")]
    )
    count_bytes = 8 if big else 2
    place = _number(head[8:16] if big else head[4:8], order)
    seen = set()
    # That the last page leads back to another one is an error of some programs, and no damage.
    while place and place not in seen:
        seen.add(place)
        file.seek(min(place, size))
        entries = _number(file.read(count_bytes), order)
        end = place + count_bytes + entries * entry.itemsize + number.itemsize
        if end > size:
            raise IngestError(
                f"page {len(seen)}: its directory is announced up to byte {end}, the file has {size}"
            )
        directory = np.frombuffer(file.read(entries * entry.itemsize), entry)
        place = _number(file.read(number.itemsize), order)
        yield _tags(file, size, directory, order)


def _tags(
    file: IO[bytes], size: int, directory: np.ndarray[tuple[int], np.dtype[np.void]], order: str
) -> Tags:
    found: Tags = {}
    for each in directory:
        tag, type, count = int(each["tag"]), int(each["type"]), int(each["count"])
        value = each["value"].tobytes()
        length = count * (np.dtype(TYPES[type]).itemsize if type in TYPES else OTHER_TYPES.get(type, 0))
        if length > len(value):
            place = _number(value, order)
            if place + length > size:
                raise IngestError(f"tag {tag} is announced up to byte {place + length}, the file has {size}")
            if tag in WANTED:
                file.seek(place)
                value = file.read(length)
        if tag in WANTED and type in TYPES and count:
            found[tag] = np.frombuffer(value[:length], np.dtype(TYPES[type]).newbyteorder(order))  # type: ignore[arg-type]
    return found


def _check_page(tags: Tags, size: int, check_size: Callable[[int, int], None]) -> None:
    width, height = _first(tags, WIDTH), _first(tags, HEIGHT)
    check_size(width, height)
    kind = next((each for each in SIZES if each in tags), None)
    if kind is None:
        if JPEG_TABLES in tags:
            return  # as JPEG was put into TIFF before 1995
        raise IngestError("it says nowhere where its pixels are")
    if kind == STRIPS:
        across, down = width, min(_first(tags, ROWS_PER_STRIP, height), height)
    else:
        across, down = _first(tags, TILE_WIDTH), _first(tags, TILE_HEIGHT)
    if across == 0 or down == 0:
        raise IngestError(f"its tiles have {across} x {down} pixels")
    planes = _first(tags, SAMPLES, 1) if _first(tags, PLANES, 1) == 2 else 1
    what = "strips" if kind == STRIPS else "tiles"
    expected = math.ceil(width / across) * math.ceil(height / down) * planes
    if len(tags[kind]) < expected:
        raise IngestError(f"it announces {expected} {what}, {len(tags[kind])} are present")
    if _first(tags, COMPRESSION, UNCOMPRESSED) != UNCOMPRESSED:
        _check_ends(tags, kind, what, size)
    elif _first(tags, COLOURS, 0) != YCBCR:
        bits = tags.get(BITS, np.ones(1, np.uint8))
        a_pixel = int(bits.sum()) if len(bits) > 1 else int(bits[0]) * _first(tags, SAMPLES, 1)
        announced = height * -(-width * a_pixel // 8)
        if announced > size:
            raise IngestError(f"it announces {announced} bytes of pixels, the file has {size}")


def _check_ends(tags: Tags, kind: int, what: str, size: int) -> None:
    lengths = tags.get(SIZES[kind])
    if lengths is None or len(lengths) != len(tags[kind]):
        return
    end = max(int(start) + int(length) for start, length in zip(tags[kind], lengths, strict=True))
    if end > size:
        raise IngestError(f"its {what} end at byte {end}, the file has {size}")


def _first(tags: Tags, tag: int, default: int | None = None) -> int:
    if tag in tags:
        return int(tags[tag][0])
    if default is None:
        raise IngestError(f"tag {tag} is missing")
    return default


def _number(data: bytes, order: str) -> int:
    return int.from_bytes(data, "little" if order == "<" else "big")
