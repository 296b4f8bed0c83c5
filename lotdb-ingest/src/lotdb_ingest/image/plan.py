"""Choosing the reader of each page of a TIFF, from its tags, before anything is decoded.

Pillow reads the pages whose pixels it returns exactly. The planes that ImageJ, tifffile and MetaMorph store
after one directory are read here, as plain numbers. tifffile reads all other pages.

Sources: TIFF 6.0; the descriptions that ImageJ (``ij.io.TiffEncoder``) and tifffile write; "MetaMorph Stack
(STK) Image File Format" of Molecular Devices.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, Literal

import numpy as np

from lotdb import IngestError
from lotdb_ingest.image.tiff import (
    BITS,
    COLOURS,
    COMPRESSION,
    DEPTH,
    DESCRIPTION,
    EXTRA_SAMPLES,
    FILL_ORDER,
    HEIGHT,
    PLANES,
    PREDICTOR,
    SAMPLE_FORMAT,
    SAMPLES,
    STRIPS,
    UNCOMPRESSED,
    WIDTH,
    Page,
    Tags,
    first,
)

__all__ = ["Plan", "plan", "shown", "subsampling"]

#: MetaMorph's table of planes: as many values as there are planes.
METAMORPH = 33629
RGB, PALETTE, CMYK, YCBCR, LAB = 2, 3, 5, 6, 8
GREY = (0, 1)
OLD_JPEG, JPEG = 6, 7
SUBSAMPLING = 530
#: What Pillow's libtiff takes; it comes without WebP.
PILLOWS_COMPRESSIONS = {1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 34925, 50000}
COMPRESSIONS = {
    2: "CCITT RLE",
    3: "CCITT Group 3",
    4: "CCITT Group 4",
    5: "LZW",
    6: "old-style JPEG",
    7: "JPEG",
    8: "deflate",
    32773: "PackBits",
    32946: "deflate",
    33003: "JPEG 2000",
    33004: "JPEG 2000",
    33005: "JPEG 2000",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "lossy JPEG of DNG",
    34925: "LZMA",
    34933: "PNG",
    34934: "JPEG XR",
    50000: "Zstandard",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
KINDS = {1: "u", 2: "i", 3: "f", 6: "c"}
#: What a description that announces planes begins with.
IMAGEJ = re.compile(rb"ImageJ=.*?^images=(\d{1,12})\s*$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Plan:
    """How a page is read: by which reader, and for ``"planes"``, the shape, the dtype and the first byte."""

    reader: Literal["pillow", "planes", "tifffile"]
    shape: tuple[int, ...] = ()
    dtype: np.dtype[Any] | None = None
    start: int = 0

    def planes(self, file: IO[bytes]) -> Iterator[np.ndarray[Any, Any]]:
        """One plane after the other, which lie in *file* without anything between them."""
        assert self.dtype is not None
        length = self.dtype.itemsize * math.prod(self.shape[1:])
        for number in range(self.shape[0]):
            file.seek(self.start + number * length)
            plane = np.frombuffer(file.read(length), self.dtype).reshape(1, *self.shape[1:])
            yield plane.astype(self.dtype.newbyteorder("="))


def plan(pages: Sequence[Page], file: IO[bytes], size: int) -> list[Plan]:
    """How each of *pages* is read.

    Raises
    ------
    IngestError
        If there are more planes than directories, and they are not in the file of *size* bytes, or not as
        plain numbers.
    """
    plans, covered = [], 0
    for number, page in enumerate(pages):
        announced, whole = _announced(page, file) if number >= covered else (1, False)
        if announced > 1 and (whole or announced > len(pages) - number):
            plans.append(_planes(page, announced, size, len(pages) - number))
        else:
            # A description of several pages stands in the first of them.
            covered = max(covered, number + announced)
            is_pillows = _is_pillows(page.tags, page.order) and not _is_plain_ycbcr(page, file)
            plans.append(Plan("pillow" if is_pillows else "tifffile"))
    return plans


def shown(tags: Tags) -> str:
    """The form of the pixels, for messages: ``"3 channels of uint16, LZW"``."""
    samples, number = first(tags, SAMPLES, 1), first(tags, COMPRESSION, UNCOMPRESSED)
    bits, kind = first(tags, BITS, 1), KINDS.get(first(tags, SAMPLE_FORMAT, 1), "V")
    name = {"u": "uint", "i": "int", "f": "float", "c": "complex"}.get(kind, "undefined ")
    channels = f"{samples} channels of " if samples > 1 else ""
    compression = (
        COMPRESSIONS.get(number, f"compression {number}") if number != UNCOMPRESSED else "uncompressed"
    )
    planes = ", one plane a channel" if samples > 1 and first(tags, PLANES, 1) == 2 else ""
    depth = f", {first(tags, DEPTH)} planes deep" if first(tags, DEPTH, 1) > 1 else ""
    return f"{channels}{name}{bits}, {compression}{planes}{depth}"


def _announced(page: Page, file: IO[bytes]) -> tuple[int, bool]:
    """The number of planes that *page* announces, and whether all of them follow its directory."""
    if METAMORPH in page.entries:
        return page.entries[METAMORPH].count, True
    text = page.value(file, DESCRIPTION)
    if found := IMAGEJ.match(text):
        return int(found[1]), False
    if not text.startswith(b'{"shape":'):
        return 1, False
    try:
        said = json.loads(text.rstrip(b"\0"))
        values = math.prod(int(each) for each in said["shape"])
        return values // _values(page.tags), bool(said.get("truncated"))
    except (KeyError, TypeError, ValueError, AttributeError):
        return 1, False


def _values(tags: Tags) -> int:
    """How many numbers one directory stands for by its own tags."""
    return first(tags, WIDTH) * first(tags, HEIGHT) * first(tags, SAMPLES, 1) * max(first(tags, DEPTH, 1), 1)


def _planes(page: Page, count: int, size: int, present: int) -> Plan:
    tags = page.tags
    bits, samples = first(tags, BITS, 1), first(tags, SAMPLES, 1)
    kind = KINDS.get(first(tags, SAMPLE_FORMAT, 1), "u")
    start = int(tags[STRIPS].min()) if STRIPS in tags else 0
    length = _values(tags) * bits // 8
    said = f"its description announces {count} planes, its directories {present}"
    remedy = "if another program left that description, remove it: exiftool -ImageDescription= FILE"
    is_plain = (
        start
        and first(tags, COMPRESSION, UNCOMPRESSED) == UNCOMPRESSED
        and first(tags, PREDICTOR, 1) == first(tags, FILL_ORDER, 1) == 1
        and len({*tags.get(BITS, np.ones(1, np.uint8)).tolist()}) == 1
        and bits in (8, 16, 32, 64)
        and (samples == 1 or first(tags, PLANES, 1) == 1 or METAMORPH in page.entries)
        and max(first(tags, DEPTH, 1), 1) == 1
    )
    if not is_plain:
        raise IngestError(f"{said}, and they are not stored as plain numbers one after the other; {remedy}")
    if start + count * length > size:
        raise IngestError(
            f"{said}; they would end at byte {start + count * length}, the file has {size}; {remedy}"
        )
    dtype = np.dtype(f"{page.order}{kind}{bits // 8}")
    last = (samples,) if samples > 1 else ()
    return Plan("planes", (count, first(tags, HEIGHT), first(tags, WIDTH), *last), dtype, start)


def _is_pillows(tags: Tags, order: str) -> bool:
    """Whether Pillow returns the pixels exactly as they are stored."""
    compression = first(tags, COMPRESSION, UNCOMPRESSED)
    bits, kinds = _all(tags, BITS, 1), _all(tags, SAMPLE_FORMAT, 1)
    samples, colours = first(tags, SAMPLES, 1), first(tags, COLOURS, 0)
    extra = tuple(tags.get(EXTRA_SAMPLES, np.zeros(0, np.uint8)).tolist())
    if compression == OLD_JPEG:
        return True
    if (
        compression not in PILLOWS_COMPRESSIONS
        or len({*bits}) != 1
        or len({*kinds}) != 1
        or max(first(tags, DEPTH, 1), 1) > 1
        or (samples > 1 and first(tags, PLANES, 1) != 1)
    ):
        return False
    layout = (kinds[0], bits[0], samples, extra)
    if first(tags, FILL_ORDER, 1) != 1 and (bits[0], samples) not in ((1, 1), (8, 1)):
        return False
    if compression == JPEG and (bits[0] != 8 or first(tags, FILL_ORDER, 1) != 1):
        return False
    if colours in GREY:
        grey = [(1, 1), (1, 8), (2, 8), (1, 16), (2, 16), (2, 32), (3, 32)]
        if layout[:2] == (1, 32):
            return samples == 1 and not extra and order == "<" and compression == UNCOMPRESSED
        return (samples == 1 and not extra and layout[:2] in grey) or layout == (1, 8, 2, (2,))
    if colours == PALETTE:
        return layout in [(1, each, 1, ()) for each in (1, 2, 4, 8)] or layout == (1, 8, 2, (2,))
    if layout[:2] != (1, 8):
        return False
    if colours == RGB:
        return (samples == 3 and not extra) or (samples == 4 and extra in ((), (0,), (1,), (2,)))
    return (samples, colours) in ((4, CMYK), (3, YCBCR), (3, LAB)) and not extra


def subsampling(page: Page, file: IO[bytes]) -> tuple[int, int] | None:
    """Pixels across and down that share a colour, of YCbCr that is no JPEG; None of any other page."""
    compression = first(page.tags, COMPRESSION, UNCOMPRESSED)
    if first(page.tags, COLOURS, 0) != YCBCR or compression in (OLD_JPEG, JPEG):
        return None
    value = page.value(file, SUBSAMPLING)[:4]
    if len(value) < 4:
        return 2, 2  # the default of TIFF 6.0
    across, down = np.frombuffer(value, f"{page.order}u2").tolist()
    return across, down


def _is_plain_ycbcr(page: Page, file: IO[bytes]) -> bool:
    """Whether the three numbers of each pixel are there, which libtiff would turn into RGB."""
    compression = first(page.tags, COMPRESSION, UNCOMPRESSED)
    return compression != UNCOMPRESSED and subsampling(page, file) == (1, 1)


def _all(tags: Tags, tag: int, default: int) -> tuple[int, ...]:
    """The values of *tag*, which may be one for all samples."""
    return tuple(tags[tag].tolist()) if tag in tags else (default,)
