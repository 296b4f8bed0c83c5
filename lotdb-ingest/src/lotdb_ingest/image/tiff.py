"""Checking that the pages of a TIFF are complete, because readers leave missing strips black.

Sources: TIFF 6.0 (Adobe, 1992) and the BigTIFF proposal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np

from lotdb import IngestError

__all__ = [
    "BITS",
    "DESCRIPTION",
    "HEIGHT",
    "SAMPLES",
    "WIDTH",
    "Entry",
    "Page",
    "Tags",
    "check_tiff",
    "first",
]

WIDTH, HEIGHT, BITS, COMPRESSION, COLOURS = 256, 257, 258, 259, 262
FILL_ORDER, DESCRIPTION, PREDICTOR, EXTRA_SAMPLES, SAMPLE_FORMAT = 266, 270, 317, 338, 339
SAMPLES, ROWS_PER_STRIP, PLANES, DEPTH, TILE_DEPTH = 277, 278, 284, 32997, 32998
STRIPS, TILE_WIDTH, TILE_HEIGHT, TILES, JPEG_TABLES = 273, 322, 323, 324, 513
#: Where the sizes of the strips and of the tiles are.
SIZES = {STRIPS: 279, TILES: 325}
WANTED = {WIDTH, HEIGHT, BITS, COMPRESSION, COLOURS, SAMPLES, ROWS_PER_STRIP, PLANES}
WANTED |= {FILL_ORDER, PREDICTOR, EXTRA_SAMPLES, SAMPLE_FORMAT, DEPTH, TILE_DEPTH}
WANTED |= {STRIPS, TILE_WIDTH, TILE_HEIGHT, TILES, JPEG_TABLES, *SIZES.values()}
#: Unsigned whole numbers, by type: bytes, shorts, longs, and offsets of four and eight bytes.
TYPES = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
#: Bytes of a value of any other type.
OTHER_TYPES = {2: 1, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 17: 8}
UNCOMPRESSED, YCBCR = 1, 6

Tags = dict[int, "np.ndarray[tuple[int], np.dtype[np.unsignedinteger]]"]


@dataclass(frozen=True, slots=True)
class Entry:
    """Where the *count* values of a tag are: *length* bytes from *place* on."""

    type: int
    count: int
    place: int
    length: int


@dataclass(frozen=True, slots=True)
class Page:
    """A directory: its byte order, what it says of the pixels, and where everything else is."""

    order: str
    tags: Tags
    entries: dict[int, Entry]

    def value(self, file: IO[bytes], tag: int, limit: int = 1 << 20) -> bytes:
        """The bytes of *tag*, at most *limit* of them; none if the page has no such tag."""
        if tag not in self.entries:
            return b""
        file.seek(self.entries[tag].place)
        return file.read(min(self.entries[tag].length, limit))


def check_tiff(file: IO[bytes], size: int, check_size: Callable[[int, int], None]) -> list[Page]:
    """The pages; ``IngestError`` if something of the file of *size* bytes is missing."""
    pages = []
    for page in _pages(file, size):
        pages.append(page)
        try:
            _check_page(page.tags, size, check_size)
        except IngestError as error:
            raise IngestError(f"page {len(pages)}: {error}") from None
    if not pages:
        raise IngestError("it has no pages")
    return pages


def _pages(file: IO[bytes], size: int) -> Iterator[Page]:
    """Each page, with its wanted tags as far as they are whole numbers."""
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
        first_value = place + count_bytes + entry.itemsize - number.itemsize
        place = _number(file.read(number.itemsize), order)
        yield _page(file, size, directory, order, first_value)


def _page(
    file: IO[bytes],
    size: int,
    directory: np.ndarray[tuple[int], np.dtype[np.void]],
    order: str,
    first_value: int,
) -> Page:
    found: Tags = {}
    entries: dict[int, Entry] = {}
    for index, each in enumerate(directory):
        tag, type, count = int(each["tag"]), int(each["type"]), int(each["count"])
        value = each["value"].tobytes()
        place = first_value + index * directory.itemsize
        length = count * (np.dtype(TYPES[type]).itemsize if type in TYPES else OTHER_TYPES.get(type, 0))
        if length > len(value):
            place = _number(value, order)
            if place + length > size:
                raise IngestError(f"tag {tag} is announced up to byte {place + length}, the file has {size}")
            if tag in WANTED:
                file.seek(place)
                value = file.read(length)
        if tag not in WANTED:
            entries[tag] = Entry(type, count, place, length)
        if tag in WANTED and type in TYPES and count:
            found[tag] = np.frombuffer(value[:length], np.dtype(TYPES[type]).newbyteorder(order))  # type: ignore[arg-type]
    return Page(order, found, entries)


def _check_page(tags: Tags, size: int, check_size: Callable[[int, int], None]) -> None:
    width, height = first(tags, WIDTH), first(tags, HEIGHT)
    depth, samples = max(first(tags, DEPTH, 1), 1), max(first(tags, SAMPLES, 1), 1)
    check_size(width, height)
    # So many channels are few pixels: what is announced is bounded as if each pixel had four.
    check_size(width, height * depth * max(1, -(-samples // 4)))
    kind = next((each for each in SIZES if each in tags), None)
    if kind is None:
        if JPEG_TABLES in tags:
            return  # as JPEG was put into TIFF before 1995
        raise IngestError("it does not say where its pixels are")
    if kind == STRIPS:
        across, down = width, min(first(tags, ROWS_PER_STRIP, height), height)
    else:
        across, down = first(tags, TILE_WIDTH), first(tags, TILE_HEIGHT)
    if across == 0 or down == 0:
        raise IngestError(f"its tiles have {across} x {down} pixels")
    planes = samples if first(tags, PLANES, 1) == 2 else 1
    what = "strips" if kind == STRIPS else "tiles"
    deep = math.ceil(depth / max(first(tags, TILE_DEPTH, 1), 1)) if kind == TILES else depth
    expected = math.ceil(width / across) * math.ceil(height / down) * planes * deep
    if kind == STRIPS and len(tags[kind]) == 1 and first(tags, COMPRESSION, UNCOMPRESSED) == UNCOMPRESSED:
        expected = planes  # one strip of several depths
    if len(tags[kind]) < expected:
        raise IngestError(f"it announces {expected} {what}, {len(tags[kind])} are present")
    if first(tags, COMPRESSION, UNCOMPRESSED) != UNCOMPRESSED:
        _check_ends(tags, kind, what, size)
    elif first(tags, COLOURS, 0) != YCBCR:
        bits = tags.get(BITS, np.ones(1, np.uint8))
        a_pixel = int(bits.sum()) if len(bits) > 1 else int(bits[0]) * samples
        announced = depth * height * -(-width * a_pixel // 8)
        if announced > size:
            raise IngestError(f"it announces {announced} bytes of pixels, the file has {size}")


def _check_ends(tags: Tags, kind: int, what: str, size: int) -> None:
    lengths = tags.get(SIZES[kind])
    if lengths is None or len(lengths) != len(tags[kind]):
        return
    for number, (start, length) in enumerate(zip(tags[kind], lengths, strict=True), 1):
        if not start or not length:
            raise IngestError(
                f"{what[:-1]} {number} has no bytes: the file is sparse, and readers differ in what they put "
                "there; write it in full, with gdal_translate -co SPARSE_OK=FALSE"
            )
    end = max(int(start) + int(length) for start, length in zip(tags[kind], lengths, strict=True))
    if end > size:
        raise IngestError(f"its {what} end at byte {end}, the file has {size}")


def first(tags: Tags, tag: int, default: int | None = None) -> int:
    if tag in tags:
        return int(tags[tag][0])
    if default is None:
        raise IngestError(f"tag {tag} is missing")
    return default


def _number(data: bytes, order: str) -> int:
    return int.from_bytes(data, "little" if order == "<" else "big")
